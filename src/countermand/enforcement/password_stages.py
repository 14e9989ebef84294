"""How far each group has come on the way to device passwords, and who stands where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction

from countermand.audit import actions as audit
from countermand.domain.approvals import Role
from countermand.domain.device_stages import Stage, stage_of
from countermand.enforcement import queries
from countermand.enforcement.device_passwords import NotYourDevice
from countermand.enforcement.models import PasswordStage
from countermand.people import queries as people
from countermand.people.queries import Actor

_FOR_STAGES: Final = frozenset({Role.MAIL_ADMIN, Role.OPERATOR})


@transaction.atomic(durable=True)
def set_stage(group: str, stage: Stage, *, actor: Actor, now: datetime) -> Stage:
    """Say how far a group has come (`*`: everybody); returns where it stood before.

    Raises NotYourDevice. The sweep writes the new list of limited main passwords.
    """
    if not actor.roles & _FOR_STAGES:
        raise NotYourDevice
    row = PasswordStage.objects.select_for_update().filter(group=group).first()
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
