"""Settings that would make a mail look forged, or lead answers nowhere, are named, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from countermand import environment
from countermand.orders import house_settings

WRONG = {
    "COUNTERMAND_MAIL_FROM": "nonsense",
    "COUNTERMAND_REPLY_TO": "noreply@x.org",
    "COUNTERMAND_MAIL_DOMAIN": "a b",
    "COUNTERMAND_DEFAULT_LANGUAGE": "xx",
    "COUNTERMAND_ORGANISATION": "",
}


def named(data: Path, environ: dict[str, str]) -> dict[str, str]:
    """The sentence and the remedy of each fault, by the variable that it is about."""
    settings = environment.load({"COUNTERMAND_DATA": str(data), **environ})
    return {fault.key: str(fault) for fault in house_settings.faults_of(settings)}


@pytest.mark.parametrize("name", WRONG)
def test_a_setting_that_no_mail_should_carry_is_named_with_a_way_out(
    tmp_path: Path, name: str
) -> None:
    found = named(tmp_path, {name: WRONG[name]})

    assert list(found) == [name]
    assert WRONG[name] in found[name]
    assert f"Set {name} to" in found[name]


def test_all_of_them_are_named_at_once(tmp_path: Path) -> None:
    assert set(named(tmp_path, WRONG)) == set(WRONG)


@pytest.mark.parametrize(
    "right",
    [
        {},
        {
            "COUNTERMAND_MAIL_FROM": "orders@आशा.भारत",
            "COUNTERMAND_REPLY_TO": "it-help@mail.corp.example",
            "COUNTERMAND_MAIL_DOMAIN": "आशा.भारत",
            "COUNTERMAND_DEFAULT_LANGUAGE": "hi",
            "COUNTERMAND_ORGANISATION": "आशा",
        },
    ],
)
def test_settings_that_mails_may_carry_are_no_faults(tmp_path: Path, right: dict[str, str]) -> None:
    assert named(tmp_path, right) == {}


def test_an_empty_place_for_answers_is_never_somebody_elses(tmp_path: Path) -> None:
    given = {"COUNTERMAND_DATA": str(tmp_path), "COUNTERMAND_REPLY_TO": ""}

    assert environment.load(given).reply_to == ""
    assert list(named(tmp_path, given)) == ["COUNTERMAND_REPLY_TO"]
