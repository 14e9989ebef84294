from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0007_doubts_known_to"),
    ]

    operations = [
        migrations.AddField(
            model_name="staffanswer",
            name="looked_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name="staffanswer",
            index=models.Index(
                condition=models.Q(kind="report", looked_at__isnull=True),
                fields=["at"],
                name="reports_not_looked_at",
            ),
        ),
    ]
