from typing import Any

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
from django.db import migrations, models

from countermand.domain.device_password import names_in_files, shard_of

# The code before it writes passwords without further names.
FORWARD = """
    ALTER TABLE enforcement_devicepassword ALTER COLUMN other_logins SET DEFAULT '{}',
        ALTER COLUMN other_shards SET DEFAULT '{}'
"""
BACKWARD = """
    ALTER TABLE enforcement_devicepassword ALTER COLUMN other_logins DROP DEFAULT,
        ALTER COLUMN other_shards DROP DEFAULT
"""


def name_spellings(apps: Any, editor: Any) -> None:
    """Write down under which other name passwords stand whose domain has two spellings."""
    rows = apps.get_model("enforcement", "DevicePassword").objects.using(editor.connection.alias)
    for row in rows.filter(login__contains="xn--").iterator():
        _, *row.other_logins = names_in_files(row.login, ())
        row.other_shards = [shard_of(name) for name in row.other_logins]
        row.save(update_fields=["other_logins", "other_shards"])


class Migration(migrations.Migration):
    dependencies = [
        ("enforcement", "0003_logins_of_two_spellings"),
    ]

    operations = [
        migrations.AddField(
            model_name="devicepassword",
            name="other_logins",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=320), default=list, size=None
            ),
        ),
        migrations.AddField(
            model_name="devicepassword",
            name="other_shards",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.SmallIntegerField(), default=list, size=None
            ),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.RunPython(name_spellings, migrations.RunPython.noop),
        migrations.RemoveIndex(model_name="devicepassword", name="password_by_two_spellings"),
        migrations.AddIndex(
            model_name="devicepassword",
            index=django.contrib.postgres.indexes.GinIndex(
                fields=["other_shards"], name="password_by_other_shard"
            ),
        ),
    ]
