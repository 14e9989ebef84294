"""Which mail program belongs to which device: what doors saw and nobody knows, and who confirms it.

A link that a person confirmed may let mail through and never closes anything by itself: doors are
told of the names that sources give, and of no others. A shared device has a custodian, who is told
in place of an owner.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final, NamedTuple

from django.db import transaction
from django.db.models.functions import Lower

from countermand.audit import actions as audit
from countermand.devices.given_answers import DeviceNotKnown
from countermand.devices.models import Device, DeviceAlias, UnknownClient
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.inventory import AliasKind, names_something
from countermand.people.queries import Actor

MOST_SHOWN: Final = 1_000
# What a door saw is somebody's login, or a stranger's invention: bounded in time and number.
KEPT: Final = timedelta(days=30)
MOST_KEPT: Final = 10_000
_BATCH: Final = 500


@dataclass(eq=False)
class ClientNotKnown(CountermandError):
    """No door saw such a mail program."""

    client: int

    code: ClassVar[str] = "devices.client_not_known"
    sentence: ClassVar[str] = gettext_noop("No unknown mail program has the number {client}.")
    remedy: ClassVar[str] = gettext_noop(
        "“countermand clients list” shows them with their numbers."
    )


@dataclass(eq=False)
class LinksNotForYou(CountermandError):
    """Somebody without a role wanted to see whose programs doors saw, or to say whose they are."""

    code: ClassVar[str] = "devices.links_not_allowed"
    sentence: ClassVar[str] = gettext_noop(
        "Only people with a role see unknown mail programs, and say whose a device is."
    )
    remedy: ClassVar[str] = gettext_noop("Ask somebody who has one: countermand staff list.")


def require_role(actor: Actor) -> None:
    """Raise LinksNotForYou unless somebody has a role: a custodian answers for a device."""
    if not actor.roles:
        raise LinksNotForYou


@dataclass(frozen=True, slots=True)
class SeenClient:
    """A mail program as a door saw it."""

    login: str
    kind: AliasKind
    value: str
    program: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class ClientView:
    """A mail program that a door saw, and the device that a person says it is on."""

    number: int
    login: str
    kind: str
    value: str
    program: str
    first_seen_at: datetime
    last_seen_at: datetime
    device_id: int | None


@dataclass(frozen=True, slots=True)
class LinkView:
    """One name of a device: where it comes from, and how sure that is."""

    kind: str
    value: str
    source: str
    first_seen_at: datetime | None
    confidence: str  # source | confirmed


@transaction.atomic
def note(seen: Iterable[SeenClient]) -> int:
    """Keep mail programs that belong to no device we know; return how many are new."""
    times: dict[_Client, list[SeenClient]] = {}
    for each in seen:
        if names_something(each.value):
            client = _Client(each.login[:320], each.kind.value, each.value[:300])
            times.setdefault(client, []).append(each)
    new = times.keys() - _seen_again(times)
    known = _names_known({client.value for client in new})
    rows = []
    for client in sorted(new):
        if (client.kind, client.value.lower()) in known:
            continue
        newest = max(times[client], key=lambda each: each.seen_at)
        rows.append(
            UnknownClient(
                **client._asdict(),
                program=newest.program[:200],
                first_seen_at=min(each.seen_at for each in times[client]),
                last_seen_at=newest.seen_at,
            )
        )
    UnknownClient.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


class _Client(NamedTuple):
    login: str
    kind: str
    value: str


def _seen_again(times: Mapping[_Client, Sequence[SeenClient]]) -> set[_Client]:
    """Bring the rows of clients that have one up to date, and return these clients."""
    there = {}
    for row in UnknownClient.objects.filter(
        login__in={client.login for client in times}, value__in={client.value for client in times}
    ):
        client = _Client(row.login, row.kind, row.value)
        if client not in times:
            continue
        there[client] = row
        newest = max(times[client], key=lambda each: each.seen_at)
        if newest.seen_at > row.last_seen_at:
            row.last_seen_at, row.program = newest.seen_at, newest.program[:200] or row.program
    UnknownClient.objects.bulk_update(
        there.values(), ["last_seen_at", "program"], batch_size=_BATCH
    )
    return set(there)


def _names_known(values: Collection[str]) -> set[tuple[str, str]]:
    """Return kinds and folded values of those that name a device; asked in one statement."""
    if not values:
        return set()
    rows = DeviceAlias.objects.annotate(folded=Lower("value"))
    found = rows.filter(folded__in={value.lower() for value in values})
    return set(found.values_list("kind", "folded"))


def forget(*, now: datetime) -> int:
    """Delete what nobody confirmed and no door saw for 30 days, and all but the newest 10,000."""
    rows = UnknownClient.objects.filter(confirmed_at__isnull=True)
    gone = rows.filter(last_seen_at__lt=now - KEPT).delete()[0]
    surplus = rows.order_by("-last_seen_at", "-pk").values_list("pk", flat=True)[MOST_KEPT:]
    return gone + rows.filter(pk__in=list(surplus)).delete()[0]


def unknown(login: str = "") -> tuple[ClientView, ...]:
    """Return the mail programs that nobody has confirmed yet, the last seen first.

    Those that a source has named meanwhile are left out.
    """
    found = UnknownClient.objects.filter(confirmed_at__isnull=True)
    if login:
        found = found.filter(login=login)
    rows = list(found.order_by("-last_seen_at", "pk")[:MOST_SHOWN])
    known = _names_known({row.value for row in rows})
    return tuple(
        ClientView(
            row.pk,
            row.login,
            row.kind,
            row.value,
            row.program,
            row.first_seen_at,
            row.last_seen_at,
            row.device_id,
        )
        for row in rows
        if (row.kind, row.value.lower()) not in known
    )


@transaction.atomic
def confirm(client: int, *, device_id: int, actor_id: int, now: datetime) -> None:
    """Keep that a mail program is on a device. Raises ClientNotKnown, DeviceNotKnown."""
    row = UnknownClient.objects.select_for_update().filter(pk=client).first()
    if row is None:
        raise ClientNotKnown(client=client)
    if not Device.objects.filter(pk=device_id).exists():
        raise DeviceNotKnown(device=str(device_id))
    DeviceAlias.objects.get_or_create(
        device_id=device_id,
        kind=row.kind,
        value=row.value,
        defaults={"first_seen_at": row.first_seen_at, "confirmed_by_id": actor_id},
    )
    row.device_id, row.confirmed_by_id, row.confirmed_at = device_id, actor_id, now
    row.save(update_fields=["device_id", "confirmed_by_id", "confirmed_at"])
    facts = {"device": device_id, "kind": row.kind}
    audit.record("device.client_confirmed", actor_id=actor_id, facts=facts, now=now)


@transaction.atomic
def set_custodian(
    device_id: int, person_id: int | None, *, actor_id: int | None, now: datetime
) -> None:
    """Make somebody answer for a shared device, or nobody again. Raises DeviceNotKnown."""
    row = Device.objects.select_for_update().filter(pk=device_id).first()
    if row is None:
        raise DeviceNotKnown(device=str(device_id))
    row.custodian_id = person_id
    if person_id is not None:
        row.person_id = person_id  # without one, the next load gives the owner back
    row.save(update_fields=["custodian_id", "person_id"])
    audit.record("device.custodian_set", actor_id=actor_id, facts={"device": device_id}, now=now)


def links_of(device_id: int) -> tuple[LinkView, ...]:
    """Return every name of a device."""
    rows = DeviceAlias.objects.filter(device_id=device_id).select_related("device")
    return tuple(
        LinkView(
            row.kind,
            row.value,
            row.device.source,
            row.first_seen_at,
            "confirmed" if row.confirmed_by_id else "source",
        )
        for row in rows.order_by("kind", "value")
    )


def in_custody(device_ids: Collection[int]) -> frozenset[int]:
    """Return those of these devices that somebody looks after for others."""
    rows = Device.objects.filter(pk__in=list(device_ids), custodian_id__isnull=False)
    return frozenset(rows.values_list("pk", flat=True)) if device_ids else frozenset()
