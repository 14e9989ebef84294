"""Orders, their immutable revisions, who opened and approved what, and the frozen affected list."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from countermand.domain.phases import Phase


class Order(models.Model):
    """One order; `phase` moves only through `domain.lifecycle.move`."""

    number = models.CharField(max_length=12, primary_key=True)
    mode = models.CharField(max_length=10)  # live | exercise, fixed for ever
    enforcement = models.CharField(max_length=12, default="none")  # domain.phases.Enforcement
    revision_number = models.IntegerField(default=0)  # the newest; frozen by release
    phase = models.CharField(max_length=20)
    paused_from = models.CharField(max_length=20, blank=True, default="")
    epoch = models.BigIntegerField(default=0)
    author_id = models.BigIntegerField()
    created_at = models.DateTimeField()
    submitted_by = models.BigIntegerField(null=True)
    submitted_at = models.DateTimeField(null=True)
    approved_at = models.DateTimeField(null=True)
    released_by = models.BigIntegerField(null=True)
    released_at = models.DateTimeField(null=True)
    hold_until = models.DateTimeField(null=True)
    first_group_at = models.DateTimeField(null=True)  # CANARY began
    soak_until = models.DateTimeField(null=True)
    sending_at = models.DateTimeField(null=True)  # first wave after the first group
    go_by = models.BigIntegerField(null=True)
    notified_at = models.DateTimeField(null=True)  # every notice has settled
    looked_for_late = models.CharField(max_length=64, blank=True, default="")  # what was known then
    doubts_known_to = models.BigIntegerField(default=0)  # the last answer of staff looked at
    surge_allowed_until = models.DateTimeField(null=True)  # a person let a surge of them through
    compiled_from = models.CharField(max_length=64, blank=True, default="")  # what doors were told
    followed_from = models.CharField(max_length=64, blank=True, default="")  # reminders: known then
    follow_up_at = models.DateTimeField(null=True)  # … and when the next of them is due by its time
    first_deadline_at = models.DateTimeField(null=True)  # the earliest own deadline of all
    last_deadline_at = models.DateTimeField(null=True)
    paused_by = models.BigIntegerField(null=True)
    paused_at = models.DateTimeField(null=True)
    pause_cause = models.TextField(blank=True, default="")
    in_force_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)  # closed, withdrawn or taken back
    taken_back_by = models.BigIntegerField(null=True)
    taken_back_at = models.DateTimeField(null=True)
    variant = models.CharField(
        max_length=20, blank=True, default=""
    )  # mistake|reason_gone|replaced
    correcting_at = models.DateTimeField(null=True)  # the barrier was proven
    corrected_at = models.DateTimeField(null=True)
    late_heard = models.BigIntegerField(default=0)  # evidence looked at for what came late
    end_looked_at = models.DateTimeField(null=True)  # all mails, after its end
    statement_at = models.DateTimeField(null=True)  # the statement may be used from here on
    undone_at = models.DateTimeField(null=True)  # handed-over: somebody confirmed it is undone
    stop_hash = models.CharField(max_length=64, blank=True, default="")
    amends = models.CharField(max_length=12, blank=True, default="")
    replaces = models.CharField(max_length=12, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(mode__in=["live", "exercise"]), name="mode_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(phase__in=[phase.value for phase in Phase]),
                name="phase_is_known",
            ),
            models.CheckConstraint(
                condition=models.Q(phase=Phase.PAUSED.value) ^ models.Q(paused_from=""),
                name="paused_from_somewhere",
            ),
        ]


class NamedApp(models.Model):
    """An app that an order names: only these are ever asked for, stored or counted."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="named_apps")
    app_id = models.CharField(max_length=60)  # catalogue id

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["order", "app_id"], name="named_once_an_order")
        ]


