"""The doctor reads what Dovecot 2.4 prints of itself, which looks unlike what 2.3 prints."""

import subprocess
from pathlib import Path

import pytest

from countermand.environment import load
from countermand.project.findings import State
from countermand.project.front_checkup import Fronts, examine_fronts
from lab import mailbox
from lab.dovecot import ASKS_ANOTHER_FIRST, Dovecot
from lab.dovecot24 import LIMITED_BY_GROUPS24, PASSDBS24, ROOT, dovecot24_that_asks
from lab.ground import held_port
from lab.people import ASHA, PHONE

ABROAD = "127.0.0.8"
NODELAY_TOO_EARLY = {"user_device = webmail": "nodelay = y\n    user_device = webmail"}


def said_of(server: Dovecot, data: Path, **environment: str) -> str:
    inside = f"/{server.folder.name}/dovecot.conf"
    command = ["chroot", str(ROOT), "doveconf", "-n", "-c", inside]
    answer = subprocess.run(command, check=True, capture_output=True, encoding="utf-8", timeout=60)
    path = server.folder / "printed"
    path.write_text(answer.stdout, encoding="utf-8")
    found = examine_fronts(Fronts(files=[path]), load(environment, data=data))
    return " ".join(each.sentence for each in found if each.state is State.BAD)


def test_as_shipped_it_is_well(tmp_path: Path) -> None:
    with dovecot24_that_asks(1, patient=False) as dovecot:
        assert said_of(dovecot, tmp_path) == ""

    upstream = "http://127.0.0.1:8084/policy"
    with dovecot24_that_asks(1, shipped=ASKS_ANOTHER_FIRST, patient=False) as dovecot:
        assert said_of(dovecot, tmp_path, COUNTERMAND_POLICY_UPSTREAM=upstream) == ""
        assert "more or less often" in said_of(dovecot, tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("auth_policy_reject_on_fail = no", "auth_policy_reject_on_fail = yes", "lets nobody in"),
        ("absolute_timeout = 2s", "absolute_timeout = 20s", "waits 20000 ms"),
        ("report_after_auth = no", "report_after_auth = yes", "more or less often"),
        ("device = %{passdb:user_device | default('')}", "", "which device asks"),
        ("mechanism = %{mechanism}", "", "OAuth is not counted"),
    ],
)
def test_each_fault_of_the_shipped_file_is_named(
    tmp_path: Path, before: str, after: str, sentence: str
) -> None:
    with dovecot24_that_asks(1, changes={before: after}, patient=False) as dovecot:
        assert sentence in said_of(dovecot, tmp_path)


def test_a_server_that_lets_nobody_in_without_a_gate_is_named(tmp_path: Path) -> None:
    changes = {"auth_policy_reject_on_fail = no": "auth_policy_reject_on_fail = yes"}
    with held_port() as nobody, dovecot24_that_asks(nobody, changes=changes) as dovecot:
        assert mailbox.login(dovecot.port, ASHA.login, ASHA.devices[PHONE]) != "OK"
        assert "lets nobody in" in said_of(dovecot, tmp_path)


def test_a_main_password_that_is_good_from_everywhere_is_named(tmp_path: Path) -> None:
    with dovecot24_that_asks(1, passdbs=LIMITED_BY_GROUPS24, patient=False) as dovecot:
        said = mailbox.login(dovecot.port, ASHA.login, ASHA.password, come_from=ABROAD)
        assert said == "OK"
        assert "is good from everywhere" in said_of(dovecot, tmp_path)


def test_nodelay_that_spares_whoever_guesses_is_named(tmp_path: Path) -> None:
    [(before, after)] = NODELAY_TOO_EARLY.items()
    with dovecot24_that_asks(1, passdbs=PASSDBS24.replace(before, after, 1)) as dovecot:
        assert mailbox.login(dovecot.port, ASHA.login, "a guess", come_from=ABROAD) != "OK"
        assert dovecot.doveadm(["penalty", {}, "p"]) == [["doveadmResponse", [], "p"]]
        assert "guesses passwords is not slowed down" in said_of(dovecot, tmp_path)
