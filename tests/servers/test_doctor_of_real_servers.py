"""The doctor reads what running servers print of themselves, and names what would hurt there.

Each fault is one that people make with the files of deploy/, and the server that runs with it shows
what it does to them.
"""

import http.client
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from countermand.config import Settings
from countermand.environment import load
from countermand.project import front_checkup
from countermand.project.findings import Finding, State
from countermand.project.front_checkup import Fronts, examine_fronts
from lab import mailbox
from lab.dovecot import ASKS_ANOTHER_FIRST, FROM_PHONES, PASSDBS, Dovecot, dovecot_that_asks
from lab.gates import OddGate, odd_gate
from lab.ground import HERE, Server, held_port, until
from lab.nginx import DOORS, FAIL_STATIC, address, nginx_that_asks
from lab.people import ASHA, LAPTOP, PHONE
from lab.phone import Phone

OFFICE, ABROAD = "127.0.0.9", "127.0.0.8"
NO = "Mail is paused on this device."
_PASSWORD = "d29yZDp3b3Jk"  # as a Basic header carries it
NO_GROUPS = {"is_limited": "is_of_no_group"}  # a script from before groups were limited
OPEN_TO_ALL = PASSDBS + FROM_PHONES


@pytest.fixture(scope="module")
def odd() -> Iterator[OddGate]:
    with odd_gate() as gate:
        yield gate


@pytest.fixture(autouse=True)
def forgotten(odd: OddGate) -> None:
    odd.be(200, b'{"status":0}')


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({}, data=tmp_path)


def printed(server: Server | Dovecot, *command: str) -> Path:
    """Keep beside a server's files what it prints of its configuration, as it was read."""
    answer = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", timeout=60)
    path = server.folder / "printed"
    path.write_text(answer.stdout, encoding="utf-8")
    return path


def found(path: Path, settings: Settings) -> list[Finding]:
    return list(examine_fronts(Fronts(files=[path]), settings))


def said_of_dovecot(server: Dovecot, settings: Settings) -> str:
    path = printed(server, "doveconf", "-n", "-c", str(server.folder / "dovecot.conf"))
    return " ".join(each.sentence for each in found(path, settings) if each.state is State.BAD)


def said_of_nginx(server: Server, settings: Settings) -> str:
    folder = str(server.folder)
    path = printed(server, "nginx", "-T", "-p", folder, "-c", f"{folder}/nginx.conf")
    return " ".join(each.sentence for each in found(path, settings) if each.state is State.BAD)


def imap(server: Dovecot, password: str, come_from: str = HERE) -> str:
    return mailbox.login(server.port, ASHA.login, password, come_from=come_from)


def test_a_configuration_that_its_program_does_not_show_is_said_not_to_be_looked_at(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "doveconf").write_text(
        "#!/bin/sh\necho 'doveconf: Fatal: 95-countermand.conf: Permission denied' >&2\nexit 89\n"
    )
    (programs / "doveconf").chmod(0o755)
    monkeypatch.setattr(front_checkup, "_PROGRAMS", str(programs))

    [said] = examine_fronts(Fronts(), settings)

    assert (said.name, said.state) == ("doveconf", State.NOTE)
    assert "Permission denied" in said.sentence


def test_a_dovecot_that_cannot_run_the_script_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    programs = tmp_path / "programs"
    programs.mkdir()
    with dovecot_that_asks(1, patient=False) as dovecot:
        config = dovecot.folder / "dovecot.conf"
        (programs / "doveconf").write_text(f"#!/bin/sh\nexec /usr/bin/doveconf -n -c {config}\n")
        (programs / "doveconf").chmod(0o755)
        monkeypatch.setattr(front_checkup, "_PROGRAMS", str(programs))
        with_its_modules = list(examine_fronts(Fronts(), settings))
        monkeypatch.setattr(front_checkup, "_AUTH_MODULES", (modules,))

        [said] = examine_fronts(Fronts(), settings)

    assert [each.state for each in with_its_modules] == [State.GOOD]
    assert said.state is State.BAD
    assert "module for Lua is missing" in said.sentence
    assert "dovecot-auth-lua" in said.remedy


