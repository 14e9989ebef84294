"""Device passwords as Countermand writes them, and the end of sessions, under the real Dovecot 2.3.

No gate runs: what Dovecot does with a dead one has tests of its own.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from countermand.connectors.doveadm.sessions import Doveadm
from countermand.domain.device_password import SHARDS, shard_of
from countermand.enforcement import password_files
from countermand.enforcement.password_files import DeviceLine
from countermand.ports import Ended, OpenSession
from lab import mailbox
from lab.dovecot import ADMIN_KEY, FROM_PHONES, PASSDBS, Dovecot, dovecot_that_asks
from lab.ground import DEPLOY, HERE, until
from lab.people import ASHA, RAVI, Person

WORD = "k7fd-m2qx-9wsa-cc4h-t3nv"
OTHER_WORD = "x9ab-m2qx-9wsa-cc4h-t3nv"
WEBMAIL = "127.0.0.9"
NO_GATE = 1
SHARING = "service imap {\n  client_limit = 10\n  service_count = 0\n  process_limit = 1\n}\n"


@contextmanager
def dovecot(folder: Path, *, more: str = "") -> Iterator[Dovecot]:
    script = {
        'folder = "/etc/dovecot/device-passwords"': f'folder = "{folder}"',
        '{ ["127.0.0.1"] = true, ["::1"] = true }': f'{{ ["{WEBMAIL}"] = true }}',
    }
    with dovecot_that_asks(
        NO_GATE,
        passdbs=PASSDBS + FROM_PHONES,
        from_webmail=f"{WEBMAIL}/32",
        script=script,
        more=more,
    ) as made:
        yield made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two devices of one person, whose main password is limited; another person has none."""
    folder = tmp_path_factory.mktemp("passwords")
    lines = [
        DeviceLine(ASHA.login, "phone-x4t9m2qa", password_files.hashed(WORD), WORD[:4]),
        DeviceLine(ASHA.login, "laptop-bb32ccdd", password_files.hashed(OTHER_WORD), "x9ab"),
    ]
    with password_files.locked(folder):
        password_files.write_devices(folder, range(SHARDS), lines)
        password_files.write_limited(folder, [ASHA.login])
        password_files.remember(folder, {})
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Dovecot]:
    with dovecot(folder) as running:
        yield running


def logs_in(server: Dovecot, login: str, password: str, address: str = "127.0.0.1") -> bool:
    return mailbox.login(server.port, login, password, come_from=address) == "OK"


def test_a_device_password_opens_and_what_is_near_it_does_not(server: Dovecot) -> None:
    assert logs_in(server, ASHA.login, WORD)
    assert logs_in(server, ASHA.login.upper(), OTHER_WORD)
    # Each guess from an address of its own: Dovecot lets whoever guesses wait ever longer.
    assert not logs_in(server, ASHA.login, WORD[:-1], "127.0.0.11")
    assert not logs_in(server, RAVI.login, WORD, "127.0.0.12")


def test_a_limited_main_password_is_good_at_the_webmail_alone(server: Dovecot) -> None:
    assert not logs_in(server, ASHA.login, ASHA.password, "127.0.0.8")
    assert logs_in(server, ASHA.login, ASHA.password, WEBMAIL)


def test_capital_letters_get_nobody_past_the_limit_of_the_main_password(folder: Path) -> None:
    as_typed = "auth_username_format = %u\n"
    with dovecot(folder, more=as_typed) as server:
        shouted = ASHA.login.upper()
        assert logs_in(server, shouted, WORD)
        assert not logs_in(server, shouted, ASHA.password, "127.0.0.13")


def test_a_file_that_cannot_be_read_makes_nobody_s_password_wrong(
    folder: Path, server: Dovecot
) -> None:
    shard = folder / "devices" / f"{shard_of(ASHA.login):03x}"
    aside = shard.rename(shard.with_suffix(".aside"))
    shard.symlink_to(shard)  # root reads whatever its mode is, but no circle
    try:
        said = mailbox.login(server.port, ASHA.login, WORD, come_from="127.0.0.14")
    finally:
        aside.rename(shard)
    assert "UNAVAILABLE" in said


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_passdbs_of_the_script_s_head_take_a_webmail_of_this_machine_either_way(
    address: str,
) -> None:
    """Whatever asks for `localhost` comes from ::1 first."""
    head = (DEPLOY / "dovecot-2.3/device-passwords.lua").read_text(encoding="utf-8")
    lines = [line.removeprefix("--   ") for line in head.splitlines() if line.startswith("--   ")]
    passdbs = "\n".join(lines[: lines.index("}", lines.index("}") + 1) + 1])
    passdbs = passdbs.replace("{", "{{").replace("}", "}}").replace("/etc/dovecot/", "{folder}/")

    with dovecot_that_asks(NO_GATE, passdbs=passdbs) as server:
        logs_in_from = subprocess.run(
            [
                *("doveadm", "-c", str(server.folder / "dovecot.conf"), "auth", "test"),
                *("-x", "service=imap", "-x", f"rip={address}", ASHA.login, ASHA.password),
            ],
            check=False,
            capture_output=True,
            encoding="utf-8",
        )

    assert "user_device=webmail" in logs_in_from.stdout


