"""People as the directory knows them, what they may do, and the tokens that prove who acts."""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Lower

from countermand.domain.approvals import Role


class Person(models.Model):
    """One member of staff; `uid` is the directory's own key."""

    uid = models.CharField(max_length=200, unique=True)
    name = models.CharField(max_length=200)
    local_name = models.CharField(max_length=200, blank=True, default="")
    address = models.CharField(max_length=320, unique=True)  # folded (domain.address)
    # Whatever else names this person in files; not all of it is an address.
    other_addresses = ArrayField(models.CharField(max_length=320), default=list)
    # Those of them at which mail arrives: a name to log in with is not one.
    second_mailboxes = ArrayField(models.CharField(max_length=320), default=list)
    # Names to log in to mail with beside the address, folded as doors fold them; of whoever has
    # left, none. Which of them are this person's alone, `logins` says.
    logins = ArrayField(models.CharField(max_length=320), default=list)
    language = models.CharField(max_length=35, default="en")  # BCP 47
    country = models.CharField(max_length=2, default="")  # ISO 3166-1 alpha-2
    zone = models.CharField(max_length=64, default="UTC")  # IANA
    groups = ArrayField(models.CharField(max_length=100), default=list)
    unit = models.CharField(max_length=200, blank=True, default="")
    manager_uid = models.CharField(max_length=200, blank=True, default="")
    # Whoever else reads this person's mail: assistants and delegates, by uid.
    delegate_uids = ArrayField(models.CharField(max_length=200), default=list)
    absent_until = models.DateField(null=True)
    left_on = models.DateField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(address=Lower("address")), name="address_is_folded"
            )
        ]
        indexes: ClassVar = [
            models.Index(fields=["id"], condition=~models.Q(logins=[]), name="person_with_logins"),
            # The look-up page asks whose an address is at every wrong code. An import only appends
            # to the index (kB): vacuum sorts it in afterwards.
            GinIndex(
                fields=["other_addresses"],
                name="person_by_other_address",
                gin_pending_list_limit=65_536,
            ),
        ]


class RoleGrant(models.Model):
    """A role held by a person; roles are the members of `domain.approvals.Role`."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="grants")
    role = models.CharField(max_length=30)
    outside_it = models.BooleanField(default=False)
    # The units whose people this role is about; none named: all of them.
    units = ArrayField(models.CharField(max_length=200), default=list)
    granted_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["person", "role"], name="one_grant_per_role"),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]), name="role_is_known"
            ),
        ]


class AccessToken(models.Model):
    """A personal token; only its SHA-256 is stored."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="tokens")
    sha256 = models.CharField(max_length=64, unique=True)
    label = models.CharField(max_length=100, blank=True, default="")
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)


class DirectoryEntry(models.Model):
    """What a directory that writes to us (SCIM) said of a person, to be said back to it."""

    person = models.OneToOneField(Person, on_delete=models.PROTECT, related_name="entry")
    login = models.CharField(max_length=320)
    external_id = models.CharField(max_length=200, blank=True, default="")
    said = models.JSONField(default=dict)
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(Lower("login"), name="one_entry_a_login"),
        ]
        indexes: ClassVar = [models.Index(fields=["external_id"], name="entry_by_external_id")]


class DirectoryGroup(models.Model):
    """A group that a directory made here (SCIM); its members carry its name in `Person.groups`."""

    name = models.CharField(max_length=100, unique=True)
    external_id = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()


class DirectoryToken(models.Model):
    """What lets a directory write people here; only its SHA-256 is stored."""

    label = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)


class DirectoryChanges(models.Model):
    """How often people were written; the database counts, so that no writer can forget to.

    One row. Whoever keeps something that follows from people looks at this number alone.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    changes = models.BigIntegerField(default=0)
