"""One source, two forms: the plain text of a mail and its HTML say the same, word for word.

A source is made of blocks with an empty line between them:
`# title`, `## heading`, `* {slot}` (a list that the person's values fill), or a paragraph.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from countermand.domain import language_marks

_LIST: Final = re.compile(r"\* \{[a-z][a-z0-9_]*\}")
_STYLE: Final = """
:root{color-scheme:light dark}
body{margin:0;padding:1.25rem;background:#ffffff;color:#1b1b1f;
font:16px/1.55 system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans Devanagari",sans-serif}
main{max-width:38rem;margin:0 auto}
h1{font-size:1.375rem;line-height:1.3;margin:0 0 1rem}
h2{font-size:1.0625rem;line-height:1.4;margin:1.5rem 0 .25rem}
p,ul{margin:0 0 .75rem}
ul{padding-left:1.25rem}
@media (prefers-color-scheme:dark){body{background:#16161a;color:#ececf1}}
"""


class BlockKind(StrEnum):
    """What a block is."""

    TITLE = "# "
    HEADING = "## "
    LIST = "* "
    PARAGRAPH = ""


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a mail; the text of a list is one `{slot}`."""

    kind: BlockKind
    text: str


def blocks(body: str, fill: Callable[[str], str]) -> tuple[Block, ...]:
    """Return the blocks of a source, each filled by `fill`; those left empty are dropped.

    Kinds come from the source alone: what fills a place cannot become a heading or a list.
    """
    parts = [part.strip() for part in re.split(r"\n\s*\n", body)]
    found = (Block(kind := _kind(part), fill(part.removeprefix(kind.value))) for part in parts)
    return tuple(block for block in found if block.text)


def as_text(parts: Iterable[Block]) -> str:
    """Return the plain text form; a list is left to the slot filler, one line an item."""
    lines: list[str] = []
    for block in parts:
        if block.kind is BlockKind.HEADING:
            lines.append(f"{block.text}:")
        else:
            lines += [block.text, ""]
    return language_marks.without("\n".join(lines).strip() + "\n")


def as_html(
    parts: Iterable[Block], *, language: str, subject: str, foreign: Iterable[str] = ()
) -> str:
    """Return a whole page: one column, no table, no image, no link, readable in the dark.

    `foreign` words (names of apps) are marked as English where the mail is in another language.
    """
    marked = _Marker(tuple(foreign) if language != "en" else ())
    inner = "\n".join(_html_block(block, marked) for block in parts)
    return (
        f'<!doctype html>\n<html lang="{language}" dir="ltr">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{html.escape(subject)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{inner}\n</main>\n</body>\n</html>\n"
    )


def _kind(part: str) -> BlockKind:
    if _LIST.fullmatch(part):
        return BlockKind.LIST
    for kind in (BlockKind.HEADING, BlockKind.TITLE):
        if part.startswith(kind.value):
            return kind
    return BlockKind.PARAGRAPH


def _html_block(block: Block, marked: _Marker) -> str:
    match block.kind:
        case BlockKind.TITLE:
            return f"<h1>{marked(block.text)}</h1>"
        case BlockKind.HEADING:
            return f"<h2>{marked(block.text)}</h2>"
        case BlockKind.LIST:
            return f"<ul>{block.text}</ul>"
        case BlockKind.PARAGRAPH:
            return f"<p>{marked(block.text)}</p>"


class _Marker:
    """Escapes a text and marks words of another language in it."""

    def __init__(self, words: tuple[str, ...]) -> None:
        escaped = (html.escape(word) for word in words if word)
        longest_first = sorted(escaped, key=len, reverse=True)
        self._words = re.compile("|".join(map(re.escape, longest_first))) if words else None

    def __call__(self, text: str) -> str:
        escaped = html.escape(text)
        if self._words is not None:
            escaped = self._words.sub(lambda match: f'<span lang="en">{match[0]}</span>', escaped)
        return language_marks.as_html(escaped)
