"""A gate says whether it could refuse anybody; whether it is ready or not, it keeps nobody out."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from countermand.data_folder import DataFolder
from countermand.enforcement.actions import compile_entries, publish_states
from tests.apps.gate.test_gate_process import (
    PHONE,
    database_url,
    enforce,
    folder,
    owner_url,
    shown,
)
from tests.gate_world import ORDER, RunningGate, door, now, order_state, publisher, running_gate

__all__ = ["folder"]
pytestmark = pytest.mark.usefixtures("committed_doors")


def readiness(gate: RunningGate) -> tuple[int, bool, str]:
    status, said = gate.control("GET", "/ready")
    return status, said["ready"], said["why"]


def lets_everybody_in(gate: RunningGate) -> bool:
    return gate.active_sync(PHONE) == 204 and not gate.is_paused("phone-7f3a")


def test_a_gate_that_never_got_a_list_of_orders_is_not_ready_and_lets_everybody_in(
    folder: DataFolder,
) -> None:
    with running_gate(folder) as gate:
        assert readiness(gate) == (503, False, "no_orders")
        assert "\ncountermand_gate_ready 0.0" in shown(gate)
        assert gate.control("GET", "/health")[0] == 200
        assert lets_everybody_in(gate)


def test_a_gate_that_has_orders_and_doors_is_ready(folder: DataFolder) -> None:
    enforce(folder)
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("ready", lambda: readiness(gate) == (200, True, ""))

        assert gate.is_paused("phone-7f3a")
        assert "\ncountermand_gate_ready 1.0" in shown(gate)


def test_a_gate_of_an_installation_that_knows_no_device_yet_is_ready(folder: DataFolder) -> None:
    publish_states([], publisher=publisher(folder))
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("ready", lambda: readiness(gate) == (200, True, ""))


def test_a_gate_that_has_orders_and_cannot_read_doors_is_not_ready(folder: DataFolder) -> None:
    enforce(folder)
    with no_door_may_be_read(), running_gate(folder, database_url=database_url()) as gate:
        gate.until("no doors", lambda: readiness(gate) == (503, False, "no_doors"))

        assert lets_everybody_in(gate)


def test_a_gate_that_starts_again_without_a_database_is_ready_by_what_it_kept(
    folder: DataFolder,
) -> None:
    enforce(folder)
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("ready", lambda: readiness(gate)[1])
        gate.until("kept", (folder.gate / "states.json").exists)
        gate.kill()

    with running_gate(folder) as again:
        assert readiness(again) == (200, True, "")
        assert again.is_paused("phone-7f3a")


def test_a_gate_whose_folder_of_stops_cannot_be_read_is_not_ready(folder: DataFolder) -> None:
    enforce(folder)
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("ready", lambda: readiness(gate)[1])
        folder.fences.rename(folder.fences.with_name("aside"))

        gate.until("not ready", lambda: readiness(gate) == (503, False, "stops_unreadable"))
        assert lets_everybody_in(gate)


def test_what_changes_all_the_time_makes_no_gate_unready(folder: DataFolder) -> None:
    enforce(folder)
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("ready", lambda: readiness(gate)[1])

        for number in range(20):
            doors = [door(PHONE), door(f"phone-{number}", device_id=2)]
            compile_entries(ORDER, doors, publisher=publisher(folder), now=now())
            publish_states([order_state()], publisher=publisher(folder))
            assert readiness(gate) == (200, True, "")


@contextmanager
def no_door_may_be_read() -> Iterator[None]:
    with psycopg.connect(owner_url(), autocommit=True) as owner:
        owner.execute("REVOKE SELECT (login) ON enforcement_doorentry FROM countermand_gate")
        try:
            yield
        finally:
            owner.execute("GRANT SELECT (login) ON enforcement_doorentry TO countermand_gate")
