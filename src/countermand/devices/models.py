"""Devices, what sources said about the ordered apps on them, and what people answered."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from countermand.domain.presence import Answer


class Device(models.Model):
    """One device as one source knows it."""

    person_id = models.BigIntegerField(null=True, db_index=True)  # people.Person
    source = models.CharField(max_length=50)
    source_device_id = models.CharField(max_length=200)
    platform = models.CharField(max_length=20)  # domain.app_id.Platform
    os_version = models.CharField(max_length=50, blank=True, default="")
    ownership = models.CharField(max_length=10, default="unknown")
    name = models.CharField(max_length=200, blank=True, default="")
    short_id = models.CharField(max_length=8, blank=True, default="")  # last characters, shown
    last_contact_at = models.DateTimeField(null=True)
    reads_mail = models.BooleanField(default=True)
    gone_at = models.DateTimeField(null=True)  # not in the last complete run, or let go
    custodian_id = models.BigIntegerField(null=True, db_index=True)  # people.Person: shared device
    look_asked_at = models.DateTimeField(null=True)  # by its person

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "source_device_id"], name="one_row_a_device")
        ]


class DeviceAlias(models.Model):
    """Another name of a device; for doors, kinds `eas_device_id` and `device_password`.

    It comes from the device's source, or a person confirmed it: `confirmed_by_id`. Such a link may
    open mail by itself and never close it.
    """

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="aliases")
    kind = models.CharField(max_length=30)
    value = models.CharField(max_length=300)
    first_seen_at = models.DateTimeField(null=True)
    confirmed_by_id = models.BigIntegerField(null=True)  # people.Person

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["device", "kind", "value"], name="alias_once_a_device")
        ]
        indexes: ClassVar = [models.Index(fields=["kind", "value"], name="alias_by_value")]


class ImportRun(models.Model):
    """One load of one source; `state` is loaded, held or refused."""

    source = models.CharField(max_length=50)
    as_of = models.DateTimeField()
    started_at = models.DateTimeField()
    complete = models.BooleanField(default=True)
    state = models.CharField(max_length=10)
    report = models.JSONField(default=dict)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(state__in=["loaded", "held", "refused"]),
                name="run_state_is_known",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                "source",
                models.F("as_of").desc(),
                condition=models.Q(state="loaded", complete=True),
                name="newest_whole_run",
            ),
            models.Index("source", condition=models.Q(state="held"), name="held_runs"),
        ]


class Observation(models.Model):
    """What one source last said about one ordered app on one device; nothing about other apps."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="observations")
    app_id = models.CharField(max_length=60)  # catalogue id
    presence = models.CharField(max_length=12)  # domain.presence.Presence
    coverage = models.CharField(max_length=20)
    identifier = models.CharField(max_length=200, blank=True, default="")
    identifier_kind = models.CharField(max_length=30, blank=True, default="")
    publisher = models.CharField(max_length=200, blank=True, default="")  # of a bare name
    may_close = models.BooleanField(default=False)  # confirmed identifier, no known collision
    inventory_at = models.DateTimeField(null=True)  # when the list was taken, if the source says
    # When we got it; what has no time of its own is no newer than the last contact with the device.
    collected_at = models.DateTimeField()
    turned_at = models.DateTimeField(null=True)  # when its last turn was counted by the guard
    run = models.ForeignKey(ImportRun, on_delete=models.PROTECT)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["device", "app_id"], name="one_observation_per_app"),
            models.CheckConstraint(
                condition=models.Q(presence__in=["present", "absent", "unobservable", "unknown"]),
                name="presence_is_known",
            ),
        ]


