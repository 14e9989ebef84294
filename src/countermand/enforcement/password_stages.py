"""How far each group has come on the way to device passwords, and who stands where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from django.db import transaction

from countermand.audit import actions as audit
from countermand.domain.approvals import Role
from countermand.domain.device_stages import EVERYBODY, Stage, stage_of
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.nearest import nearest_word
from countermand.enforcement import queries
from countermand.enforcement.models import PasswordStage
from countermand.people import queries as people
from countermand.people.queries import Actor

_FOR_STAGES: Final = frozenset({Role.MAIL_ADMIN, Role.OPERATOR})


@dataclass(eq=False)
class StageNotYours(CountermandError):
    """A group is moved by those who look after mail, who can also move it back."""

    code: ClassVar[str] = "device_password.stage_not_allowed"
    sentence: ClassVar[str] = gettext_noop("Your roles do not allow moving a group.")
    remedy: ClassVar[str] = gettext_noop("Ask a mail administrator or an operator.")


@dataclass(eq=False)
class GroupNotKnown(CountermandError):
    """A group that nobody is in; most often it is mistyped."""

    group: str

    code: ClassVar[str] = "device_password.group_not_known"
    sentence: ClassVar[str] = gettext_noop("Nobody is in a group “{group}”.")
    remedy: ClassVar[str] = gettext_noop("Look at how it is written, or import people first.")


@dataclass(eq=False)
class GroupNotKnownButNear(GroupNotKnown):
    """A group that nobody is in, and another one is near."""

    nearest: str

    remedy: ClassVar[str] = gettext_noop("Did you mean “{nearest}”? Otherwise import people first.")


@dataclass(eq=False)
class LeavesPeopleWithout(CountermandError):
    """Main passwords would be limited of people who have no other; it is to be asked for."""

    group: str
    people: int
    without: int

    code: ClassVar[str] = "device_password.people_without"
    sentence: ClassVar[str] = gettext_noop(
        "{without} of {people} in “{group}” have no device password: they would read mail at the"
        " webmail and by ActiveSync alone."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Issue passwords to them first; or, if it is meant, do the same again with --yes."
    )


@transaction.atomic(durable=True)
def set_stage(
    group: str, stage: Stage, *, actor: Actor, now: datetime, even_without: bool = False
) -> Stage:
    """Say how far a group has come (`*`: everybody); returns where it stood before.

    Raises StageNotYours, GroupNotKnown, and LeavesPeopleWithout but for `even_without`. The sweep
    writes the new list of limited main passwords.
    """
    if not actor.roles & _FOR_STAGES:
        raise StageNotYours
    row = PasswordStage.objects.select_for_update().filter(group=group).first()
    if row is None and group != EVERYBODY:
        _require_known(group, now)
    if stage.limits_main_password and not even_without:
        _require_passwords(group, now)
    before = Stage(row.stage) if row else Stage.ACTIVESYNC_ONLY
    PasswordStage.objects.update_or_create(
        group=group, defaults={"stage": stage.value, "since": now, "set_by": actor.person_id}
    )
    audit.record(
        "device_password.stage",
        actor_id=actor.person_id,
        facts={"group": group, "before": before.value, "after": stage.value},
        now=now,
    )
    return before


def _require_known(group: str, now: datetime) -> None:
    known = {each for person in people.everyone(now.date()) for each in person.groups}
    if group in known:
        return
    if near := nearest_word(group, known):
        raise GroupNotKnownButNear(group=group, nearest=near)
    raise GroupNotKnown(group=group)


def _require_passwords(group: str, now: datetime) -> None:
    """Raise LeavesPeopleWithout for people whom this limits anew and who have no password."""
    stages = queries.stages()
    holders = queries.people_with_passwords()
    members = [
        person
        for person in people.everyone(now.date())
        if group == EVERYBODY or group in person.groups
    ]
    without = sum(
        person.id not in holders and not stage_of(person.groups, stages).limits_main_password
        for person in members
    )
    if without:
        raise LeavesPeopleWithout(group=group, people=len(members), without=without)


@dataclass(frozen=True, slots=True)
class Standing:
    """How many people stand at one stage, and how many of them have a device password."""

    stage: Stage
    people: int
    with_password: int

    @property
    def without_password(self) -> int:
        """At the last stage: who reads mail at the webmail or by ActiveSync alone."""
        return self.people - self.with_password


def standings(*, now: datetime) -> tuple[Standing, ...]:
    """Count who stands where, from the first stage to the last."""
    stages = queries.stages()
    holders = queries.people_with_passwords()
    found = {stage: [0, 0] for stage in Stage}
    for person in people.everyone(now.date()):
        tally = found[stage_of(person.groups, stages)]
        tally[0] += 1
        tally[1] += person.id in holders
    return tuple(Standing(stage, *tally) for stage, tally in found.items())
