"""A real gate follows a real database, and opens whenever it must."""

import base64
import hashlib
import json
import resource
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from countermand.data_folder import DataFolder
from countermand.enforcement.actions import (
    compile_entries,
    publish_states,
    set_attested,
)
from countermand.enforcement.models import DoorEntry, FeedHead, PublishedState
from countermand.project.embedded_postgres import GATE
from countermand.stop import fence as fences
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence
from tests.gate_world import (
    ASHA,
    ORDER,
    TOKEN,
    RunningGate,
    door,
    make_folder,
    now,
    order_state,
    publisher,
    running_gate,
)

pytestmark = pytest.mark.usefixtures("committed_doors")


PHONE = "SEC17CD1A3E9E3F2"


def database_url() -> str:
    """The database of this test, as gates come to it."""
    return psycopg.conninfo.make_conninfo(owner_url(), user=GATE, password="gate")


def owner_url() -> str:
    about = connection.settings_dict
    return psycopg.conninfo.make_conninfo(
        host=about["HOST"],
        port=about["PORT"],
        dbname=about["NAME"],
        user=about["USER"],
        password=about["PASSWORD"],
    )


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return make_folder(tmp_path / "data")


def enforce(folder: DataFolder, **changed: Any) -> None:
    doors = [door(PHONE), door("phone-7f3a", device_id=2)]
    compile_entries(ORDER, doors, publisher=publisher(folder), now=now())
    publish_states([order_state(**changed)], publisher=publisher(folder))


@pytest.fixture
def gate(folder: DataFolder) -> Iterator[RunningGate]:
    """A gate that keeps two of Asha's devices shut."""
    enforce(folder)
    with running_gate(folder, database_url=database_url()) as running:
        running.until("shut", lambda: running.is_paused("phone-7f3a"))
        yield running


def test_it_pauses_the_named_devices_and_no_others(gate: RunningGate) -> None:
    assert gate.is_paused("phone-7f3a")
    assert gate.active_sync(PHONE) == 403
    assert gate.active_sync(PHONE.lower()) == 403
    assert not gate.is_paused("laptop-11c0")
    assert not gate.is_paused("phone-7f3a", "ravi@amber.example")
    assert gate.active_sync("SEC0000000000000") == 204


def test_a_question_in_base64_meets_the_same_device_and_both_languages(gate: RunningGate) -> None:
    raw = bytes([141, 9, 9, 4, len(PHONE)]) + PHONE.encode() + bytes([0, 1]) + b"P"
    uri = f"/Microsoft-Server-ActiveSync?{base64.b64encode(raw).decode()}"

    status, said = gate.ask("GET", "/auth", X_Forwarded_Uri=uri, X_Remote_User=ASHA)

    assert status == 403
    assert "Mail is paused on this device. इस डिवाइस पर मेल रुकी है।" in said.decode()


def test_i_removed_it_opens_at_once(gate: RunningGate, folder: DataFolder) -> None:
    set_attested(2, at=now(), publisher=publisher(folder))

    gate.until("open", lambda: not gate.is_paused("phone-7f3a"))
    assert gate.active_sync(PHONE) == 403


def test_a_take_back_is_one_row_and_touches_no_entry(gate: RunningGate, folder: DataFolder) -> None:
    before = FeedHead.objects.get().version
    publish_states([order_state(withdrawn=True)], publisher=publisher(folder))

    gate.until("open", lambda: not gate.is_paused("phone-7f3a"))
    assert gate.active_sync(PHONE) == 204
    assert FeedHead.objects.get().version == before


def test_a_gate_goes_along_with_a_database_that_was_restored(
    gate: RunningGate, folder: DataFolder
) -> None:
    """An older state of it does not know which numbers its lists of orders have had since."""
    PublishedState.objects.all().delete()

    publish_states([order_state(withdrawn=True)], publisher=publisher(folder))

    gate.until("open", lambda: not gate.is_paused("phone-7f3a"))


def take_back_fence() -> Fence:
    return Fence(ORDER, TAKEN_BACK_EPOCH, withdrawn=True, at=now(), by=1, because="a mistake")


def test_a_stop_told_to_the_gate_opens_before_it_answers(
    gate: RunningGate, folder: DataFolder
) -> None:
    status, said = gate.ask("POST", "/stop", body=take_back_fence().to_json(), control=True)

    assert status == 200
    assert json.loads(said)["open"] is True
    assert not gate.is_paused("phone-7f3a")
    standing = fences.read(folder.fences, ORDER)
    assert standing is not None
    assert standing.withdrawn


