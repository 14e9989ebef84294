import django.contrib.postgres.fields
from django.db import migrations, models

# The code before it writes people without logins.
FORWARD = "ALTER TABLE people_person ALTER COLUMN logins SET DEFAULT '{}'"
BACKWARD = "ALTER TABLE people_person ALTER COLUMN logins DROP DEFAULT"


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0005_domains_in_ascii"),
    ]

    operations = [
        migrations.AddField(
            model_name="person",
            name="logins",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=320), default=list, size=None
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.AddIndex(
            model_name="person",
            index=models.Index(
                condition=models.Q(("logins", []), _negated=True),
                fields=["id"],
                name="person_with_logins",
            ),
        ),
    ]
