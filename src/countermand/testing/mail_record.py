"""What the mail server double writes down about a mail, and how tests read it back."""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from email.header import decode_header, make_header
from email.message import Message
from pathlib import Path
from typing import Any, Self

_START_S = 60.0
_FOLDED = re.compile(r"\r?\n(?=[ \t])")


def entry(mail: bytes, *, brief: bool = False) -> dict[str, Any]:
    """Describe one mail by what a reader sees, out of its bytes alone."""
    described: dict[str, Any] = {"bytes_sha256": hashlib.sha256(mail).hexdigest()}
    if brief:
        return described
    # The older policy: it reads a mail in a fifth of the time, and a server has many to read.
    parsed = email.message_from_bytes(mail, policy=email.policy.compat32)
    return described | {
        "message_id": _header(parsed, "Message-ID"),
        "in_reply_to": _header(parsed, "In-Reply-To"),
        "subject": _header(parsed, "Subject"),
        "language": _header(parsed, "Content-Language"),
        "body_text": _plain_text(parsed),
    }


def _header(mail: Message, name: str) -> str:
    raw = mail.get(name)
    if raw is None:
        return ""
    text = str(make_header(decode_header(raw))) if "=?" in str(raw) else str(raw)
    return _FOLDED.sub("", text).strip()


def _plain_text(mail: Message) -> str:
    for part in mail.walk():
        if part.get_content_type() == "text/plain":
            payload = part.get_payload(decode=True)
            if not isinstance(payload, bytes):
                break
            return payload.decode(part.get_content_charset() or "ascii", errors="replace")
    return ""


class MailServerProcess:
    """The double in a process of its own; use it as a context manager."""

    def __init__(self, folder: Path, *, options: Sequence[str] = ()) -> None:
        """Keep record, control socket and ready file in `folder` (a short path)."""
        self.record_file = folder / "record.jsonl"
        self._control_path = folder / "control"
        self._ready = folder / "ready.json"
        self._options = list(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self.port = 0

    def __enter__(self) -> Self:
        """Start it and wait until its port is open."""
        self._ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "countermand.testing.mail_server", "--port", "0"]
        command += ["--record", str(self.record_file), "--control", str(self._control_path)]
        command += ["--ready-file", str(self._ready), *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until = time.monotonic() + _START_S
        while not self._ready.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("the mail server double did not start")
            time.sleep(0.01)
        self.port = json.loads(self._ready.read_text(encoding="utf-8"))["port"]
        self._control = socket.socket(socket.AF_UNIX)
        self._control.connect(str(self._control_path))
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ask(self, **wish: Any) -> Mapping[str, Any]:
        """Give one control line and return the answer."""
        if self._control is None:
            raise RuntimeError("the mail server double is not running")
        self._control.sendall(json.dumps(wish).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            answer += self._control.recv(65536)
        told: Mapping[str, Any] = json.loads(answer)
        if "error" in told:
            raise ValueError(told["error"])
        return told

    def accepted(self) -> int:
        """Return how many mails the server has accepted so far."""
        return int(self.ask(do="count")["accepted"])

    def record(self) -> list[dict[str, Any]]:
        """Return the record so far; a half-written last line is left out."""
        if not self.record_file.exists():
            return []
        lines = self.record_file.read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]
