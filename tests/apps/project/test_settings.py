"""Settings are read once, from where they were said to be, and never guessed."""

from pathlib import Path

import pytest

from countermand import config, environment
from countermand.config import RelayNotLoopback
from countermand.data_folder import DataFolder, FileDamaged, write_json
from countermand.environment import SettingFileMissing, SettingNotUnderstood


def load(folder: Path, **environ: str) -> config.Settings:
    return environment.load({"COUNTERMAND_DATA": str(folder), **environ})


def test_without_a_word_every_setting_has_its_default(tmp_path: Path) -> None:
    settings = load(tmp_path)

    assert settings.relay == "127.0.0.1:25"
    assert settings.company_notice_word["hi"] == "कंपनी सूचना"
    assert settings.sweep_every_s == 10.0
    assert settings.database_url == ""


def test_a_setting_is_taken_from_its_variable(tmp_path: Path) -> None:
    settings = load(tmp_path, COUNTERMAND_RELAY="mail.example.org:2525", COUNTERMAND_WINDOW="4")

    assert (settings.relay, settings.window) == ("mail.example.org:2525", 4)


def test_a_slash_behind_the_address_of_a_gate_is_no_part_of_it(tmp_path: Path) -> None:
    settings = load(tmp_path, COUNTERMAND_GATES="http://127.0.0.1:43115/, gate.example.org:8482/")

    assert settings.gates == ("http://127.0.0.1:43115", "http://gate.example.org:8482")


def test_a_setting_may_lie_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://db.example.org/countermand\n", encoding="utf-8")

    settings = load(tmp_path, DATABASE_URL_FILE=str(secret))

    assert settings.database_url == "postgresql://db.example.org/countermand"


def test_a_file_that_is_named_and_missing_is_no_default(tmp_path: Path) -> None:
    with pytest.raises(SettingFileMissing):
        load(tmp_path, COUNTERMAND_RELAY_FILE=str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RELAY", "mail.example.org"),
        ("RELAY", "mail.example.org:99999"),
        ("CONNECTIONS", "0"),
        ("CONNECTIONS", "many"),
        ("SWEEP_EVERY_S", "-1"),
        ("SWEEP_EVERY_S", "nan"),
        ("SWEEP_EVERY_S", "inf"),
        ("ZONE", "Mumbai"),
        ("ZONE", "../localtime"),
        ("COMPANY_NOTICE_WORD", "Notice"),
        ("COMPANY_NOTICE_WORD", '{"en": 1}'),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_read_is_refused_by_name(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(SettingNotUnderstood) as refused:
        load(tmp_path, **{f"COUNTERMAND_{name}": value})

    assert refused.value.name == f"COUNTERMAND_{name}"


def test_the_running_installation_fills_in_its_addresses(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.run.mkdir()
    write_json(folder.up_file, {"database_url": "postgresql:///x", "gates": ["http://[::1]:1"]})

    assert load(tmp_path).database_url == "postgresql:///x"
    assert load(tmp_path).gates == ("http://[::1]:1",)
    assert load(tmp_path, DATABASE_URL="postgresql:///y").database_url == "postgresql:///y"


@pytest.mark.parametrize("content", ["", "[]", "{", "\xff"], ids=["empty", "list", "half", "bytes"])
def test_a_damaged_file_is_said_and_never_guessed_at(tmp_path: Path, content: str) -> None:
    folder = DataFolder(tmp_path)
    folder.run.mkdir()
    folder.up_file.write_text(content, encoding="latin-1")

    with pytest.raises(FileDamaged):
        load(tmp_path)


def test_misspelt_settings_are_named() -> None:
    environ = {"COUNTERMAND_REALY": "x", "COUNTERMAND_RELAY_FILE": "y", "COUNTERMAND_TOKEN": "z"}

    assert environment.unknown_names(environ) == ("COUNTERMAND_REALY",)


@pytest.mark.parametrize(
    "relay", ["mail.example.org:25", "10.0.0.1:25", "127.0.0.1.example.org:25"]
)
def test_a_demonstration_refuses_a_relay_beyond_this_machine(tmp_path: Path, relay: str) -> None:
    write_json(DataFolder(tmp_path).instance, {"kind": "demonstration"})

    load(tmp_path, COUNTERMAND_RELAY="[::1]:25").check_relay()
    with pytest.raises(RelayNotLoopback):
        load(tmp_path, COUNTERMAND_RELAY=relay).check_relay()


def test_a_real_installation_may_use_any_relay(tmp_path: Path) -> None:
    write_json(DataFolder(tmp_path).instance, {"kind": "production"})

    load(tmp_path, COUNTERMAND_RELAY="mail.example.org:25").check_relay()


def test_every_setting_has_a_sentence() -> None:
    assert all(each.sentence.endswith(".") for each in config.describe())
