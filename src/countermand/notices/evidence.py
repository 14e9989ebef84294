"""What others say of our mails becomes evidence in the ledger, and late evidence a correction.

A finding counts for a mail that it names by something unguessable. It is taken twice without harm.
Whoever turns out to have been reached after a take-back is owed a correction from then on (N15).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Q

from countermand.domain.address import folded_name
from countermand.domain.delivery import Evidence, EvidenceKind, NoticeState
from countermand.domain.findings import Finding, QueuedMail
from countermand.notices.models import Notice, NoticeEvidence
from countermand.ports import NoticeLedger

_AT_ONCE: Final = 500
_MAY_LEARN: Final = frozenset(
    state.value
    for state in (
        NoticeState.PENDING,
        NoticeState.CLAIMED,
        NoticeState.PERMITTED,
        NoticeState.MAYBE,
        NoticeState.REFUSED,
        NoticeState.SKIPPED,
    )
)
_OTHER_CLOCKS: Final = timedelta(minutes=5)  # may be wrong by so much


@dataclass(frozen=True, slots=True)
class Taken:
    """How many findings were new evidence, and how many name none of our mails."""

    new: int
    not_ours: int


@dataclass(frozen=True, slots=True)
class _Known:
    notice_id: int
    address: str
    state: str
    dated_at: datetime

    def kind_of(self, finding: Finding) -> EvidenceKind:
        """Say what a finding proves: of a copy for another, only that the relay took the mail.

        A relay may send one of every mail to an archive; that its copy arrived says nothing about
        the person's own. What came back counts all the same: a filter may hide whose copy it was.
        """
        meant = folded_name(finding.meant_for)
        is_theirs = not meant or self.address in {meant, folded_name(finding.address)}
        if finding.kind is EvidenceKind.DSN_DELIVERED and not is_theirs:
            return EvidenceKind.RELAY_LOG_ACCEPTED
        return finding.kind

    def learns(self, kind: EvidenceKind) -> bool:
        """Say whether this is news: that the relay took a mail is known of those it has."""
        return kind is not EvidenceKind.RELAY_LOG_ACCEPTED or self.state in _MAY_LEARN

    def instant(self, kind: EvidenceKind, at: datetime | None, now: datetime) -> datetime:
        """Return when something happened, as others say: not after now, nor before it was due.

        A clock that is so wrong dates no acceptance: the day of silence that proves it begins now.
        """
        if at is None or at > now + _OTHER_CLOCKS:
            return now
        if at >= self.dated_at - _OTHER_CLOCKS:
            return at
        return self.dated_at if kind is EvidenceKind.DSN_DELIVERED else now


def take(findings: Iterable[Finding], *, ledger: NoticeLedger, now: datetime) -> Taken:
    """Book findings as evidence; those that were booked already, or name no mail, are left."""
    waiting = list(findings)
    new = not_ours = 0
    for begin in range(0, len(waiting), _AT_ONCE):
        some = waiting[begin : begin + _AT_ONCE]
        fresh, foreign = _fresh(some, now)
        ledger.evidence(evidence=fresh)
        new += len(fresh)
        not_ours += foreign
    return Taken(new=new, not_ours=not_ours)


def _fresh(findings: Sequence[Finding], now: datetime) -> tuple[list[Evidence], int]:
    by_name = _mails_named(findings)
    named = [(each, _mail_of(each, by_name)) for each in findings]
    ids = {mail.notice_id for _, mail in named if mail is not None}
    rows = NoticeEvidence.objects.filter(notice_id__in=ids)
    known = set(rows.values_list("notice_id", "kind", "detail"))
    fresh: list[Evidence] = []
    for each, mail in named:
        if mail is None or not mail.learns(kind := mail.kind_of(each)):
            continue
        key = (mail.notice_id, kind.value, each.detail)
        if key in known:
            continue
        known.add(key)
        fresh.append(Evidence(mail.notice_id, kind, mail.instant(kind, each.at, now), each.detail))
    return fresh, sum(mail is None for _, mail in named)


def _mails_named(findings: Iterable[Finding]) -> dict[str, _Known]:
    """Find mails by Message-ID, envelope id (its first half) and queue id, in one question."""
    ids = {each.message_id for each in findings if each.message_id}
    envelopes = {each.envelope_id for each in findings if each.envelope_id}
    queue_ids = {each.queue_id for each in findings if each.queue_id and not each.message_id}
    wanted = Q(message_id__in=ids)
    if envelopes:
        domains = {message_id.partition("@")[2] for message_id in _some_message_ids()}
        wanted |= Q(message_id__in={f"<{each}@{end}" for each in envelopes for end in domains})
    if queue_ids:
        wanted |= Q(queue_id__in=queue_ids)
    found: dict[str, _Known] = {}
    rows = Notice.objects.filter(wanted).values_list(
        "pk", "address", "message_id", "queue_id", "state", "dated_at"
    )
    for pk, address, message_id, queue_id, state, dated_at in rows:
        mail = _Known(pk, folded_name(address), state, dated_at)
        found[message_id] = mail
        found[message_id.strip("<>").partition("@")[0]] = mail
        if queue_id:
            found[queue_id] = mail
    return found


def _some_message_ids() -> list[str]:
    """The newest and the oldest mail: between them the domain of Message-IDs hardly changes."""
    rows = Notice.objects.values_list("message_id", flat=True)
    return [*rows.order_by("-pk")[:1], *rows.order_by("pk")[:1]]


def _mail_of(finding: Finding, by_name: Mapping[str, _Known]) -> _Known | None:
    names = (finding.message_id, finding.envelope_id) if (
        finding.message_id or finding.envelope_id
    ) else (finding.queue_id,)  # fmt: skip
    for name in names:
        mail = by_name.get(name) if name else None
        if mail is None:
            continue
        # A queue id comes back some day, so the mailbox has to be the same as well.
        if name == finding.queue_id and mail.address not in {
            folded_name(finding.address),
            folded_name(finding.meant_for),
        }:
            return None
        return mail
    return None


def waiting_at_relay(order_number: str, queued: Iterable[QueuedMail]) -> dict[str, int]:
    """Return which mails of an order the relay still holds: its queue id, and our number.

    A queue id is used again some day, so the recipient has to be the same as well.
    """
    recipients = {each.queue_id: set(map(folded_name, each.recipients)) for each in queued}
    with connection.cursor() as cursor:  # a sender may have noted a queue id this very moment
        cursor.execute("SELECT ledger_catch_up(%s)", [order_number])
    rows = Notice.objects.filter(
        order_number=order_number, state=NoticeState.SENT.value, queue_id__in=list(recipients)
    ).exclude(kind="correction")
    return {
        queue_id: pk
        for queue_id, pk, address in rows.values_list("queue_id", "pk", "address")
        if folded_name(address) in recipients[queue_id]
    }
