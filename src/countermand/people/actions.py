"""Taking people over from a directory, and who may do what; one transaction each.

An import is a full replace: whoever is missing from it has left. It is all or nothing, and one
that would send away more than a fifth is held until a person confirms it. So is a list of which
nearly everybody is new and has left already: its column of a status was read for something else.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final, Protocol

from django.db import transaction

from countermand.audit import actions as audit
from countermand.audit.queries import person_ref
from countermand.domain.approvals import Role
from countermand.domain.directory import PersonRecord
from countermand.domain.errors import CountermandError, Fault, FaultsFound, gettext_noop
from countermand.domain.inventory import RejectedRow
from countermand.people import loading
from countermand.people.logins import SharedLogins
from countermand.people.models import AccessToken, RoleGrant
from countermand.people.queries import token_hash

MOST_GONE_SHARE: Final = 0.20
MOST_CAME_AS_LEFT_SHARE: Final = 0.80  # an HR program may list leavers of many years
LEAST_GONE: Final = 3  # fewer people than this are nobody's mass
_TOKEN_BYTES: Final = 16


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
    """What an import did or would do.

    `left` are those who were here. Of the new ones `came_as_left` have left already;
    `is_of_leavers` says that this is nearly the whole list. `missing_that_stay` are people whom the
    list does not have and who are kept, since a row that was left out names nobody. By
    `shared_logins` nobody is known at a door.
    """

    state: ImportState
    rows_ok: int
    new: int
    came_as_left: int
    is_of_leavers: bool
    changed: int
    unchanged: int
    left: int
    missing_that_stay: int
    languages: Mapping[str, int]
    shared_logins: SharedLogins
    rejected: tuple[RejectedRow, ...]

    @property
    def rows_of_nobody(self) -> int:
        """How many rows were left out of which nobody can say whose they are."""
        return sum(not row.device_id for row in self.rejected)


@dataclass(eq=False)
class RoleNotKnown(CountermandError):
    """There is no such role."""

    role: str
    known: str

    code: ClassVar[str] = "people.role_not_known"
    sentence: ClassVar[str] = gettext_noop("There is no role “{role}”.")
    remedy: ClassVar[str] = gettext_noop("Take one of: {known}.")


def import_people(
    source: PeopleSource, *, now: datetime, actor_id: int | None, options: ImportOptions
) -> PeopleReport:
    """Replace the list of people, or leave it as it is. Raises FaultsFound (nothing loaded)."""
    with transaction.atomic():
        report = _import(source, now=now, options=options)
        if report is None or report.state is not ImportState.LOADED:
            transaction.set_rollback(True)
        else:
            _record(report, actor_id=actor_id, now=now)
    if report is None:
        faults = [*source.faults.faults, *(f for row in source.rejected for f in row.faults)]
        raise FaultsFound.of("people", faults)
    if report.state is ImportState.HELD:
        with transaction.atomic():
            _record(report, actor_id=actor_id, now=now)
    return report


def _import(source: PeopleSource, *, now: datetime, options: ImportOptions) -> PeopleReport | None:
    """Load what a source says; None when it is faulty."""
    loading.lay_out(source.people(), today=now.date())
    if source.faults.faults or (source.rejected and not options.accept_rejects):
        return None
    left_out = [row.device_id for row in source.rejected]
    is_whole = all(left_out)  # else whoever is missing may be in a row that names nobody
    tally = loading.compare(left_out=left_out, is_whole=is_whole, today=now.date())
    report = _report(tally, tuple(source.rejected), options)
    if report.state is ImportState.LOADED:
        loading.write(tally, left_out=left_out, is_whole=is_whole, today=now.date())
        loading.clear_away()
    return report


def _report(
    tally: loading.Tally, rejected: tuple[RejectedRow, ...], options: ImportOptions
) -> PeopleReport:
    is_mass = _is_mass(tally.left, MOST_GONE_SHARE, of=tally.here_before)
    is_of_leavers = _is_mass(tally.came_as_left, MOST_CAME_AS_LEFT_SHARE, of=tally.rows)
    state = ImportState.LOADED
    if options.dry_run:
        state = ImportState.TRIED
    elif (is_mass or is_of_leavers) and not options.confirm_mass_change:
        state = ImportState.HELD
    return PeopleReport(
        state=state,
        rows_ok=tally.rows,
        new=tally.new,
        came_as_left=tally.came_as_left,
        is_of_leavers=is_of_leavers,
        changed=tally.changed,
        unchanged=tally.unchanged,
        left=tally.left,
        missing_that_stay=tally.missing_that_stay,
        languages=tally.languages,
        shared_logins=tally.shared_logins,
        rejected=rejected,
    )


def _is_mass(people: int, share: float, *, of: int) -> bool:
    return people >= LEAST_GONE and people > of * share


def _record(report: PeopleReport, *, actor_id: int | None, now: datetime) -> None:
    audit.record(f"people.{report.state}", actor_id=actor_id, facts=_facts(report), now=now)


def _facts(report: PeopleReport) -> dict[str, Any]:
    return {
        "people": report.rows_ok,
        "new": report.new,
        "changed": report.changed,
        "left": report.left,
        "came_as_left": report.came_as_left,
        "rejected": len(report.rejected),
        "rows_of_nobody": report.rows_of_nobody,
        "missing_that_stay": report.missing_that_stay,
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
    *,
    person_id: int,
    role: Role,
    outside_it: bool,
    actor_id: int | None,
    now: datetime,
    units: Sequence[str] = (),
) -> None:
    """Give a person a role, about the people of some units or (none named) of all.

    A second time only the units change, and whether the person is outside IT.
    """
    facts = {"outside_it": outside_it, "units": sorted(set(units))}
    RoleGrant.objects.update_or_create(
        person_id=person_id,
        role=role.value,
        defaults=facts,
        create_defaults={**facts, "granted_at": now},
    )
    audit.record(
        "role.granted",
        actor_id=actor_id,
        facts={"person": person_ref(person_id), "role": role.value, **facts},
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
