"""Mails are written down before they leave: complete at birth, due at an instant, in an epoch.

These are called by `orders` inside its own transactions; what leaves, and what becomes of it, is
the business of senders and of the SQL functions of this app.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import F

from countermand.audit import actions as audit
from countermand.domain import check_code
from countermand.domain.delivery import NoticeKind, NoticeState
from countermand.domain.exposure import Exposure
from countermand.domain.mail_limits import apart
from countermand.notices.models import (
    Mailing,
    MailLimit,
    Notice,
    OpenBatch,
    PermitBatch,
    Template,
)
from countermand.notices.queries import TROUBLED
from countermand.notices.wording import TemplateText, Values

_SLICE: Final = 2000
_BATCHES_AT_ONCE: Final = 500
_SAID_AGAIN_AFTER: Final = timedelta(minutes=1)
_SAID_HOLDS: Final = timedelta(minutes=10)
_SHOWN: Final = 20  # hexadecimal digits in a Message-ID: 80 bits


@dataclass(frozen=True, slots=True)
class MessageIds:
    """Makes Message-IDs that nobody can guess and that every try of one mail has in common."""

    domain: str
    key: bytes = field(repr=False)

    def of(self, row: NewNotice) -> str:
        """Return the Message-ID of one mail, the same for equal rows."""
        matter = f"{row.order_number}.{row.revision_number}.{row.kind.value}.{row.step}"
        whom = f"{matter}.{row.person_id}.{row.address}".encode()
        shown = hmac.new(self.key, whom, hashlib.sha256).hexdigest()[:_SHOWN]
        return f"<{matter}.{shown}@{self.domain}>"

    def check_code(self, row: NewNotice) -> str:
        """Return the code that only this mail carries, the same for equal rows."""
        whom = f"{row.order_number}.{row.revision_number}.{row.kind.value}.{row.step}"
        matter = f"check code\x00{whom}.{row.person_id}.{row.address}".encode()
        shown = hmac.new(self.key, matter, hashlib.sha256).digest()
        return check_code.from_number(int.from_bytes(shown, "big"))


@dataclass(frozen=True, slots=True)
class NewNotice:
    """One mail to one address, all of it."""

    order_number: str
    revision_number: int
    kind: NoticeKind
    step: int
    person_id: int
    address: str
    language: str
    wave: int
    template_id: int
    values: Values
    in_reply_to: str
    dated_at: datetime
    due_at: datetime
    never_leaves: bool = False  # written down for the record alone: its address is another's now


def start_mailing(
    *,
    order_number: str,
    mode: str,
    phase: str,
    epoch: int,
    not_after: datetime,
    digest: str,
    revision_number: int,
    stop_hash: str,
    templates: Sequence[TemplateText],
) -> None:
    """Make an order known to the ledger, with its approved words; nothing is due by this.

    May be called again for a later revision while nothing has left.
    """
    Mailing.objects.update_or_create(
        order_number=order_number,
        defaults={
            "mode": mode,
            "phase": phase,
            "epoch": epoch,
            "not_after": not_after,
            "digest": digest,
            "revision_number": revision_number,
            "stop_hash": stop_hash,
        },
    )
    Template.objects.filter(order_number=order_number, revision_number=revision_number).delete()
    Template.objects.bulk_create(
        Template(
            order_number=order_number,
            revision_number=revision_number,
            kind=words.kind.value,
            variant=words.variant,
            language=words.language,
            subject=words.subject,
            text=words.text,
            html=words.html,
            sha256=words.sha256,
        )
        for words in templates
    )


def set_phase(order_number: str, phase: str, epoch: int) -> None:
    """Let the ledger know where an order stands; one that was never released is not known to it."""
    Mailing.objects.filter(order_number=order_number).update(phase=phase, epoch=epoch)


# One text for all of them: a statement with a value for every column of every row takes longer to
# write and to read than everything else about a mail.
_ADD: Final = """
    INSERT INTO notices_notice (order_number, revision_number, kind, step, person_id, address,
        language, wave, template_id, values, message_id, in_reply_to, dated_at, due_at,
        state, exposure, exposure_before, epoch, attempts, claimed_by, queue_id, last_reply)
    SELECT order_number, revision_number, kind, step, person_id, address,
        language, wave, template_id, values, message_id, in_reply_to, dated_at, due_at,
        'pending', 0, 0, 0, 0, '', '', ''
    FROM json_to_recordset(%s::json) AS fresh (order_number text, revision_number integer,
        kind text, step integer, person_id bigint, address text, language text, wave integer,
        template_id bigint, values jsonb, message_id text, in_reply_to text,
        dated_at timestamptz, due_at timestamptz)
    ON CONFLICT DO NOTHING
