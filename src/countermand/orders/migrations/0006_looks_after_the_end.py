from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0005_what_came_after_its_correction"),
    ]

    operations = [
        migrations.AddField(
            model_name="order",
            name="end_looked_at",
            field=models.DateTimeField(null=True),
        ),
    ]