def test_a_stop_laid_as_a_file_opens_with_the_database_unheard(
    gate: RunningGate, folder: DataFolder
) -> None:
    fences.write(folder.fences, take_back_fence())

    gate.until("open", lambda: not gate.is_paused("phone-7f3a"))


def test_a_pause_opens_and_a_resume_in_a_higher_epoch_shuts_again(
    gate: RunningGate, folder: DataFolder
) -> None:
    pause = Fence(ORDER, 1, withdrawn=False, at=now(), by=1, because="to look")
    fences.write(folder.fences, pause)
    gate.until("open", lambda: not gate.is_paused("phone-7f3a"))

    publish_states([order_state(epoch=2)], publisher=publisher(folder))

    gate.until("shut", lambda: gate.is_paused("phone-7f3a"))


def test_an_order_whose_doors_are_a_clouds_leaves_our_gate_open(
    gate: RunningGate, folder: DataFolder
) -> None:
    publish_states([order_state(enforcement="cloud")], publisher=publisher(folder))

    gate.until("open", lambda: not gate.is_paused("phone-7f3a"))
    gate.until("open", lambda: gate.active_sync(PHONE) == 204)


def test_what_a_gate_knew_it_knows_after_a_kill_without_any_database(
    gate: RunningGate, folder: DataFolder
) -> None:
    gate.until("followed", lambda: gate.control("GET", "/ready")[1]["follows_entries"])
    gate.until("known", lambda: gate.control("GET", "/ready")[1]["follows_states"])
    gate.kill()

    with running_gate(folder) as again:
        assert again.is_paused("phone-7f3a")
        assert again.active_sync(PHONE) == 403
        fences.write(folder.fences, take_back_fence())
        again.until("open", lambda: not again.is_paused("phone-7f3a"))


def shown(gate: RunningGate) -> str:
    return gate.ask("GET", "/metrics", control=True)[1].decode()


def test_a_table_that_lost_its_end_opens_is_counted_and_is_filled_anew(
    gate: RunningGate, folder: DataFolder
) -> None:
    gate.kill()
    table = folder.gate / "table" / "data.mdb"
    table.write_bytes(table.read_bytes()[: 3 * 4096])

    with running_gate(folder) as cut_off:
        assert cut_off.active_sync(PHONE) == 204
        assert 'doubts_total{kind="table_unreadable"} 1' in shown(cut_off)
    with running_gate(folder, database_url=database_url()) as again:
        again.until("shut", lambda: again.active_sync(PHONE) == 403)


@pytest.mark.parametrize("spoil", ["text", "a folder"])
def test_states_that_cannot_be_read_open_are_counted_and_come_again(
    gate: RunningGate, folder: DataFolder, spoil: str
) -> None:
    gate.until("known", lambda: gate.control("GET", "/ready")[1]["follows_states"])
    gate.kill()
    states = folder.gate / "states.json"
    states.unlink()
    states.mkdir() if spoil == "a folder" else states.write_text("{no")

    with running_gate(folder) as cut_off:
        assert cut_off.active_sync(PHONE) == 204
        outcome = 'states_received_total{outcome="from_disk_not_understood"}'
        assert outcome in shown(cut_off)
        assert cut_off.control("GET", "/ready")[1]["states_good_for_s"] == 0
    with running_gate(folder, database_url=database_url()) as again:
        again.until("shut", lambda: again.active_sync(PHONE) == 403)


def test_a_stop_on_disk_is_read_before_the_first_answer(
    gate: RunningGate, folder: DataFolder
) -> None:
    gate.kill()
    fences.write(folder.fences, take_back_fence())

    with running_gate(folder, database_url=database_url()) as again:
        assert not again.is_paused("phone-7f3a")


@pytest.mark.parametrize("spoilt", ["file", "folder"])
def test_stops_that_cannot_be_read_open_are_counted_and_shown(
    gate: RunningGate, folder: DataFolder, spoilt: str
) -> None:
    aside = folder.fences.with_name("aside")
    spoiled = folder.fences / f"{ORDER}.pause.json"
    if spoilt == "file":
        spoiled.write_text("{no")
    else:
        folder.fences.rename(aside)

    gate.until("open", lambda: not gate.is_paused("phone-7f3a"))
    assert gate.control("GET", "/ready")[1]["stops_unreadable"] == 1
    assert 'doubts_total{kind="stop_unreadable"} 1' in shown(gate)

    if spoilt == "file":
        spoiled.unlink()
    else:
        aside.rename(folder.fences)
    gate.until("shut again", lambda: gate.is_paused("phone-7f3a"))
    assert gate.control("GET", "/ready")[1]["stops_unreadable"] == 0


