"""The HTML part of anybody's mail, read within bounds: what it says, shows, hides and leads to."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Final

LONGEST_TEXT: Final = 50_000
LONGEST_PAGE: Final = 300_000
_LONGEST_TAG: Final = 8_000
_ATTRIBUTE: Final = re.compile(r"""([^\s=/>"']++)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++))?""")
_BLOCKS: Final = frozenset(
    [
        "p",
        "div",
        "br",
        "li",
        "ul",
        "ol",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "tr",
        "td",
        "th",
        "table",
        "section",
        "header",
        "footer",
        "main",
        "title",
    ]
)
_ACTIVE: Final = frozenset(
    ["form", "script", "iframe", "object", "embed", "input", "textarea", "select"]
)
_HIDDEN: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)
_MARK: Final = re.compile(r"[.#][\w-]{1,100}")


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the HTML part: what is shown, and where it leads."""

    shown: str
    target: str
    is_button: bool


@dataclass(frozen=True, slots=True)
class Page:
    """The HTML part: what it says and what stands in it besides words."""

    text: str
    language: str
    links: tuple[Link, ...]
    images: int
    has_table: bool
    is_active: bool
    hides_text: bool


def read_page(source: str) -> Page:
    """Read what a page says and carries; made for pages that nobody has to trust."""
    scanner = _Scanner(source[:LONGEST_PAGE])
    scanner.run()
    return Page(
        text=scanner.text(),
        language=scanner.language,
        links=tuple(scanner.links),
        images=scanner.images,
        has_table=scanner.has_table,
        is_active=scanner.is_active,
        hides_text=scanner.hides_text or not scanner.marks.isdisjoint(scanner.hidden_marks),
    )


class _Scanner:
    """Walks once over a page; never looks at a character a second time."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lower = source.lower()
        self._said: list[str] = []
        self._anchor: tuple[str, bool, int] | None = None
        self.language = ""
        self.links: list[Link] = []
        self.images = 0
        self.has_table = False
        self.is_active = False
        self.hides_text = False
        self.marks: set[str] = set()  # .class and #id of all elements, as a style names them
        self.hidden_marks: set[str] = set()

    def text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self._said).splitlines())
        return "\n".join(line for line in lines if line)[:LONGEST_TEXT]

    def run(self) -> None:
        at, end = 0, len(self._source)
        while at < end:
            opening = self._source.find("<", at)
            if opening < 0:
                opening = end
            # How the source is wrapped is not how the page reads.
            self._said.append(re.sub(r"\s+", " ", html.unescape(self._source[at:opening])))
            at = self._markup(opening) if opening < end else end
        self._end_link()

    def _markup(self, at: int) -> int:
        """Read one piece of markup that begins at `at`; return where it ends."""
        if self._source.startswith("<!--", at):
            return self._after("-->", at + 4)
        following = self._source[at + 1 : at + 2]
        if following in {"!", "?"}:
            return self._after(">", at)
        if not (following == "/" or following.isalpha()):
            self._said.append("<")
            return at + 1
        end = self._end_of_tag(at)
        inner = self._source[at + 1 : end - 1]
        name = re.match(r"/?[A-Za-z][A-Za-z0-9:-]*+", inner[:80])
        if name is None:
            return end
        return self._tag(name[0].lower(), inner[name.end() : _LONGEST_TAG], end)

    def _after(self, mark: str, at: int) -> int:
        found = self._lower.find(mark, at)
        return len(self._source) if found < 0 else found + len(mark)

    def _end_of_tag(self, at: int) -> int:
        """Return the place after the `>` of a tag; one inside quotes does not end it."""
        for match in re.compile(r"""["'>]""").finditer(self._source, at):
            if match.start() < at:
                continue
            if match[0] == ">":
                return match.end()
            closing = self._source.find(match[0], match.end())
            if closing < 0:
                break
            at = closing + 1
        return len(self._source)

    def _tag(self, name: str, rest: str, end: int) -> int:
        attributes = {
            found[1].lower(): html.unescape((found[2] or "").strip("\"'"))
            for found in _ATTRIBUTE.finditer(rest)
        }
        if name in {"script", "style", "title"}:  # nothing of it is shown as the mail's text
            self.is_active = self.is_active or name == "script"
            closing = self._after(f"</{name}", end)
            if name == "style":
                self._note_style(self._lower[end:closing])
            return self._after(">", closing)
        self._note(name.removeprefix("/"), attributes, is_closing=name.startswith("/"))
        return end

    def _note(self, name: str, attributes: dict[str, str], *, is_closing: bool) -> None:
        if name in _BLOCKS:
            self._said.append("\n")
        if name in {"a", "button", "area"}:
            self._end_link()
            if not is_closing:
                looks = f"{attributes.get('class', '')} {attributes.get('role', '')}".lower()
                is_button = name == "button" or "btn" in looks or "button" in looks
                is_button = is_button or "background" in attributes.get("style", "").lower()
                self._anchor = (attributes.get("href", ""), is_button, len(self._said))
        if is_closing:
            return
        if name in {"html", "body"} and not self.language:
            self.language = attributes.get("lang", "")
        self.marks |= {f".{each}" for each in attributes.get("class", "").lower().split()}
        self.marks.add(f"#{attributes.get('id', '').lower()}")
        self.has_table = self.has_table or name == "table"
        self.images += name in {"img", "picture", "svg"}
        self.is_active = self.is_active or name in _ACTIVE
        self.hides_text = self.hides_text or bool(_HIDDEN.search(attributes.get("style", "")))

    def _note_style(self, style: str) -> None:
        """Note what a style hides by class or id; of a chain of them, the last is what it hides."""
        for rule in style.split("}"):
            before, _, said = rule.rpartition("{")
            if _HIDDEN.search(said):
                chosen = (each.split() for each in before.rpartition("{")[2].split(","))
                self.hidden_marks |= {
                    mark for parts in chosen if parts for mark in _MARK.findall(parts[-1])
                }

    def _end_link(self) -> None:
        if self._anchor is None:
            return
        target, is_button, begin = self._anchor
        shown = " ".join("".join(self._said[begin:])[:_LONGEST_TAG].split())
        if target or is_button:
            self.links.append(Link(shown=shown, target=target.strip(), is_button=is_button))
        self._anchor = None
