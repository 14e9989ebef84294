from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0007_when_its_person_asked_for_a_look"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="importrun",
            index=models.Index(
                models.F("source"), condition=models.Q(("state", "held")), name="held_runs"
            ),
        ),
    ]
