from __future__ import annotations

import contextvars
import errno
import os

import pytest

from countermand import i18n
from countermand.data_folder import FileDamaged
from countermand.domain.errors import CountermandError, FaultsFound


@pytest.mark.parametrize(
    ("environ", "flag", "language"),
    [
        ({}, None, "en"),
        ({"LANG": "hi_IN.UTF-8"}, None, "hi"),
        ({"LANG": "hi_IN.UTF-8", "LC_ALL": "C"}, None, "en"),
        ({"LANG": "en_GB", "LC_MESSAGES": "hi"}, None, "hi"),
        ({"LANG": "en_GB"}, "hi", "hi"),
        ({"LANG": "hi_IN"}, "en", "en"),
        ({"LANG": "fr_FR"}, None, "en"),
    ],
)
def test_the_flag_speaks_first_then_the_locale(
    environ: dict[str, str], flag: str | None, language: str
) -> None:
    assert i18n.from_locale(environ, flag) == language


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["pause", "CM-7Q4K", "--lang", "hi"], "hi"),
        (["--lang=hi", "pause"], "hi"),
        (["note", "--", "--lang", "hi"], None),
        (["pause", "--lang"], None),
    ],
)
def test_the_flag_is_found_before_any_parser_is_loaded(
    arguments: list[str], flag: str | None
) -> None:
    assert i18n.flag_of(arguments) == flag


def test_an_error_is_told_whole_in_both_languages() -> None:
    error = FaultsFound(what="order.yaml", faults=())

    assert i18n.told(error, "en")[0] == ("order.yaml was refused; nothing of it was taken over.")
    assert i18n.told(error, "hi")[0] != i18n.told(error, "en")[0]
    assert "order.yaml" in i18n.told(error, "hi")[0]


def test_the_language_in_use_belongs_to_the_one_who_chose_it() -> None:
    def in_hindi() -> str:
        i18n.use("hi")
        return i18n.gettext(CountermandError.sentence)

    said = contextvars.copy_context().run(in_hindi)

    assert said != CountermandError.sentence
    assert i18n.gettext(CountermandError.sentence) == CountermandError.sentence


def test_an_empty_text_stays_empty() -> None:
    assert i18n.gettext("") == ""


@pytest.mark.parametrize(
    "number",
    [
        *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EEXIST),
        *(errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EADDRINUSE),
        *(errno.ECONNREFUSED, errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH),
    ],
    ids=os.strerror,
)
def test_what_the_system_says_is_told_in_hindi_too(number: int) -> None:
    said = os.strerror(number)
    whole = str(OSError(number, said, "/var/log/mail.log"))

    alone, _ = i18n.told(FileDamaged(path="/x", why=said), "hi")
    with_path, _ = i18n.told(FileDamaged(path="/x", why=whole), "hi")

    for sentence in (alone, with_path):
        assert said not in sentence
        assert "Errno" not in sentence
    assert "/var/log/mail.log" in with_path
    assert said in i18n.told(FileDamaged(path="/x", why=said), "en")[0]


def test_a_reason_of_ours_is_told_in_hindi_too() -> None:
    error = FileDamaged(path="/x", why="it is not a JSON object")

    assert "it is not" not in i18n.told(error, "hi")[0]
    assert error.facts()["why"] == "it is not a JSON object"
