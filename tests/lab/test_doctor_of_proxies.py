"""The doctor names what would keep phones out; a proxy that runs with it does keep them out."""

import http.client
from pathlib import Path

import pytest

from countermand.environment import load
from countermand.project.findings import State
from countermand.project.front_checkup import Fronts, examine_fronts
from lab.ground import HERE, held_port
from lab.proxies import PROXIES, groupware

# What somebody leaves out or writes in its place, and what a phone gets without a gate then.
FAULTS = {
    "traefik": ({"[countermand-open, countermand-token]": "[countermand-token]"}, 502),
    # Either of its two lines is enough for a gate that is dead; odd answers need the second.
    "envoy": (
        {
            "failure_mode_allow: true": "failure_mode_allow: false",
            "envoy_on_response": "nothing_on_response",
        },
        403,
    ),
    "caddy": ({"handle_errors {": "handle_path /nowhere {"}, 502),
}
FILES = {"traefik": "dynamic.yaml", "envoy": "envoy.yaml", "caddy": "Caddyfile"}


def said_of(path: Path, data: Path) -> str:
    found = examine_fronts(Fronts(files=[path]), load({}, data=data))
    return " ".join(each.sentence for each in found if each.state is State.BAD)


def status(port: int) -> int:
    connection = http.client.HTTPConnection(HERE, port, timeout=60)
    try:
        connection.request("POST", "/Microsoft-Server-ActiveSync?Cmd=Sync&DeviceId=ABC")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("proxy", sorted(PROXIES))
def test_a_proxy_that_refuses_phones_without_a_gate_is_named(proxy: str, tmp_path: Path) -> None:
    changes, seen = FAULTS[proxy]
    start = PROXIES[proxy]
    with held_port() as nobody, groupware() as behind:
        with start(nobody, behind.port, changes=changes, patient=False) as server:
            assert status(server.port) == seen
            assert behind.got == []
            assert "refuses phones" in said_of(server.folder / FILES[proxy], tmp_path)
        with start(nobody, behind.port, patient=False) as server:
            assert status(server.port) == 200
            assert said_of(server.folder / FILES[proxy], tmp_path) == ""
