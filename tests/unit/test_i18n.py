from __future__ import annotations

import ast
import contextvars
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from countermand import i18n
from countermand.data_folder import FileDamaged
from countermand.domain.approvals import NotOpened, OwnApproval, Part, SameHand
from countermand.domain.errors import CountermandError, FaultsFound
from countermand.domain.lifecycle import StepNotAllowed
from countermand.domain.order_faults import fault_of
from countermand.domain.phases import Phase, Step
from countermand.orders.refusals import NotYours
from countermand.system_reasons import WITH_VALUES, in_other_words

ROOT = Path(__file__).parents[2]


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


@pytest.mark.parametrize(
    "refusal",
    [
        StepNotAllowed(phase=Phase.CANARY, step=Step.RETURN_FOR_CHANGES),
        OwnApproval(person_id=1, part="submitter"),
        SameHand(person_id=1, earlier="pause"),
        NotOpened.of(1, [Part.PLAN, Part.NOTICE, Part.CORRECTION]),
        NotYours(step=Step.RETURN_FOR_CHANGES, roles="", may=""),
    ],
)
def test_no_word_of_ours_stays_english_within_a_hindi_refusal(refusal: CountermandError) -> None:
    sentence, _ = i18n.told(refusal, "hi")

    assert not re.search(r"[A-Za-z]", sentence)


def test_the_language_in_use_belongs_to_the_one_who_chose_it() -> None:
    def in_hindi() -> str:
        i18n.use("hi")
        return i18n.gettext(CountermandError.sentence)

    said = contextvars.copy_context().run(in_hindi)

    assert said != CountermandError.sentence
    assert i18n.gettext(CountermandError.sentence) == CountermandError.sentence


def test_what_the_mail_server_took_is_not_called_arrived_in_hindi() -> None:
    in_hindi = i18n.translate("hi")

    assert in_hindi("accepted") == "मेल-सर्वर ने ली"
    assert in_hindi("arrived") == "पहुँच गई"


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


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("report Apps is not ready", "रिपोर्ट Apps अभी तैयार नहीं है"),
        ("1 of 2 approvals of this version", "इस रूप की 2 में से 1 मंज़ूरियाँ"),
        ("SMTPException: the relay said 550 no", "SMTPException: मेल-रिले ने कहा: 550 no"),
        ("one of: gate, none", "इनमें से एक: gate, none"),
        (
            "TLS with the relay failed: timed out",
            "मेल-रिले के साथ TLS नहीं बन पाया: जवाब का समय बीत गया",
        ),
    ],
)
def test_a_reason_that_names_numbers_is_told_in_the_language_in_use(why: str, said: str) -> None:
    assert in_other_words(why, i18n.translate("hi")) == said
    assert in_other_words(why, i18n.translate("en")) == why


def test_what_nobody_here_worded_stays_as_it_is() -> None:
    for why in ("the moon is not full", "is not ready", "x" * 10_000):
        assert in_other_words(why, i18n.translate("hi")) == why


def test_hints_of_an_order_file_are_told_in_the_language_in_use() -> None:
    hint = "a duration such as 30min, 72h or 10d"
    facts = {"value": "soon", "name": "deadline", "hint": hint}
    fault = fault_of("order.value_not_understood", key="", line=1, file=None, facts=facts)

    sentence, remedy = i18n.told_fault(fault, "hi")

    assert hint not in sentence + remedy
    assert "30min, 72h या 10d" in remedy


def reasons_with_values() -> Iterator[tuple[str, str]]:
    """Reasons in sentences that are filled in Python, where errors are raised: place and form."""
    for path in sorted((ROOT / "src" / "countermand").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            named = getattr(getattr(call, "func", None), "id", "")
            if not isinstance(call, ast.Call) or named not in RAISED_WITH_A_REASON:
                continue
            for value in (*call.args, *(each.value for each in call.keywords)):
                if isinstance(value, ast.JoinedStr):
                    parts = [getattr(part, "value", None) for part in value.values]
                    form = "".join(p if isinstance(p, str) else "{}" for p in parts)
                    if re.search(r"[a-z]{2,} [a-z]{2,}", form):
                        yield f"{path.name}:{call.lineno}", form


RAISED_WITH_A_REASON = {"EntryWrong", "LinkLost", "SourceUnavailable", "NotThere", "ConnectError"}


def test_every_reason_with_values_is_known_again_by_its_form() -> None:
    known = {re.sub(r"\{[a-z]+\}", "{}", each) for each in WITH_VALUES}
    found = list(reasons_with_values())

    assert len(found) > 20
    assert [(place, form) for place, form in found if form not in known] == []
