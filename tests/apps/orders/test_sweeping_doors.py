"""The worker looks after doors with every sweep, and a mail server that is away stops nothing."""

from dataclasses import replace
from datetime import timedelta

from countermand import wiring
from countermand.domain.approvals import Role
from countermand.domain.device_password import shard_of
from countermand.domain.device_stages import Stage
from countermand.enforcement import device_passwords, endings
from countermand.enforcement.models import DevicePassword, FeedMark
from tests.apps.orders.test_doors_and_followups import enforcing
from tests.order_world import MINUTE, World


def test_a_sweep_follows_passwords_counts_doors_and_ends_sessions(world: World) -> None:
    world.staff(2)
    world.person("postmaster", Role.MAIL_ADMIN)
    files = world.settings.device_password_files
    admin = world.actor("postmaster")
    device_passwords.set_stage("*", Stage.VOLUNTEERS, actor=admin, now=world.now)
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
