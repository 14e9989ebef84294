"""Which kinds of inventory sources there are, and how the files of each are opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from countermand.byte_source import ByteSource
from countermand.connectors.android_management.source import AndroidManagementReader
from countermand.connectors.csv_files.source import CsvFiles
from countermand.connectors.fleet.source import FleetReader
from countermand.connectors.intune_export import report_zip
from countermand.connectors.intune_export.source import IntuneExport
from countermand.connectors.jamf.source import JamfReader
from countermand.connectors.names import SourceKind
from countermand.connectors.nanomdm.source import NanoMdmReader
from countermand.connectors.workspace.source import WorkspaceReader
from countermand.domain.app_id import WantedApp
from countermand.domain.errors import Fault, FaultsFound
from countermand.ports import InventorySource
from countermand.wire import json_documents
from countermand.wire.json_documents import Faulty, Record
from countermand.wire.paged import DocumentReader, PagedSource

READERS: Final = {
    SourceKind.NANOMDM: NanoMdmReader,
    SourceKind.ANDROID_MANAGEMENT: AndroidManagementReader,
    SourceKind.WORKSPACE: WorkspaceReader,
    SourceKind.FLEET: FleetReader,
    SourceKind.JAMF: JamfReader,
}


def open_files(
    kind: SourceKind, files: Sequence[Path], *, apps: Sequence[WantedApp], as_of: datetime
) -> InventorySource:
    """Open files that somebody saved; zips are opened as what they hold. Raises FaultsFound."""
    if kind is SourceKind.CSV:
        return CsvFiles(_tables(kind, files), apps=apps, as_of=as_of)
    if kind is SourceKind.INTUNE:
        pages = [path for path in files if path.suffix.lower() == ".json"]
        tables = _tables(kind, [path for path in files if path not in pages])
        return IntuneExport(tables, apps=apps, as_of=as_of, documents=tuple(_documents(pages)))
    reader: DocumentReader = READERS[kind]()
    return PagedSource(reader, _documents(files), apps=apps, as_of=as_of)


def may_be_a_part(source: InventorySource) -> bool:
    """Whether files that were read look whole, and yet their first pages may be missing."""
    if not isinstance(source, PagedSource | IntuneExport):
        return False
    return source.is_whole and not source.tells_its_beginning


def _tables(kind: SourceKind, files: Sequence[Path]) -> list[ByteSource]:
    tables, faults = [], []
    for path in files:
        is_zip = path.suffix.lower() == ".zip"
        opened = report_zip.opened(path) if is_zip else ByteSource.of(path)
        if isinstance(opened, Fault):
            faults.append(opened)
        else:
            tables.append(opened)
    if faults:
        raise FaultsFound.of(kind.value, faults)
    return tables


def _documents(files: Sequence[Path]) -> Iterator[Record | Fault]:
    """Read one file after the other; what was asked is read before what was answered."""
    for path in sorted(files, key=lambda each: ("commands" not in each.name, each.name)):
        try:
            yield json_documents.read(ByteSource.of(path))
        except Faulty as faulty:
            yield faulty.fault
