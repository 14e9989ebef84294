"""Once loaded the ledger's functions, too, which the newest migration now loads whole."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notices", "0010_claim_numbers")]

    operations = [
        migrations.CreateModel(
            name="MailLimit",
            fields=[
                (
                    "name",
                    models.CharField(max_length=255, primary_key=True, serialize=False),
                ),
                ("apart", models.DurationField()),
                ("free_at", models.DateTimeField(null=True)),
                ("turn_at", models.DateTimeField(null=True)),
            ],
        ),
    ]
