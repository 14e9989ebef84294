"""The documents say what is so: links lead somewhere, commands exist, both languages agree."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    if path.name != "template.md"
)
TARGETS = set(
    re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
)
# Where people read: mails, pages, and the sentences of both catalogues.
READ_BY_PEOPLE = ("**/words/**/*", "**/templates/**/*", "locale/**/*.po", "**/*.py")
SUFFIXES = frozenset({".txt", ".html", ".md", ".po", ".py", ".toml"})
MARKS = frozenset({"_", "gettext", "gettext_noop", "ngettext", "translate"})


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def words_that_stay_inside() -> dict[str, list[str]]:
    """The last table of the glossary, by language."""
    table = text(ROOT / "GLOSSARY.md").split("## Words that never appear outside")[1]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    pairs = [(english.strip(), hindi.strip()) for english, hindi in rows[2:]]
    return {"en": [english for english, _ in pairs], "hi": [hindi for _, hindi in pairs]}


def leaves(value: object) -> Iterator[str]:
    """Every text inside a table of a TOML file."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif isinstance(value, str):
        yield value


def marked(path: Path) -> Iterator[str]:
    """Every text of a module that is marked for translation, or is help of the command line."""
    for node in ast.walk(ast.parse(text(path))):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        spoken = node.args if called in MARKS else []
        spoken = spoken + [word.value for word in node.keywords if word.arg == "help"]
        yield from (
            argument.value
            for argument in spoken
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        )


def sentences_of(path: Path) -> str:
    """What people read of a file; slots and marks that are filled later are taken out."""
    if path.suffix == ".py":
        whole = "\n".join(marked(path))
    elif path.suffix == ".toml":
        whole = "\n".join(leaves(tomllib.loads(text(path))))
    elif path.suffix == ".po":
        lines = text(path).splitlines()
        whole = "\n".join(line for line in lines if line.startswith(("msg", '"')))
    else:
        whole = text(path)
    return re.sub(r"\[\[.*?\]\]|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|\{\w+\}|<[^>]*>", " ", whole)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text(page))

    lost = [
        link
        for link in links
        if not link.startswith(("http://", "https://", "mailto:"))
        and not (page.parent / link).exists()
    ]

    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"\bmake(?: [A-Z]+=\S+)* ([a-z][a-z-]*)(?=[\s`,;.)]|$)", code_of(page)))

    assert named <= TARGETS


def code_of(page: Path) -> str:
    """What stands between backticks, and in blocks of code."""
    return "\n".join(re.findall(r"`+([^`]+)`+", text(page)))


def test_make_help_lists_every_target() -> None:
    answer = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        encoding="utf-8",
    )

    assert {line.split()[0] for line in answer.stdout.splitlines() if line[:2] == "  "} == TARGETS


def test_the_first_line_of_both_readmes_says_what_the_word_means() -> None:
    english, hindi = (text(ROOT / page).splitlines()[0] for page in ("README.md", "README.hi.md"))

    assert re.search("countermand", english, re.IGNORECASE)
    assert "take it back" in english
    assert re.search("countermand", hindi, re.IGNORECASE)
    assert "वापस लेना" in hindi


def test_both_readmes_have_the_same_parts_commands_and_links() -> None:
    def parts(page: str) -> dict[str, list[str]]:
        whole = text(ROOT / page)
        commands = re.findall(r"```sh\n(.*?)```", whole, re.DOTALL)
        return {
            "headings": re.findall(r"^#+ ", whole, re.MULTILINE),
            "promises": re.findall(r"^\d\. \*\*", whole, re.MULTILINE),
            "rows": re.findall(r"^\|.*\| (`.*?`|\[.*?\))", whole, re.MULTILINE),
            "not there yet": re.findall(r"^- ", whole, re.MULTILINE),
            "commands": [line.split("#")[0].strip() for line in "".join(commands).splitlines()],
            "links": [
                link for link in re.findall(r"\]\((.*?)\)", whole) if not link.endswith(".svg")
            ][1:],
        }

    assert parts("README.md") == parts("README.hi.md")


def test_every_decision_is_listed_and_one_page_long() -> None:
    folder = ROOT / "docs" / "decisions"
    decisions = sorted(folder.glob("[0-9]*.md"))
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", text(folder / "README.md"))

    assert listed == [path.name for path in decisions]
    assert [path.name for path in decisions if len(text(path).splitlines()) > 60] == []


def test_no_word_that_stays_inside_is_read_by_people() -> None:
    inside = words_that_stay_inside()
    pattern = re.compile(
        r"\b(?:" + "|".join(inside["en"]) + r")s?\b|" + "|".join(inside["hi"]), re.IGNORECASE
    )

    found = {
        f"{name(path)}: {match[0]}"
        for glob in READ_BY_PEOPLE
        for path in (ROOT / "src" / "countermand").glob(glob)
        if path.is_file() and path.suffix in SUFFIXES
        for match in pattern.finditer(sentences_of(path))
    }

    assert found == set()


def test_the_glossary_names_the_words_that_stay_inside() -> None:
    inside = words_that_stay_inside()

    assert {"permit", "fence", "barrier", "epoch", "hit list"} <= set(inside["en"])
    assert {"exposure", "verdict", "attestation"} <= set(inside["en"])
    assert all(inside["hi"])


def test_a_test_that_a_page_names_is_there() -> None:
    named = {
        (page.name, *match)
        for page in PAGES
        for match in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text(page))
    }

    missing = [
        (page, file, test)
        for page, file, test in sorted(named)
        if not (ROOT / file).is_file() or f"def {test}(" not in text(ROOT / file)
    ]

    assert len(named) > 10
    assert missing == []
