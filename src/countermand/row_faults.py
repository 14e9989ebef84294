"""The faults that a row of an imported file can have: one sentence and one remedy a code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from countermand.byte_source import UNREADABLE
from countermand.delimited import Row
from countermand.domain.errors import Fault, gettext_noop
from countermand.domain.inventory import RejectedRow

_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "file.no_devices": (
        gettext_noop("None of the files lists devices."),
        gettext_noop("Give devices.csv as well; it needs the columns device_id and platform."),
    ),
    "file.no_apps": (
        gettext_noop("None of the files is the report of discovered apps."),
        gettext_noop("Give the zip of AppInvRawData as well, exported at the same time."),
    ),
    "file.bad_zip": (
        gettext_noop("The zip cannot be used: {why}."),
        gettext_noop("Export the report again; it holds one CSV file, without a password."),
    ),
    "file.unreadable": UNREADABLE,
    "file.too_large": (
        gettext_noop("The answer is larger than {limit} MiB."),
        gettext_noop("Ask for smaller pages."),
    ),
    "file.bad_json": (
        gettext_noop("This is no JSON that can be read here: {why}."),
        gettext_noop("Save the answer of the source as it came, or fetch it again."),
    ),
    "file.holds_error": (
        gettext_noop("The source answered with an error: {why}."),
        gettext_noop("Fetch it again; an error is never taken for “nothing found”."),
    ),
    "file.list_missing": (
        gettext_noop("The answer has no list “{key}”."),
        gettext_noop("Check which question it answers, and that it came whole."),
    ),
    "file.not_known": (
        gettext_noop("This is no answer of {source} that is known here."),
        gettext_noop("Give files as the documents of that source name them."),
    ),
    "row.bad_shape": (
        gettext_noop("This field does not hold what belongs there."),
        gettext_noop("Fetch it again; if it stays so, the source has changed its form."),
    ),
    "row.text_too_long": (
        gettext_noop("This field is longer than {limit} characters."),
        gettext_noop("Shorten it in the source."),
    ),
    "row.bad_payload": (
        gettext_noop("The message of the device cannot be read."),
        gettext_noop("Ask the device again."),
    ),
    "row.bad_device_id": (
        gettext_noop("The device id is missing, too long, or holds control characters."),
        gettext_noop("Give each device the id under which your source knows it."),
    ),
    "row.duplicate_device": (
        gettext_noop("This device stands in the file already, at {first}."),
        gettext_noop("Keep one row a device."),
    ),
    "row.unknown_device": (
        gettext_noop("This row names the device {device}, which no file of devices lists."),
        gettext_noop("Export devices and apps at the same time."),
    ),
    "row.bad_address": (
        gettext_noop("The owner is no mail address."),
        gettext_noop("Write a full address such as asha@example.org, or leave the field empty."),
    ),
    "row.bad_time": (
        gettext_noop("“{text}” is no time with a zone."),
        gettext_noop("Write it like 2026-11-23T09:30:00+05:30 or 2026-11-23T04:00:00Z."),
    ),
    "row.time_ahead": (
        gettext_noop("“{text}” lies after the time of this export, {as_of}."),
        gettext_noop("Mend the time, or say with --as-of when the export was made."),
    ),
    "row.bad_platform": (
        gettext_noop("“{text}” is no platform."),
        gettext_noop("Write “{near}” if that is meant."),
    ),
    "row.bad_coverage": (
        gettext_noop("“{text}” does not say which apps are listed."),
        gettext_noop("Write one of: {known}; or leave the field empty."),
    ),
    "row.bad_person_address": (
        gettext_noop("“{text}” is no mail address."),
        gettext_noop("Write a full address such as asha@example.org."),
    ),
    "row.duplicate_person": (
        gettext_noop("This person stands in the file already, at {first}."),
        gettext_noop("Keep one row a person; further addresses go into other_addresses."),
    ),
    "row.bad_name": (
        gettext_noop("The name is missing or holds control characters."),
        gettext_noop("Write the name as the person writes it, on one line."),
    ),
    "row.bad_language": (
        gettext_noop("“{text}” is no language."),
        gettext_noop("Write a language tag such as en, hi or pt-BR."),
    ),
    "row.bad_country": (
        gettext_noop("“{text}” is no country."),
        gettext_noop("Write two letters such as IN, or the English name."),
    ),
    "row.bad_zone": (
        gettext_noop("“{text}” is no time zone."),
        gettext_noop("Write a name such as Asia/Kolkata."),
    ),
    "row.bad_day": (
        gettext_noop("“{text}” is no day."),
        gettext_noop("Write it like 2026-11-23."),
    ),
}

_LABELS: Final = MappingProxyType({"owner_email": "owner e-mail"})
_SHORT: Final = MappingProxyType(
    {
        "row.duplicate_device": "device listed twice",
        "row.duplicate_person": "person listed twice",
        "row.unknown_device": "app row for an unknown device",
    }
)


def row_fault(row: Row, code: str, column: str, **facts: str) -> Fault:
    """Return a fault of one field of a row; `facts` fill its sentence."""
    sentence, remedy = _SENTENCES[code]
    return Fault(
        code=code,
        sentence=sentence,
        remedy=remedy,
        key=column,
        line=row.line,
        file=row.file,
        facts=tuple(facts.items()),
    )


def file_fault(code: str, file: str, **facts: str) -> Fault:
    """Return a fault of a file as a whole."""
    sentence, remedy = _SENTENCES[code]
    return Fault(code=code, sentence=sentence, remedy=remedy, file=file, facts=tuple(facts.items()))


def fault_at(code: str, file: str, place: str = "", **facts: str) -> Fault:
    """Return a fault of a document, or of one place in it."""
    sentence, remedy = _SENTENCES[code]
    return Fault(
        code=code,
        sentence=sentence,
        remedy=remedy,
        key=place,
        file=file,
        facts=tuple(facts.items()),
    )


def why(faults: Sequence[Fault]) -> str:
    """Say in a few words, for scripts, why a row is left out; the faults say it in full."""
    special = [_SHORT[fault.code] for fault in faults if fault.code in _SHORT]
    fields = [_LABELS.get(fault.key, fault.key) for fault in faults if fault.code not in _SHORT]
    invalid = [f"{' and '.join(fields)} invalid"] if fields else []
    return "; ".join([*special, *invalid])


def unnamed(faults: Iterable[Fault]) -> list[RejectedRow]:
    """Reject rows of which nothing could be read, nor whom or what they are about."""
    return [RejectedRow("", fault.code, (fault,)) for fault in faults]


def without_device(row: Row) -> RejectedRow:
    """Reject a row about an app on a device that no file of devices lists."""
    fault = row_fault(row, "row.unknown_device", "device_id", device=row["device_id"][:60])
    return RejectedRow(row["device_id"], why([fault]), (fault,))
