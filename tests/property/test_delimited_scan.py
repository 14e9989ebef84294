"""The quick way through a huge table gives what `csv` gives, for whatever stands in it."""

import csv
import io
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from countermand import delimited_scan
from countermand.byte_source import ByteSource
from countermand.delimited import Column, Wanted, read_rows
from countermand.delimited_scan import Key, LineTooLong, wanted_records
from countermand.fault_list import FaultList

WANTED = frozenset({"TikTok", "a,b", 'say "x"', "two\nlines", ""})
CELLS = st.sampled_from(
    ["TikTok", " TikTok ", "tiktok", "Maps", "a,b", 'say "x"', "two\nlines", "x\r\ny", "", "ऐप"]
) | st.text(st.sampled_from('ab,"\n\r;ऐ '), max_size=8)
TABLES = st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=30)
WRITERS: st.SearchStrategy[Literal[0, 1, 2, 3]] = st.sampled_from(
    [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]
)


def by_csv(text: bytes, place: int) -> list[tuple[int, list[str]]]:
    lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    reader = csv.reader(lines, strict=True)
    found, begins = [], 1
    for fields in reader:
        if len(fields) > place and fields[place].strip() in WANTED:
            found.append((begins, fields))
        begins = reader.line_num + 1
    return found


def by_scan(text: bytes, place: int) -> list[tuple[int, list[str]]]:
    key = Key(place, ",", WANTED.__contains__)
    return list(wanted_records(io.BytesIO(text), key, lines_before=0, longest_line=10_000))


@given(table=TABLES, quoting=WRITERS, end=st.sampled_from(["\n", "\r\n"]), place=st.integers(0, 3))
@example(table=[["a", "b\nx,TikTok,y", "c"]], quoting=csv.QUOTE_MINIMAL, end="\n", place=1)
@example(table=[["Maps", "Maps"], ["a", "TikTok"]], quoting=csv.QUOTE_ALL, end="\n", place=1)
def test_the_scan_finds_what_csv_finds(
    table: list[list[str]], quoting: Literal[0, 1, 2, 3], end: str, place: int
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=quoting, lineterminator=end).writerows(table)
    text = file.getvalue().encode()

    assert by_scan(text, place) == by_csv(text, place)


@given(table=TABLES, size=st.integers(1, 40), place=st.integers(0, 2))
@example(table=[["\n", "\r", "TikTok"]], size=1, place=0)  # lines end at the return alone, too
def test_batches_may_end_anywhere(table: list[list[str]], size: int, place: int) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(table)
    text = file.getvalue().encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited_scan, "_BATCH_BYTES", size)
        found = by_scan(text, place)

    assert found == by_csv(text, place)


def test_a_stray_quotation_mark_in_one_field_hides_no_later_row() -> None:
    text = b'13" disk,Maps,x\n' + b"a,TikTok,x\n" + b'9" disk,Maps,x\n'

    assert by_scan(text, 1) == [(2, ["a", "TikTok", "x"])]


def test_a_row_inside_a_quoted_field_is_no_row() -> None:
    text = b'a,Maps,"his phone\nb,TikTok,x\n"\n'

    assert by_scan(text, 1) == []


FAKES = st.lists(
    st.sampled_from(
        ["b,TikTok,x", 'b,TikTok,"y"', 'b,TikTok,""', '"', '"b",TikTok', "", "c,Maps,x"]
    ),
    max_size=4,
)


@given(
    fields=st.lists(st.tuples(st.sampled_from(["Maps", "TikTok"]), FAKES), max_size=12),
    quoting=WRITERS,
    size=st.integers(1, 400),
)
@example(fields=[("Maps", ["", 'b,TikTok,"y"', ""])], quoting=csv.QUOTE_MINIMAL, size=400)
def test_whatever_a_field_is_made_to_look_like_it_is_no_row(
    fields: list[tuple[str, list[str]]], quoting: Literal[0, 1, 2, 3], size: int
) -> None:
    file = io.StringIO(newline="")
    rows = [["a", name, "\n".join(fakes), "Example, Inc."] for name, fakes in fields]
    csv.writer(file, quoting=quoting, lineterminator="\n").writerows(rows)
    text = file.getvalue().encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited_scan, "_BATCH_BYTES", size)
        found = by_scan(text, 1)

    assert found == by_csv(text, 1)


def test_a_line_without_end_is_refused_and_not_read_into_memory() -> None:
    with pytest.raises(LineTooLong) as refused:
        by_scan(b"a,b,c\n" + b"x" * 2_000_000, 1)

    assert refused.value.line == 2


def test_a_key_that_is_no_text_ends_the_reading() -> None:
    faults = FaultList()
    source = ByteSource("apps.csv", lambda: io.BytesIO(b"device,name\n1,Maps\n2,Caf\xe9\n"))

    rows = list(read_rows(source, COLUMNS, faults, only=Wanted("name", WANTED.__contains__)))

    assert rows == []
    assert [(fault.code, fault.line) for fault in faults.faults] == [("file.encoding", 3)]


COLUMNS = (Column("device", required=True), Column("name", required=True))


@given(
    table=TABLES,
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    if_missing=st.booleans(),
)
def test_asking_for_some_rows_gives_those_of_all_rows(
    table: list[list[str]], encoding: str, if_missing: bool
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows([["device", "name", "more"], *table])
    content = file.getvalue().encode(encoding)
    source = ByteSource("apps.csv", lambda: io.BytesIO(content))

    only = Wanted("name", WANTED.__contains__, if_missing)
    some = list(read_rows(source, COLUMNS, FaultList(), only=only))

    every = read_rows(source, COLUMNS, FaultList())
    # A row without the field has no name, which is not the same as an empty one.
    missing = "" if if_missing else "Maps"
    assert some == [row for row in every if row.get("name", missing) in WANTED]
