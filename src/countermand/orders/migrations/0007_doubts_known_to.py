from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0006_looks_after_the_end"),
    ]

    operations = [
        migrations.RemoveField(
            model_name="order",
            name="known_doubts",
        ),
        migrations.AddField(
            model_name="order",
            name="doubts_known_to",
            field=models.BigIntegerField(default=0),
        ),
    ]
