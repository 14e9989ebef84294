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
    gone_at = models.DateTimeField(null=True)  # not in the last complete run

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["source", "source_device_id"], name="one_row_a_device")
        ]


class DeviceAlias(models.Model):
    """Another name of a device; for doors, kinds `eas_device_id` and `device_password`."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="aliases")
    kind = models.CharField(max_length=30)
    value = models.CharField(max_length=300)

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


class Observation(models.Model):
    """What one source last said about one ordered app on one device; nothing about other apps."""

    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="observations")
    app_id = models.CharField(max_length=60)  # catalogue id
    presence = models.CharField(max_length=12)  # domain.presence.Presence
    coverage = models.CharField(max_length=20)
    identifier = models.CharField(max_length=200, blank=True, default="")
    identifier_kind = models.CharField(max_length=30, blank=True, default="")
    may_close = models.BooleanField(default=False)  # confirmed identifier, no known collision
    inventory_at = models.DateTimeField(null=True)  # when the list was taken, if the source says
    collected_at = models.DateTimeField()
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
