from typing import Any

from django.db import migrations

from countermand.domain.directory import logins_beside

_BATCH = 2_000


def take_over(apps: Any, _editor: object) -> None:
    """Tell logins of people whom a directory wrote: it writes only what changes."""
    rows = apps.get_model("people", "DirectoryEntry").objects.select_related("person")
    here = rows.filter(person__left_on__isnull=True, person__logins=[])
    found = []
    for entry in here.iterator(chunk_size=_BATCH):
        entry.person.logins = list(logins_beside(entry.person.address, [entry.login]))
        if entry.person.logins:
            found.append(entry.person)
    apps.get_model("people", "Person").objects.bulk_update(found, ["logins"], batch_size=_BATCH)


class Migration(migrations.Migration):
    dependencies = [("people", "0006_logins_beside_the_address")]

    operations = [migrations.RunPython(take_over, migrations.RunPython.noop)]
