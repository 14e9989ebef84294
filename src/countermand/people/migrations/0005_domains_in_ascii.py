"""Domains in other letters are kept in ASCII from now on; a directory says them in either way.

Whose key is their address keeps it, for a list that has no keys of its own, and those whose manager
or delegate they are name them by it. An address or key whose other spelling belongs to somebody
else already is left; the next list says whose it is.
"""

from typing import Any

from django.db import migrations
from django.db.models import Q

from countermand.domain.address import folded_name, with_ascii_domain


def fold(apps: Any, _editor: object) -> None:
    Person = apps.get_model("people", "Person")
    odd = r"[^\x01-\x7f]"
    rows = Person.objects.extra(
        where=["address ~ %s OR array_to_string(other_addresses || second_mailboxes, ' ') ~ %s"],
        params=[odd, odd],
    )
    keys: dict[str, str] = {}  # the old one: the new one
    for person in rows:
        new = with_ascii_domain(person.address)
        key = new if person.uid == person.address else person.uid
        others = Person.objects.exclude(pk=person.pk)
        if not others.filter(Q(address=new) | Q(uid=key)).exists():
            if key != person.uid:
                keys[person.uid] = key
            person.address, person.uid = new, key
        person.other_addresses = [folded_name(each) for each in person.other_addresses]
        person.second_mailboxes = [folded_name(each) for each in person.second_mailboxes]
        person.save()
    named = Q(manager_uid__in=list(keys)) | Q(delegate_uids__overlap=list(keys))
    for person in Person.objects.filter(named) if keys else ():
        person.manager_uid = keys.get(person.manager_uid, person.manager_uid)
        person.delegate_uids = [keys.get(each, each) for each in person.delegate_uids]
        person.save()


class Migration(migrations.Migration):
    dependencies = [("people", "0004_second_mailboxes")]

    operations = [migrations.RunPython(fold, migrations.RunPython.noop)]
