"""What gates count is kept by the hour, whatever becomes of a gate in between."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from countermand.cli.doors import DOORS
from countermand.domain import door_share
from countermand.domain.door_share import share_of
from countermand.enforcement import door_counts
from countermand.enforcement.door_counts import Said
from countermand.enforcement.models import DoorCount
from countermand.gate.door_kinds import DoorKind

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


def said(counting: str = "boot-1", gate: str = "http://g1", **counts: int) -> Said:
    return Said(gate=gate, counting=counting, counts=counts, feed_version=7)


def test_only_what_came_in_between_is_added() -> None:
    assert door_counts.keep(said(webmail=10), now=NOW) == 10
    assert door_counts.keep(said(webmail=12, pop3=1), now=NOW) == 3
    assert door_counts.keep(said(webmail=12, pop3=1), now=NOW + HOUR) == 0
    assert door_counts.keep(said(webmail=15, pop3=1), now=NOW + HOUR) == 3

    found = door_counts.by_hour(since=NOW - HOUR)
    assert [dict(each.counts) for each in found] == [{"webmail": 12, "pop3": 1}, {"webmail": 3}]
    assert door_counts.last_read_at() == NOW + HOUR


def test_a_gate_that_starts_anew_begins_at_nought() -> None:
    door_counts.keep(said(webmail=100), now=NOW)

    assert door_counts.keep(said(counting="boot-2", webmail=100), now=NOW) == 100

    assert door_counts.in_all(since=NOW - HOUR) == {"webmail": 200}


def test_a_count_that_went_down_takes_nothing_away() -> None:
    door_counts.keep(said(webmail=100), now=NOW)

    assert door_counts.keep(said(webmail=3), now=NOW) == 0

    assert door_counts.in_all(since=NOW - HOUR) == {"webmail": 100}


def test_gates_are_added_up() -> None:
    door_counts.keep(said(webmail=10), now=NOW)
    door_counts.keep(said(gate="http://g2", webmail=5), now=NOW)

    assert door_counts.in_all(since=NOW - HOUR) == {"webmail": 15}


def test_counts_of_long_ago_are_forgotten() -> None:
    door_counts.keep(said(webmail=10), now=NOW - door_counts.KEPT - HOUR)
    door_counts.keep(said(webmail=20), now=NOW)

    assert door_counts.forget(now=NOW) == 1
    assert DoorCount.objects.count() == 1


def test_the_share_leaves_out_what_is_no_reading() -> None:
    share = share_of(
        {
            DoorKind.ACTIVESYNC_KNOWN.value: 30,
            DoorKind.DEVICE_PASSWORD.value: 10,
            DoorKind.MAIN_PASSWORD.value: 50,
            DoorKind.WEBMAIL.value: 10,
            DoorKind.BEHIND_WEBMAIL.value: 1000,
            DoorKind.SENDING.value: 1000,
        }
    )

    assert (share.known, share.reading, share.per_cent) == (40, 100, 40)


def test_nothing_counted_is_no_share_and_an_unknown_door_knows_no_device() -> None:
    assert share_of({}).per_cent is None
    assert share_of({"a-door-of-tomorrow": 5}).per_cent == 0


def test_every_kind_of_door_that_a_gate_counts_is_placed() -> None:
    placed = {*door_share.KNOWS_DEVICE, *door_share.READS_WITHOUT, *door_share.NO_READING}
    assert {kind.value for kind in DoorKind} == placed == set(DOORS)


@contextmanager
def gate(answers: dict[str, bytes]) -> Iterator[str]:
    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_ours = self.headers["Authorization"] == "Bearer a-token"
            self.send_response(200 if is_ours and self.path in answers else 404)
            self.end_headers()
            self.wfile.write(answers.get(self.path, b""))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.enable_socket
def test_gates_are_asked_and_those_without_an_answer_are_left_out() -> None:
    counts = {"webmail": 3, "pop3": -1, "x": "many"}
    answers = {
        "/doors": json.dumps({"since": "s", "boot": "b", "counts": counts}).encode(),
        "/ready": b'{"feed_version": 12}',
    }
    with gate(answers) as well, gate({"/doors": b"[1, 2"}) as broken:
        found = door_counts.ask([well, broken, "http://127.0.0.1:1"], token="a-token")

    assert found == [Said(gate=well, counting="b s", counts={"webmail": 3}, feed_version=12)]