class Attestation(models.Model):
    """What a person said about an ordered app on a device; opens, never closes."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="attestations")
    person_id = models.BigIntegerField()
    app_id = models.CharField(max_length=60)
    answer = models.CharField(max_length=30)  # domain.presence.Answer
    said_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(answer__in=[answer.value for answer in Answer]),
                name="answer_is_known",
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["device", "app_id", "said_at"], name="answers_by_device")
        ]


class Source(models.Model):
    """A source that is asked by itself. Secrets are named here, never held: file or variable."""

    name = models.CharField(max_length=50, unique=True)  # kind, or kind:label
    options = models.JSONField(default=dict)  # no secrets: addresses, ids, names of secrets
    every_s = models.PositiveIntegerField(default=0)  # seconds between runs; 0: only when told
    added_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    succeeded_at = models.DateTimeField(null=True)
    failed_in_a_row = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=100, blank=True, default="")  # code of an error
    progress = models.PositiveIntegerField(default=0)  # devices read by the run under way
    asked_about = models.CharField(max_length=64, blank=True, default="")  # digest of the apps


class Turnover(models.Model):
    """How many devices of a source vanished, or turned over for an app, within one hour."""

    source = models.CharField(max_length=50)
    app_id = models.CharField(max_length=60, blank=True, default="")  # empty: devices that vanished
    hour = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "app_id", "hour"], name="one_row_an_hour")
        ]


class KnownCount(models.Model):
    """How much is known of a source, counted a moment ago: it is long to count for each event."""

    source = models.CharField(max_length=50)
    app_id = models.CharField(max_length=60, blank=True, default="")  # empty: its devices
    count = models.BigIntegerField()
    counted_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "app_id"], name="one_count_a_source_and_app")
        ]


class HeldDevice(models.Model):
    """A device of which a source said more change than may be, until a person decides about it."""

    source = models.CharField(max_length=50)
    source_device_id = models.CharField(max_length=200)
    is_gone = models.BooleanField(default=False)  # the source let it go, and may not say so again
    held_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)  # a person decided: its next word is believed

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "source_device_id"], name="held_once")
        ]


class Hint(models.Model):
    """A device that a source says is worth a look; a hint proves nothing and closes nothing."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="hints")
    source_device_id = models.CharField(max_length=200)
    due_at = models.DateTimeField(db_index=True)
    looks = models.PositiveSmallIntegerField(default=0)  # how often it was followed

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "source_device_id"], name="one_hint_a_device")
        ]


class ExportJob(models.Model):
    """A report that a source is asked to prepare; its id is durable before it is asked about."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="jobs")
    report = models.CharField(max_length=60)
    filter = models.CharField(max_length=500, blank=True, default="")
    job_id = models.CharField(max_length=200)
    asked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=20)  # the source's own word

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "job_id"], name="one_row_an_export_job")
        ]


class Question(models.Model):
    """What one device was asked by one command: its answer does not repeat it."""

    source = models.CharField(max_length=50)
    enrollment_id = models.CharField(max_length=200)
    command_uuid = models.CharField(max_length=200)
    about = models.CharField(max_length=10, default="apps")  # apps | name: its name at mail doors
    identifiers = models.JSONField(null=True)  # null: all apps
    managed_only = models.BooleanField(default=False)
    asked_at = models.DateTimeField()
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "enrollment_id", "command_uuid"], name="one_question_a_command"
            )
        ]


class SeenEvent(models.Model):
    """An event that was taken in already: a second copy of it changes nothing."""

    source = models.CharField(max_length=50)
    event_id = models.CharField(max_length=200)
    seen_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "event_id"], name="an_event_counts_once")
        ]


class UnknownClient(models.Model):
    """A mail program that a door saw and that belongs to no device we know."""

    login = models.CharField(max_length=320)
    kind = models.CharField(max_length=30)  # domain.inventory.AliasKind
    value = models.CharField(max_length=300)
    program = models.CharField(max_length=200, blank=True, default="")  # as it calls itself
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    device = models.ForeignKey(Device, on_delete=models.SET_NULL, null=True, related_name="+")
    confirmed_by_id = models.BigIntegerField(null=True)  # people.Person
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["login", "kind", "value"], name="one_row_an_unknown_client"
            )
        ]


class Learned(models.Model):
    """How often something was learned: runs of each source, answers of people, custodians.

    The database counts. Each source has a row of its own: loads of two of them never wait for
    each other.
    """

    topic = models.CharField(max_length=80, primary_key=True)
    times = models.BigIntegerField(default=0)
