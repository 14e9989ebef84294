"""The worker looks after doors with every sweep, and a mail server that is away stops nothing."""

from dataclasses import replace
from datetime import timedelta

from countermand import wiring
from countermand.domain.approvals import Role
from countermand.domain.device_password import shard_of
from countermand.domain.device_stages import Stage
from countermand.domain.verdict import EntryFacts
from countermand.enforcement import device_passwords, endings, password_stages
from countermand.enforcement import queries as doors
from countermand.enforcement.models import DevicePassword, FeedMark
from countermand.people.models import Person
from tests.apps.orders.test_doors_and_followups import enforcing
from tests.order_world import MINUTE, World


def test_an_order_holds_by_a_login_from_the_next_sweep_on_and_as_long_as_it_is_theirs(
    world: World,
) -> None:
    world.staff(2)
    number = enforcing(world)
    shut = doors.entries_of_order(number)[0]

    def by_login() -> dict[str, EntryFacts]:
        rows = doors.entries_of_order(number)
        return {row.login: row.entry for row in rows if row.device_id == shut.device_id}

    def tell(*logins: str) -> None:
        Person.objects.filter(pk=shut.person_id).update(logins=list(logins))
        world.sweep(MINUTE)

    assert set(by_login()) == {shut.login}
    tell("averma")
    assert by_login() == {shut.login: shut.entry, "averma": shut.entry}
    other = Person.objects.exclude(pk=shut.person_id).values_list("address", flat=True)[0]
    tell(other)
    assert by_login() == {shut.login: shut.entry}


def test_a_sweep_follows_passwords_counts_doors_and_ends_sessions(world: World) -> None:
    world.staff(2)
    world.person("postmaster", Role.MAIL_ADMIN)
    files = world.settings.device_password_files
    admin = world.actor("postmaster")
    password_stages.set_stage("*", Stage.VOLUNTEERS, actor=admin, now=world.now)
    owner = world.people["p5"]
    issued = device_passwords.issue(owner.pk, actor=admin, folder=files, now=world.now, device="d0")
    number = enforcing(world)

    # Its door is shut by the name of its password as well as by its ActiveSync id.
    away = replace(world.settings, doveadm=("http://127.0.0.1:1",), doveadm_key="a-key")
    wiring.end_sessions(away, world.now)
    assert endings.standing(number).unended == 1

    wiring.follow_device_passwords(world.settings, world.now)
    kept = (files / "devices" / f"{shard_of(owner.address):03x}").read_text(encoding="utf-8")
    assert issued.device_name in kept

    wiring.count_doors(world.settings, world.now + MINUTE)
    assert FeedMark.objects.exists()

    device_passwords.revoke(
        issued.device_name, actor=admin, folder=files, now=world.now + timedelta(seconds=1)
    )
    world.sweep(MINUTE)
    wiring.end_sessions(away, world.now)
    assert endings.standing(number).unended == 0  # the door is gone, and so is the wish
    assert DevicePassword.objects.get().revoked_at is not None
