"""The doctor names what is not well, and changes nothing."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from countermand import environment
from countermand.data_folder import DataFolder
from countermand.project import installation, sweep_note
from countermand.project.checkup import examine
from countermand.project.findings import Finding, State


def bad(data: Path, **environ: str) -> dict[str, str]:
    """Everything that is bad, by name; the relay is nobody's business here."""
    environ = {"COUNTERMAND_DATA": str(data), "COUNTERMAND_RELAY": "127.0.0.1:1", **environ}
    found = examine(environment.load(environ), environ)
    return {each.name: each.sentence for each in found if each.state is State.BAD}


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    installation.make(made)
    return made


def test_without_a_data_folder_the_doctor_says_so(tmp_path: Path) -> None:
    found = bad(tmp_path / "nowhere")

    assert "nowhere" in found["folder"]
    assert not (tmp_path / "nowhere").exists()


def test_a_fresh_folder_lacks_what_only_up_brings(folder: DataFolder) -> None:
    assert set(bad(folder.path)) == {"database", "lookup", "relay"}


def test_whether_open_sessions_are_ended_is_said(folder: DataFolder) -> None:
    def sessions(**more: str) -> Finding:
        environ = {"COUNTERMAND_DATA": str(folder.path), **more}
        found = examine(environment.load(environ), environ)
        return next(each for each in found if each.name == "sessions")

    assert sessions().state is State.NOTE
    silent = sessions(COUNTERMAND_DOVEADM="http://127.0.0.1:1")
    assert silent.state is State.BAD
    assert "http://127.0.0.1:1" in silent.sentence


def test_all_settings_that_no_mail_should_carry_are_said_at_once(folder: DataFolder) -> None:
    found = bad(
        folder.path, COUNTERMAND_REPLY_TO="noreply@x.org", COUNTERMAND_DEFAULT_LANGUAGE="xx"
    )

    assert "noreply@x.org" in found["settings"]
    assert "COUNTERMAND_DEFAULT_LANGUAGE is “xx”" in found["settings"]


SPOILT: dict[str, tuple[str, Callable[[DataFolder], object]]] = {
    "a key that others may read": ("keys", lambda f: (f.keys / "log-key").chmod(0o644)),
    "a key that is missing": ("keys", lambda f: (f.keys / "publisher-key").unlink()),
    "a key that is none": ("keys", lambda f: (f.keys / "log-key").write_text("x")),
    "keys in an open folder": ("folder", lambda f: f.keys.chmod(0o755)),
    "a stop that cannot be read": (
        "stops",
        lambda f: (f.fences / "CM-7Q4K.pause.json").write_text("{"),
    ),
}


@pytest.mark.parametrize(("name", "spoil"), SPOILT.values(), ids=SPOILT.keys())
def test_what_is_spoilt_is_named(
    folder: DataFolder, name: str, spoil: Callable[[DataFolder], object]
) -> None:
    assert name not in bad(folder.path)

    spoil(folder)

    assert name in bad(folder.path)


def test_a_misspelt_setting_is_named(folder: DataFolder) -> None:
    assert "COUNTERMAND_REALY" in bad(folder.path, COUNTERMAND_REALY="x")["settings"]


def test_a_worker_that_stands_still_is_named(folder: DataFolder) -> None:
    sweep_note.write(folder, datetime(2020, 7, 10, tzinfo=UTC))
    assert "worker" not in bad(folder.path)

    long_ago = (folder.run / "worker.swept").stat().st_mtime - 3600
    os.utime(folder.run / "worker.swept", (long_ago, long_ago))

    assert "no door closes" in bad(folder.path)["worker"]


WELL = {
    "states_sequence": 7,
    "states_good_for_s": 800.0,
    "states_age_s": 20.0,
}


