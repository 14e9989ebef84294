"""A gate's table as a version wrote it whose records are longer, and whose parts are named so."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import lmdb

from countermand.domain.door_record import RECORD_BYTES
from countermand.gate.table import PARTS

# What wrote no form, and a later version.
OTHER_FORMS = {"none": (b"doors", b"about"), "later": (b"doors.9", b"about.9")}
_MORE = b"\x7f" * 8


def write_in_another_form(table: Path, form: str) -> None:
    """Put a file of another form in the place of a whole table.

    Each record goes on where ours end: read askew, one that shuts would shut.
    """
    beside = table.with_name("other-form")
    with (
        closing(lmdb.open(str(table), max_dbs=2, readonly=True)) as ours,
        closing(lmdb.open(str(beside), max_dbs=2, map_size=1 << 24)) as theirs,
        theirs.begin(write=True) as writing,
        ours.begin() as reading,
    ):
        for mine, other in zip(PARTS, OTHER_FORMS[form], strict=True):
            part = theirs.open_db(other, txn=writing)
            for key, content in reading.cursor(ours.open_db(mine, txn=reading, create=False)):
                is_records = mine == PARTS[0]
                assert not is_records or len(content) == RECORD_BYTES
                writing.put(key, content + _MORE * is_records, db=part)
    if table.exists():
        shutil.rmtree(table)
    beside.rename(table)
