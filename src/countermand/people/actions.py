"""Taking people over from a directory, and who may do what; one transaction each.

An import is a full replace: whoever is missing from it has left. It is all or nothing, and one
that would send away more than a fifth is held until a person confirms it.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Protocol

from django.db import connection, transaction

from countermand.audit import actions as audit
from countermand.audit.queries import person_ref
from countermand.domain.approvals import Role
from countermand.domain.directory import PersonRecord
from countermand.domain.errors import CountermandError, Fault, FaultsFound, gettext_noop
from countermand.domain.inventory import RejectedRow
from countermand.people.models import AccessToken, Person, RoleGrant
from countermand.people.queries import NOWHERE, token_hash

MOST_GONE_SHARE: Final = 0.20
LEAST_GONE: Final = 3  # fewer people than this are nobody's mass
_BATCH: Final = 2_000
_TOKEN_BYTES: Final = 16
_FIELDS: Final = (
    "uid",
    "name",
    "local_name",
    "address",
    "other_addresses",
    "language",
    "country",
    "zone",
    "groups",
    "unit",
    "manager_uid",
    "absent_until",
    "left_on",
)


class Faults(Protocol):
    """The faults of files as a whole."""

    @property
    def faults(self) -> Sequence[Fault]: ...


class PeopleSource(Protocol):
    """One load of people; `faults` and `rejected` are complete when `people` is used up."""

    @property
    def faults(self) -> Faults: ...
    @property
    def rejected(self) -> Sequence[RejectedRow]: ...
    def people(self) -> Iterator[PersonRecord]: ...


class ImportState(StrEnum):
    """What became of an import."""

    LOADED = "loaded"
    HELD = "held"
    TRIED = "tried"  # a dry run: nothing was kept


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """What a person decided about an import."""

    accept_rejects: bool = False
    confirm_mass_change: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PeopleReport:
    """What an import did or would do."""

    state: ImportState
    rows_ok: int
    new: int
    changed: int
    unchanged: int
    left: int
    languages: Mapping[str, int]
    rejected: tuple[RejectedRow, ...]


@dataclass(eq=False)
class RoleNotKnown(CountermandError):
    """There is no such role."""

    role: str
    known: str

    code: ClassVar[str] = "people.role_not_known"
    sentence: ClassVar[str] = gettext_noop("There is no role “{role}”.")
    remedy: ClassVar[str] = gettext_noop("Take one of: {known}.")


@dataclass(slots=True)
class _Changes:
    """What an import writes."""

    new: list[Person] = field(default_factory=list)
    changed: list[Person] = field(default_factory=list)
    moving: list[int] = field(default_factory=list)  # people whose address changes hands
    kept: set[int] = field(default_factory=set)
    unchanged: int = 0
    left: list[int] = field(default_factory=list)
    here_before: int = 0


def import_people(
    source: PeopleSource, *, now: datetime, actor_id: int | None, options: ImportOptions
) -> PeopleReport:
    """Replace the list of people, or leave it as it is. Raises FaultsFound (nothing loaded)."""
    records = list(source.people())
    if source.faults.faults or (source.rejected and not options.accept_rejects):
        faults = [*source.faults.faults, *(f for row in source.rejected for f in row.faults)]
        raise FaultsFound.of("people", faults)
    left_out = frozenset(row.device_id for row in source.rejected)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('import:people'))")
        changes = _compare(records, left_out, now)
        report = _report(changes, records, tuple(source.rejected), options)
        if report.state is ImportState.LOADED:
            _write(changes, now)
        if report.state is not ImportState.TRIED:
            event = f"people.{report.state}"
            audit.record(event, actor_id=actor_id, facts=_facts(report), now=now)
    return report


def _compare(records: Sequence[PersonRecord], left_out: frozenset[str], now: datetime) -> _Changes:
    known = list(Person.objects.all())
    by_uid = {row.uid: row for row in known}
    by_address = {row.address: row for row in known}
    uids = {record.uid for record in records}
    keys = {record.address: record.uid for record in records} | {uid: uid for uid in uids}
    keys |= {record.uid.lower(): record.uid for record in records}
    changes = _Changes()
    for record in records:
        holder = by_address.get(record.address)
        row = by_uid.get(record.uid)
        if row is None and holder is not None and _is_same(holder, record, uids):
            row = holder
        if holder is not None and holder is not row:
            changes.moving.append(holder.pk)
        _sort_in(changes, record, row, keys)
    for row in known:
        still_here = row.left_on is None or row.left_on > now.date()
        changes.here_before += still_here
        if still_here and row.pk not in changes.kept and row.uid not in left_out:
            changes.left.append(row.pk)
    return changes


def _is_same(holder: Person, record: PersonRecord, uids: set[str]) -> bool:
    """Tell whether this is the same person under a new key.

    Somebody of another name on the address is a successor: roles and tokens are not inherited.
    """
    same_name = holder.name.casefold() == record.name.casefold()
    return same_name and holder.uid not in uids and not holder.left_on


def _sort_in(
    changes: _Changes, record: PersonRecord, row: Person | None, keys: Mapping[str, str]
) -> None:
    values = _values(record, keys)
    if row is None:
        changes.new.append(Person(**values))
        return
    changes.kept.add(row.pk)
    if all(getattr(row, name) == value for name, value in values.items()):
        changes.unchanged += 1
    else:
        changes.changed.append(Person(pk=row.pk, **values))


def _values(record: PersonRecord, keys: Mapping[str, str]) -> dict[str, Any]:
    return {
        "uid": record.uid,
        "name": record.name,
        "local_name": record.local_name,
        "address": record.address,
        "other_addresses": list(record.other_addresses),
        "language": record.language,
        "country": record.country,
        "zone": record.zone,
        "groups": list(record.groups),
        "unit": record.unit,
        "manager_uid": keys.get(record.manager, ""),
        "absent_until": record.absent_until,
        "left_on": record.left_on,
    }


def _report(
    changes: _Changes,
    records: Sequence[PersonRecord],
    rejected: tuple[RejectedRow, ...],
    options: ImportOptions,
) -> PeopleReport:
    left = len(changes.left)
    is_mass = left >= LEAST_GONE and left > changes.here_before * MOST_GONE_SHARE
    state = ImportState.LOADED
    if options.dry_run:
        state = ImportState.TRIED
    elif is_mass and not options.confirm_mass_change:
        state = ImportState.HELD
    languages: dict[str, int] = {}
    for record in records:
        languages[record.language] = languages.get(record.language, 0) + 1
    return PeopleReport(
        state=state,
        rows_ok=len(records),
        new=len(changes.new),
        changed=len(changes.changed),
        unchanged=changes.unchanged,
        left=left,
        languages=dict(sorted(languages.items())),
        rejected=rejected,
    )


def _write(changes: _Changes, now: datetime) -> None:
    # An address may change hands within one import: it is let go before it is given on.
    for row in Person.objects.filter(pk__in=changes.moving):
        row.address = f"given-on-{row.pk}{NOWHERE}"
        row.save(update_fields=["address"])
    for start in range(0, len(changes.changed), _BATCH):
        Person.objects.bulk_create(
            changes.changed[start : start + _BATCH],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=list(_FIELDS),
        )
    Person.objects.bulk_create(changes.new, batch_size=_BATCH)
    Person.objects.filter(pk__in=changes.left).update(left_on=now.date())


def _facts(report: PeopleReport) -> dict[str, Any]:
    return {
        "people": report.rows_ok,
        "new": report.new,
        "changed": report.changed,
        "left": report.left,
        "rejected": len(report.rejected),
    }


def role_of(text: str) -> Role:
    """Read a role as a person writes it. Raises RoleNotKnown."""
    word = text.strip().lower().replace("-", "_").replace(" ", "_")
    known = {role.value: role for role in Role}
    if word not in known:
        raise RoleNotKnown(role=text, known=", ".join(known).replace("_", "-"))
    return known[word]


@transaction.atomic
def grant_role(
    *, person_id: int, role: Role, outside_it: bool, actor_id: int | None, now: datetime
) -> None:
    """Give a person a role; a second time only changes whether they are outside IT."""
    RoleGrant.objects.update_or_create(
        person_id=person_id,
        role=role.value,
        defaults={"outside_it": outside_it},
        create_defaults={"outside_it": outside_it, "granted_at": now},
    )
    audit.record(
        "role.granted",
        actor_id=actor_id,
        facts={"person": person_ref(person_id), "role": role.value, "outside_it": outside_it},
        now=now,
    )


@transaction.atomic
def revoke_role(*, person_id: int, role: Role, actor_id: int | None, now: datetime) -> bool:
    """Take a role from a person; return whether they had it."""
    count, _ = RoleGrant.objects.filter(person_id=person_id, role=role.value).delete()
    if count:
        audit.record(
            "role.revoked",
            actor_id=actor_id,
            facts={"person": person_ref(person_id), "role": role.value},
            now=now,
        )
    return bool(count)


@transaction.atomic
def issue_token(*, person_id: int, label: str, actor_id: int | None, now: datetime) -> str:
    """Make a personal token and return its text: the only moment at which it can be read."""
    token = "cmt_" + base64.b32encode(secrets.token_bytes(_TOKEN_BYTES)).decode().rstrip("=")
    AccessToken.objects.create(
        person_id=person_id, sha256=token_hash(token), label=label[:100], created_at=now
    )
    audit.record(
        "access.token_issued",
        actor_id=actor_id,
        facts={"person": person_ref(person_id)},
        now=now,
    )
    return token


@transaction.atomic
def revoke_tokens(*, person_id: int, actor_id: int | None, now: datetime) -> int:
    """Make all tokens of a person void; return how many there were."""
    live = AccessToken.objects.filter(person_id=person_id, revoked_at__isnull=True)
    count = live.update(revoked_at=now)
    if count:
        audit.record(
            "access.tokens_revoked",
            actor_id=actor_id,
            facts={"person": person_ref(person_id), "count": count},
            now=now,
        )
    return count
