"""What others make of the same mail: Django's send_messages, and nodemailer's pool."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks import hindi_notice

_FOLDER: Final = Path("build/peers")
_NODEMAILER: Final = "nodemailer@7"
_SCRIPT: Final = Path(__file__).with_name("nodemailer_peer.js")


def django(port: int, mails: int) -> float:
    """Return mails per second of Django's send_messages over one connection."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.notice_peers", str(port), str(mails)],
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    return float(answer.stdout)


def nodemailer(port: int, mails: int) -> tuple[float | None, str]:
    """Return mails per second of nodemailer's pool of 16, or None and the reason."""
    node = shutil.which("node")
    if not (node and shutil.which("npm")):
        return None, "there is no node with npm here"
    _FOLDER.mkdir(parents=True, exist_ok=True)
    if not (_FOLDER / "node_modules" / "nodemailer").exists():
        command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", "."]
        answer = subprocess.run(
            [*command, _NODEMAILER], check=False, cwd=_FOLDER, capture_output=True, timeout=60
        )
        if answer.returncode:
            return None, "npm could not get nodemailer"
    mail = {
        "subject": hindi_notice.SUBJECT,
        "text": hindi_notice.TEXT,
        "html": hindi_notice.HTML,
        "values": [hindi_notice.values(person) for person in range(mails)],
    }
    answer = subprocess.run(
        [
            shutil.which("node") or "node",
            str(_SCRIPT),
            str(port),
            str((_FOLDER / "node_modules").absolute()),
        ],
        check=False,
        capture_output=True,
        input=json.dumps(mail).encode(),
        timeout=120,
    )
    if answer.returncode:
        return None, f"node failed: {answer.stderr.decode()[-200:]}"
    return float(answer.stdout), ""


def _send_with_django(port: int, mails: int) -> None:
    from django.conf import settings  # noqa: PLC0415 - only in the process of the peer
    from django.core.mail import EmailMultiAlternatives, get_connection  # noqa: PLC0415

    settings.configure(EMAIL_HOST="127.0.0.1", EMAIL_PORT=port, EMAIL_TIMEOUT=60)
    begun = time.monotonic()
    messages = []
    for person in range(mails):
        said = hindi_notice.values(person)
        message = EmailMultiAlternatives(
            hindi_notice.SUBJECT,
            hindi_notice.TEXT.format(**said),
            hindi_notice.WRITER.address,
            [f"p{person}@example.org"],
        )
        message.attach_alternative(hindi_notice.HTML.format(**said), "text/html")
        messages.append(message)
    get_connection("django.core.mail.backends.smtp.EmailBackend").send_messages(messages)
    print(mails / (time.monotonic() - begun))


if __name__ == "__main__":
    _send_with_django(int(sys.argv[1]), int(sys.argv[2]))