@contextmanager
def gate_that_says(ready: object, metrics: str = "") -> Iterator[str]:
    answers = {"/ready": json.dumps(ready).encode(), "/metrics": metrics.encode()}

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_unready = isinstance(ready, dict) and ready.get("ready") is False
            self.send_response(503 if is_unready and self.path == "/ready" else 200)
            self.end_headers()
            self.wfile.write(answers[self.path])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def said_of_gates(folder: DataFolder, *gates: str) -> Finding:
    environ = {"COUNTERMAND_DATA": str(folder.path), "COUNTERMAND_GATES": ",".join(gates)}
    [found] = [each for each in examine(environment.load(environ), environ) if each.name == "gates"]
    return found


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("changed", "state", "words"),
    [
        ({}, State.GOOD, "All answer"),
        ({"states_good_for_s": 0.0}, State.BAD, "too old: it refuses nobody"),
        ({"states_age_s": 400.2}, State.BAD, "heard nothing of orders for 400 s"),
        ({"states_sequence": 0, "states_good_for_s": 0.0}, State.NOTE, "no list of orders yet"),
        ({"ready": False, "why": "no_doors"}, State.NOTE, "has not read what is known of devices"),
        ({"ready": False, "why": "doors_too_old"}, State.BAD, "of devices is too old"),
        ({"stops_unreadable": 1}, State.BAD, "cannot read its stops"),
        ({"down_logs_unreadable": 1}, State.NOTE, "cannot read a log"),
        ({"has_more_rights": True}, State.NOTE, "may do more in the database than it needs"),
        ({"disk_refuses": True}, State.BAD, "takes nothing"),
        ({"entries_behind_s": 300.4}, State.BAD, "knows of devices is 300 s behind"),
    ],
)
def test_a_gate_that_may_refuse_nobody_is_named(
    folder: DataFolder, changed: dict[str, object], state: State, words: str
) -> None:
    with gate_that_says(WELL) as well, gate_that_says(WELL | changed) as other:
        found = said_of_gates(folder, well, other)

    assert found.state is state
    assert words in found.sentence
    assert other in found.sentence


NO_ORDERS = {"states_sequence": 0, "states_good_for_s": 0.0}


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("changed", "counted", "words"),
    [
        (NO_ORDERS, 'states_received_total{outcome="not_signed"}', "takes no list of orders"),
        (NO_ORDERS, 'states_received_total{outcome="other_instance"}', "takes no list of orders"),
        (NO_ORDERS, 'feed_total{follower="states",outcome="lost"}', "never reached the database"),
        (
            {"states_good_for_s": 0.0},
            'states_received_total{outcome="clocks_disagree"}',
            "The clocks of the mail gate",
        ),
    ],
)
def test_why_a_gate_refuses_nobody_is_said(
    folder: DataFolder, changed: dict[str, object], counted: str, words: str
) -> None:
    with gate_that_says(WELL | changed, f"countermand_gate_{counted} 3\n") as other:
        found = said_of_gates(folder, other)

    assert found.state is State.BAD
    assert words in found.sentence


@pytest.mark.enable_socket
def test_a_proxy_for_the_internet_is_not_asked_for_our_own_gates(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with gate_that_says(WELL) as well:
        assert said_of_gates(folder, well).state is State.GOOD


@pytest.mark.enable_socket
def test_a_gate_that_is_gone_or_none_is_named(folder: DataFolder) -> None:
    assert "does not answer" in said_of_gates(folder, "http://127.0.0.1:1").sentence
    with gate_that_says([]) as none:
        assert "does not answer" in said_of_gates(folder, none).sentence


@pytest.mark.enable_socket
def test_lines_that_were_gone_before_a_gate_had_counted_them_are_told(folder: DataFolder) -> None:
    metrics = 'countermand_gate_gate_down_missed_total{log="countermand-down.log"} 1\n'
    with gate_that_says(WELL, metrics) as missing:
        found = said_of_gates(folder, missing)

    assert found.state is State.NOTE
    assert "emptied or packed" in found.sentence


@pytest.mark.enable_socket
def test_what_a_gate_doubted_is_shown_in_words(folder: DataFolder) -> None:
    metrics = (
        'countermand_gate_doubts_total{kind="table_unreadable"} 1\n'
        'countermand_gate_doubts_total{kind="stranger"} 12\n'
        'countermand_gate_doubts_total{kind="fault"} 0\n'
    )
    with gate_that_says(WELL, metrics) as doubting:
        found = said_of_gates(folder, doubting)

    assert found.state is State.NOTE
    assert "could not be read (1); questions without the right token (12)" in found.sentence
    assert "fault" not in found.sentence


@pytest.mark.enable_socket
@pytest.mark.parametrize(
    ("outcome", "state", "words"),
    [
        ("unreachable", State.NOTE, "passed over: nobody was there (3)"),
        ("too_slow", State.NOTE, "passed over: it took longer than a second (3)"),
        ("no_address", State.BAD, "passed over: its address is none (3)"),
        ("refused", State.GOOD, "All answer"),
    ],
)
def test_a_policy_server_that_is_passed_over_is_named(
    folder: DataFolder, outcome: str, state: State, words: str
) -> None:
    metrics = f'countermand_gate_upstream_total{{outcome="{outcome}"}} 3\n'
    with gate_that_says(WELL, metrics) as url:
        found = said_of_gates(folder, url)

    assert found.state is state
    assert words in found.sentence


@pytest.mark.enable_socket
def test_the_address_of_a_gate_needs_no_scheme(folder: DataFolder) -> None:
    with gate_that_says(WELL) as url:
        assert said_of_gates(folder, url.removeprefix("http://")).state is State.GOOD
