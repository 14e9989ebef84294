"""Entries of the log: inserted unnumbered by actions, numbered and signed by one sequencer."""

from __future__ import annotations

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


class Checkpoint(models.Model):
    """A signed head of the log (C2SP signed note)."""

    size = models.BigIntegerField(unique=True)
    root_hash = models.BinaryField()
    note = models.TextField()
    at = models.DateTimeField()


class PersonSalt(models.Model):
    """The salt that makes references to a person; deleting it makes them point to nobody."""

    person_id = models.BigIntegerField(primary_key=True)
    salt = models.BinaryField()