def test_whoever_is_not_limited_reads_on_with_the_main_password(server: Dovecot) -> None:
    assert logs_in(server, RAVI.login, RAVI.password, "127.0.0.7")


def test_no_log_names_a_device_password_or_its_hash(folder: Path) -> None:
    telling = "auth_verbose = yes\nauth_debug = yes\n"
    with dovecot(folder, more=telling) as talkative:
        assert logs_in(talkative, ASHA.login, WORD)
        assert not logs_in(talkative, ASHA.login, WORD[:-1], "127.0.0.5")
        until("the login in the log", lambda: "Login: user=" in talkative.log)
        said = talkative.log

    hashes = [
        line.split("\t")[2]
        for path in (folder / "devices").iterdir()
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    assert len(hashes) == 2
    for secret in (WORD, WORD[:-1], "argon2", *hashes):
        assert secret not in said


def test_the_passwd_file_form_needs_no_script(tmp_path: Path) -> None:
    hashed = password_files.hashed(WORD)
    line = DeviceLine(ASHA.login, "phone-x4t9m2qa", hashed, WORD[:4])
    path = Path("/tmp") / f"cm-passwd-{tmp_path.name}"
    password_files.write_passwd_file(path, [line])
    path.chmod(0o644)
    own = f"passdb {{{{\n  driver = passwd-file\n  args = {path}\n}}}}\n"
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@/"
    try:
        with dovecot_that_asks(
            NO_GATE, passdbs=own + PASSDBS, more=f"auth_username_chars = {letters}\n"
        ) as server:
            assert logs_in(server, f"{ASHA.login}/phone-x4t9m2qa", WORD)
            until("the login in the log", lambda: f"user=<{ASHA.login}>" in server.log)
            assert not logs_in(server, f"{ASHA.login}/phone-x4t9m2qa", OTHER_WORD, "127.0.0.6")
    finally:
        path.unlink()


def doveadm(server: Dovecot, key: str = ADMIN_KEY) -> Doveadm:
    return Doveadm((f"http://{HERE}:{server.admin}",), key)


def test_the_refused_person_s_sessions_end_and_a_colleague_s_do_not(server: Dovecot) -> None:
    phone = OpenSession(ASHA.login, "phone-x4t9m2qa")
    nobody = OpenSession("nobody@example.org", "phone-22222222")

    with (
        mailbox.session(server.port, ASHA.login, WORD) as refused,
        mailbox.session(server.port, RAVI.login, RAVI.password) as colleague,
    ):
        assert doveadm(server).end([phone, nobody]) == {
            phone: Ended.ENDED,
            nobody: Ended.NOT_OPEN,
        }
        # Dovecot has said that it ends the session; it does so a moment later.
        until("the end of the session", lambda: not mailbox.is_open(refused))
        assert mailbox.is_open(colleague)
    assert doveadm(server).end([phone]) == {phone: Ended.NOT_OPEN}


def test_without_the_right_key_or_a_server_nobody_knows(server: Dovecot) -> None:
    tablet = OpenSession(RAVI.login, "tablet-22222222")
    nobody = OpenSession("nobody@example.org", "phone-22222222")
    one_is_dead = Doveadm(("http://127.0.0.1:1", f"http://{HERE}:{server.admin}"), ADMIN_KEY)

    with mailbox.session(server.port, RAVI.login, RAVI.password) as colleague:
        assert doveadm(server, "another-key").end([tablet]) == {tablet: Ended.FAILED}
        assert one_is_dead.end([nobody]) == {nobody: Ended.FAILED}
        assert mailbox.is_open(colleague)


def test_a_process_that_serves_two_people_is_left_alone(folder: Path) -> None:
    phone = OpenSession(ASHA.login, "phone-x4t9m2qa")

    with (
        dovecot(folder, more=SHARING) as server,
        mailbox.session(server.port, ASHA.login, WORD) as refused,
        mailbox.session(server.port, RAVI.login, RAVI.password) as colleague,
    ):
        assert doveadm(server).end([phone]) == {phone: Ended.SHARED}
        assert mailbox.is_open(refused)
        assert mailbox.is_open(colleague)


def test_sessions_end_where_the_server_knows_people_by_a_domain_in_its_letters() -> None:
    ram = Person("ram@कंपनी.भारत", "main-of-ram", {})
    phone = OpenSession("ram@xn--i1b1b4ch5i.xn--h2brj9c", "phone-x4t9m2qa")

    with (
        dovecot_that_asks(
            NO_GATE, people=[ram, RAVI], passdbs=FROM_PHONES, more="auth_username_chars =\n"
        ) as server,
        mailbox.session(server.port, ram.login, ram.password) as refused,
        mailbox.session(server.port, RAVI.login, RAVI.password) as colleague,
    ):
        assert doveadm(server).end([phone]) == {phone: Ended.ENDED}
        until("the end of the session", lambda: not mailbox.is_open(refused))
        assert mailbox.is_open(colleague)
