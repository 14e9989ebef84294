"""Every faulty import of the examples is refused for exactly what was written down beforehand."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from countermand.byte_source import ByteSource
from countermand.catalogue.queries import catalogue
from countermand.connectors.csv_files.people import Defaults, PeopleFiles
from countermand.connectors.kinds import open_files
from countermand.connectors.names import SourceKind
from countermand.domain.errors import Fault, FaultsFound
from countermand.domain.inventory import RejectedRow

FOLDER = Path(__file__).parent.parent.parent / "examples" / "bad" / "imports"
NOW = datetime.fromisoformat("2026-11-23T06:00:00Z")
EXPECTED: dict[str, list[tuple[str, int | None, str]]] = {
    name: [(code, line, key) for code, line, key in faults]
    for name, faults in json.loads((FOLDER / "expected.json").read_text(encoding="utf-8")).items()
    if name != "_"
}


def faults_of(name: str) -> list[Fault]:
    path = FOLDER / name
    if name.startswith("people-"):
        people = PeopleFiles([ByteSource.of(path)], defaults=Defaults())
        list(people.people())
        return all_faults(people.faults.faults, people.rejected)
    paths = [path]
    if name.startswith("apps-") and name != "apps-without-devices.csv":
        paths.insert(0, FOLDER / "good-devices.csv")
    try:
        kind = SourceKind.INTUNE if name.startswith("intune-") else SourceKind.CSV
        source = open_files(kind, paths, apps=catalogue().wanted(["tiktok"]), as_of=NOW)
    except FaultsFound as refusal:
        return list(refusal.faults)
    list(source.reports())
    return all_faults(list(source.faults.faults), list(source.rejected))


def all_faults(of_files: list[Fault], rejected: list[RejectedRow]) -> list[Fault]:
    return [*of_files, *(fault for row in rejected for fault in row.faults)]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_faulty_file_is_refused_for_what_is_wrong_with_it_and_for_nothing_else(
    name: str,
) -> None:
    faults = faults_of(name)

    found = sorted((fault.code, fault.line, fault.key) for fault in faults)
    assert found == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_fault_names_its_file_and_a_way_out(name: str) -> None:
    for fault in faults_of(name):
        assert fault.file is not None
        assert fault.remedy
        assert "{" not in str(fault)


def test_every_faulty_file_has_its_answer() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"README.md", "expected.json"}

    assert files - {"good-devices.csv"} == set(EXPECTED)
