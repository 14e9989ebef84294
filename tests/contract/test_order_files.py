"""The order files that we ship: the good one is read, each bad one is refused where it is bad."""

import re
from pathlib import Path

import pytest

from countermand.catalogue.queries import catalogue
from countermand.domain.errors import Fault, FaultsFound
from countermand.domain.order_document import read
from countermand.domain.order_faults import CODES
from countermand.domain.order_parts import OrderDocument
from countermand.orders.document_file import load
from tests.order_samples import NOW

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BAD = sorted((EXAMPLES / "bad" / "orders").glob("*.yaml"))
EXPECTED = re.compile(rb"^# expect: (\S+) line (\d+)$", re.MULTILINE)


def read_file(path: Path) -> OrderDocument:
    mapping, lines = load(path)
    return read(mapping, lines, file=path.name, catalogue=catalogue(), now=NOW)


def faults_of(path: Path) -> list[Fault]:
    with pytest.raises(FaultsFound) as refused:
        read_file(path)
    return list(refused.value)


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_exactly_its_faults_and_their_lines(path: Path) -> None:
    expected = {(code.decode(), int(line)) for code, line in EXPECTED.findall(path.read_bytes())}

    found = {(fault.code, fault.line) for fault in faults_of(path)}

    assert expected
    assert found == expected


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_every_fault_says_in_words_what_is_wrong_and_what_to_do(path: Path) -> None:
    for fault in faults_of(path):
        assert fault.sentence
        assert fault.remedy
        assert not re.search(
            r"\{[a-z_]+\}",
            str(fault)
            .replace("{everybody}", "")
            .replace("{replaced_by}", "")
            .replace("{taken_back_at}", ""),
        ), str(fault)


def test_every_fault_that_an_order_can_have_has_a_bad_file() -> None:
    shown = {fault.code for path in BAD for fault in faults_of(path)}

    assert set() == CODES - shown


def test_the_order_as_it_was_sent_is_refused_with_all_its_faults_at_once() -> None:
    found = {fault.code for fault in faults_of(EXAMPLES / "july-2020" / "order-as-sent.yaml")}

    assert found == {
        "order.deadline_hour_missing",
        "order.deadline_zone_missing",
        "order.deadline_too_soon",
        "order.audience_missing",
        "order.hearing_missing",
        "order.evidence_missing",
        "order.app_edition_missing",
        "order.language_only_one",
        "order.corrections_missing",
        "order.statement_missing",
        "order.approvers_missing",
        "order.key_missing",  # a day on which it is looked at again
    }


def test_the_order_as_it_was_sent_has_a_line_for_every_fault() -> None:
    path = EXAMPLES / "july-2020" / "order-as-sent.yaml"
    last = len(path.read_text(encoding="utf-8").splitlines())

    assert all(1 <= (fault.line or 0) <= last for fault in faults_of(path))


def test_the_repaired_order_is_read_in_both_languages() -> None:
    order = read_file(EXAMPLES / "july-2020" / "order.yaml")

    assert order.languages == {"en", "hi"}
    assert order.apps == ("tiktok",)
