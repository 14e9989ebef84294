"""People whom a directory writes here one by one (SCIM): joiners, movers, leavers.

A person is never deleted: whoever is taken away or set inactive has left, and comes back under the
same record. Each change is one transaction and stands in the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from countermand.audit import actions as audit
from countermand.audit.queries import person_ref
from countermand.domain.address import folded_name
from countermand.domain.directory import PersonRecord
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.people.models import DirectoryEntry, DirectoryGroup, Person
from countermand.people.queries import LOADED, NOWHERE


@dataclass(eq=False)
class AlreadyThere(CountermandError):
    """Somebody else, or another group, has this name already."""

    what: str

    code: ClassVar[str] = "people.already_there"
    sentence: ClassVar[str] = gettext_noop("“{what}” is taken already.")
    remedy: ClassVar[str] = gettext_noop("Change the one that has it, or take another name.")


@dataclass(eq=False)
class NotThere(CountermandError):
    """A person or group that no directory wrote here."""

    key: str

    code: ClassVar[str] = "people.not_there"
    sentence: ClassVar[str] = gettext_noop("Nothing has the key “{key}” here.")
    remedy: ClassVar[str] = gettext_noop("Ask for the list; it may have been taken away.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One person as a directory wrote them; `said` is what is said back."""

    person_id: int
    login: str
    external_id: str
    said: Mapping[str, Any]
    is_active: bool
    groups: tuple[tuple[int, str], ...]
    manager_id: int | None
    created_at: datetime
    changed_at: datetime


@contextmanager
def alone() -> Iterator[None]:
    """Let nobody else write people until the end, which is one transaction.

    Writers of people come one after the other, imports of files among them. Whoever changes what
    they have just read needs it: else what came between is written over.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('import:people'))")
        yield


def entry(person_id: int) -> Entry:
    """Return one person. Raises NotThere."""
    found = _entries(DirectoryEntry.objects.filter(person_id=person_id))
    if not found:
        raise NotThere(key=str(person_id))
    return found[0]


def entries(
    *, login: str | None = None, external_id: str | None = None, address: str | None = None
) -> QuerySet[DirectoryEntry]:
    """Return people by key, as an unread query; those not asked for are left out."""
    rows = DirectoryEntry.objects.order_by("person_id")
    if login is not None:
        rows = rows.filter(login__iexact=login)
    if external_id is not None:
        rows = rows.filter(external_id=external_id)
    if address is not None:
        word = folded_name(address)
        rows = rows.filter(Q(person__address=word) | Q(person__other_addresses__contains=[word]))
    return rows


def read(rows: QuerySet[DirectoryEntry]) -> list[Entry]:
    """Read the people of a query."""
    return _entries(rows)


def _entries(rows: QuerySet[DirectoryEntry]) -> list[Entry]:
    found = list(rows.select_related("person"))
    names = {name for row in found for name in row.person.groups}
    groups = {g.name: g.pk for g in DirectoryGroup.objects.filter(name__in=names)}
    uids = {row.person.manager_uid for row in found} - {""}
    managers = dict(Person.objects.filter(uid__in=uids).values_list("uid", "pk"))
    return [
        Entry(
            person_id=row.person_id,
            login=row.login,
            external_id=row.external_id,
            said=row.said,
            is_active=row.person.left_on is None,
            groups=tuple((groups[n], n) for n in row.person.groups if n in groups),
            manager_id=managers.get(row.person.manager_uid),
            created_at=row.created_at,
            changed_at=row.changed_at,
        )
        for row in found
    ]


@dataclass(frozen=True, slots=True)
class Away:
    """Until when somebody is away, and the keys of those who read their mail as well."""

    until: date | None
    delegate_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a directory says of one person; `record.groups` is left as it is known here.

    `away` is None where the directory says nothing of it: what is known then stays.
    """

    record: PersonRecord
    login: str
    external_id: str
    said: Mapping[str, Any]
    is_active: bool
    manager_id: int | None = None
    away: Away | None = None