@pytest.mark.parametrize(
    ("service", "states"),
    [
        ("", []),  # it asks no gate: none of our business
        ("-o smtpd_sasl_type=dovecot", [State.BAD]),
        ("-o smtpd_sasl_type=cyrus", []),
    ],
)
def test_a_postfix_of_this_machine_is_looked_at_if_dovecot_asks_for_it(
    service: str,
    states: list[State],
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    programs, config = tmp_path / "programs", tmp_path / "postfix"
    for each in (programs, config):
        each.mkdir()
    (config / "main.cf").write_text(
        "smtpd_sender_restrictions = check_policy_service inet:[::1]:9\n"
    )
    (config / "master.cf").write_text(f"submission inet n - n - - smtpd {service}\n")
    (programs / "postconf").write_text(f'#!/bin/sh\nexec /usr/sbin/postconf -c {config} "$@"\n')
    (programs / "postconf").chmod(0o755)
    monkeypatch.setattr(front_checkup, "_PROGRAMS", str(programs))
    monkeypatch.setattr(front_checkup, "_MAIN_CF", config / "main.cf")

    found = list(examine_fronts(Fronts(), settings))

    assert [each.state for each in found] == states
    assert all("stops everybody's mail (451" in each.sentence for each in found)


# -- Dovecot ------------------------------------------------------------------------------------


def test_as_shipped_dovecot_is_well(settings: Settings) -> None:
    with dovecot_that_asks(1, patient=False) as dovecot:
        assert imap(dovecot, ASHA.devices[PHONE]) == "OK"
        assert said_of_dovecot(dovecot, settings) == ""


def test_a_dovecot_that_lets_nobody_in_without_a_gate_is_named(settings: Settings) -> None:
    changes = {"auth_policy_reject_on_fail = no": "auth_policy_reject_on_fail = yes"}
    with (
        held_port() as nobody,
        dovecot_that_asks(nobody, changes=changes, patient=False) as dovecot,
    ):
        assert imap(dovecot, ASHA.devices[LAPTOP]) != "OK"
        assert "lets nobody in" in said_of_dovecot(dovecot, settings)


def test_a_dovecot_without_nodelay_is_named(odd: OddGate, settings: Settings) -> None:
    odd.refuse(NO)
    without = {', nodelay = "y"': ""}
    main = PASSDBS.replace("{webmail}", "user_device=webmail")
    with dovecot_that_asks(odd.port, passdbs=main, script=without, patient=False) as dovecot:
        # What it does to an office stands in the tests of the pitfalls.
        assert NO in imap(dovecot, ASHA.devices[PHONE], OFFICE)
        assert said_of_dovecot(dovecot, settings).count("slows down everybody") == 2


def test_a_main_password_that_is_good_from_everywhere_is_named(
    odd: OddGate, settings: Settings
) -> None:
    with dovecot_that_asks(
        odd.port, passdbs=OPEN_TO_ALL, script=NO_GROUPS, patient=False
    ) as dovecot:
        assert imap(dovecot, ASHA.password, ABROAD) == "OK"
        assert "is good from everywhere" in said_of_dovecot(dovecot, settings)


def test_before_the_first_group_is_limited_it_is_said_but_no_mistake(
    odd: OddGate, settings: Settings
) -> None:
    with dovecot_that_asks(odd.port, passdbs=OPEN_TO_ALL, patient=False) as dovecot:
        path = printed(dovecot, "doveconf", "-n", "-c", str(dovecot.folder / "dovecot.conf"))
        said = found(path, settings)
        assert imap(dovecot, ASHA.password, ABROAD) == "OK"
        limited = settings.device_password_files / "limited"
        limited.mkdir(parents=True)
        (limited / "0f3").write_text(f"{ASHA.login}\n", encoding="utf-8")
        after = found(path, settings)

    assert [each.state for each in said] == [State.NOTE, State.GOOD]
    assert "is limited yet" in said[0].sentence
    assert [each.state for each in after] == [State.GOOD]


def test_a_policy_server_that_is_forgotten_is_named(odd: OddGate, settings: Settings) -> None:
    with odd_gate() as other, dovecot_that_asks(odd.port, patient=False) as dovecot:
        earlier = f"auth_policy_server_url = http://{HERE}:{other.port}/?command=\n"
        (dovecot.folder / "90-filter.conf").write_text(f"#{earlier}", encoding="utf-8")

        assert imap(dovecot, ASHA.devices[LAPTOP]) == "OK"
        assert other.asked == []
        said = said_of_dovecot(dovecot, settings)
        assert "Another policy server was asked before" in said
        assert f"{HERE}:{other.port}" in said
        behind = replace(settings, policy_upstream=f"http://{HERE}:{other.port}/?command=")
        # It is asked now, and hears a part only: the shipped file for two is the other one.
        assert "more or less often" in said_of_dovecot(dovecot, behind)
    with dovecot_that_asks(odd.port, shipped=ASKS_ANOTHER_FIRST, patient=False) as dovecot:
        assert imap(dovecot, ASHA.devices[LAPTOP]) == "OK"
        assert said_of_dovecot(dovecot, behind) == ""


def test_a_dovecot_that_remembers_wrong_device_passwords_is_named(
    odd: OddGate, settings: Settings
) -> None:
    remembers = PASSDBS.replace("blocking=yes", "blocking=yes cache_key=%u")
    more = "auth_cache_size = 10M\n"
    with dovecot_that_asks(odd.port, passdbs=remembers, more=more, patient=False) as dovecot:
        assert imap(dovecot, ASHA.devices[PHONE]) == "OK"
        assert "remembers a wrong device password" in said_of_dovecot(dovecot, settings)


@pytest.mark.parametrize(
    "more",
    ["imap_hibernate_timeout = 30 s\n", "protocol imap {\n  imap_hibernate_timeout = 30 s\n}\n"],
    ids=["everywhere", "for imap"],
)
def test_sessions_that_sleep_in_one_process_are_named(
    odd: OddGate, settings: Settings, more: str
) -> None:
    with dovecot_that_asks(odd.port, more=more, patient=False) as dovecot:
        assert imap(dovecot, ASHA.devices[PHONE]) == "OK"
        assert "none can be ended" in said_of_dovecot(dovecot, settings)


# -- nginx --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gate_file", ["countermand-gate.conf", FAIL_STATIC])
def test_as_shipped_nginx_is_well(odd: OddGate, settings: Settings, gate_file: str) -> None:
    with nginx_that_asks(odd.port, gate_file=gate_file, patient=False) as nginx:
        assert said_of_nginx(nginx, settings) == ""


def phone_status(server: Server, device: str = PHONE) -> int:
    return Phone(address(server), ASHA.login, ASHA.password, device).folder_sync().status


@contextmanager
def nginx_without_a_gate(changes: Mapping[str, str]) -> Iterator[Server]:
    with held_port() as nobody, nginx_that_asks(nobody, changes=changes, patient=False) as nginx:
        yield nginx


def test_an_nginx_that_refuses_phones_without_a_gate_is_named(settings: Settings) -> None:
    closed = {"proxy_intercept_errors on;": "", "= @countermand-open;": "= @countermand-closed;"}
    with nginx_without_a_gate(closed) as nginx:
        assert phone_status(nginx) == 403
        assert "does not answer or is in trouble" in said_of_nginx(nginx, settings)


def reloaded(server: Server, before: str, after: str) -> None:
    """Write another thing into the doors of an nginx, and have it read them anew."""
    doors = server.folder / DOORS
    doors.write_text(doors.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    config = server.folder / "nginx.conf"
    subprocess.run(["nginx", "-p", server.folder, "-c", config, "-s", "reload"], check=True)


def test_an_nginx_that_gives_phones_500_is_named(settings: Settings) -> None:
    bare = {"proxy_intercept_errors on;": "", "= @countermand-open;": "= @nowhere;"}
    with nginx_without_a_gate(bare) as nginx:
        reloaded(nginx, "error_page 500 = @active-sync;", "")

        until("the phone's 500", lambda: phone_status(nginx) == 500)
        said = said_of_nginx(nginx, settings)
        assert "does not answer or is in trouble" in said
        assert "something else listens" in said


def test_an_nginx_in_which_another_rule_is_enough_is_named(
    odd: OddGate, settings: Settings
) -> None:
    with nginx_that_asks(odd.port, patient=False) as nginx:
        odd.be(403)
        assert phone_status(nginx) == 403
        asks = "auth_request /countermand-question;"
        reloaded(nginx, asks, f"satisfy any; allow all; {asks}")

        until("the way past", lambda: phone_status(nginx) == 200)
        assert "another rule lets in" in said_of_nginx(nginx, settings)


def test_a_cache_in_which_all_devices_are_one_is_named(odd: OddGate, settings: Settings) -> None:
    merged = {'"$http_x_remote_user|$http_x_original_method|$http_x_original_uri"': '"$uri|$args"'}
    with nginx_that_asks(
        odd.port, gate_file=FAIL_STATIC, gate_changes=merged, patient=False
    ) as nginx:
        odd.be(403)
        assert phone_status(nginx) == 403
        odd.be(500)

        assert phone_status(nginx, LAPTOP) == 403  # refused for the sake of another device
        assert "one in the cache" in said_of_nginx(nginx, settings)


def shows_its_password(server: Server) -> None:
    """Ask for webmail as a client does that has a password."""
    connection = http.client.HTTPConnection(HERE, server.port, timeout=60)
    connection.request("POST", "/mail/", headers={"Authorization": f"Basic {_PASSWORD}"})
    connection.getresponse().read()
    connection.close()


def test_an_nginx_that_hands_passwords_to_the_gate_is_named(
    odd: OddGate, settings: Settings
) -> None:
    shown = {
        'proxy_set_header Authorization "Bearer a-token-for-the-tests";': "",
        "proxy_pass_request_headers off;": "",
    }
    with nginx_that_asks(odd.port, changes=shown, patient=False) as nginx:
        odd.be(204)
        shows_its_password(nginx)

        assert f"Basic {_PASSWORD}" in odd.asked[0]
        assert "password of every phone" in said_of_nginx(nginx, settings)


def test_an_nginx_that_shows_the_gate_no_token_is_named_and_hands_on_no_password(
    odd: OddGate, settings: Settings
) -> None:
    shown = {'proxy_set_header Authorization "Bearer a-token-for-the-tests";': ""}
    with nginx_that_asks(odd.port, changes=shown, patient=False) as nginx:
        odd.be(204)
        shows_its_password(nginx)

        assert _PASSWORD not in odd.asked[0]
        assert "carries no token" in said_of_nginx(nginx, settings)
