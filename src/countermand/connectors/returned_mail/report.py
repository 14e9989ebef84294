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
_RETURNS: Final = re.compile(rb"\r++\n?")
_EMPTY_LINE: Final = re.compile(rb"^[ \t]++$", re.MULTILINE)
_ACTION: Final = re.compile(r"\s*([a-z]+)")
_SUCCESS: Final = "2"  # how a status begins that "failed" cannot have
# As `notices.actions.MessageIds` makes them: order, revision, kind, step, and what nobody guesses.
_OURS: Final = re.compile(r"CM-[0-9A-Z]{1,16}\.\d{1,9}\.[a-z]{1,20}\.\d{1,9}\.[0-9a-f]{20}")
# Each in the form of before and in that for addresses in other letters.
_STATUS: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_QUOTED: Final = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)
_WHOLE_MAIL: Final = frozenset({"message/rfc822", "message/global"})
_WRITTEN_ID: Final = re.compile(rb"(?im)^Message-ID:\s{0,9}<([^<>\s]{3,200})>")
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
    parts = list(_report_parts(_plain_line_ends(mail[:LARGEST]), depth=0))
    at = next((n for n, part in enumerate(parts) if part.kind in _STATUS), None)
    groups = _field_groups(parts[at].body) if at is not None else []
    if not groups:
        return ()
    envelope_id = _plain(groups[0].get("original-envelope-id", ""))
    message_id = _quoted_message_id(parts) or _written_message_id(parts[at:])
    if not envelope_id and not message_id:
        return ()
    if message_id and not _OURS.fullmatch(envelope_id):
        envelope_id = ""
    if envelope_id and message_id and message_id.strip("<>").partition("@")[0] != envelope_id:
        return ()
    said_at = _instant(groups[0].get("arrival-date", ""))
    # One group is about the mail, and one about each recipient; some leave out what parts them.
    recipients = groups if "action" in groups[0] else groups[1:]
    found = (_finding(each, envelope_id, message_id, said_at) for each in recipients)
    return tuple(each for each in found if each is not None)[:_MOST_RECIPIENTS]


def _finding(
    fields: dict[str, str], envelope_id: str, message_id: str, arrived_at: datetime | None
) -> Finding | None:
    action = _ACTION.match(fields.get("action", "").lower())
    kind = _KIND_OF.get(action[1]) if action else None
    status = fields.get("status", "").strip()
    if kind is None or (kind is EvidenceKind.DSN_FAILED and status.startswith(_SUCCESS)):
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


def _plain_line_ends(text: bytes) -> bytes:
    """Let a line end as ours do, whether it ended in CR LF, in CR CR LF or in CR alone."""
    return _RETURNS.sub(lambda found: b"\n" * _lines_ended(found[0]), text)


def _lines_ended(returns: bytes) -> int:
    return 1 if returns.endswith(b"\n") else len(returns)


def _report_parts(mail: bytes, *, depth: int, is_quoted: bool = False) -> Iterator[_Part]:
    """Yield the parts of a report, also of one that something on the way wrapped or forwarded.

    A mail that a report quotes is no forwarded one, whatever it is.
    """
    headers, body = _split(mail)
    kind = headers.get_content_type()
    if not kind.startswith("multipart/"):
        part = _Part(kind, _decoded(headers, body))
        if kind in _WHOLE_MAIL and not is_quoted and _is_report(_split(part.body)[0]):
            yield from _report_parts(part.body, depth=depth)
        else:
            yield part
        return
    boundary = headers.get_boundary()
    if boundary is None or depth >= _DEEPEST:
        return
    name = re.escape(boundary.encode("utf-8", "replace"))
    mark = re.compile(rb"(?:^|\n)--" + name + rb"(?=(?:--)?[ \t]*(?:\n|$))")
    for inner in mark.split(body, _MOST_PARTS + 1)[1 : _MOST_PARTS + 1]:
        if inner.startswith(b"--"):
            return
        yield from _report_parts(
            inner.lstrip(b" \t").removeprefix(b"\n"),
            depth=depth + 1,
            is_quoted=is_quoted or _is_report(headers),
        )


def _is_report(headers: email.message.Message) -> bool:
    return headers.get_content_type() == "multipart/report"


def _split(mail: bytes) -> tuple[email.message.Message, bytes]:
    """Read the headers alone: nothing of the body is given to a parser that recurses."""
    if mail.startswith(b"\n"):
        return email.message.Message(), mail.lstrip(b"\n")
    head, _, body = mail.partition(b"\n\n")
    parser = email.parser.BytesHeaderParser(policy=email.policy.compat32)
    return parser.parsebytes(head + b"\n\n"), body


def _decoded(headers: email.message.Message, body: bytes) -> bytes:
    if str(headers.get("Content-Transfer-Encoding", "")).strip().lower() in {
        "base64",
        "quoted-printable",
    }:
        holder = email.message.Message()
        holder["Content-Transfer-Encoding"] = str(headers["Content-Transfer-Encoding"])
        holder.set_payload(body.decode("ascii", "replace"))
        decoded = holder.get_payload(decode=True)
        return _plain_line_ends(decoded) if isinstance(decoded, bytes) else body
    return body


def _field_groups(status: bytes) -> list[dict[str, str]]:
    """Read the groups of fields of a delivery status: one of the mail, then one per recipient."""
    groups: list[dict[str, str]] = []
    status = _EMPTY_LINE.sub(b"", status).strip(b"\n")
    for block in re.split(rb"\n{2,}", status, maxsplit=_MOST_RECIPIENTS + 1):
        if len(groups) > _MOST_RECIPIENTS:
            break
        unfolded = re.sub(rb"\n[ \t]+", b" ", block).decode("utf-8", "replace")
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


def _written_message_id(parts: list[_Part]) -> str:
    """Return the one Message-ID of ours that a mail quoted as bare text gives, if it gives one."""
    written = (
        found.decode("ascii", "replace")
        for part in parts
        if part.kind == "text/plain"
        for found in _WRITTEN_ID.findall(part.body)
    )
    ours = {each for each in written if _OURS.fullmatch(each.partition("@")[0])}
    return f"<{ours.pop()}>" if len(ours) == 1 else ""


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