def test_states_that_nobody_signed_shut_nothing(folder: DataFolder, tmp_path: Path) -> None:
    enforce(folder)
    stranger = make_folder(tmp_path / "stranger")
    publish_states([order_state()], publisher=publisher(stranger))

    with running_gate(folder, database_url=database_url()) as running:
        running.until("followed", lambda: running.control("GET", "/ready")[1]["follows_states"])
        assert not running.is_paused("phone-7f3a")
        _, said = running.ask("GET", "/metrics", control=True)
        assert b'states_received_total{outcome="not_signed"} 1' in said


def test_an_entry_changed_by_somebody_else_shuts_nothing(folder: DataFolder) -> None:
    """Whoever can write into the database moves the deadline of Asha's laptop into the past."""
    laptop = door("laptop-11c0", device_id=3, presence="absent")
    compile_entries(ORDER, [door("phone-7f3a"), laptop], publisher=publisher(folder), now=now())
    publish_states([order_state()], publisher=publisher(folder))
    DoorEntry.objects.filter(device_key="laptop-11c0").update(presence="present")

    with running_gate(folder, database_url=database_url()) as running:
        running.until("shut", lambda: running.is_paused("phone-7f3a"))
        assert not running.is_paused("laptop-11c0")
        _, said = running.ask("GET", "/metrics", control=True)
        assert b'doubts_total{kind="seal_broken"}' in said


def test_an_entry_that_is_taken_away_opens(gate: RunningGate, folder: DataFolder) -> None:
    compile_entries(ORDER, [door(PHONE)], publisher=publisher(folder), now=now())

    gate.until("open", lambda: not gate.is_paused("phone-7f3a"))
    assert gate.active_sync(PHONE) == 403


def test_a_row_that_a_gate_never_saw_is_healed_by_the_tally(folder: DataFolder) -> None:
    enforce(folder)
    with running_gate(folder, database_url=database_url()) as running:
        running.until("shut", lambda: running.is_paused("phone-7f3a"))
    # As if it had been lost on its way: its version lies below what the gate has read.
    compile_entries(
        ORDER,
        [door(PHONE), door("phone-7f3a", device_id=2), door("late-phone", device_id=3)],
        publisher=publisher(folder),
        now=now(),
    )
    DoorEntry.objects.filter(device_key="late-phone").update(version=0)
    FeedHead.objects.update(version=1)

    with running_gate(folder, database_url=database_url()) as running:
        running.until("healed", lambda: running.is_paused("late-phone"))


def test_the_code_of_an_order_stops_it_without_any_token(folder: DataFolder) -> None:
    code = "MXQ2-ABCD-7QKT-0000"
    enforce(folder, stop_hash=hashlib.sha256(code.encode()).hexdigest())
    with running_gate(folder, database_url=database_url()) as running:
        running.until("shut", lambda: running.is_paused("phone-7f3a"))

        wrong = running.control("POST", "/stop-code", {"number": ORDER, "code": "a guess"})
        assert wrong[0] == 403
        assert running.is_paused("phone-7f3a")

        guesses = [
            running.control("POST", "/stop-code", {"number": ORDER, "code": f"guess {n}"})[0]
            for n in range(20)
        ]
        assert 429 in guesses
        assert running.is_paused("phone-7f3a")

        # However many somebody else guesses, the right code is heard at once.
        right = running.control("POST", "/stop-code", {"number": ORDER, "code": code})
        assert right[0] == 200
        assert not running.is_paused("phone-7f3a")


def test_a_stranger_can_neither_stop_nor_ask_nor_learn_anything(gate: RunningGate) -> None:
    uri = f"/Microsoft-Server-ActiveSync?DeviceId={PHONE}"
    body = take_back_fence().to_json()

    stop, _ = gate.ask("POST", "/stop", body=body, control=True, Authorization="Bearer wrong")
    ask, _ = gate.ask("POST", "/ask", body=b"{}", control=True, Authorization="Bearer wrong")

    at_the_door, _ = gate.ask(
        "GET", "/auth", X_Original_URI=uri, X_Remote_User=ASHA, Authorization="Bearer wrong"
    )

    assert (stop, ask, at_the_door) == (403, 403, 204)
    assert gate.is_paused("phone-7f3a")


