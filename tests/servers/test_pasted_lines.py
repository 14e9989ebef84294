"""What our pages and the heads of our files tell people to paste, Dovecot reads as it stands."""

import re
import subprocess
from pathlib import Path

import pytest

from lab.ground import DEPLOY

PAGES = DEPLOY.parent / "docs" / "howto"
FENCED = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# In the head of a file of deploy/: a comment, further in than its words.
BLOCK = re.compile(r"^(?:#|--)   (?:passdb|service) .*\n(?:(?:#|--)   .*\n)*", re.MULTILINE)


def pasted() -> list[tuple[str, str]]:
    found = [
        (f"{page.name} {number}", block)
        for page in sorted(PAGES.glob("*.md"))
        for number, block in enumerate(FENCED.findall(page.read_text(encoding="utf-8")))
        if block.startswith("service ")
    ]
    files = (DEPLOY / "postfix/countermand-submission.cf", *sorted(DEPLOY.glob("dovecot-2.3/*")))
    for path in files:
        for number, block in enumerate(BLOCK.findall(path.read_text(encoding="utf-8"))):
            plain = re.sub(r"^(?:#|--)   ", "", block, flags=re.MULTILINE)
            found.append((f"{path.name} {number}", plain))
    return found


PASTED = dict(pasted())


@pytest.mark.parametrize("name", PASTED)
def test_dovecot_reads_what_is_told_to_be_pasted(name: str, tmp_path: Path) -> None:
    config = tmp_path / "dovecot.conf"
    config.write_text(f"protocols = imap\n{PASTED[name]}", encoding="utf-8")

    read = subprocess.run(
        ["doveconf", "-n", "-c", config], check=False, capture_output=True, encoding="utf-8"
    )

    assert read.returncode == 0, read.stderr


def test_no_block_of_dovecot_is_told_in_one_line() -> None:
    # Dovecot wants a new line behind each brace, and does not start otherwise.
    texts = [*PAGES.glob("*.md"), *(path for path in DEPLOY.rglob("*") if path.is_file())]
    one_line = re.compile(r"(?:service|passdb|userdb) [\w-]* ?\{ *\w")

    assert [path.name for path in texts if one_line.search(path.read_text(encoding="utf-8"))] == []
