"""Device passwords beside a directory, master users and an IMAP proxy, under Dovecot 2.4.

The recipes are files of deploy/, run as they are shipped; with 2.3 they have tests of their own.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from countermand.connectors.doveadm.sessions import Doveadm
from countermand.enforcement import password_files
from countermand.enforcement.password_files import DeviceLine
from countermand.ports import Ended, OpenSession
from lab import mailbox
from lab.dovecot import ADMIN_KEY, Dovecot, recipe, with_commented_lines
from lab.dovecot24 import PASSDBS24, ROOT, dovecot24_that_asks
from lab.gates import Entry, RealGate, all_that_shuts, odd_gate, real_gate
from lab.ground import HERE, until
from lab.people import ASHA, LAPTOP, PHONE, RAVI
from lab.slapd import in_dovecot_24, slapd

NO = "Mail is paused on this device."
OUTSIDE = "127.0.0.8"
NO_QUESTIONS = {"auth_policy_server_url": "#auth_policy_server_url"}
USERS = {"/etc/dovecot/users": "{folder}/users"}
WEBMAIL_ELSEWHERE = {"127.0.0.1/32": "127.0.0.9/32"}
pytestmark = pytest.mark.timeout(300)

TRUSTING = "login_trusted_networks = 127.0.0.1/32\n"


@pytest.fixture(scope="module")
def gate() -> Iterator[RealGate]:
    with real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]) as running:
        yield running


def imap(server: Dovecot, login: str, password: str, come_from: str = HERE) -> str:
    return mailbox.login(server.port, login, password, come_from=come_from)


def onwards(server: Dovecot) -> dict[str, str]:
    return {"host = 10.0.0.5": f"host = {HERE}", "port = 143": f"port = {server.port}"}


def test_beside_a_directory_devices_have_passwords_of_their_own(gate: RealGate) -> None:
    with ExitStack() as stack:
        directory = stack.enter_context(slapd())
        passdbs = recipe("passdbs-ldap.conf", in_dovecot_24(directory), of="2.4")
        dovecot = stack.enter_context(dovecot24_that_asks(gate.port, passdbs=passdbs))

        assert NO in imap(dovecot, ASHA.login, ASHA.devices[PHONE])
        assert imap(dovecot, ASHA.login, ASHA.devices[LAPTOP]) == "OK"
        # The directory's own password, from the webmail alone.
        assert imap(dovecot, ASHA.login, f"in-the-directory-{ASHA.password}") == "OK"
        assert imap(dovecot, RAVI.login, f"in-the-directory-{RAVI.password}") == "OK"
        outside = imap(dovecot, ASHA.login, f"in-the-directory-{ASHA.password}", OUTSIDE)
        assert outside.startswith("[AUTHENTICATIONFAILED]")
        assert imap(dovecot, ASHA.login, ASHA.password, "127.0.0.7") != "OK"


def test_beside_a_directory_main_passwords_are_told_apart_as_long_as_phones_use_them() -> None:
    with ExitStack() as stack:
        directory = stack.enter_context(slapd())
        passdbs = recipe("passdbs-ldap.conf", in_dovecot_24(directory), of="2.4")
        odd = stack.enter_context(odd_gate())
        dovecot = stack.enter_context(
            dovecot24_that_asks(odd.port, passdbs=with_commented_lines(passdbs))
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
    with slapd() as directory:
        passdbs = recipe("passdbs-ldap.conf", in_dovecot_24(directory), of="2.4")
    with dovecot24_that_asks(gate.port, passdbs=passdbs) as dovecot:
        assert imap(dovecot, ASHA.login, ASHA.devices[LAPTOP]) == "OK"
        assert NO in imap(dovecot, ASHA.login, ASHA.devices[PHONE])


def test_a_master_user_reads_on_whatever_is_paused(gate: RealGate) -> None:
    masters = ROOT / "etc" / "lab-master-users"
    masters.write_text("team:{PLAIN}of-the-team\n", encoding="utf-8")
    masters.chmod(0o644)
    where = {"/etc/dovecot/master-users": "/etc/lab-master-users"}
    passdbs = recipe("passdbs-master.conf", where, of="2.4") + PASSDBS24
    try:
        with dovecot24_that_asks(gate.port, passdbs=passdbs) as dovecot:
            assert NO in imap(dovecot, ASHA.login, ASHA.devices[PHONE])
            assert imap(dovecot, f"{ASHA.login}*team", "of-the-team") == "OK"
            assert imap(dovecot, f"{ASHA.login}*team", "of-the-team", OUTSIDE) != "OK"
            assert imap(dovecot, f"{ASHA.login}*team", ASHA.devices[PHONE], "127.0.0.7") != "OK"
    finally:
        masters.unlink()


def test_a_proxy_that_passes_on_changes_nothing(gate: RealGate) -> None:
    with ExitStack() as stack:
        behind = stack.enter_context(
            dovecot24_that_asks(
                gate.port,
                passdbs=PASSDBS24.replace("{from_webmail}", "127.0.0.9/32"),
                more=TRUSTING,
            )
        )
        passing = recipe("proxy-that-passes-on.conf", onwards(behind), of="2.4")
        proxy = stack.enter_context(
            dovecot24_that_asks(1, passdbs=passing, changes=NO_QUESTIONS, more=TRUSTING)
        )

        refusals = [imap(proxy, ASHA.login, ASHA.devices[PHONE], "127.0.0.6") for _ in range(3)]
        assert all(NO in each for each in refusals)
        assert imap(proxy, ASHA.login, ASHA.devices[LAPTOP], "127.0.0.6") == "OK"
        # The main password: the phone's own address counts, not the proxy's.
        assert imap(proxy, ASHA.login, ASHA.password, "127.0.0.9") == "OK"
        assert imap(proxy, ASHA.login, ASHA.password, OUTSIDE) != "OK"


def test_a_proxy_that_checks_asks_the_gate_itself(gate: RealGate) -> None:
    # As the file says for the back end.
    taking = (
        "login_trusted_networks = 127.0.0.1/32\n"
        "passdb static {{\n  fields {{\n    nopassword = y\n"
        "    allow_real_nets = 127.0.0.1/32\n"
        "    userdb_user_device = %{{passdb:forward_user_device | default('')}}\n  }}\n}}\n"
    )
    with ExitStack() as stack:
        behind = stack.enter_context(dovecot24_that_asks(1, passdbs=taking, changes=NO_QUESTIONS))
        changes = onwards(behind) | WEBMAIL_ELSEWHERE | USERS
        checking = recipe("proxy-that-checks.conf", changes, of="2.4")
        proxy = stack.enter_context(dovecot24_that_asks(gate.port, passdbs=checking))

        assert NO in imap(proxy, ASHA.login, ASHA.devices[PHONE], "127.0.0.6")
        assert imap(proxy, ASHA.login, ASHA.devices[LAPTOP], "127.0.0.6") == "OK"
        assert imap(proxy, ASHA.login, ASHA.password, "127.0.0.9") == "OK"
        assert imap(proxy, ASHA.login, ASHA.password, OUTSIDE) != "OK"
        assert imap(behind, ASHA.login, "whatever", OUTSIDE) != "OK"  # nobody passes the proxy by

        # Sessions are ended where they are, device by device.
        laptop, phone = OpenSession(ASHA.login, LAPTOP), OpenSession(ASHA.login, PHONE)
        server = Doveadm((f"http://{HERE}:{behind.admin}",), ADMIN_KEY)
        with mailbox.session(proxy.port, ASHA.login, ASHA.devices[LAPTOP]) as connection:
            assert server.end([phone]) == {phone: Ended.NOT_OPEN}
            assert mailbox.is_open(connection)
            assert server.end([laptop]) == {laptop: Ended.ENDED}
            until("the end of the session", lambda: not mailbox.is_open(connection))


def test_the_passwd_file_form_needs_no_script(gate: RealGate) -> None:
    word, other = "k7fd-m2qx-9wsa-cc4h-t3nv", "x9ab-m2qx-9wsa-cc4h-t3nv"
    line = DeviceLine(ASHA.login, PHONE, password_files.hashed(word), word[:4])
    path = ROOT / "etc" / "lab-device-passwd"
    password_files.write_passwd_file(path, [line])
    path.chmod(0o644)
    own = (
        "passdb devices {{\n  driver = passwd-file\n"
        "  passwd_file_path = /etc/lab-device-passwd\n}}\n"
    )
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@/"
    try:
        with dovecot24_that_asks(
            gate.port, passdbs=own + PASSDBS24, more=f"auth_username_chars = {letters}\n"
        ) as dovecot:
            assert NO in imap(dovecot, f"{ASHA.login}/{PHONE}", word)
            assert imap(dovecot, f"{ASHA.login}/{PHONE}", other, "127.0.0.6") != "OK"
    finally:
        path.unlink()
