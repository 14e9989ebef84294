"""What the gate follows: a dense version, one row per device and order, order states, overrides."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class FeedHead(models.Model):
    """The single counter row; every writing transaction raises it, so versions are dense.

    Its row lock is taken before any entry's and held to the commit: the order of versions is the
    order of commits, and two writers never wait for each other crosswise.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.BigIntegerField(default=0)


class DoorEntry(models.Model):
    """One device under one order: the facts from which the verdict is computed."""

    login = models.CharField(max_length=320)  # mail login, folded
    device_key = models.CharField(max_length=300)  # domain.device_key.normal_device
    order_number = models.CharField(max_length=12)
    device_id = models.BigIntegerField()
    person_id = models.BigIntegerField()
    closes_at = models.DateTimeField()  # the person's own deadline
    presence = models.CharField(max_length=12)
    evidence_at = models.DateTimeField(null=True)
    fresh_until = models.DateTimeField(null=True)
    may_close = models.BooleanField(default=False)
    noticed_at = models.DateTimeField(null=True)  # proof of notice
    lock_accepted_at = models.DateTimeField(null=True)
    attested_at = models.DateTimeField(null=True)
    override_until = models.DateTimeField(null=True)
    version = models.BigIntegerField()
    deleted = models.BooleanField(default=False)
    checksum = models.CharField(max_length=64)  # the seal (hex); a gate checks it when refusing

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["login", "device_key", "order_number"], name="one_entry_each"
            ),
            models.CheckConstraint(
                condition=models.Q(presence__in=["present", "absent", "unobservable", "unknown"]),
                name="entry_presence_is_known",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["order_number"], name="entry_by_order"),
            models.Index(fields=["device_id"], name="entry_by_device"),
            models.Index(fields=["version", "id"], name="entry_by_version"),
        ]


class PublishedState(models.Model):
    """The newest signed set of order states; gates accept only rising sequences."""

    sequence = models.BigIntegerField(primary_key=True)
    payload = models.TextField()  # canonical JSON, exactly the signed bytes
    signature = models.TextField()  # base64 Ed25519
    key_id = models.CharField(max_length=32)


class Override(models.Model):
    """A person's decision to let one device read mail for a while."""

    device_id = models.BigIntegerField()
    order_number = models.CharField(max_length=12)
    reason = models.TextField()
    by_person_id = models.BigIntegerField()
    until = models.DateTimeField()
    made_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)  # taken away before its time

    class Meta:
        indexes: ClassVar = [models.Index(fields=["order_number"], name="override_by_order")]
