"""Groups that a directory writes here, with exactly those members that it names.

Each change is one transaction and stands in the log. Nobody else writes people meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Func, Q, QuerySet, Value

from countermand.people.models import DirectoryGroup, Person
from countermand.people.provisioning import AlreadyThere, NotThere, alone, record_change


@dataclass(frozen=True, slots=True)
class Group:
    """One group with the keys of its members."""

    key: int
    name: str
    external_id: str
    members: tuple[int, ...]
    created_at: datetime
    changed_at: datetime


def group(key: int) -> Group:
    """Return one group. Raises NotThere."""
    found = read_groups(DirectoryGroup.objects.filter(pk=key))
    if not found:
        raise NotThere(key=str(key))
    return found[0]


def groups(*, name: str | None = None, external_id: str | None = None) -> QuerySet[DirectoryGroup]:
    """Return groups by name or key, as an unread query."""
    rows = DirectoryGroup.objects.order_by("pk")
    if name is not None:
        rows = rows.filter(name__iexact=name)
    if external_id is not None:
        rows = rows.filter(external_id=external_id)
    return rows


def read_groups(rows: QuerySet[DirectoryGroup]) -> list[Group]:
    """Read groups with their members."""
    return [
        Group(
            key=row.pk,
            name=row.name,
            external_id=row.external_id,
            members=tuple(
                Person.objects.filter(groups__contains=[row.name], entry__isnull=False)
                .order_by("pk")
                .values_list("pk", flat=True)
            ),
            created_at=row.created_at,
            changed_at=row.changed_at,
        )
        for row in rows
    ]


@alone()
def put_group(
    name: str, *, external_id: str, members: Collection[int], key: int | None, now: datetime
) -> Group:
    """Write one group with exactly these members; keys that nobody has are left out.

    Raises AlreadyThere when another group has the name, NotThere for a wrong key.
    """
    others = DirectoryGroup.objects.filter(name__iexact=name)
    if (others if key is None else others.exclude(pk=key)).exists():
        raise AlreadyThere(what=name)
    row = DirectoryGroup(created_at=now) if key is None else _group_row(key)
    before, row.name, row.external_id, row.changed_at = row.name, name, external_id, now
    row.save()
    if before and before != name:
        _without(before, Person.objects.filter(groups__contains=[before]))
    belong = Q(pk__in=list(members), entry__isnull=False)
    _without(name, Person.objects.filter(groups__contains=[name]).exclude(belong))
    joining = Person.objects.filter(belong).exclude(groups__contains=[name])
    joining.update(groups=Func(F("groups"), Value(name), function="array_append"))
    record_change({"group": row.pk}, None, now)
    return group(row.pk)


@alone()
def take_away_group(key: int, *, now: datetime) -> None:
    """Take a group away, also from its members. Raises NotThere."""
    row = _group_row(key)
    _without(row.name, Person.objects.filter(groups__contains=[row.name]))
    row.delete()
    record_change({"group": key}, None, now)


def _group_row(key: int) -> DirectoryGroup:
    row = DirectoryGroup.objects.filter(pk=key).first()
    if row is None:
        raise NotThere(key=str(key))
    return row


def _without(name: str, rows: QuerySet[Person]) -> None:
    rows.update(
        groups=Func(
            F("groups"),
            Value(name),
            function="array_remove",
            output_field=ArrayField(models.CharField(max_length=100)),
        )
    )
