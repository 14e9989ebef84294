"""Pause, resume and take-back, with mails in every state, cut off anywhere."""

import dataclasses
import hashlib
import json
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time

import pytest

from countermand import i18n
from countermand.cli import stop_verbs, stop_words
from countermand.domain import causes
from countermand.domain.address import folded_name
from countermand.domain.approvals import CauseMissing, SameHand
from countermand.domain.delivery import Reply, ReplyKind, StopKind
from countermand.domain.lifecycle import StepNotAllowed
from countermand.domain.notice_life import MOST_ATTEMPTS
from countermand.enforcement.models import PublishedState
from countermand.notices import actions as notices
from countermand.notices.models import Notice
from countermand.orders import actions, jobs, pressing, showing
from countermand.orders.documents import document_of
from countermand.orders.models import Revision
from countermand.people.models import Person
from countermand.project.findings import Finding, State
from countermand.project.order_checkup import LONGEST_PAUSE, LONGEST_PROOF, examine_orders
from countermand.stop import fence as fences
from countermand.stop import register
from tests.order_world import DAY, HOUR, MINUTE, ROLLOUT, After, World


def test_a_pause_lets_nothing_leave_until_another_person_resumes(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.send(3)

    world.press(number, StopKind.PAUSE, uid="desk")
    assert world.order(number).phase == "paused"
    assert world.send() == []
    world.sweep(HOUR)
    assert (world.order(number).phase, world.send()) == ("paused", [])

    with pytest.raises(CauseMissing):
        world.resume(number, because=" ")
    world.resume(number)
    assert world.order(number).phase == "sending"
    assert len(world.send()) > 0


def test_whoever_paused_does_not_resume(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.press(number, StopKind.PAUSE, uid="legal")

    with pytest.raises(SameHand):
        world.resume(number, uid="legal")


def test_a_second_pause_after_a_resume_stops_the_new_epoch(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.press(number, StopKind.PAUSE)
    world.resume(number)
    known = register.read(world.settings.folder).orders[number]
    assert known.epoch == world.order(number).epoch == 2

    world.press(number, StopKind.PAUSE)

    assert world.order(number).phase == "paused"
    assert world.send() == []


def test_a_pause_skips_neither_soak_nor_go(world: World) -> None:
    world.staff(30)
    number = world.sent_to_first_group()
    world.now += 10 * MINUTE
    world.press(number, StopKind.PAUSE)
    world.now += 5 * HOUR
    world.resume(number)

    world.sweep(19 * MINUTE)
    assert world.order(number).phase == "canary"
    world.sweep(2 * MINUTE)
    assert world.order(number).phase == "sending"


def test_waves_keep_their_distance_after_a_pause(after: After) -> None:
    world, number = after(World.sending_to_forty)
    world.send()
    world.press(number, StopKind.PAUSE)
    world.now += 5 * HOUR

    world.resume(number)

    assert world.send() == []
    world.now += 31 * MINUTE
    second = world.send()
    world.now += 31 * MINUTE
    assert second
    assert world.send()


def test_what_a_fence_asks_is_finished_by_the_sweep_when_the_presser_was_cut_off(
    after: After,
) -> None:
    world, number = after(World.sending_to_thirty)
    world.send(4)
    reached = set(Notice.objects.filter(exposure__gt=0).values_list("address", flat=True))
    world.stops_on_disk(number, "legal", "reason_gone: See the news.")

    world.sweep(MINUTE)

    order = world.order(number)
    assert (order.phase, order.variant) == ("correcting", "reason_gone")
    assert order.taken_back_by == world.people["legal"].pk
    assert set(world.send()) == reached
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"


def test_a_fence_that_was_laid_in_the_hold_keeps_the_first_group_from_leaving(
    world: World,
) -> None:
    world.staff(30)
    number = world.released()
    world.now += 11 * MINUTE
    world.stops_on_disk(number, None)

    jobs.sweep(world.desk, now=world.now)
    assert (world.order(number).phase, world.send()) == ("hold", [])
    world.sweep()
    assert (world.order(number).phase, world.send()) == ("withdrawn", [])


def test_with_mails_in_every_state_exactly_those_who_may_have_it_are_corrected(
    after: After,
) -> None:
    world, number = after(World.sending_to_forty)
    world.send(3)
    world.send(2, kind=ReplyKind.LOST)
    world.send(2, kind=ReplyKind.REFUSED)
    name = "sender-2"
    world.ledger.lease(sender=name, mode="live", host=world.here, pid=2, seconds=60)
    claimed = world.claim(3, sender=name)
    world.permit(claimed[:2], sender=name)
    notices.catch_up()
    may_have = set(Notice.objects.filter(exposure__gt=0).values_list("address", flat=True))

    world.press(number, StopKind.TAKE_BACK)

    corrected = set(world.send())
    assert corrected == may_have
    assert {each.address for each in claimed[:2]} <= corrected
    assert claimed[2].address not in corrected
    assert not Notice.objects.filter(kind="notice", state__in=["claimed", "permitted"]).exists()


def test_no_notice_follows_a_correction(after: After) -> None:
    world, number = after(World.sending_to_forty)
    world.send(3)
    world.press(number, StopKind.TAKE_BACK)

    for _ in range(5):
        kinds = set(world.send())
        world.sweep(31 * MINUTE)
        assert kinds <= set(
            Notice.objects.filter(kind="correction").values_list("address", flat=True)
        )

    late = Notice.objects.filter(kind="notice", accepted_at__gt=world.order(number).taken_back_at)
    assert not late.exists()


def test_whoever_turns_out_later_to_have_it_is_corrected_then(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    name = "sender-1"
    world.ledger.lease(sender=name, mode="live", host=world.here, pid=1, seconds=60)
    claimed = world.claim(1, sender=name)
    world.press(number, StopKind.TAKE_BACK)
    world.send()
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"

    Notice.objects.filter(pk=claimed[0].notice_id).update(state="sent", exposure=2)
    world.sweep(MINUTE)

    assert world.send() == [claimed[0].address]


def test_a_take_back_is_final(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.press(number, StopKind.TAKE_BACK)

    with pytest.raises(StepNotAllowed):
        world.resume(number)
    with pytest.raises(StepNotAllowed):
        actions.close(
            number, actor=world.actor("author"), now=world.now, context=world.desk.context
        )
    world.press(number, StopKind.PAUSE)
    assert world.order(number).phase in {"correcting", "corrected"}


def test_pressing_twice_corrects_once(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.send(4)

    world.press(number, StopKind.TAKE_BACK)
    world.press(number, StopKind.TAKE_BACK, uid="legal")

    sent = world.send()
    assert len(sent) == len(set(sent))
    assert world.order(number).taken_back_by == world.people["operator"].pk


def test_whoever_changed_their_address_is_corrected_at_both(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    address = world.send(1)[0]
    person = next(p for p in world.people.values() if p.address == address)
    person.address = "new@example.org"
    person.save()

    world.press(number, StopKind.TAKE_BACK)

    assert {address, "new@example.org"} <= set(world.send())


def test_whoever_has_two_addresses_is_corrected_at_both(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    address = world.send(1)[0]
    person = next(p for p in world.people.values() if p.address == address)
    person.second_mailboxes = ["asha@second.example.org"]
    person.save()

    world.press(number, StopKind.TAKE_BACK)

    corrected = world.send()
    assert {address, "asha@second.example.org"} <= set(corrected)
    assert len(corrected) == len(set(corrected))
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"


def test_a_mailbox_is_corrected_once_however_its_domain_was_spelled_before(world: World) -> None:
    world.staff(30)
    everybody = Person.objects.filter(groups=["all-staff"])
    for person in everybody:  # before domains were kept in ASCII
        person.address = f"{person.uid}@कंपनी.भारत"
        person.save()
    number = world.sending()
    address = world.send(1)[0]
    for person in everybody:
        person.address = f"{person.uid}@xn--i1b1b4ch5i.xn--h2brj9c"
        person.save()

    world.press(number, StopKind.TAKE_BACK)

    theirs = {address, folded_name(address)}
    corrections = Notice.objects.filter(address__in=theirs, kind="correction")
    assert list(corrections.values_list("address", flat=True)) == [address]


def test_an_address_that_was_given_on_to_somebody_else_gets_no_correction(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    address = world.send(1)[0]
    told = next(p for p in world.people.values() if p.address == address)
    newcomer = world.person("newcomer", groups=["elsewhere"])
    told.second_mailboxes = [newcomer.address]
    told.save()

    world.press(number, StopKind.TAKE_BACK)

    corrected = world.send()
    assert told.address in corrected
    assert newcomer.address not in corrected


def test_many_bounces_pause_the_order_by_itself_with_the_cause_in_words(world: World) -> None:
    world.staff(40)
    number = world.sent_to_first_group()
    sent = list(Notice.objects.filter(state="sent").values_list("pk", flat=True)[:3])
    Notice.objects.filter(pk__in=sent).update(state="bounced", bounced_at=world.now)

    world.sweep(MINUTE)

    order = world.order(number)
    assert (order.phase, order.paused_by) == ("paused", None)
    assert "cause.undelivered answered=" in order.pause_cause
    world.resume(number)
    assert world.order(number).phase == "canary"


def test_a_relay_that_says_no_to_us_pauses_the_order_and_gives_nobody_up(world: World) -> None:
    """A login, a limit or a network: once somebody mended it, everybody gets the mail."""
    world.staff(40)
    number = world.released()
    world.sweep(11 * MINUTE)
    world.send(3, kind=ReplyKind.DEFERRED, said="554 5.7.1 Relay access denied")

    world.sweep(MINUTE)

    assert "cause.undelivered answered=3" in world.order(number).pause_cause
    world.resume(number)
    world.now += HOUR
    world.send()
    assert not Notice.objects.filter(order_number=number).exclude(state="sent").exists()


def test_two_that_came_back_pause_a_first_group_of_a_handful(world: World) -> None:
    world.staff(8)
    number = world.sent_to_first_group()
    first_group = Notice.objects.filter(state="sent")
    assert 5 <= first_group.count() <= 7
    one, another = first_group.values_list("pk", flat=True)[:2]

    Notice.objects.filter(pk=one).update(state="bounced", bounced_at=world.now)
    world.sweep(MINUTE)
    assert world.order(number).phase == "canary"  # one may always be somebody who left
    Notice.objects.filter(pk=another).update(state="bounced", bounced_at=world.now)
    world.sweep(MINUTE)

    assert world.order(number).phase == "paused"


def test_two_sweeps_at_once_harm_nothing(world: World) -> None:
    world.staff(30)
    number = world.released()
    world.sweep(11 * MINUTE)
    world.sweep()
    assert Notice.objects.values("person_id").distinct().count() == Notice.objects.count()

    world.send()
    world.sweep(31 * MINUTE)
    jobs.sweep(world.desk, now=world.now)

    assert Notice.objects.filter(order_number=number).count() == 32


def test_what_a_person_has_looked_at_pauses_the_order_once(world: World) -> None:
    world.staff(40)
    number = world.sent_to_first_group()
    sent = list(Notice.objects.filter(state="sent").values_list("pk", flat=True)[:3])
    Notice.objects.filter(pk__in=sent).update(state="bounced", bounced_at=world.now)
    world.sweep(MINUTE)
    assert world.order(number).phase == "paused"

    world.resume(number)
    world.sweep(31 * MINUTE)

    assert world.order(number).phase == "sending"


def test_one_slow_server_holds_nobody_up(after: After) -> None:
    world, number = after(World.released_to_forty)
    world.sweep(11 * MINUTE)
    world.send(1, kind=ReplyKind.DEFERRED)
    world.send()
    assert Notice.objects.filter(state="pending").count() == 1

    world.sweep(31 * MINUTE)

    assert world.order(number).phase == "sending"


def test_many_refusals_pause_the_order_by_itself_with_the_cause_in_words(after: After) -> None:
    world, number = after(World.released_to_forty)
    world.sweep(11 * MINUTE)
    world.send(3, kind=ReplyKind.REFUSED)
    world.send()

    world.sweep(MINUTE)

    order = world.order(number)
    assert (order.phase, order.paused_by) == ("paused", None)
    told = causes.told(order.pause_cause, i18n.translate("en"))
    sent = Notice.objects.filter(order_number=number).count()
    assert told == f"3 of {sent} notices did not get through."
    world.resume(number)
    world.sweep(MINUTE)
    assert world.order(number).phase == "canary"


def test_one_refusal_pauses_nothing(after: After) -> None:
    world, number = after(World.released_to_forty)
    world.sweep(11 * MINUTE)
    world.send(1, kind=ReplyKind.REFUSED)
    world.send()

    world.sweep(MINUTE)

    assert world.order(number).phase == "canary"


def test_answers_that_are_lost_again_and_again_pause_the_order(after: After) -> None:
    world, number = after(World.released_to_forty)
    world.sweep(11 * MINUTE)
    for _ in range(MOST_ATTEMPTS):
        world.send(3, kind=ReplyKind.LOST)
        assert world.order(number).phase == "canary"
        Notice.objects.filter(state="maybe").update(due_at=world.now)
        Notice.objects.filter(state="pending").update(due_at=world.now + HOUR)

    world.sweep()

    order = world.order(number)
    assert (order.phase, order.paused_by) == ("paused", None)
    assert order.pause_cause.startswith("cause.uncertain ")
    assert Notice.objects.filter(state="maybe", exposure=1).count() == 3


def test_a_wave_is_of_one_country_and_the_smallest_goes_first(world: World) -> None:
    world.staff(30)
    for n in range(8):
        world.person(f"abroad{n}", country="IE", zone="Europe/Dublin")
        world.device(f"abroad{n}")
    rollout = {**ROLLOUT, "wave_size": "50%", "waves_by": "country"}
    number = world.sending(rollout=rollout)

    country = {person.pk: person.country for person in world.people.values()}
    waves: dict[int, set[str]] = {}
    for notice in Notice.objects.filter(order_number=number, wave__gt=0):
        waves.setdefault(notice.wave, set()).add(country[notice.person_id])
    assert [waves[wave] for wave in sorted(waves)][:2] == [{"IE"}, {"IN"}]
    assert all(len(found) == 1 for found in waves.values())


def test_no_relay_and_no_domain_gets_more_a_minute_than_it_may(world: World) -> None:
    world.settings = replace(world.settings, mails_per_minute={"*": 10, "slow.example": 2})
    world.staff(20)
    for n in range(4):
        world.person(f"slow{n}", address=f"slow{n}@slow.example")
        world.device(f"slow{n}")

    number = world.sent_to_first_group(rollout={**ROLLOUT, "wave_size": "100%"})
    world.now += 5 * MINUTE
    world.send()
    world.sweep(31 * MINUTE)

    due = sorted(Notice.objects.filter(order_number=number).values_list("due_at", "address"))
    for names, most in ((".example", 2), ("", 10)):
        instants = [at for at, address in due if address.endswith(names)]
        assert len(instants) > most
        for first, beyond in zip(instants, instants[most:], strict=False):
            assert beyond - first >= MINUTE
    world.send()
    world.press(number, StopKind.TAKE_BACK)
    owed = Notice.objects.filter(order_number=number, kind="correction")
    assert set(owed.values_list("due_at", flat=True)) == {world.now}


def test_whoever_presses_hears_of_all_corrections_though_the_worker_wrote_them(
    world: World,
) -> None:
    world.staff(8)
    number = world.sent_to_first_group()

    first = world.press(number, StopKind.TAKE_BACK)
    again = world.press(number, StopKind.TAKE_BACK)

    assert first["corrections"] == again["corrections"] == first["got_it"] > 0


def an_order_whose_words_name_another(world: World) -> str:
    """Return an order, told already, whose author's own words name what stands in its place."""
    world.staff(20)
    words = {
        "en": "It named the wrong app. {replaced_by} is the one now.",
        "hi": "उसमें ग़लत ऐप था। अब {replaced_by} मान्य है।",
    }
    every = dict.fromkeys(("mistake", "reason_gone", "replaced"), words)
    return world.notified(statement=every, corrections=every)


def successor_of(world: World, older: str) -> str:
    """Return an order that stands in the place of another."""
    newer = world.released(replaces=older)
    world.sweep(11 * MINUTE)
    return newer


def test_staff_press_and_look_up_page_name_the_same_order_in_its_place(after: After) -> None:
    world, older = after(an_order_whose_words_name_another)
    newer = successor_of(world, older)

    world.press(older, StopKind.TAKE_BACK, because="replaced")
    world.send()
    world.sweep(MINUTE)

    context = world.desk.context
    assert (
        showing.statement_of(older, language="hi", context=context)
        == f"उसमें ग़लत ऐप था। अब {newer} मान्य है।"
    )
    page = (world.settings.folder.lookup / f"{older}.html").read_text(encoding="utf-8")
    assert f"{newer} is the one now." in page
    correction = Notice.objects.filter(order_number=older, kind="correction").first()
    assert correction is not None
    assert newer in str(correction.values)


@pytest.mark.parametrize("because", ["mistake", "replaced"])
@pytest.mark.parametrize("ended", [True, False])
def test_an_authors_own_words_name_no_order_where_none_stands(
    after: After, because: str, *, ended: bool
) -> None:
    """It has ended since, or is still to come: press, staff and page hear what is so."""
    world, older = after(an_order_whose_words_name_another)
    if ended:
        world.press(successor_of(world, older), StopKind.TAKE_BACK)

    world.press(older, StopKind.TAKE_BACK, because=because)
    world.send()
    world.sweep(MINUTE)

    why = {
        "mistake": (
            rf"Notice {older} was sent by mistake, and was taken back on [^()]+ \([^()]+\)\.",
            rf"सूचना {older} ग़लती से भेजी गई थी, और [^()]+ \([^()]+\) को वापस ले ली गई।",
        ),
        "replaced": (
            (
                rf"Notice {older} was taken back on [^()]+ \([^()]+\) "
                r"so that another notice could take its place\."
            ),
            (
                rf"सूचना {older} [^()]+ \([^()]+\) को वापस ले ली गई, "
                r"ताकि उसकी जगह दूसरी सूचना आ सके।"
            ),
        ),
    }[because]
    english, hindi = (
        showing.statement_of(older, language=language, context=world.desk.context)
        for language in ("en", "hi")
    )
    assert re.fullmatch(rf"It named the wrong app\. {why[0]}", english)
    assert re.fullmatch(rf"उसमें ग़लत ऐप था। {why[1]}", hindi)
    correction = Notice.objects.filter(order_number=older, kind="correction", language="en").first()
    assert correction is not None
    assert re.fullmatch(rf"It named the wrong app\. {why[0]}", correction.values["what_happened"])
    page = (world.settings.folder.lookup / f"{older}.html").read_text(encoding="utf-8")
    assert "It named the wrong app." in page
    assert "is the one now" not in page  # none is; the page says in its own words what is so


@pytest.mark.parametrize("mode", ["exercise", "live"])
def test_no_page_names_an_order_that_does_not_stand_in_its_place(after: After, mode: str) -> None:
    """An exercise, or one that was taken back as well: the page says what is so all the same."""
    world, older = after(World.told_six)
    newer = world.released(replaces=older, mode=mode)
    world.sweep(11 * MINUTE)
    world.press(older, StopKind.TAKE_BACK, because="replaced")
    if mode == "live":
        world.press(newer, StopKind.TAKE_BACK)
    world.sweep(MINUTE)

    page = (world.settings.folder.lookup / f"{older}.html").read_text(encoding="utf-8")
    assert newer not in page
    assert "It was taken back so that another notice could take its place." in page
    assert "यह इसलिए वापस ली गई कि दूसरी सूचना इसकी जगह ले सके।" in page


def test_the_doctor_asks_what_becomes_of_an_order_that_stays_paused(after: After) -> None:
    world, number = after(World.sending_to_thirty)

    def found() -> Finding:
        return examine_orders(world.settings, now=world.now)

    world.press(number, StopKind.PAUSE)
    world.now += LONGEST_PAUSE - MINUTE
    assert found().state is State.GOOD
    world.now += 2 * MINUTE
    assert found().state is State.BAD
    assert number in found().sentence
    assert "take-back" in found().remedy

    world.resume(number)
    assert found().state is State.GOOD


def test_the_doctor_asks_about_an_order_whose_day_of_review_is_over(after: After) -> None:
    world, number = after(World.told_six)
    review_on = document_of(Revision.objects.get(order=number)).review_on

    on_the_day = datetime.combine(review_on, time(), UTC)
    assert examine_orders(world.settings, now=on_the_day).state is State.GOOD
    found = examine_orders(world.settings, now=on_the_day + DAY)

    assert found.state is State.BAD
    assert number in found.sentence
    world.press(number, StopKind.TAKE_BACK)
    assert examine_orders(world.settings, now=on_the_day + DAY).state is State.GOOD


@contextmanager
def full_disk() -> Iterator[None]:
    """Let the system refuse whatever this process writes into a file."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


@pytest.mark.parametrize("kind", StopKind)
def test_what_the_disk_refuses_is_stopped_in_the_database(after: After, kind: StopKind) -> None:
    world, number = after(World.sending_to_thirty)
    world.send(3)

    with full_disk():
        said = world.press(number, kind)

    assert fences.read(world.settings.folder.fences, number) is None
    assert said["phase"] == ("paused" if kind is StopKind.PAUSE else "correcting")
    assert len(world.send()) == said["corrections"]
    assert f'"phase":"{said["phase"]}"' in PublishedState.objects.latest("sequence").payload


def test_a_sweep_writes_down_a_take_back_that_a_full_disk_refused(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.send(3)
    with full_disk():
        world.press(number, StopKind.TAKE_BACK, because="reason_gone")
        pressing.complete_stops(world.desk, now=world.now)

    pressing.complete_stops(world.desk, now=world.now)

    fence = fences.read(world.settings.folder.fences, number)
    assert fence is not None
    assert (fence.withdrawn, fence.because) == (True, "reason_gone")


def test_a_worker_finishes_a_take_back_that_only_the_database_knows(world: World) -> None:
    """The disk was full when somebody pressed, and a sender elsewhere was not proven dead."""
    world.staff(30)
    number = world.sending()
    world.ledger.lease(sender="far", mode="live", host="another-machine", pid=1, seconds=60)
    [held] = world.permit(world.claim(1, sender="far"), sender="far")

    with full_disk():
        assert world.press(number, StopKind.TAKE_BACK)["phase"] == "stopping"
        found = examine_orders(world.settings, now=world.now)
        reply = Reply(held, ReplyKind.ACCEPTED, after_dot=True, text="250", queue_id="q")
        world.ledger.acknowledge(sender="far", replies=[reply], now=world.now)
        pressing.complete_stops(world.desk, now=world.now)

    assert found.state is State.BAD
    assert f"the disk here has not taken it: {number}." in found.sentence
    assert world.order(number).phase == "correcting"
    pressing.complete_stops(world.desk, now=world.now)
    assert fences.read(world.settings.folder.fences, number) is not None
    assert examine_orders(world.settings, now=world.now).state is State.GOOD


def test_the_doctor_tells_of_a_take_back_that_is_not_proven_for_long(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.ledger.lease(sender="far", mode="live", host="another-machine", pid=1, seconds=600)
    world.permit(world.claim(1, sender="far"), sender="far")
    world.press(number, StopKind.TAKE_BACK)

    assert examine_orders(world.settings, now=world.now + MINUTE).state is State.GOOD
    found = examine_orders(world.settings, now=world.now + LONGEST_PROOF)

    assert found.state is State.BAD
    assert f"no correction leaves: {number}." in found.sentence


def test_a_sweep_writes_down_a_pause_that_a_full_disk_refused(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    with full_disk():
        world.press(number, StopKind.PAUSE)
        pressing.complete_stops(world.desk, now=world.now)
    assert fences.read(world.settings.folder.fences, number) is None

    pressing.complete_stops(world.desk, now=world.now)

    fence = fences.read(world.settings.folder.fences, number)
    assert fence is not None
    assert (fence.withdrawn, fence.stopped_epoch) == (False, world.order(number).epoch)
    world.resume(number)
    world.sweep(MINUTE)
    assert world.send()


def test_a_second_press_that_the_disk_refuses_is_no_pause_of_this_machine(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list here is older than the newest start of the order, and the disk is full by now."""
    world.staff(30)
    number = world.sending()
    folder = world.settings.folder
    token = hashlib.sha256(b"of-the-operator").hexdigest()
    known = register.KnownActor(world.people["operator"].pk, "Operator", ("operator",))
    orders = {number: register.KnownOrder(epoch=0, phase="sending")}
    register.write(folder, register.Register(orders=orders, tokens={token: known}))
    older = fences.Fence(number, 0, withdrawn=False, at=world.now, by=None, because="")
    fences.write(folder.fences, older)
    environ = {
        "COUNTERMAND_DATA": str(folder.path),
        "COUNTERMAND_TOKEN": "of-the-operator",
        "DATABASE_URL": world.settings.database_url,
    }

    pause = ["pause", number, "--because", "Looks wrong."]
    with full_disk():
        codes = [stop_verbs.run(pause, environ)]
        said = capsys.readouterr().err
        codes.append(stop_verbs.run([*pause, "--json"], environ))
        answer = json.loads(capsys.readouterr().out)
    codes.append(stop_verbs.run(pause, environ))

    assert codes == [stop_words.NOT_ON_DISK, stop_words.NOT_ON_DISK, stop_words.DONE]
    assert "it is NOT STOPPED on this machine." in said
    assert "The database knows it: nothing of it leaves" in said
    assert "Make room on that disk, then give the same command again at once." in said
    assert (answer["phase"], answer["stopped"], answer["on_disk"]) == ("paused", True, False)
    assert fences.stands(folder.fences, dataclasses.replace(older, stopped_epoch=1))


def test_a_spoiled_take_back_is_written_anew_and_keeps_no_other_stop_waiting(
    after: After,
) -> None:
    world, number = after(World.sending_to_thirty)
    world.send(3)
    world.press(number, StopKind.TAKE_BACK, because="reason_gone")
    (world.settings.folder.fences / f"{number}.take-back.json").write_bytes(b"{")

    world.sweep(MINUTE)

    fence = fences.read_all(world.settings.folder.fences)[number]
    assert (fence.withdrawn, fence.because) == (True, "reason_gone")


def test_a_spoiled_take_back_that_only_the_disk_knows_is_no_permission(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    (world.settings.folder.fences / f"{number}.take-back.json").write_bytes(b"{")

    with pytest.raises(fences.FenceUnreadable):
        pressing.complete_stops(world.desk, now=world.now)


def test_a_spoiled_pause_keeps_no_take_back_and_no_correction_waiting(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.send(3)
    (world.settings.folder.fences / f"{number}.pause.json").write_bytes(b"{")

    said = world.press(number, StopKind.TAKE_BACK)

    assert said["phase"] == "correcting"
    assert f'"phase":"{said["phase"]}"' in PublishedState.objects.latest("sequence").payload
    world.sweep(MINUTE)
    assert len(world.send()) == said["corrections"] > 0
