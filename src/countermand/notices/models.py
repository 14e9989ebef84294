"""The ledger's tables. Senders reach them only through the SQL functions of this app."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from countermand.domain.delivery import NoticeKind, NoticeState


class Mailing(models.Model):
    """One order as the permit function sees it; the stop writes here what the fence file says."""

    order_number = models.CharField(max_length=12, primary_key=True)
    mode = models.CharField(max_length=10)
    phase = models.CharField(max_length=20)  # copy of the order's phase
    epoch = models.BigIntegerField()
    stopped_epoch = models.BigIntegerField(default=0)
    withdrawn = models.BooleanField(default=False)
    barrier_at = models.DateTimeField(null=True)  # settled after the proof that senders are dead
    not_after = models.DateTimeField()
    digest = models.CharField(max_length=64)  # the approved digest
    revision_number = models.IntegerField()
    # SHA-256 (hex) of the emergency code, for machines that only send; empty for older orders.
    stop_hash = models.CharField(max_length=64, blank=True, default="", db_default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(mode__in=["live", "exercise"]), name="mailing_mode_is_known"
            ),
            # The proof that senders are dead is worth something only once the order is stopped.
            models.CheckConstraint(
                condition=models.Q(barrier_at__isnull=True)
                | models.Q(stopped_epoch__gt=0)
                | models.Q(withdrawn=True),
                name="barrier_needs_a_stop",
            ),
        ]


class Template(models.Model):
    """The approved words of one mail in one language, with `{slots}`."""

    order_number = models.CharField(max_length=12)
    revision_number = models.IntegerField()
    kind = models.CharField(max_length=12)  # domain.delivery.NoticeKind
    variant = models.CharField(max_length=20, blank=True, default="")
    language = models.CharField(max_length=35)
    subject = models.TextField()
    text = models.TextField()
    html = models.TextField()
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order_number", "revision_number", "kind", "variant", "language"],
                name="one_template_each",
            )
        ]


class Notice(models.Model):
    """One mail to one address. Frozen at birth but for its state, exposure and evidence."""

    order_number = models.CharField(max_length=12)
    revision_number = models.IntegerField()
    kind = models.CharField(max_length=12)
    step = models.IntegerField(default=0)
    person_id = models.BigIntegerField()
    address = models.CharField(max_length=320)
    language = models.CharField(max_length=35)
    wave = models.IntegerField(default=0)
    template_id = models.BigIntegerField()
    values = models.JSONField(default=dict)
    message_id = models.CharField(max_length=200)
    in_reply_to = models.CharField(max_length=200, blank=True, default="")
    dated_at = models.DateTimeField()
    # Moves on with every try that the server put off, and with every turn that is not its own yet.
    due_at = models.DateTimeField()
    state = models.CharField(max_length=14, default="pending")
    exposure = models.SmallIntegerField(default=0)
    exposure_before = models.SmallIntegerField(default=0)  # over all attempts but the present one
    epoch = models.BigIntegerField(default=0)
    attempts = models.SmallIntegerField(default=0)  # whose dot was, or may have been, written
    claimed_by = models.CharField(max_length=60, blank=True, default="")
    claim = models.BigIntegerField(db_default=0)  # the newest that handed it out, by its number
    queue_id = models.CharField(max_length=60, blank=True, default="")
    last_reply = models.CharField(max_length=200, blank=True, default="")
    accepted_at = models.DateTimeField(null=True)
    bounced_at = models.DateTimeField(null=True)
    proven_at = models.DateTimeField(null=True)  # delivered, or the check code was entered
    # In which state a person let it pass after it had paused its order; "": nobody has so far.
    passed_as = models.CharField(max_length=14, blank=True, default="", db_default="")
    # No index may depend on `state` itself: every change of it would then write all indexes anew.
    is_waiting = models.GeneratedField(
        expression=models.Q(state__in=["pending", "maybe"]),  # type: ignore[arg-type]
        output_field=models.BooleanField(),
        db_persist=True,
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                # Its first two find whatever one person was sent of an order.
                fields=["order_number", "person_id", "kind", "step", "revision_number", "address"],
                name="one_notice_each",
            ),
            models.UniqueConstraint(fields=["message_id"], name="one_message_id"),
            models.CheckConstraint(
                condition=models.Q(exposure__in=[0, 1, 2]), name="exposure_is_known"
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["sent", "delivered"]) | models.Q(exposure=2),
                name="accepted_is_certain",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["permitted", "maybe"]) | models.Q(exposure__gte=1),
                name="intent_is_possible",
            ),
            models.CheckConstraint(
                condition=~models.Q(state__in=["pending", "skipped", "refused"])
                | models.Q(exposure=0),
                name="never_sent_is_none",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=[state.value for state in NoticeState]),
                name="state_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=[kind.value for kind in NoticeKind]),
                name="kind_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(exposure_before__lte=models.F("exposure"))
                | ~models.Q(state__in=["claimed", "permitted"]),
                name="exposure_is_the_maximum",
            ),
        ]
        indexes: ClassVar = [
            # What a sender may take, in the order in which it takes it.
            models.Index(
                fields=["order_number", "due_at", "id"],
                condition=models.Q(is_waiting=True),
                name="notices_to_take",
            ),
        ]


class NoticeEvidence(models.Model):
    """Later knowledge about one mail."""

    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="evidence")
    kind = models.CharField(max_length=30)
    at = models.DateTimeField()
    detail = models.CharField(max_length=200, blank=True, default="")


class PermitBatch(models.Model):
    """One commit of permits; becomes one leaf of the log (`audit`)."""

    order_number = models.CharField(max_length=12)
    epoch = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    sender = models.CharField(max_length=60)
    at = models.DateTimeField()
    message_ids = models.JSONField()
    logged = models.BooleanField(default=False)

    class Meta:
        indexes: ClassVar = [
            models.Index(
                fields=["id"], condition=models.Q(logged=False), name="permit_batches_to_log"
            )
        ]


class ClaimBatch(models.Model):
    """Mails that one claim handed to a sender; gone once all of them have left its hands."""

    sender = models.CharField(max_length=60)
    claim = models.BigIntegerField(db_default=0)  # thought of by its sender; 0: by an older version
    notice_ids = ArrayField(models.BigIntegerField())
    heard = models.BooleanField(db_default=True)  # its sender knows of it

    class Meta:
        indexes: ClassVar = [models.Index(fields=["sender"], name="claim_batches_by_sender")]


class OpenBatch(models.Model):
    """Permits and 250s of one commit that are not folded into their mails yet (`ledger_fold`).

    Until then a mail is further than its row says. Folded at the next claim of its sender, by the
    sweep, and before whatever depends on it: settling, evidence, the list of corrections.
    """

    order_number = models.CharField(max_length=12)
    sender = models.CharField(max_length=60)
    at = models.DateTimeField()
    permitted = ArrayField(models.BigIntegerField())
    claims = ArrayField(models.BigIntegerField(), db_default=[])  # one for each permitted
    accepted = ArrayField(models.BigIntegerField())
    replies = ArrayField(models.TextField())  # one for each accepted, like the next
    queue_ids = ArrayField(models.TextField())


class SenderLease(models.Model):
    """A living sender; `lease_until` is judged by the database's own clock only.

    `host` is its place (`stop.senders.place`). One that another place took the name from stays, as
    `was:…`, so that it is known that it may only sleep.
    """

    name = models.CharField(max_length=60, primary_key=True)
    mode = models.CharField(max_length=10)
    host = models.CharField(max_length=200)
    pid = models.IntegerField()
    lease_until = models.DateTimeField()


class MailLimit(models.Model):
    """How closely mails may follow each other, all but corrections; no row, no limit."""

    name = models.CharField(max_length=255, primary_key=True)  # a domain; `*`: the relay
    apart = models.DurationField()
    free_at = models.DateTimeField(null=True)  # when the next may leave
    turn_at = models.DateTimeField(null=True)  # when the next that must wait is looked at anew
    said_by = models.CharField(max_length=300, db_default="")  # the worker that allows so few …
    said_at = models.DateTimeField(null=True)  # … and when it said so last


class HeardTime(models.Model):
    """A stretch in which all mails that came back were read; between two nobody could (hearing)."""

    began_at = models.DateTimeField()
    ended_at = models.DateTimeField()  # noted once a minute
    is_over = models.BooleanField(default=False)  # the last reading failed


class LostLines(models.Model):
    """Lines about mails accepted in this time that nobody will ever read: silence proves none."""

    accepted_after = models.DateTimeField()  # what was accepted before was proven by then
    accepted_until = models.DateTimeField()
