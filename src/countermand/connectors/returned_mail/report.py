"""A mail that came back, read as the delivery report that it may be (RFC 3461, 3464, 6533).

Anybody may send us anything, so all is bounded: bytes, parts, recipients, depth. A report counts
only for a mail that it names by our unguessable envelope id or Message-ID; one that names two
different mails of ours counts for none. A relay that handed the mail on under an envelope id of its
own has named none by that. What is no report is not an error: people answer mails, too.
"""

from __future__ import annotations

import email.message
import email.parser
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from countermand.domain.delivery import EvidenceKind
from countermand.domain.findings import Finding

LARGEST: Final = 256 * 1024  # bytes that are looked at; reports are small, what they quote is not
_MOST_PARTS: Final = 20
_DEEPEST: Final = 3
_MOST_RECIPIENTS: Final = 20
_LONGEST_FIELD: Final = 400
_DETAIL: Final = 200
_XTEXT: Final = re.compile(r"\+([0-9A-F]{2})")
_UTF8_XTEXT: Final = re.compile(r"\\x\{(10[0-9A-F]{4}|[0-9A-F]{2,5})\}")
_EMPTY_LINE: Final = re.compile(rb"^[ \t]++(?=\r?$)", re.MULTILINE)
_PERMANENT: Final = re.compile(r"^[45]\.\d{1,3}\.\d{1,3}")
# As `notices.actions.MessageIds` makes them: order, revision, kind, step, and what nobody guesses.
_OURS: Final = re.compile(r"CM-[0-9A-Z]{1,16}\.\d{1,9}\.[a-z]{1,20}\.\d{1,9}\.[0-9a-f]{20}")
# Each in the form of before and in that for addresses in other letters.
_STATUS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_QUOTED: Final = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)
# "delayed", "relayed" and "expanded": a server has the mail, so it was accepted; no mailbox yet.
_KIND_OF: Final = {
    "failed": EvidenceKind.DSN_FAILED,
    "delivered": EvidenceKind.DSN_DELIVERED,
    "delayed": EvidenceKind.RELAY_LOG_ACCEPTED,
    "relayed": EvidenceKind.RELAY_LOG_ACCEPTED,
    "expanded": EvidenceKind.RELAY_LOG_ACCEPTED,
}


@dataclass(frozen=True, slots=True)
class _Part:
    kind: str
    body: bytes


def findings(mail: bytes) -> tuple[Finding, ...]:
    """Return what a returned mail says of ours; nothing if it is no report, or names no mail."""
    parts = list(_report_parts(mail[:LARGEST], depth=0))
    status = next((part.body for part in parts if part.kind in _STATUS), None)
    if status is None:
        return ()
    groups = _field_groups(status)
    if len(groups) < 2:  # noqa: PLR2004 - one about the mail, one for each recipient
        return ()
    envelope_id = _plain(groups[0].get("original-envelope-id", ""))
    message_id = _quoted_message_id(parts)
    if not envelope_id and not message_id:
        return ()
    if message_id and not _OURS.fullmatch(envelope_id):
        envelope_id = ""
    if envelope_id and message_id and message_id.strip("<>").partition("@")[0] != envelope_id:
        return ()
    said_at = _instant(groups[0].get("arrival-date", ""))
    found = (_finding(each, envelope_id, message_id, said_at) for each in groups[1:])
    return tuple(each for each in found if each is not None)


def _finding(
    fields: dict[str, str], envelope_id: str, message_id: str, arrived_at: datetime | None
) -> Finding | None:
    kind = _KIND_OF.get(fields.get("action", "").split("(")[0].strip().lower())
    if kind is None:
        return None
    status = fields.get("status", "").strip()
    if kind is EvidenceKind.DSN_FAILED and status and not _PERMANENT.match(status):
        return None
    reason = fields.get("diagnostic-code", "") or fields.get("remote-mta", "")
    whom = fields.get("original-recipient", "") or fields.get("final-recipient", "")
    return Finding(
        kind=kind,
        at=_instant(fields.get("last-attempt-date", "")) or arrived_at,
        detail=f"{status} {reason}".strip()[:_DETAIL],
        message_id=message_id,
        envelope_id=envelope_id,
        address=_plain(whom.partition(";")[2].strip()).lower(),
    )


def _report_parts(mail: bytes, *, depth: int) -> Iterator[_Part]:
    """Yield the parts of a report, also of one that something on the way has wrapped up."""
    headers, body = _split(mail)
    kind = headers.get_content_type()
    if not kind.startswith("multipart/"):
        yield _Part(kind, _decoded(headers, body))
        return
    boundary = headers.get_boundary()
    if boundary is None or depth >= _DEEPEST:
        return
    mark = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary.encode("utf-8", "replace")))
    for inner in mark.split(body, _MOST_PARTS + 1)[1 : _MOST_PARTS + 1]:
        if inner.startswith(b"--"):
            return
        yield from _report_parts(inner.lstrip(b" \t").removeprefix(b"\r").removeprefix(b"\n"),
                                 depth=depth + 1)  # fmt: skip


def _split(mail: bytes) -> tuple[email.message.Message, bytes]:
    """Read the headers alone: nothing of the body is given to a parser that recurses."""
    match = re.search(rb"\r?\n\r?\n", mail)
    if mail.startswith((b"\n", b"\r\n")):
        return email.message.Message(), mail.lstrip(b"\r\n")
    head, body = (mail[: match.start()], mail[match.end() :]) if match else (mail, b"")
    parser = email.parser.BytesHeaderParser(policy=email.policy.compat32)
    return parser.parsebytes(head + b"\r\n\r\n"), body


def _decoded(headers: email.message.Message, body: bytes) -> bytes:
    if str(headers.get("Content-Transfer-Encoding", "")).strip().lower() in {
        "base64",
        "quoted-printable",
    }:
        holder = email.message.Message()
        holder["Content-Transfer-Encoding"] = str(headers["Content-Transfer-Encoding"])
        holder.set_payload(body.decode("ascii", "replace"))
        decoded = holder.get_payload(decode=True)
        return decoded if isinstance(decoded, bytes) else body
    return body


def _field_groups(status: bytes) -> list[dict[str, str]]:
    """Read the groups of fields of a delivery status: one of the mail, then one per recipient."""
    groups: list[dict[str, str]] = []
    status = _EMPTY_LINE.sub(b"", status).strip(b"\r\n")
    for block in re.split(rb"(?:\r?\n){2,}", status, maxsplit=_MOST_RECIPIENTS + 1):
        if len(groups) > _MOST_RECIPIENTS:
            break
        unfolded = re.sub(rb"\r?\n[ \t]+", b" ", block).decode("utf-8", "replace")
        fields: dict[str, str] = {}
        for line in unfolded.splitlines():
            name, colon, value = line.partition(":")
            if colon:
                fields.setdefault(name.strip().lower(), value.strip()[:_LONGEST_FIELD])
        if fields:
            groups.append(fields)
    return groups


def _quoted_message_id(parts: list[_Part]) -> str:
    """Return the Message-ID of the mail that is quoted, whole or by its headers."""
    for part in parts:
        if part.kind in _QUOTED:
            quoted, _ = _split(part.body)
            found = re.search(r"<[^<>\s]{3,200}>", str(quoted.get("Message-ID", "")))
            return found[0] if found else ""
    return ""


def _plain(xtext: str) -> str:
    words = xtext.split(maxsplit=1)
    text = _XTEXT.sub(lambda m: chr(int(m[1], 16)), words[0]) if words else ""
    return _UTF8_XTEXT.sub(lambda m: chr(int(m[1], 16)), text)


def _instant(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None