"""


def add_notices(rows: Iterable[NewNotice], *, ids: MessageIds) -> int:
    """Write down mails; one that is there already stays as it is. Returns how many were given."""
    written = list(rows)
    fresh = [_row(row, ids) for row in written]
    with connection.cursor() as cursor:
        for begin in range(0, len(fresh), _SLICE):
            cursor.execute(_ADD, [json.dumps(fresh[begin : begin + _SLICE])])
    if never := [ids.of(row) for row in written if row.never_leaves]:
        give_up(list(Notice.objects.filter(message_id__in=never).values_list("pk", flat=True)))
    return len(fresh)


def _row(row: NewNotice, ids: MessageIds) -> dict[str, Any]:
    return {
        "order_number": row.order_number,
        "revision_number": row.revision_number,
        "kind": row.kind.value,
        "step": row.step,
        "person_id": row.person_id,
        "address": row.address,
        "language": row.language,
        "wave": row.wave,
        "template_id": row.template_id,
        "values": {**row.values, "check_code": ids.check_code(row)},
        "message_id": ids.of(row),
        "in_reply_to": row.in_reply_to,
        "dated_at": row.dated_at.isoformat(),
        "due_at": row.due_at.isoformat(),
    }


def postpone(order_number: str, by: timedelta, *, now: datetime) -> int:
    """Move what has not begun to leave and is not due before `now` less `by`, after a pause.

    The waves keep their distance instead of leaving all at once.
    """
    waiting = Notice.objects.filter(
        order_number=order_number,
        state=NoticeState.PENDING.value,
        kind=NoticeKind.NOTICE.value,
        due_at__gt=now - by,
    )
    return waiting.update(due_at=F("due_at") + by)


def give_up(notice_ids: Sequence[int]) -> list[int]:
    """Let mails that no server has taken never leave; returns those that are given up.

    One that a sender has in hand meanwhile is not among them.
    """
    rows = Notice.objects.select_for_update().filter(
        pk__in=notice_ids, state=NoticeState.PENDING.value, exposure=Exposure.NONE
    )
    found = list(rows.values_list("pk", flat=True))
    Notice.objects.filter(pk__in=found).update(state=NoticeState.SKIPPED.value)
    return found


def let_pass(order_number: str) -> None:
    """Count what came back, was refused or is in doubt by now no more; a person looked at it."""
    rows = Notice.objects.filter(TROUBLED, order_number=order_number)
    rows.filter(kind=NoticeKind.NOTICE.value).update(passed_as=F("state"))


@transaction.atomic
def keep_limits(per_minute: Mapping[str, int], *, worker: str, now: datetime) -> bool:
    """Let claims hand out no more mails a minute than this, by domain; tells whether that is new.

    Of several workers the one that allows fewer is heard, until it has said nothing of it for ten
    minutes. What waits by the limits before is looked at anew within as long.
    """
    wanted = {name: apart(count) for name, count in per_minute.items()}
    if not _limits_to_change(wanted, worker, now):
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT ledger_lock_limits()")
    before = dict(MailLimit.objects.values_list("name", "apart"))
    for name in _limits_to_change(wanted, worker, now):
        if name not in wanted:
            MailLimit.objects.filter(name=name).delete()
            continue
        said = {"apart": wanted[name], "said_by": worker, "said_at": now}
        MailLimit.objects.update_or_create(name=name, defaults=said)
    return dict(MailLimit.objects.values_list("name", "apart")) != before


def _limits_to_change(wanted: Mapping[str, timedelta], worker: str, now: datetime) -> list[str]:
    """Return the limits of which this worker has something to say now."""
    there = {row.name: row for row in MailLimit.objects.all()}
    return [
        name
        for name in sorted({*wanted, *there})
        if _is_to_change(there.get(name), wanted.get(name), worker, now)
    ]


def _is_to_change(
    row: MailLimit | None, wanted: timedelta | None, worker: str, now: datetime
) -> bool:
    if row is None or row.said_at is None:
        return True
    if wanted is not None and wanted > row.apart:
        return True
    age = abs(now - row.said_at)
    if wanted == row.apart:
        return age >= _SAID_AGAIN_AFTER
    return row.said_by == worker or age >= _SAID_HOLDS


def catch_up() -> None:
    """Let every mail say what senders noted of it: a killed one leaves its last notes behind."""
    orders = OpenBatch.objects.values_list("order_number", flat=True).distinct()
    for number in list(orders):
        with connection.cursor() as cursor:
            cursor.execute("SELECT ledger_catch_up(%s)", [number])


@transaction.atomic
def log_permit_batches(*, now: datetime) -> int:
    """Enter every batch of intents to send in the log, once each; returns how many."""
    batches = list(
        PermitBatch.objects.select_for_update(skip_locked=True)
        .filter(logged=False)
        .order_by("pk")[:_BATCHES_AT_ONCE]
    )
    if not batches:
        return 0
    audit.record_by_itself(
        "permit.batch",
        (
            (
                batch.order_number,
                {
                    "order": batch.order_number,
                    "epoch": batch.epoch,
                    "digest": batch.digest,
                    "sender": batch.sender,
                    "at": batch.at.isoformat(),
                    "message_ids": sorted(batch.message_ids),
                },
            )
            for batch in batches
        ),
        now=now,
    )
    PermitBatch.objects.filter(pk__in=[batch.pk for batch in batches]).update(logged=True)
    return len(batches)
