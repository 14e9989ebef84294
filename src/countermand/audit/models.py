"""Entries of the log: inserted unnumbered by actions, numbered and signed by one sequencer.

A numbered entry is never changed or deleted: triggers in the database refuse it (migration 0001).
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Entry(models.Model):
    """One fact. `position` and `leaf_hash` are given by the sequencer, never changed after."""

    position = models.BigIntegerField(null=True, unique=True)
    leaf_hash = models.BinaryField(null=True)
    event = models.CharField(max_length=60)  # noun.verb
    order_number = models.CharField(max_length=20, blank=True, default="", db_index=True)
    actor_ref = models.CharField(max_length=64, blank=True, default="")  # salted reference
    facts = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(position__isnull=True, leaf_hash__isnull=True)
                | models.Q(position__gte=0, leaf_hash__isnull=False),
                name="numbered_entries_have_a_hash",
            )
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["id"], condition=models.Q(position__isnull=True), name="entries_to_number"
            )
        ]


class Checkpoint(models.Model):
    """A signed head of the log (C2SP signed note) over its first `size` entries."""

    size = models.BigIntegerField(unique=True)
    root_hash = models.BinaryField()
    note = models.TextField()
    subtrees = models.JSONField()  # compact range: roots of the whole subtrees, left to right, hex
    at = models.DateTimeField()


class PersonSalt(models.Model):
    """The salt that makes references to a person; deleting it makes them point to nobody."""

    person_id = models.BigIntegerField(primary_key=True)
    salt = models.BinaryField()
