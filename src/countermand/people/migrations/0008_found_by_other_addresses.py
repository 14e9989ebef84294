import django.contrib.postgres.indexes
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("people", "0007_logins_of_directories"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="person",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["other_addresses"],
                gin_pending_list_limit=65536,
                name="person_by_other_address",
            ),
        ),
    ]
