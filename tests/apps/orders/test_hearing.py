"""Silence is proof only while somebody could hear; who is corrected never waits for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from countermand import wiring
from countermand.connectors.returned_mail.mailbox import AT_ONCE, ReturnedMailUnavailable
from countermand.domain.delivery import EvidenceKind, StopKind
from countermand.domain.findings import Finding
from countermand.notices import evidence, hearing, proof_sql
from countermand.notices import queries as ledger
from countermand.notices.models import HeardTime, Notice
from countermand.notices.queries import ACCEPTED
from countermand.orders.doors import STEPS_A_NOTICE, closed_devices
from tests.order_world import DAY, HOUR, MINUTE, After, World


class Listener:
    """A mailbox of returned mails that can be taken out of reach, and a sweep that listens."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder / "returned"
        self.hidden = folder / "hidden"
        for name in ("new", "cur", "tmp"):
            (self.folder / name).mkdir(parents=True)
        self.settings = replace(world.settings, returned_mail=f"maildir:{self.folder}")

    def goes_away(self) -> None:
        self.folder.rename(self.hidden)

    def comes_back(self) -> None:
        self.hidden.rename(self.folder)

    def gets_more_than_one_look_reads(self) -> None:
        for number in range(AT_ONCE + 1):
            (self.folder / "new" / str(number)).write_text("Subject: away until Monday\n\n")

    def sweep(self) -> None:
        if self.folder.exists():
            wiring.take_evidence(self.settings, self.world.now)
        else:
            with pytest.raises(ReturnedMailUnavailable):
                wiring.take_evidence(self.settings, self.world.now)

    def pass_time(
        self, span: timedelta, *, step: timedelta, each: Callable[[], object] = bool
    ) -> None:
        """Let a time pass with a sweep at every step."""
        for _ in range(span // step):
            self.world.now += step
            self.sweep()
            each()


def listening(world: World, folder: Path) -> Listener:
    """Return a listener that has listened once."""
    listener = Listener(world, folder)
    listener.sweep()
    return listener


@pytest.fixture
def listener(world: World, tmp_path: Path) -> Listener:
    return listening(world, tmp_path)


def test_no_door_shuts_on_the_silence_of_a_mailbox_that_nobody_could_read(
    world: World, listener: Listener
) -> None:
    world.staff(4)
    listener.goes_away()
    number = world.notified()
    deadline = world.last_deadline(number)

    def moves_on() -> None:
        world.sweep()
        world.send()

    def moves_on_freshly() -> None:
        world.import_run()
        for device in world.devices():
            world.observe(device, "present")
        moves_on()

    listener.pass_time(deadline - 20 * HOUR - world.now, step=DAY, each=moves_on)
    listener.pass_time(deadline - 2 * HOUR - world.now, step=6 * HOUR, each=moves_on_freshly)
    listener.pass_time(deadline + HOUR - world.now, step=15 * MINUTE, each=moves_on_freshly)
    assert world.order(number).phase == "enforcing"
    assert closed_devices(number, now=world.now) == set()

    listener.comes_back()
    listener.sweep()
    listener.pass_time(23 * HOUR, step=23 * HOUR, each=moves_on_freshly)
    assert closed_devices(number, now=world.now) == set()
    # What was on its way meanwhile has had its day to come back.
    phone, *others = world.devices()
    notices = Notice.objects.filter(order_number=number, kind="notice")
    bounced = notices.get(person_id=phone.person_id or 0)
    told = Finding(EvidenceKind.DSN_FAILED, None, "5.1.1", message_id=bounced.message_id)
    evidence.take([told], ledger=world.ledger, now=world.now)
    listener.pass_time(2 * HOUR, step=HOUR, each=moves_on_freshly)

    assert closed_devices(number, now=world.now) == {device.pk for device in others}


def test_a_correction_goes_to_everybody_whatever_could_be_read(
    world: World, listener: Listener
) -> None:
    world.staff(12)
    listener.goes_away()
    number = world.notified()
    listener.pass_time(2 * DAY, step=HOUR)
    told = Notice.objects.filter(order_number=number, kind="notice", exposure__gt=0)
    addresses = set(told.values_list("address", flat=True))

    world.press(number, StopKind.TAKE_BACK)

    corrections = Notice.objects.filter(order_number=number, kind="correction")
    assert addresses
    assert set(corrections.values_list("address", flat=True)) == addresses


def test_what_was_proven_stays_so_while_a_mailbox_is_away(world: World, listener: Listener) -> None:
    listener.pass_time(2 * DAY, step=HOUR)
    proven = hearing.silence_counts_since(world.now)
    assert proven == world.now - DAY

    listener.goes_away()
    listener.pass_time(3 * DAY, step=HOUR)

    assert hearing.silence_counts_since(world.now) == proven


def test_a_short_gap_and_a_worker_that_was_away_lose_nothing(
    world: World, listener: Listener
) -> None:
    listener.pass_time(DAY, step=HOUR)
    listener.goes_away()
    world.now += 5 * MINUTE
    listener.sweep()
    listener.comes_back()
    world.now += 5 * MINUTE
    listener.sweep()
    assert hearing.silence_counts_since(world.now) == world.now - DAY

    last = world.now
    world.now += 3 * DAY  # nobody looked, and what came back waits in the mailbox
    assert hearing.silence_counts_since(world.now) == last - DAY
    listener.sweep()
    assert hearing.silence_counts_since(world.now) == world.now - DAY


def test_a_mailbox_counts_as_heard_once_it_was_read_to_its_end(
    world: World, listener: Listener
) -> None:
    listener.pass_time(DAY, step=HOUR)
    last = world.now
    listener.gets_more_than_one_look_reads()
    world.now += HOUR

    listener.sweep()
    assert hearing.silence_counts_since(world.now) == last - DAY
    listener.sweep()
    assert hearing.silence_counts_since(world.now) == world.now - DAY


def test_a_mailbox_that_was_never_read_to_its_end_proves_nothing_yet(
    world: World, tmp_path: Path
) -> None:
    listener = Listener(world, tmp_path)
    listener.gets_more_than_one_look_reads()
    first = world.now
    listener.sweep()
    world.now += HOUR

    assert hearing.silence_counts_since(world.now) == first - DAY


def test_lines_of_the_log_that_were_never_read_begin_a_new_stretch(
    world: World, tmp_path: Path
) -> None:
    """However short the gap: what stood in them is lost, and no mailbox keeps it for later."""
    relay_log = tmp_path / "mail.log"
    relay_log.write_text("a line\n" * 9)
    settings = replace(world.settings, relay_log=str(relay_log))
    for _ in range(48):
        wiring.take_evidence(settings, world.now)
        world.now += HOUR
    wiring.take_evidence(settings, world.now)
    last = world.now
    assert hearing.silence_counts_since(last) == last - DAY

    relay_log.write_text("a line\n")
    world.now += 10 * MINUTE
    wiring.take_evidence(settings, world.now)
    assert hearing.silence_counts_since(world.now) == last - DAY
    world.now += HOUR
    wiring.take_evidence(settings, world.now)
    assert hearing.silence_counts_since(world.now) == last - DAY + HOUR


def proven(number: str, now: datetime) -> int:
    """Return how many notices of an order count as proof now."""
    told = proof_sql.parameters(number, steps_a_notice=STEPS_A_NOTICE, now=now)
    with connection.cursor() as cursor:
        cursor.execute(proof_sql.PROOFS, told)
        return len(cursor.fetchall())


@pytest.mark.parametrize("has_mailbox", [False, True], ids=["log alone", "mailbox beside"])
@pytest.mark.parametrize("waited", [2 * HOUR, 12 * HOUR, 30 * HOUR], ids=str)
def test_silence_proves_no_mail_about_which_a_line_may_be_lost(
    after: After, tmp_path: Path, waited: timedelta, *, has_mailbox: bool
) -> None:
    world, number = after(World.told_six)
    relay_log = tmp_path / "mail.log"
    relay_log.write_text("a line\n" * 9)
    beside = listening(world, tmp_path).settings.returned_mail if has_mailbox else ""
    settings = replace(world.settings, relay_log=str(relay_log), returned_mail=beside)

    def listen(span: timedelta) -> None:
        for _ in range(span // HOUR):
            world.now += HOUR
            wiring.take_evidence(settings, world.now)

    told = Notice.objects.filter(order_number=number, kind="notice", state__in=ACCEPTED).count()
    listen(waited)
    before = proven(number, world.now)
    assert before == (told if waited > DAY else 0)

    relay_log.write_text("a line\n")
    listen(4 * DAY)

    stays_open = waited <= DAY and not has_mailbox
    assert proven(number, world.now) == (0 if stays_open else told)
    stamp = ledger.proof_stamp(number, now=world.now)
    assert stamp.startswith("0." if stays_open else f"{told}.")
    Notice.objects.filter(order_number=number, kind="notice").update(accepted_at=world.now)
    listen(DAY)
    assert proven(number, world.now) == told  # accepted since: nothing about them was lost


def test_a_log_that_could_not_be_read_at_first_has_lost_nothing(
    after: After, tmp_path: Path
) -> None:
    world, number = after(World.told_six)
    settings = replace(world.settings, relay_log=str(tmp_path / "mail.log"))
    told = Notice.objects.filter(order_number=number, kind="notice", state__in=ACCEPTED).count()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            wiring.take_evidence(settings, world.now)
        world.now += 2 * MINUTE

    (tmp_path / "mail.log").write_text("a line\n")
    for _ in range(96):
        world.now += HOUR
        wiring.take_evidence(settings, world.now)

    assert proven(number, world.now) == told


@pytest.mark.parametrize("has_mailbox", [False, True], ids=["log alone", "mailbox beside"])
def test_silence_proves_nothing_where_it_is_forgotten_how_far_the_log_was_read(
    after: After, tmp_path: Path, *, has_mailbox: bool
) -> None:
    """A file of the folder was lost, or put away as damaged: the log may have been moved since."""
    world, number = after(World.told_six)
    relay_log = tmp_path / "mail.log"
    relay_log.write_text("a line\n" * 9)
    beside = listening(world, tmp_path).settings.returned_mail if has_mailbox else ""
    settings = replace(world.settings, relay_log=str(relay_log), returned_mail=beside)
    told = Notice.objects.filter(order_number=number, kind="notice", state__in=ACCEPTED).count()
    for _ in range(2):
        wiring.take_evidence(settings, world.now)
        world.now += 2 * MINUTE

    (settings.folder.run / "relay-log.json").unlink()
    for _ in range(96):
        world.now += HOUR
        wiring.take_evidence(settings, world.now)

    assert proven(number, world.now) == (told if has_mailbox else 0)


def test_gaps_are_forgotten_when_they_matter_to_nobody_any_more_or_nobody_listens(
    world: World, listener: Listener
) -> None:
    for _ in range(5):
        listener.goes_away()
        listener.pass_time(HOUR, step=HOUR)
        listener.comes_back()
        listener.pass_time(2 * DAY, step=HOUR)
    assert HeardTime.objects.count() == 2

    wiring.take_evidence(world.settings, world.now)
    assert HeardTime.objects.count() == 0
    assert hearing.silence_counts_since(world.now) == world.now - DAY