def test_a_second_gate_on_the_same_folder_reads_what_the_first_wrote(
    gate: RunningGate, folder: DataFolder
) -> None:
    with running_gate(folder, database_url=database_url()) as second:
        second.until("shut", lambda: second.is_paused("phone-7f3a"))
        assert second.control("GET", "/ready")[1]["is_follower"] is False

        publish_states([order_state(withdrawn=True)], publisher=publisher(folder))
        second.until("open", lambda: not second.is_paused("phone-7f3a"))

        gate.kill()
        second.until("took over", lambda: second.control("GET", "/ready")[1]["is_follower"])


def test_doors_are_counted_before_any_order_stands(folder: DataFolder) -> None:
    known = door(PHONE, order_number="")
    compile_entries("", [known], publisher=publisher(folder), now=now())
    with running_gate(folder, database_url=database_url()) as running:
        running.until("read", lambda: running.control("GET", "/ready")[1]["entries"] == 1)
        assert running.active_sync(PHONE) == 204
        assert running.active_sync("SEC0000000000000") == 204
        assert not running.is_paused("phone-7f3a")
        assert not running.is_paused("")
        running.imap("", protocol="pop3")
        running.imap("", protocol="submission")
        running.ask("GET", "/auth", X_Original_URI="/SOGo/", X_Remote_User=ASHA)

        _, said = running.control("GET", "/doors")

    assert {name: count for name, count in said["counts"].items() if count} == {
        "activesync_known": 1,
        "activesync_unknown": 1,
        "device_password_unknown": 1,
        "main_password": 1,
        "pop3": 1,
        "sending": 1,
        "webmail": 1,
    }
    assert said["boot"]
    assert said["since"]


def test_more_connections_than_a_shell_allows_files_open_no_door(
    gate: RunningGate, folder: DataFolder
) -> None:
    gate.until("known", lambda: gate.control("GET", "/ready")[1]["follows_states"])
    gate.kill()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        again = stack.enter_context(running_gate(folder))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", again.port)))
        again.until("all taken", lambda: again.control("GET", "/ready")[1]["connections"] >= 300)

        for _ in range(30):  # stops are read at least once meanwhile
            assert again.is_paused("phone-7f3a")
            time.sleep(0.05)


def test_a_gate_on_another_machine_needs_four_files_and_no_key_that_shuts(
    folder: DataFolder, tmp_path: Path
) -> None:
    """As docs/reference/gate.md says."""
    enforce(folder)
    elsewhere = DataFolder(tmp_path / "elsewhere")
    elsewhere.keys.mkdir(parents=True)
    elsewhere.run.mkdir()
    elsewhere.logs.mkdir()  # where the test lets it write; the program makes the rest
    for name in ("instance.json", *(f"keys/{each}" for each in OF_A_GATE)):
        shutil.copy(folder.path / name, elsewhere.path / name)

    with running_gate(elsewhere, database_url=database_url()) as running:
        running.until("shut", lambda: running.is_paused("phone-7f3a"))


OF_A_GATE = ("pinned-keys.json", "entry-key", "gate-token")


def test_a_database_that_was_never_reached_is_written_down_once(folder: DataFolder) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nowhere"
    with running_gate(folder, database_url=nowhere) as running:
        lost = 'feed_total{follower="states",outcome="lost"}'
        running.until("tried", lambda: f"{lost} 2" in shown(running))
        told = [line for line in running.log.read_text().splitlines() if "feed.lost" in line]

    assert len(told) == 2  # of orders, and of entries
    assert "Connection refused" in told[0] or "connection failed" in told[0]


def test_a_gate_that_is_told_to_end_answers_what_was_asked_and_ends_in_order(
    folder: DataFolder,
) -> None:
    with running_gate(folder) as gate, ExitStack() as stack:
        token = {"Authorization": f"Bearer {TOKEN}"}
        lines = [HTTPConnection("127.0.0.1", gate.port, timeout=60) for _ in range(8)]
        for line in lines:
            stack.callback(line.close)
            line.connect()
        gate.until("all heard", lambda: gate.control("GET", "/ready")[1]["connections"] == 8)
        gate.process.send_signal(signal.SIGSTOP)  # so that all of it comes at one instant
        for line in lines:
            line.request("POST", "/policy?command=allow", body=b"{}", headers=token)
        gate.process.send_signal(signal.SIGTERM)
        gate.process.send_signal(signal.SIGCONT)

        answers = [line.getresponse() for line in lines]
        assert [(each.status, json.loads(each.read())["status"]) for each in answers] == [
            (200, 0)
        ] * 8
        assert gate.process.wait(60) == 0
        assert "Traceback" not in gate.log.read_text(encoding="utf-8")