@alone()
def put_person(told: Told, *, person_id: int | None, now: datetime) -> Entry:
    """Write one person: a new one, or the one with this key.

    Somebody who came by a file is taken on under the same record when key, or address and name, are
    the same. Raises AlreadyThere when another person has the login, NotThere for a wrong key.
    """
    others = DirectoryEntry.objects.filter(login__iexact=told.login)
    if person_id is not None:
        others = others.exclude(person_id=person_id)
    if others.exists():
        raise AlreadyThere(what=told.login)
    if person_id is None:
        row = _known_otherwise(told.record)
    else:
        row = Person.objects.filter(pk=person_id, entry__isnull=False).first()
        if row is None:
            raise NotThere(key=str(person_id))
    is_new = row is None
    row = row or Person(groups=list(told.record.groups))
    _let_go(told.record.address, row, now)
    _fill(row, told, now)
    row.save()
    values = {"login": told.login, "external_id": told.external_id, "said": dict(told.said)}
    DirectoryEntry.objects.update_or_create(
        person=row,
        defaults={**values, "changed_at": now},
        create_defaults={**values, "changed_at": now, "created_at": now},
    )
    record_change({"new": int(is_new), "changed": int(not is_new)}, row.pk, now)
    return entry(row.pk)


def _known_otherwise(record: PersonRecord) -> Person | None:
    """Find somebody whom no directory wrote here yet, and who is the same person."""
    rows = Person.objects.filter(entry__isnull=True)
    by_name = Q(address=record.address, name__iexact=record.name, left_on__isnull=True)
    return rows.filter(uid=record.uid).first() or rows.filter(by_name).first()


def _let_go(address: str, row: Person, now: datetime) -> None:
    """Free an address that somebody else has, who has left if no directory says otherwise."""
    holder = Person.objects.filter(address=address).exclude(pk=row.pk).first()
    if holder is None:
        return
    if holder.left_on is None and DirectoryEntry.objects.filter(person=holder).exists():
        raise AlreadyThere(what=address)
    holder.address = f"given-on-{holder.pk}{NOWHERE}"
    holder.left_on = holder.left_on or now.date()
    holder.logins = []
    holder.save(update_fields=["address", "left_on", "logins"])


def _fill(row: Person, told: Told, now: datetime) -> None:
    record = told.record
    taken = Person.objects.filter(uid=record.uid).exclude(pk=row.pk).exists()
    row.uid = row.uid or record.uid if taken else record.uid
    if not row.uid or (taken and row.pk is None):
        row.uid = f"scim:{told.login}"[:200]
    row.name = record.name
    row.local_name = record.local_name or row.local_name
    row.address = record.address
    row.other_addresses = list(record.other_addresses)
    row.second_mailboxes = list(record.second_mailboxes)
    row.logins = list(record.logins) if told.is_active else []
    row.language = record.language
    row.country = record.country
    row.zone = record.zone
    row.unit = record.unit
    manager = Person.objects.filter(pk=told.manager_id).first() if told.manager_id else None
    row.manager_uid = manager.uid if manager else ""
    if told.away is not None:
        row.absent_until = told.away.until
        row.delegate_uids = _uids(told.away.delegate_ids)
    row.left_on = None if told.is_active else row.left_on or now.date()


def _uids(keys: Collection[int]) -> list[str]:
    """Return the uids of people, in the order of their keys; keys that nobody has are left out."""
    known = Person.objects.filter(pk__in=list(keys)).order_by("pk")
    return list(known.values_list("uid", flat=True))


@alone()
def take_away_person(person_id: int, *, now: datetime) -> None:
    """Let a person leave, and forget what the directory said of them. Raises NotThere."""
    gone = DirectoryEntry.objects.filter(person_id=person_id)
    if not gone.exists():
        raise NotThere(key=str(person_id))
    gone.delete()
    Person.objects.filter(pk=person_id, left_on__isnull=True).update(left_on=now.date())
    Person.objects.filter(pk=person_id).update(logins=[])
    record_change({"left": 1}, person_id, now)


def record_change(facts: Mapping[str, int], person_id: int | None, now: datetime) -> None:
    """Enter the change as a directory's load: whoever keeps a plan sees that it is stale."""
    about = {"person": person_ref(person_id)} if person_id is not None else {}
    audit.record(LOADED, actor_id=None, facts={**facts, **about, "by": "scim"}, now=now)
