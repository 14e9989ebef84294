"""What the gate follows: a dense version, one row per device and order, order states, overrides.

And what is known about doors: passwords of devices, counts by door, sessions that were ended.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
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
            models.Index(
                fields=["version"], condition=models.Q(deleted=True), name="entry_to_purge"
            ),
            models.Index(
                fields=["order_number", "closes_at"],
                condition=models.Q(presence="present", may_close=True, deleted=False),
                name="entry_that_may_shut",
            ),
        ]


class FeedMark(models.Model):
    """Which version the feed had at one instant, so that the age of a version can be told."""

    version = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()


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
    ended_by = models.BigIntegerField(null=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["order_number"], name="override_by_order")]


class DevicePassword(models.Model):
    """The password of one device: only its hash is kept, in the form that Dovecot verifies.

    `device_name` is what the mail server tells the gate (`user_device`); it is one device's in the
    whole installation. `tag` is the first group of the password: it says whose hash to verify.
    """

    person_id = models.BigIntegerField(db_index=True)
    login = models.CharField(max_length=320)  # mail login, folded; follows the person's address
    # By which names else its person logs in: the address in another spelling, logins beside it.
    other_logins = ArrayField(models.CharField(max_length=320), default=list)
    device_id = models.BigIntegerField(null=True, db_index=True)  # null: in no inventory (yet)
    device_name = models.CharField(max_length=40, unique=True)
    label = models.CharField(max_length=100, blank=True, default="")
    tag = models.CharField(max_length=8)
    hash = models.CharField(max_length=200)
    shard = models.SmallIntegerField()  # which file holds it: enforcement.password_files
    other_shards = ArrayField(models.SmallIntegerField(), default=list)  # those of other_logins
    issued_at = models.DateTimeField()
    issued_by = models.BigIntegerField()
    revoked_at = models.DateTimeField(null=True)
    revoked_by = models.BigIntegerField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["shard", "login"], name="password_by_shard"),
            # Few names belong into one file: no change of a password looks at all passwords.
            GinIndex(fields=["other_shards"], name="password_by_other_shard"),
            models.Index(fields=["issued_at"], name="password_by_issue"),
            models.Index(fields=["revoked_at"], name="password_by_end"),
        ]


class PasswordStage(models.Model):
    """How far one group of people has come with device passwords; `*` is everybody."""

    group = models.CharField(max_length=100, unique=True)
    stage = models.CharField(max_length=30)  # domain.device_stages.Stage
    since = models.DateTimeField()
    set_by = models.BigIntegerField()


class GateReading(models.Model):
    """What one gate said last: its counts since it began to count, and how far it has read."""

    gate = models.CharField(max_length=300, primary_key=True)  # its control address
    counting = models.CharField(max_length=200, default="")  # another text: it counts anew
    counts = models.JSONField(default=dict)
    feed_version = models.BigIntegerField(default=0)
    read_at = models.DateTimeField()


class DoorCount(models.Model):
    """How many questions came through one kind of door of one gate in one hour."""

    gate = models.CharField(max_length=300)
    hour = models.DateTimeField()
    door = models.CharField(max_length=30)  # gate.door_kinds.DoorKind
    count = models.BigIntegerField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["gate", "hour", "door"], name="one_count_an_hour")
        ]
        indexes: ClassVar = [models.Index(fields=["hour"], name="count_by_hour")]


class SessionEnding(models.Model):
    """One door that was found shut, and what became of the sessions that were open behind it.

    Written before the mail server is asked, so that nothing is asked without a trace; asking again
    changes nothing. `opened_at` says that the door was found open again.
    """

    order_number = models.CharField(max_length=12)
    login = models.CharField(max_length=320)
    device_key = models.CharField(max_length=300)
    device_id = models.BigIntegerField()
    found_at = models.DateTimeField()
    tries = models.SmallIntegerField(default=0)
    look_at = models.DateTimeField()  # when to try again, or to see whether it is still shut
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=20, default="")  # ports.Ended, or why not yet
    opened_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["order_number", "login", "device_key"],
                condition=models.Q(opened_at__isnull=True),
                name="one_ending_a_closing",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["order_number", "look_at"],
                condition=models.Q(opened_at__isnull=True),
                name="ending_to_look_at",
            ),
        ]
