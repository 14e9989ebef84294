"""The catalogue of translations: what is marked in the code, and whether Hindi has it all.

    messages.py extract   take over what is marked, keep what is translated, drop what is gone
    messages.py compile   write the .mo out of the .po
    messages.py check     fail when a text has no Hindi, a place differs, or the .mo is stale

Texts are marked with `_("…")` or `gettext_noop("…")`. The catalogue carries no dates, so equal
texts give equal files.
"""

import io
import re
import string
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src/countermand",)
PO = ROOT / "src/countermand/locale/hi/LC_MESSAGES/countermand.po"
MO = PO.with_suffix(".mo")
KEYWORDS = {"_": None, "gettext": None, "gettext_noop": None}
HEADER = """# Hindi texts of Countermand.
# Simple spoken Hindi, loan words as people say them, gender-neutral, Latin digits.
# Written by tools/messages.py; translate here, then run `tools/messages.py compile`.
msgid ""
msgstr ""
"Language: hi\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n\""""


def marked() -> Iterator[tuple[str, str]]:
    """Yield every marked text with the file that holds it, in a stable order."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for _line, message, _comments, _context in extract_from_file(
                "python", path, keywords=KEYWORDS
            ):
                text = message if isinstance(message, str) else message[0]
                if text:
                    yield text, path.relative_to(ROOT).as_posix()


def stored() -> Catalog:
    """Return the catalogue as it lies in the repository."""
    if not PO.exists():
        return Catalog(locale="hi", domain="countermand")
    with PO.open("rb") as file:
        return read_po(file, locale="hi", domain="countermand")


def fresh(old: Catalog) -> Catalog:
    """Return a catalogue of all marked texts with the translations that `old` has."""
    catalogue = Catalog(locale="hi", domain="countermand", fuzzy=False)
    places: dict[str, set[str]] = {}
    for text, path in marked():
        places.setdefault(text, set()).add(path)
    for text in sorted(places, key=lambda text: (min(places[text]), text)):
        known = old.get(text)
        catalogue.add(
            text,
            string=str(known.string) if known and not known.fuzzy else "",
            locations=[(path, 0) for path in sorted(places[text])],
        )
    return catalogue


def as_po(catalogue: Catalog) -> bytes:
    """Return the .po file of a catalogue."""
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=98, omit_header=True, include_lineno=False)
    return f"{HEADER}\n\n".encode() + buffer.getvalue().strip() + b"\n"


def as_mo(catalogue: Catalog) -> bytes:
    """Return the .mo file of a catalogue; untranslated texts are left out.

    Written here, because Babel's writer puts the time of day into the file.
    """
    texts = {"": "Language: hi\nContent-Type: text/plain; charset=utf-8\n"}
    texts |= {str(m.id): str(m.string) for m in catalogue if m.id and m.string}
    pairs = sorted((text.encode(), hindi.encode()) for text, hindi in texts.items())
    table_bytes = 8 * len(pairs)
    begin = 28
    at = begin + 2 * table_bytes
    tables = [b"", b""]
    strings = b""
    for column in (0, 1):
        for pair in pairs:
            tables[column] += struct.pack("<II", len(pair[column]), at + len(strings))
            strings += pair[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), begin, begin + table_bytes, 0, at)
    return head + tables[0] + tables[1] + strings


def places_in(text: str) -> list[str]:
    """Return the names of the places of a text, sorted; `{{` and `}}` are no places."""
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name is not None)


def faults() -> Iterator[str]:
    """Yield what is wrong with the catalogue, one line each."""
    catalogue = stored()
    known = {str(message.id): str(message.string) for message in catalogue if message.id}
    wanted = dict(marked())
    for text, path in wanted.items():
        hindi = known.get(text, "")
        if not hindi:
            yield f"{path}: no Hindi for: {text}"
        elif places_in(text) != places_in(hindi):
            yield f"{path}: the places differ in Hindi for: {text}"
        elif re.search(r"[\u0966-\u096f]", hindi):
            yield f"{path}: digits are Latin in Hindi too: {hindi}"
    for text in known.keys() - wanted.keys():
        yield f"{PO.relative_to(ROOT)}: nobody says this any more: {text}"
    if not MO.exists() or MO.read_bytes() != as_mo(catalogue):
        yield f"{MO.relative_to(ROOT)}: older than its .po; run: tools/messages.py compile"


def main(arguments: list[str]) -> int:
    """Do what is asked; 1 when the check found anything."""
    match arguments:
        case ["extract"]:
            PO.parent.mkdir(parents=True, exist_ok=True)
            PO.write_bytes(as_po(fresh(stored())))
        case ["compile"]:
            MO.write_bytes(as_mo(stored()))
        case ["check"]:
            found = list(faults())
            print(*found, sep="\n", end="\n" if found else "")
            return 1 if found else 0
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
