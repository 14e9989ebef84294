"""WBXML as ActiveSync speaks it: nested elements in, bytes out, and back (MS-ASWBXML).

Only the words that a phone needs to read mail have names; every other comes out as its number, so
nothing that a server says is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

_HEAD: Final = bytes((3, 1, 0x6A, 0))  # version 1.3, no public id, UTF-8, no string table
_SWITCH_PAGE, _END, _TEXT, _OPAQUE = 0x00, 0x01, 0x03, 0xC3
_TEXTS: Final = frozenset({_TEXT, _OPAQUE})
_HAS_CONTENT: Final = 0x40
_HAS_ATTRIBUTES: Final = 0x80

_WORDS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "Sync": (0, 0x05),
        "Responses": (0, 0x06),
        "Add": (0, 0x07),
        "Change": (0, 0x08),
        "Delete": (0, 0x09),
        "SyncKey": (0, 0x0B),
        "ServerId": (0, 0x0D),
        "Status": (0, 0x0E),
        "Collection": (0, 0x0F),
        "CollectionId": (0, 0x12),
        "GetChanges": (0, 0x13),
        "MoreAvailable": (0, 0x14),
        "WindowSize": (0, 0x15),
        "Commands": (0, 0x16),
        "Options": (0, 0x17),
        "FilterType": (0, 0x18),
        "Collections": (0, 0x1C),
        "ApplicationData": (0, 0x1D),
        "HeartbeatInterval": (0, 0x29),
        "Email.From": (2, 0x18),
        "Email.Subject": (2, 0x14),
        "Folder.DisplayName": (7, 0x07),
        "Folder.ServerId": (7, 0x08),
        "Folder.Type": (7, 0x0A),
        "Folder.Status": (7, 0x0C),
        "Folder.Changes": (7, 0x0E),
        "Folder.Add": (7, 0x0F),
        "Folder.SyncKey": (7, 0x12),
        "FolderSync": (7, 0x16),
        "Ping": (13, 0x05),
        "Ping.Status": (13, 0x07),
        "Ping.HeartbeatInterval": (13, 0x08),
        "Ping.Folders": (13, 0x09),
        "Ping.Folder": (13, 0x0A),
        "Ping.Id": (13, 0x0B),
        "Ping.Class": (13, 0x0C),
        "Base.BodyPreference": (17, 0x05),
        "Base.Type": (17, 0x06),
        "Base.TruncationSize": (17, 0x07),
        "Base.Body": (17, 0x0A),
        "Base.Data": (17, 0x0B),
    }
)
_NAMES: Final = MappingProxyType({number: name for name, number in _WORDS.items()})


@dataclass(slots=True)
class Element:
    """One element: its name, its text, and the elements in it."""

    name: str
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, name: str) -> Iterator[Element]:
        """Yield every element of that name, at any depth."""
        for each in self.inside:
            if each.name == name:
                yield each
            yield from each.all(name)

    def first(self, name: str) -> str:
        """Return the text of the first element of that name, empty if there is none."""
        return next((each.text for each in self.all(name)), "")


def element(name: str, *inside: Element | str) -> Element:
    """Return an element with a text or with elements in it."""
    texts = [each for each in inside if isinstance(each, str)]
    return Element(name, "".join(texts), [each for each in inside if isinstance(each, Element)])


def to_bytes(root: Element) -> bytes:
    """Return the bytes of a document."""
    page = 0

    def write(each: Element) -> Iterator[bytes]:
        nonlocal page
        its_page, token = _WORDS[each.name]
        if its_page != page:
            page = its_page
            yield bytes((_SWITCH_PAGE, page))
        if not each.text and not each.inside:
            yield bytes((token,))
            return
        yield bytes((token | _HAS_CONTENT,))
        if each.text:
            yield bytes((_TEXT,)) + each.text.encode() + b"\x00"
        for inner in each.inside:
            yield from write(inner)
        yield bytes((_END,))

    return _HEAD + b"".join(write(root))


def from_bytes(document: bytes) -> Element:
    """Read a document. Raises ValueError on what is none."""
    if document[:1] != _HEAD[:1] or document[2:4] != _HEAD[2:4]:
        raise ValueError(f"no WBXML: {document[:20]!r}")
    rest = iter(document[len(_HEAD) :])
    top = Element("")
    stack = [top]
    page = 0
    for byte in rest:
        if byte == _SWITCH_PAGE:
            page = next(rest)
        elif byte == _END:
            stack.pop()
        elif byte in _TEXTS:
            stack[-1].text += _text(rest) if byte == _TEXT else _opaque(rest)
        else:
            new = _element(page, byte)
            stack[-1].inside.append(new)
            stack += [new] if byte & _HAS_CONTENT else []
    if len(stack) != 1 or len(top.inside) != 1:
        raise ValueError("the document is torn")
    return top.inside[0]


def _element(page: int, byte: int) -> Element:
    if byte & _HAS_ATTRIBUTES:
        raise ValueError(f"attributes are not part of ActiveSync: {byte:#x}")
    token = byte & ~_HAS_CONTENT
    return Element(_NAMES.get((page, token), f"{page}:{token:#04x}"))


def _text(rest: Iterator[int]) -> str:
    raw = bytearray()
    for byte in rest:
        if byte == 0:
            return raw.decode()
        raw.append(byte)
    raise ValueError("a text without an end")


def _opaque(rest: Iterable[int]) -> str:
    bytes_left = iter(rest)
    length = 0
    for byte in bytes_left:
        length = (length << 7) | (byte & 0x7F)
        if not byte & 0x80:
            break
    return bytes(next(bytes_left) for _ in range(length)).decode("utf-8", "replace")
