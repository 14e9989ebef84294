"""Several processes answer on one port as one gate: what one knows, all know before they answer."""

import asyncio
import http.client
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from countermand.data_folder import DataFolder
from countermand.enforcement.actions import compile_entries, publish_states, set_attested
from countermand.gate.bell import Bell
from countermand.gate.counts import Counts
from countermand.gate.crew import Crew
from countermand.gate.unknown_clients import UnknownClients
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence
from tests.apps.gate.test_gate_process import database_url
from tests.gate_world import (
    ASHA,
    ORDER,
    PATIENCE_S,
    TOKEN,
    RunningGate,
    door,
    make_folder,
    now,
    order_state,
    publisher,
    running_gate,
)

PHONE = "SEC17CD1A3E9E3F2"
QUESTION = {
    "Authorization": f"Bearer {TOKEN}",
    "X-Original-URI": f"/Microsoft-Server-ActiveSync?Cmd=Sync&DeviceId={PHONE}",
    "X-Original-Method": "POST",
    "X-Remote-User": ASHA,
}


pytestmark = pytest.mark.usefixtures("committed_doors")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = make_folder(tmp_path / "data")
    compile_entries(ORDER, [door(PHONE)], publisher=publisher(folder), now=now())
    publish_states([order_state()], publisher=publisher(folder))
    return folder


def crew_of(gate: RunningGate) -> list[dict[str, int]]:
    said: list[dict[str, int]] = gate.control("GET", "/ready")[1]["workers"]
    return said


@contextmanager
def a_line_to_each(gate: RunningGate, workers: int) -> Iterator[list[http.client.HTTPConnection]]:
    """Connections that stay, so many that every process has one of them."""
    with ExitStack() as stack:
        lines: list[http.client.HTTPConnection] = []

        def all_have_one() -> bool:
            line = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=60)
            stack.callback(line.close)
            lines.append(line)
            status(line)
            busy = [each["connections"] for each in crew_of(gate)]
            own = gate.control("GET", "/ready")[1]["connections"]
            return len(busy) == workers - 1 and min([own, *busy]) > 0

        gate.until("every process has a connection", all_have_one)
        yield lines


def status(line: http.client.HTTPConnection) -> int:
    line.request("GET", "/auth", headers=QUESTION)
    answer = line.getresponse()
    answer.read()
    return answer.status


def test_once_a_stop_is_acknowledged_no_process_refuses_any_more(folder: DataFolder) -> None:
    fence = Fence(ORDER, TAKEN_BACK_EPOCH, withdrawn=True, at=now(), by=1, because="a mistake")
    with (
        running_gate(folder, database_url=database_url(), workers=3) as gate,
        a_line_to_each(gate, 3) as lines,
    ):
        gate.until("all shut", lambda: {status(each) for each in lines} == {403})

        acknowledged, _ = gate.ask("POST", "/stop", body=fence.to_json(), control=True)

        assert acknowledged == 200
        assert {status(each) for each in lines} == {204}


def test_a_change_in_the_database_is_seen_by_every_process(folder: DataFolder) -> None:
    with (
        running_gate(folder, database_url=database_url(), workers=2) as gate,
        a_line_to_each(gate, 2) as lines,
    ):
        gate.until("all shut", lambda: {status(each) for each in lines} == {403})
        set_attested(1, at=now(), publisher=publisher(folder))
        gate.until("all open", lambda: {status(each) for each in lines} == {204})

        newest = publish_states([order_state(withdrawn=True)], publisher=publisher(folder))
        gate.until(
            "published", lambda: gate.control("GET", "/ready")[1]["states_sequence"] == newest
        )


def test_what_every_process_counted_is_shown_as_one(folder: DataFolder) -> None:
    with running_gate(folder, workers=2) as gate, a_line_to_each(gate, 2) as lines:
        asked = len(lines)
        for each in lines:
            status(each)
        asked += len(lines)

        def counted() -> Any:
            return gate.control("GET", "/doors")[1]["counts"]["activesync_unknown"]

        gate.until("all are counted", lambda: counted() == asked)


def test_no_process_of_a_gate_takes_the_core_from_a_proxy_that_still_asks(
    folder: DataFolder,
) -> None:
    with running_gate(folder, workers=2) as gate:
        gate.until("two answer", lambda: len(crew_of(gate)) == 1)
        processes = [gate.process.pid, *(each["pid"] for each in crew_of(gate))]

        assert {os.sched_getscheduler(each) for each in processes} == {os.SCHED_BATCH}


def test_a_process_that_is_killed_comes_back(folder: DataFolder) -> None:
    with running_gate(folder, workers=2) as gate:
        gate.until("two answer", lambda: len(crew_of(gate)) == 1)
        first = crew_of(gate)[0]["pid"]
        os.kill(first, signal.SIGKILL)

        gate.until("another one", lambda: crew_of(gate)[0]["pid"] != first)


def test_a_process_that_stands_still_is_replaced(folder: DataFolder) -> None:
    """A gate looks after its crew once a second; here it looks as soon as it has looked."""

    async def of_a_crew() -> None:
        crew = Crew(folder.path, Bell(), Counts(), UnknownClients())
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        crew.start(1, port)
        try:
            [worker] = crew.workers
            assert worker.process is not None
            first = worker.process
            heard_at_first = worker._silent
            while worker._silent == heard_at_first:  # noqa: ASYNC110 - it tells its crew alone
                await asyncio.sleep(0.01)
            first.send_signal(signal.SIGSTOP)

            for _ in range(10):
                crew.look_after()
                assert worker.process is first
            crew.look_after()
            assert first.wait(PATIENCE_S) == -signal.SIGKILL
            crew.look_after()
            assert worker.process not in {None, first}
        finally:
            crew.end()

    asyncio.run(asyncio.wait_for(of_a_crew(), PATIENCE_S))


def test_no_process_outlives_the_first(folder: DataFolder) -> None:
    with running_gate(folder, workers=2) as gate:
        gate.until("two answer", lambda: len(crew_of(gate)) == 1)
        worker = crew_of(gate)[0]["pid"]
        gate.kill()
        gate.until(
            "all ended", lambda: not Path(f"/proc/{worker}/stat").exists() or is_dead(worker)
        )


def is_dead(pid: int) -> bool:
    """A child of somebody who died may wait for its new parent to take note."""
    status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return status.rpartition(")")[2].split()[0] == "Z"