class Revision(models.Model):
    """One immutable text of an order with its plan; `digest` names exactly this content."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="revisions")
    number = models.IntegerField()
    source_text = models.TextField()  # the YAML as given
    content = models.JSONField()  # canonical content that the digest covers, affected root included
    digest = models.CharField(max_length=64)
    plan = models.JSONField()  # counts and lists of the plan, as shown
    planned_at = models.DateTimeField()
    edited_by = models.BigIntegerField()
    affected_root = models.CharField(max_length=64, default="")  # digest over the frozen list

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["order", "number"], name="one_revision_per_number")
        ]


class Affected(models.Model):
    """One person of the frozen affected list, or a late joiner of it."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="affected")
    revision_number = models.IntegerField()
    person_id = models.BigIntegerField()
    wave = models.IntegerField()  # 0 is the first small group
    own_deadline_at = models.DateTimeField(null=True)
    joined_at = models.DateTimeField(null=True)  # late joiners only
    reason = models.CharField(max_length=20)  # device | author | approver | late
    notices = models.IntegerField(default=0)  # how many notices exist: late devices add some

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order", "revision_number", "person_id"], name="affected_once"
            )
        ]


class ToldDevice(models.Model):
    """A device that a notice named, or will; its door may close at `own_deadline_at`, not before.

    Kept per device because a new phone of somebody who was told long ago is a late joiner too. Of
    one that was handed on `person_id` is who was told of it last, and not who has it now.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="told_devices")
    person_id = models.BigIntegerField()
    device_id = models.BigIntegerField()
    step = models.IntegerField(default=0)  # which of the person's notices named it
    own_deadline_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["order", "device_id"], name="told_once_a_device")
        ]


class Opening(models.Model):
    """Who opened which part of which revision; the ground of every approval."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="openings")
    person_id = models.BigIntegerField()
    part = models.CharField(max_length=12)  # plan | notice | correction
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["revision", "person_id", "part"], name="opened_once")
        ]


class Approval(models.Model):
    """One person's approval of exactly one digest."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="approvals")
    person_id = models.BigIntegerField()
    digest = models.CharField(max_length=64)
    outside_it = models.BooleanField()
    at = models.DateTimeField()
    void_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["person_id", "digest"],
                condition=models.Q(void_at__isnull=True),
                name="one_live_approval",
            )
        ]


class Timeline(models.Model):
    """What happened to an order, in words that a person reads; the log holds the proof."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="timeline")
    at = models.DateTimeField()
    event = models.CharField(max_length=60)
    facts = models.JSONField(default=dict)


class StaffAnswer(models.Model):
    """What somebody told on the look-up page: a code that was right or wrong, or a report."""

    order_number = models.CharField(max_length=12)
    kind = models.CharField(max_length=12)  # domain.check_code.Said
    person_id = models.BigIntegerField(null=True)  # None: nobody here has the address given
    address_ref = models.CharField(max_length=64)  # keyed; what was typed is not kept
    network_ref = models.CharField(max_length=64, blank=True, default="")  # keyed; "": not known
    at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True)  # of a report: when somebody looked into it

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(kind__in=["genuine", "not_genuine", "report"]),
                name="staff_answer_is_known",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["order_number", "kind", "at"], name="staff_answers_by_kind"),
            models.Index(fields=["address_ref", "at"], name="staff_answers_by_address"),
            models.Index(fields=["network_ref", "at"], name="staff_answers_by_network"),
            models.Index(
                fields=["at"],
                condition=models.Q(kind="report", looked_at__isnull=True),
                name="reports_not_looked_at",
            ),
        ]


class WithdrawnCopy(models.Model):
    """One copy in a mailbox that was to be taken away unread, and what became of it."""

    order_number = models.CharField(max_length=12)
    notice_id = models.BigIntegerField(unique=True)
    person_id = models.BigIntegerField()
    address = models.CharField(max_length=320)
    message_id = models.CharField(max_length=200)
    state = models.CharField(max_length=14, default="asked")  # domain.withdrawal.CopyState
    asked_at = models.DateTimeField()  # written before the mailbox is touched
    answered_at = models.DateTimeField(null=True)
    tries = models.SmallIntegerField(default=0)
    detail = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(
                    state__in=["asked", "withdrawn", "already_read", "not_found", "unknown"]
                ),
                name="withdrawn_copy_state_is_known",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["order_number", "state"], name="withdrawn_copies_by_state")
        ]
