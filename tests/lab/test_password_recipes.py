"""Device passwords beside what is there already: a directory, master users, an IMAP proxy.

The recipes are files of deploy/, run as they are shipped under Dovecot 2.3 and Debian's slapd.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from countermand.connectors.doveadm.sessions import Doveadm
from countermand.ports import Ended, OpenSession
from lab import mailbox
from lab.dovecot import ADMIN_KEY, Dovecot, dovecot_that_asks, recipe, with_commented_lines
from lab.gates import Entry, OddGate, RealGate, all_that_shuts, odd_gate, real_gate
from lab.ground import HERE, open_folder, until
from lab.people import ASHA, LAPTOP, PHONE, RAVI
from lab.slapd import dovecot_ldap, slapd

NO = "Mail is paused on this device."
OUTSIDE = "127.0.0.8"
NO_QUESTIONS = {"auth_policy_server_url": "#auth_policy_server_url"}
USERS = {"/etc/dovecot/users": "{folder}/users"}
WEBMAIL_ELSEWHERE = {"127.0.0.1/32": "127.0.0.9/32"}


@pytest.fixture(scope="module")
def gate() -> Iterator[RealGate]:
    with real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]) as running:
        yield running


@pytest.fixture
def odd() -> Iterator[OddGate]:
    with odd_gate() as running:
        running.be(200, b'{"status":0}')
        yield running


def imap(server: Dovecot, login: str, password: str, come_from: str = HERE) -> str:
    return mailbox.login(server.port, login, password, come_from=come_from)


# -- a directory --------------------------------------------------------------------------------


def test_beside_a_directory_devices_have_passwords_of_their_own(gate: RealGate) -> None:
    with ExitStack() as stack:
        directory = stack.enter_context(slapd())
        folder = stack.enter_context(open_folder("recipe"))
        config = {"/etc/dovecot/dovecot-ldap.conf.ext": str(dovecot_ldap(folder, directory))}
        dovecot = stack.enter_context(
            dovecot_that_asks(gate.port, passdbs=recipe("passdbs-ldap.conf", config))
        )

        assert NO in imap(dovecot, ASHA.login, ASHA.devices[PHONE])
        assert imap(dovecot, ASHA.login, ASHA.devices[LAPTOP]) == "OK"
        # The directory's own password, from the webmail alone.
        assert imap(dovecot, ASHA.login, f"in-the-directory-{ASHA.password}") == "OK"
        assert imap(dovecot, RAVI.login, f"in-the-directory-{RAVI.password}") == "OK"
        outside = imap(dovecot, ASHA.login, f"in-the-directory-{ASHA.password}", OUTSIDE)
        assert outside.startswith("[AUTHENTICATIONFAILED]")
        # What stands in the file alone is no password of the directory.
        assert imap(dovecot, ASHA.login, ASHA.password, "127.0.0.7") != "OK"


def test_beside_a_directory_main_passwords_are_told_apart_as_long_as_phones_use_them() -> None:
    with ExitStack() as stack:
        directory = stack.enter_context(slapd())
        folder = stack.enter_context(open_folder("recipe"))
        config = {"/etc/dovecot/dovecot-ldap.conf.ext": str(dovecot_ldap(folder, directory))}
        passdbs = recipe("passdbs-ldap.conf", config)
        odd = stack.enter_context(odd_gate())
        dovecot = stack.enter_context(
            dovecot_that_asks(odd.port, passdbs=with_commented_lines(passdbs))
        )
        main = f"in-the-directory-{ASHA.password}"
        for address, word, device in (
            (HERE, main, "webmail"),
            (OUTSIDE, main, ""),
            (OUTSIDE, ASHA.devices[PHONE], PHONE),
        ):
            odd.be(200, b'{"status":0}')
            assert imap(dovecot, ASHA.login, word, address) == "OK"
            assert f'"device":"{device}"' in odd.asked[0]
        assert imap(dovecot, ASHA.login, "a guess", "127.0.0.7") != "OK"


def test_with_a_dead_directory_device_passwords_are_good(gate: RealGate) -> None:
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder("recipe"))
        with slapd() as directory:
            config = {"/etc/dovecot/dovecot-ldap.conf.ext": str(dovecot_ldap(folder, directory))}
        dovecot = stack.enter_context(
            dovecot_that_asks(gate.port, passdbs=recipe("passdbs-ldap.conf", config))
        )

        assert imap(dovecot, ASHA.login, ASHA.devices[LAPTOP]) == "OK"
        assert NO in imap(dovecot, ASHA.login, ASHA.devices[PHONE])


# -- master users -------------------------------------------------------------------------------


def test_a_master_user_reads_on_whatever_is_paused(gate: RealGate, odd: OddGate) -> None:
    odd.refuse(NO)
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder("recipe"))
        masters = folder / "master-users"
        masters.write_text("team:{PLAIN}of-the-team\n", encoding="utf-8")
        masters.chmod(0o644)
        where = {"/etc/dovecot/master-users": str(masters)}
        passdbs = recipe("passdbs-master.conf", where) + recipe("passdbs-ldap.conf", _a_file())
        dovecot = stack.enter_context(dovecot_that_asks(gate.port, passdbs=passdbs))

        assert NO in imap(dovecot, ASHA.login, ASHA.devices[PHONE])
        assert imap(dovecot, f"{ASHA.login}*team", "of-the-team") == "OK"
        assert imap(dovecot, f"{ASHA.login}*team", "of-the-team", OUTSIDE) != "OK"
        assert imap(dovecot, f"{ASHA.login}*team", ASHA.devices[PHONE], "127.0.0.7") != "OK"


def _a_file() -> dict[str, str]:
    """Another source of main passwords in the place of the directory."""
    return {
        "driver = ldap": "driver = passwd-file",
        "/etc/dovecot/dovecot-ldap.conf.ext": "username_format=%u {folder}/users",
    }


# -- an IMAP proxy in front ---------------------------------------------------------------------


def test_a_proxy_that_passes_on_changes_nothing(gate: RealGate) -> None:
    main = recipe("passdbs-ldap.conf", _a_file() | WEBMAIL_ELSEWHERE)
    trusting = "login_trusted_networks = 127.0.0.1/32\n"
    with ExitStack() as stack:
        behind = stack.enter_context(dovecot_that_asks(gate.port, passdbs=main, more=trusting))
        onwards = {"host=10.0.0.5 port=143": f"host={HERE} port={behind.port}"}
        passing = recipe("proxy-that-passes-on.conf", onwards)
        proxy = stack.enter_context(
            dovecot_that_asks(1, passdbs=passing, changes=NO_QUESTIONS, more=trusting)
        )

        refusals = [imap(proxy, ASHA.login, ASHA.devices[PHONE], "127.0.0.6") for _ in range(3)]
        assert all(NO in each for each in refusals)
        assert imap(proxy, ASHA.login, ASHA.devices[LAPTOP], "127.0.0.6") == "OK"
        # The main password: the phone's own address counts, not the proxy's.
        assert imap(proxy, ASHA.login, ASHA.password, "127.0.0.9") == "OK"
        assert imap(proxy, ASHA.login, ASHA.password, OUTSIDE) != "OK"


def test_a_proxy_that_checks_asks_the_gate_itself(gate: RealGate) -> None:
    taking = "passdb {{\n  driver = static\n  args = nopassword=y allow_nets=127.0.0.1/32\n}}\n"
    with ExitStack() as stack:
        behind = stack.enter_context(dovecot_that_asks(1, passdbs=taking, changes=NO_QUESTIONS))
        onwards = {"host=10.0.0.5 port=143": f"host={HERE} port={behind.port}"}
        checking = recipe("proxy-that-checks.conf", onwards | WEBMAIL_ELSEWHERE | USERS)
        proxy = stack.enter_context(dovecot_that_asks(gate.port, passdbs=checking))

        assert NO in imap(proxy, ASHA.login, ASHA.devices[PHONE], "127.0.0.6")
        assert imap(proxy, ASHA.login, ASHA.devices[LAPTOP], "127.0.0.6") == "OK"
        assert imap(proxy, ASHA.login, ASHA.password, "127.0.0.9") == "OK"
        assert imap(proxy, ASHA.login, ASHA.password, OUTSIDE) != "OK"
        assert imap(behind, ASHA.login, "whatever", OUTSIDE) != "OK"  # nobody passes the proxy by

        # Sessions are ended where they are.
        connection = mailbox.imap(proxy.port, come_from="127.0.0.6")
        connection.login(ASHA.login, ASHA.devices[LAPTOP])
        laptop = OpenSession(ASHA.login, LAPTOP)
        server = Doveadm((f"http://{HERE}:{behind.admin}",), ADMIN_KEY)
        assert server.end([laptop]) == {laptop: Ended.ENDED}
        until("the end of the session", lambda: not mailbox.is_open(connection))
        connection.shutdown()
