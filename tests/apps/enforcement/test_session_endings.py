"""Sessions end once when a door shuts; a door that is open again ends nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countermand.devices.models import Device, DeviceAlias
from countermand.domain.device_password import shard_of
from countermand.domain.verdict import decide
from countermand.enforcement import endings
from countermand.enforcement.actions import (
    Publisher,
    compile_entries,
    set_attested,
    set_override,
)
from countermand.enforcement.models import DevicePassword, SessionEnding
from countermand.orders import closings, doors
from countermand.orders.models import Order
from countermand.ports import Ended, OpenSession
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence
from tests.gate_world import ASHA, ORDER, door, make_folder, now

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)


class MailServer:
    """Remembers what it was asked, and answers what it is told."""

    def __init__(self, answer: Ended = Ended.ENDED) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.sessions: list[OpenSession] = []

    def end(self, sessions: Sequence[OpenSession]) -> Mapping[OpenSession, Ended]:
        self.sessions += sessions
        self.asked += [session.device_name for session in sessions]
        return dict.fromkeys(sessions, self.answer)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher.load(make_folder(tmp_path))


def order(**facts: Any) -> Order:
    given = {"mode": "live", "enforcement": "gate", "phase": "enforcing", "epoch": 1, **facts}
    at = now() - timedelta(days=10)
    return Order.objects.create(
        number=ORDER, author_id=1, created_at=at, released_at=at, revision_number=1, **given
    )


def password(name: str, device_id: int, login: str = ASHA) -> None:
    DevicePassword.objects.create(
        person_id=1, login=login, device_id=device_id, device_name=name, tag="abcd", hash="x",
        shard=shard_of(login), issued_at=now(), issued_by=1,
    )  # fmt: skip


@pytest.fixture
def shut(publisher: Publisher) -> Publisher:
    """Two phones with passwords of their own, of which the order shuts the first."""
    order()
    password("phone-a", 1)
    password("phone-b", 2)
    facts = [door("phone-a"), door("phone-b", device_id=2, presence="absent"), door("eas-of-a")]
    compile_entries(ORDER, facts, publisher=publisher, now=now())
    return publisher


def sweep(server: MailServer, at: datetime | None = None, **fences: Fence) -> dict[str, int]:
    return closings.end_sessions(server, dict(fences), now=at or now())


def test_exactly_the_refused_session_is_ended_and_once(shut: Publisher) -> None:
    server = MailServer()

    assert sweep(server) == {ORDER: 1}
    sweep(server)
    sweep(server, now() + 2 * MINUTE)

    assert server.asked == ["phone-a"]
    assert endings.standing(ORDER) == endings.Endings(ended=1, unended=0, shared=0)


def in_inventory(name: str, *, kind: str = "device_password", spelled: str = "") -> int:
    device, _ = Device.objects.get_or_create(
        source="csv", source_device_id=name, defaults={"platform": "ios"}
    )
    DeviceAlias.objects.create(device=device, kind=kind, value=spelled or name)
    return device.pk


@pytest.mark.parametrize(
    ("spelled", "others"),
    [
        ("phone-a", ()),
        ("Phone-A", ("Phone-A",)),
        ("70686F6E652D61", ("70686F6E652D61",)),  # the bytes of "phone-a"
    ],
)
def test_a_session_ends_too_whose_password_only_an_inventory_names(
    publisher: Publisher, spelled: str, others: tuple[str, ...]
) -> None:
    order()
    phone = in_inventory("phone", spelled=spelled)
    in_inventory("phone", kind="eas_device_id", spelled="eas-of-a")
    uninvolved = in_inventory("phone-b")
    facts = [
        door("phone-a", device_id=phone),
        door("eas-of-a", device_id=phone),
        door("phone-b", device_id=uninvolved, presence="absent"),
    ]
    compile_entries(ORDER, facts, publisher=publisher, now=now())
    server = MailServer()

    assert sweep(server) == {ORDER: 1}
    sweep(server, now() + 2 * MINUTE)

    assert server.sessions == [OpenSession(ASHA, "phone-a", others)]
    assert endings.standing(ORDER) == endings.Endings(ended=1, unended=0, shared=0)


def test_a_name_that_a_person_only_confirmed_ends_nothing(publisher: Publisher) -> None:
    order()
    phone = in_inventory("phone-a")
    DeviceAlias.objects.update(confirmed_by_id=9)
    compile_entries(ORDER, [door("phone-a", device_id=phone)], publisher=publisher, now=now())
    server = MailServer()

    sweep(server)

    assert server.asked == []


def test_it_is_written_down_before_anybody_is_asked(shut: Publisher) -> None:
    class Dies(MailServer):
        def end(self, sessions: Sequence[OpenSession]) -> Mapping[OpenSession, Ended]:
            line = SessionEnding.objects.get()
            assert (line.device_key, line.tries, line.ended_at) == ("phone-a", 1, None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(Dies())

    after = MailServer()
    sweep(after, now() + MINUTE)
    assert after.asked == ["phone-a"]


def test_without_a_clear_answer_it_is_asked_again_later_and_later_and_not_for_ever(
    shut: Publisher,
) -> None:
    server, at = MailServer(Ended.FAILED), now()
    waits = []
    for _ in range(endings.MOST_TRIES):
        sweep(server, at)
        waits.append(SessionEnding.objects.get().look_at - at)
        sweep(server, at + waits[-1] - timedelta(seconds=1))
        at += waits[-1]
    sweep(server, at + timedelta(hours=1))

    assert len(server.asked) == endings.MOST_TRIES
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(seconds=10), 10 * MINUTE)
    assert endings.standing(ORDER).unended == 1


def test_a_shared_process_stays_and_is_shown(shut: Publisher) -> None:
    sweep(MailServer(Ended.SHARED))

    assert endings.standing(ORDER).shared == 1


def test_opening_ends_nothing_and_the_next_closing_is_one_of_its_own(shut: Publisher) -> None:
    server, at = MailServer(), now()
    sweep(server, at)
    set_override(
        1, ORDER, until=at + 5 * MINUTE, reason="…", by_person_id=9, publisher=shut, now=at
    )

    sweep(server, at + 2 * MINUTE)
    assert server.asked == ["phone-a"]
    assert SessionEnding.objects.get().opened_at is not None

    sweep(server, at + 6 * MINUTE)
    assert server.asked == ["phone-a", "phone-a"]


@pytest.mark.parametrize(
    "way", ["removed", "override", "paused", "taken back", "phase", "exercise"]
)
def test_nobody_whose_door_is_open_is_touched(publisher: Publisher, way: str) -> None:
    made = order(**({"mode": "exercise"} if way == "exercise" else {}))
    password("phone-a", 1)
    compile_entries(ORDER, [door("phone-a")], publisher=publisher, now=now())
    server, fences, at = MailServer(), {}, now()
    if way == "removed":
        set_attested(1, at=at, publisher=publisher)
    elif way == "override":
        set_override(
            1, ORDER, until=at + MINUTE, reason="…", by_person_id=9, publisher=publisher, now=at
        )
    elif way in {"paused", "taken back"}:
        back = way == "taken back"
        epoch = TAKEN_BACK_EPOCH if back else 1
        fences[ORDER] = Fence(ORDER, epoch, withdrawn=back, at=at, by=1, because="…")
    elif way == "phase":
        Order.objects.filter(pk=made.pk).update(phase="notified")

    assert closings.end_sessions(server, fences, now=at) == {}
    assert server.asked == []


def test_a_stop_that_comes_between_two_tries_ends_the_trying(shut: Publisher) -> None:
    server, at = MailServer(Ended.FAILED), now()
    sweep(server, at)
    fence = Fence(ORDER, TAKEN_BACK_EPOCH, withdrawn=True, at=at, by=1, because="mistake")

    closings.end_sessions(server, {ORDER: fence}, now=at + MINUTE)

    assert server.asked == ["phone-a"]
    assert SessionEnding.objects.get().opened_at == at + MINUTE


def test_a_mail_server_is_asked_about_a_part_at_a_time(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "MOST_AT_ONCE", 3)
    order()
    facts = []
    for n in range(1, 6):
        password(f"phone-{n}", n)
        facts.append(door(f"phone-{n}", device_id=n))
    compile_entries(ORDER, facts, publisher=publisher, now=now())
    server, at = MailServer(), now()

    sweep(server, at)
    assert len(server.asked) == 3
    sweep(server, at + timedelta(seconds=10))
    assert len(set(server.asked)) == 5


def test_without_a_mail_server_to_ask_nothing_is_written(shut: Publisher) -> None:
    assert closings.end_sessions(None, {}, now=now()) == {}
    assert not SessionEnding.objects.exists()


def stopping(*, ends_sessions: bool = True) -> closings.Stopping:
    return closings.stopping(
        ORDER, sweep_every_s=10, longest_sync_s=30, ends_sessions=ends_sessions
    )


def test_the_true_closing_time_counts_what_comes_on_top() -> None:
    deadline = now()
    made = order(last_deadline_at=deadline)

    by = deadline + timedelta(seconds=60 + 30)
    assert stopping() == closings.Stopping(by, by, 0)
    Order.objects.filter(pk=made.pk).update(enforcement="none")
    assert stopping() == closings.Stopping(None, None, 0)


def test_where_nobody_ends_sessions_there_is_no_time_for_them() -> None:
    deadline = now()
    order(last_deadline_at=deadline)

    by = deadline + timedelta(seconds=60 + 30)
    assert stopping(ends_sessions=False) == closings.Stopping(None, by, 0)


@pytest.mark.parametrize(
    ("late", "wait"),
    [
        ("lock_accepted_at", 30 * MINUTE),
        ("noticed_at", 72 * 60 * MINUTE),
        ("override_until", timedelta()),
    ],
)
def test_the_true_closing_time_waits_for_whoever_was_told_late(
    publisher: Publisher, late: str, wait: timedelta
) -> None:
    deadline = now()
    order(last_deadline_at=deadline)
    at = deadline + 20 * MINUTE
    shuts = at + wait
    changed: dict[str, Any] = {late: at}
    facts = [door("phone-b", device_id=2), door("phone-a", **changed)]
    compile_entries(ORDER, facts, publisher=publisher, now=now())

    by = stopping().by

    assert by == shuts + timedelta(seconds=60 + 30)
    entry, states = facts[1].entry, {ORDER: doors.state_facts(Order.objects.get())}
    assert not decide([entry], states, shuts - MICROSECOND).closed
    assert decide([entry], states, shuts).closed or late == "noticed_at"  # its evidence is old then


def test_no_time_is_said_of_a_device_whose_last_notice_is_awaited(publisher: Publisher) -> None:
    order(last_deadline_at=now())
    facts = [door("phone-a", lock_accepted_at=None), door("eas-of-a", lock_accepted_at=None)]
    compile_entries(ORDER, facts, publisher=publisher, now=now())

    assert stopping().waiting == 1


def test_the_true_closing_time_counts_as_many_sweeps_as_are_needed(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "MOST_AT_ONCE", 2)
    deadline = now()
    order(last_deadline_at=deadline)
    facts = [door(f"phone-{n}", device_id=n) for n in range(1, 10)]
    compile_entries(ORDER, facts, publisher=publisher, now=now())

    assert stopping().by == deadline + timedelta(seconds=60 + 5 * 10)


# -- passwords that were revoked ------------------------------------------------------------------


def revoked(name: str, at: datetime, login: str = ASHA) -> None:
    password(name, 1, login)
    DevicePassword.objects.filter(device_name=name).update(revoked_at=at, revoked_by=9)


def test_what_was_opened_with_a_revoked_password_is_ended_and_nothing_else() -> None:
    at = now()
    password("phone-b", 2)
    revoked("phone-a", at)
    server = MailServer()

    endings.end_revoked(server, now=at)

    assert server.asked == ["phone-a"]


def test_it_is_ended_once_more_when_the_mail_server_surely_knows_and_then_no_more() -> None:
    at = now()
    revoked("phone-a", at)
    server = MailServer()

    said = [endings.end_revoked(server, now=at + n * MINUTE / 2) for n in range(10)]

    assert server.asked == ["phone-a", "phone-a"]
    assert sum(said) == 1
    assert endings.standing(endings.REVOKED) == endings.Endings(ended=1, unended=0, shared=0)


def test_a_revoked_password_is_written_down_before_the_mail_server_is_asked() -> None:
    class Dies(MailServer):
        def end(self, sessions: Sequence[OpenSession]) -> Mapping[OpenSession, Ended]:
            assert SessionEnding.objects.get().tries == 1
            raise KeyboardInterrupt

    at = now()
    revoked("phone-a", at)
    with pytest.raises(KeyboardInterrupt):
        endings.end_revoked(Dies(), now=at)

    after = MailServer()
    endings.end_revoked(after, now=at + MINUTE)
    assert after.asked == ["phone-a"]


@pytest.mark.parametrize("answer", [Ended.FAILED, Ended.SHARED])
def test_sessions_of_a_revoked_password_that_nobody_could_end_stay_on_the_list(
    answer: Ended,
) -> None:
    server, at = MailServer(answer), now()
    revoked("phone-a", at)
    for n in range(60):
        endings.end_revoked(server, now=at + 5 * n * MINUTE)

    assert len(server.asked) == endings.MOST_TRIES
    assert endings.standing(endings.REVOKED).unended == 1


def test_a_password_that_was_revoked_long_ago_ends_nothing_and_is_forgotten() -> None:
    at = now()
    revoked("phone-a", at - timedelta(days=31))
    revoked("phone-b", at)
    server = MailServer()

    endings.end_revoked(server, now=at)
    endings.end_revoked(server, now=at + timedelta(days=61))

    assert set(server.asked) == {"phone-b"}
    assert not SessionEnding.objects.exists()


def test_a_revoked_password_is_no_door_of_an_order(shut: Publisher) -> None:
    revoked("phone-c", now())
    server = MailServer()

    sweep(server)

    assert server.asked == ["phone-a"]
    assert endings.standing(ORDER).ended == 1


class ByName(MailServer):
    """Knows people by one login, and nobody by another."""

    def __init__(self, knows: str, answer: Ended = Ended.ENDED) -> None:
        super().__init__(answer)
        self.knows = knows

    def end(self, sessions: Sequence[OpenSession]) -> Mapping[OpenSession, Ended]:
        super().end(sessions)
        return {
            each: self.answer if each.login == self.knows else Ended.NOT_OPEN for each in sessions
        }


@pytest.mark.parametrize("knows", [ASHA, "averma"])
def test_a_session_ends_by_whichever_login_the_server_knows_and_counts_once(
    publisher: Publisher, knows: str
) -> None:
    order()
    password("phone-a", 1)
    facts = [door("phone-a", login=login) for login in (ASHA, "averma")]
    compile_entries(ORDER, facts, publisher=publisher, now=now())

    sweep(ByName(knows, Ended.FAILED))
    assert endings.standing(ORDER) == endings.Endings(ended=0, unended=1, shared=0)

    sweep(ByName(knows), now() + MINUTE)
    assert endings.standing(ORDER) == endings.Endings(ended=1, unended=0, shared=0)


def test_what_was_opened_with_a_revoked_password_ends_by_every_login() -> None:
    password("phone-a", 1)
    row = DevicePassword.objects.get()
    row.other_logins, row.revoked_at = ["averma"], now()
    row.save()
    server = MailServer()

    endings.end_revoked(server, now=now())

    lines = SessionEnding.objects.order_by("login").values_list("login", "device_key")
    assert list(lines) == [(ASHA, "phone-a"), ("averma", "phone-a")]
    assert endings.standing(endings.REVOKED).unended == 1  # asked once more a little later
