"""What the settings say of mails a minute holds for whatever follows a first notice, too."""

from dataclasses import replace
from datetime import timedelta

import pytest

from countermand import wiring
from countermand.domain.delivery import NoticeKind, StopKind
from countermand.notices import actions as notices
from countermand.notices.models import MailLimit, Notice
from countermand.project.findings import State
from countermand.project.mail_checkup import examine_limits
from tests.order_world import DAY, NOW, World


def test_reminders_leave_by_the_limit_and_corrections_at_once(world: World) -> None:
    number = world.told_six()
    settings = replace(world.settings, mails_per_minute={"*": 2})
    [step] = [each for each in wiring.sweep_steps(settings) if each.name == "mail.limits"]

    step.run(world.now)

    world.sweep(world.last_deadline(number) - 2 * DAY - world.now)
    reminders = Notice.objects.filter(order_number=number, kind=NoticeKind.REMINDER)
    assert reminders.count() >= 6
    # Where it is night now, a reminder waits for the morning.
    world.now = max(reminders.values_list("due_at", flat=True))
    sent = []
    for _ in range(4):
        sent.append(len(world.send()))
        world.now += timedelta(seconds=31)
    assert sent == [1, 1, 1, 1]

    counts = world.press(number, StopKind.TAKE_BACK)
    assert len(world.send()) == counts["corrections"] >= 6


def limits() -> dict[str, timedelta]:
    return dict(MailLimit.objects.values_list("name", "apart"))


@pytest.mark.usefixtures("world")
def test_limits_are_as_the_settings_say_now() -> None:
    def keep(**per_minute: int) -> bool:
        given = {{"relay": "*"}.get(name, f"{name}.example"): n for name, n in per_minute.items()}
        return notices.keep_limits(given, worker="one", now=NOW)

    assert keep(relay=60, slow=1)
    assert not keep(slow=1, relay=60)
    assert keep(relay=61)
    assert limits() == {"*": timedelta(seconds=1)}

    assert keep()
    assert not MailLimit.objects.exists()


@pytest.mark.usefixtures("world")
def test_of_workers_that_say_different_limits_the_stricter_holds_while_it_lives() -> None:
    strict, loose = {"*": 61, "slow.example": 1}, {"*": 122, "other.example": 61}
    both = {
        "*": timedelta(seconds=1),
        "slow.example": timedelta(seconds=61),
        "other.example": timedelta(seconds=1),
    }
    now = NOW
    for turn in range(30):
        notices.keep_limits(strict, worker="strict", now=now)
        notices.keep_limits(loose, worker="loose", now=now)
        assert limits() == both, turn
        now += timedelta(minutes=1)

    for _ in range(12):  # the strict one runs no more
        notices.keep_limits(loose, worker="loose", now=now)
        now += timedelta(minutes=1)
    assert limits() == {"*": timedelta(seconds=0.5), "other.example": timedelta(seconds=1)}


@pytest.mark.usefixtures("world")
def test_a_limit_that_two_workers_say_may_be_loosened_by_both() -> None:
    for worker in ("one", "other", "one"):
        notices.keep_limits({"*": 61}, worker=worker, now=NOW)
    notices.keep_limits({"*": 122}, worker="one", now=NOW)
    notices.keep_limits({"*": 61}, worker="other", now=NOW)
    assert limits() == {"*": timedelta(seconds=1)}

    later = NOW + timedelta(minutes=11)
    for worker in ("one", "other"):
        notices.keep_limits({"*": 122}, worker=worker, now=later)

    assert limits() == {"*": timedelta(seconds=0.5)}


@pytest.mark.usefixtures("world")
def test_a_stricter_word_of_another_worker_keeps_when_the_next_may_leave() -> None:
    notices.keep_limits({"*": 61}, worker="one", now=NOW)
    MailLimit.objects.update(free_at=NOW)

    notices.keep_limits({"*": 61, "slow.example": 1}, worker="other", now=NOW)

    assert MailLimit.objects.get(name="*").free_at == NOW


def test_the_doctor_names_the_worker_that_allows_fewer_mails(world: World) -> None:
    here = replace(world.settings, mails_per_minute={"*": 122})
    notices.keep_limits({"*": 122}, worker="here", now=NOW)
    assert examine_limits(here).state is State.GOOD

    notices.keep_limits({"*": 61}, worker="host-2:/srv/countermand", now=NOW)
    found = examine_limits(here)

    assert found.state is State.NOTE
    assert "(*), by host-2:/srv/countermand" in found.sentence
