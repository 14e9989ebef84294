"""Passwords of devices: issued and revoked by their person, shown once, kept as a hash.

The mail server verifies them by itself and tells the gate whose device it was; so the gate knows
the device over IMAP. What is revoked is gone from the mail server's files before the call returns;
the sweep does it for a call that was cut off.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

from django.db import transaction
from django.db.models import Q

from countermand.audit import actions as audit
from countermand.audit import queries as log
from countermand.devices import calling
from countermand.domain import device_password
from countermand.domain.approvals import Role
from countermand.domain.device_stages import Stage, stage_of
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.enforcement import password_files, queries
from countermand.enforcement.models import DevicePassword, PasswordStage
from countermand.enforcement.password_files import DeviceLine
from countermand.people import logins
from countermand.people import queries as people
from countermand.people.queries import Actor, PersonView

MOST_FOR_ONE_PERSON: Final = 10
_FOR_OTHERS: Final = frozenset({Role.HELP_DESK, Role.MAIL_ADMIN, Role.OPERATOR})
_LONGEST_LABEL: Final = 100
_BATCH: Final = 5_000
# A transaction may commit some time after the instant that it wrote down.
_OVERLAP: Final = timedelta(hours=1)


@dataclass(eq=False)
class NotYourDevice(CountermandError):
    """Somebody without the role wanted to act for somebody else."""

    code: ClassVar[str] = "device_password.not_allowed"
    sentence: ClassVar[str] = gettext_noop("You may do this for your own devices alone.")
    remedy: ClassVar[str] = gettext_noop("Ask the help desk, or whoever looks after mail.")


@dataclass(eq=False)
class TooEarly(CountermandError):
    """The groups of a person have not come so far."""

    name: str

    code: ClassVar[str] = "device_password.too_early"
    sentence: ClassVar[str] = gettext_noop("No group of {name} has device passwords yet.")
    remedy: ClassVar[str] = gettext_noop(
        "Let a group begin first: countermand device stage GROUP volunteers."
    )


@dataclass(eq=False)
class TooManyPasswords(CountermandError):
    """One person cannot have any number of passwords: each costs time at every login."""

    name: str
    most: int

    code: ClassVar[str] = "device_password.too_many"
    sentence: ClassVar[str] = gettext_noop("{name} has {most} device passwords already.")
    remedy: ClassVar[str] = gettext_noop("Revoke one that is no longer used first.")


@dataclass(eq=False)
class LoginDoesNotFit(CountermandError):
    """A login that cannot stand in a mail server's files, or has left."""

    login: str

    code: ClassVar[str] = "device_password.login_unfit"
    sentence: ClassVar[str] = gettext_noop("“{login}” cannot have device passwords.")
    remedy: ClassVar[str] = gettext_noop("Look at the address in the directory, then import again.")


@dataclass(eq=False)
class PasswordNotKnown(CountermandError):
    """No device password has this name, or it was revoked before."""

    device_name: str

    code: ClassVar[str] = "device_password.not_known"
    sentence: ClassVar[str] = gettext_noop("There is no device password “{device_name}”.")
    remedy: ClassVar[str] = gettext_noop("List them: countermand device password list --who …")


@dataclass(eq=False)
class FilesNotWritten(CountermandError):
    """The mail server's files could not take a new password; it is void again."""

    folder: str
    why: str

    code: ClassVar[str] = "device_password.files_not_written"
    sentence: ClassVar[str] = gettext_noop(
        "The mail server's files in {folder} cannot be written ({why}); no password was issued."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Look at the disk and at the folder's rights, then issue the password again."
    )


@dataclass(eq=False)
class StillInFiles(CountermandError):
    """A password is void, and the mail server's files still hold it."""

    device_name: str
    folder: str
    why: str

    code: ClassVar[str] = "device_password.still_in_files"
    sentence: ClassVar[str] = gettext_noop(
        "The password “{device_name}” is void, but the mail server's files in {folder} cannot be "
        "written ({why}) and still hold it."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Look at the disk and at the folder's rights, then revoke it once more; the worker tries, "
        "too."
    )


@dataclass(eq=False)
class DeviceOfSomebodyElse(CountermandError):
    """The device is in no inventory, or belongs to another person."""

    device: str

    code: ClassVar[str] = "device_password.device_not_known"
    sentence: ClassVar[str] = gettext_noop("No device “{device}” of this person is known here.")
    remedy: ClassVar[str] = gettext_noop("Give the id that the inventory gives the device.")


@dataclass(frozen=True, slots=True)
class Issued:
    """A new password; `text` is shown this once and stored nowhere."""

    device_name: str
    text: str
    login: str
    stage: Stage


def issue(
    person_id: int,
    *,
    actor: Actor,
    folder: Path,
    now: datetime,
    device: str = "",
    label: str = "",
) -> Issued:
    """Give a person a password for one device; `device` is its id in the inventory, if it has one.

    Raises NotYourDevice, TooEarly, TooManyPasswords, LoginDoesNotFit, DeviceOfSomebodyElse or
    FilesNotWritten.
    """
    with transaction.atomic(durable=True):
        issued, shards = _issue(person_id, actor=actor, now=now, device=device, label=label)
    try:
        export(folder, shards=shards, now=now)
    except OSError as error:
        _revoke(issued.device_name, actor=actor, now=now)  # nobody is shown it any more
        raise FilesNotWritten(str(folder), error.strerror or str(error)) from error
    return issued


def _issue(
    person_id: int, *, actor: Actor, now: datetime, device: str, label: str
) -> tuple[Issued, list[int]]:
    """Return the password, and the files into which it belongs."""
    require(actor, person_id)
    person = people.by_ids([person_id])[person_id]
    stage = stage_of(person.groups, queries.stages())
    if not stage.issues:
        raise TooEarly(name=person.name)
    if person.has_left(now.date()) or not device_password.fits_mail_server(person.address):
        raise LoginDoesNotFit(login=person.address)
    live = DevicePassword.objects.select_for_update().filter(
        person_id=person_id, revoked_at__isnull=True
    )
    if len(live) >= MOST_FOR_ONE_PERSON:
        raise TooManyPasswords(name=person.name, most=MOST_FOR_ONE_PERSON)
    found = calling.find(device) if device else None
    if device and (found is None or found.person_id != person_id):
        raise DeviceOfSomebodyElse(device=device)
    kind = device_password.kind_of(found.platform) if found else "device"
    fresh = device_password.fresh(os.urandom(device_password.RANDOM_BYTES), kind=kind)
    row = DevicePassword(
        person_id=person_id,
        device_id=found.id if found else None,
        device_name=fresh.device_name,
        label=(label.strip() or (found.name if found else ""))[:_LONGEST_LABEL],
        tag=fresh.tag,
        hash=password_files.hashed(fresh.text),
        issued_at=now,
        issued_by=actor.person_id,
    )
    _name(row, person.address, logins.beside([person_id]).get(person_id, ()))
    row.save()
    _record("device_password.issued", person_id, fresh.device_name, actor=actor, now=now)
    issued = Issued(fresh.device_name, fresh.text, person.address, stage)
    return issued, [row.shard, *row.other_shards]


def revoke(device_name: str, *, actor: Actor, folder: Path, now: datetime) -> str:
    """Make one password void; returns its login.

    Raises PasswordNotKnown, NotYourDevice or StillInFiles; after that it may be called again.
    The sweep ends the sessions that are open with it (`endings.end_revoked`).
    """
    row, is_new = _revoke(device_name.strip(), actor=actor, now=now)
    try:
        changed = export(folder, shards=[row.shard, *row.other_shards], now=now)
    except OSError as error:
        why = error.strerror or str(error)
        raise StillInFiles(row.device_name, str(folder), why) from error
    if not is_new and not changed:
        raise PasswordNotKnown(device_name=device_name)
    return row.login


@transaction.atomic(durable=True)
def _revoke(name: str, *, actor: Actor, now: datetime) -> tuple[DevicePassword, bool]:
    """Return the password, and whether it was good until now."""
    row = DevicePassword.objects.select_for_update().filter(device_name=name).first()
    if row is None:
        raise PasswordNotKnown(device_name=name)
    require(actor, row.person_id)
    if row.revoked_at is not None:
        return row, False
    row.revoked_at, row.revoked_by = now, actor.person_id
    row.save(update_fields=["revoked_at", "revoked_by"])
    _record("device_password.revoked", row.person_id, row.device_name, actor=actor, now=now)
    return row, True


def export(folder: Path, *, shards: Sequence[int], now: datetime) -> int:
    """Write the files of these shards from what is stored; returns how many changed."""
    with password_files.locked(folder):
        changed = password_files.write_devices(folder, shards, _lines(shards, now))
        return changed + _follow_passwd_file(folder, now)


def _follow_passwd_file(folder: Path, now: datetime) -> int:
    """Bring the passwd-file of the folder, if it was ever begun, to what is stored."""
    if not password_files.has_passwd_file(folder):
        return 0
    path = folder / password_files.PASSWD_FILE
    return int(password_files.write_passwd_file(path, list(_lines(None, now))))


def follow(folder: Path, *, now: datetime) -> int:
    """Bring the mail server's files to what is stored; costs little while nothing has changed.

    Returns how many files changed. Does nothing as long as nobody uses device passwords and the
    folder is not there; who made it has a mail server that looks there at every login.
    """
    if not (folder.is_dir() or DevicePassword.objects.exists() or PasswordStage.objects.exists()):
        return 0
    known = password_files.state(folder)
    # Somebody may leave on a day of which the directory has told long before.
    day = now.date().isoformat()
    wanted = {"people": people.stamp(), "stages": queries.stages_stamp(), "day": day}
    if {name: known.get(name) for name in wanted} != wanted:
        return _write_everything(folder, wanted, now)
    since = datetime.fromisoformat(known["until"]) - _OVERLAP
    shards = queries.shards_changed_since(since)
    changed = export(folder, shards=shards, now=now) if shards else 0
    password_files.remember(folder, {**wanted, "until": now.isoformat()})
    return changed


def _write_everything(folder: Path, wanted: dict[str, str], now: datetime) -> int:
    _follow_names()
    every = range(device_password.SHARDS)
    with password_files.locked(folder):
        changed = password_files.write_devices(folder, every, _lines(None, now))
        changed += password_files.write_limited(folder, _limited_logins(now))
        changed += _follow_passwd_file(folder, now)
        password_files.remember(folder, {**wanted, "until": now.isoformat()})
    return changed


def keep_up_passwd_file(folder: Path, *, now: datetime) -> tuple[Path, int]:
    """Begin the passwd-file that follows from then on; returns it, and how many it holds.

    Raises OSError. Nobody revokes between what is read here and what is written.
    """
    with password_files.locked(folder):
        path = folder / password_files.PASSWD_FILE
        return path, passwd_file(path, now=now)


def export_passwd_file(file: Path | None, *, folder: Path, now: datetime) -> tuple[Path, int]:
    """Write all passwords into `file`, or into the one of `folder` that follows from then on.

    Returns the file, and how many passwords it holds. Raises OSError.
    """
    kept = folder / password_files.PASSWD_FILE
    if file is None or file.parent.resolve() / file.name == kept.parent.resolve() / kept.name:
        return keep_up_passwd_file(folder, now=now)
    return file, passwd_file(file, now=now)


def passwd_file(path: Path, *, now: datetime) -> int:
    """Write all passwords as one passwd-file; returns how many there are."""
    lines = list(_lines(None, now))
    password_files.write_passwd_file(path, lines)
    return len({each.device_name for each in lines})  # a login may have two spellings


def _follow_names() -> None:
    """Move passwords along with the names by which their person logs in."""
    beside = logins.beside(queries.people_with_passwords())
    for rows in _batches(None):
        known = people.by_ids({row.person_id for row in rows})
        moved = [
            row
            for row in rows
            if (person := known.get(row.person_id)) is not None
            and _name(row, person.address, beside.get(person.id, ()))
        ]
        DevicePassword.objects.bulk_update(
            moved, ["login", "shard", "other_logins", "other_shards"]
        )


def _name(row: DevicePassword, address: str, beside: Sequence[str]) -> bool:
    """Let a password be under these names; returns whether any is new or gone."""
    before = [row.login, *row.other_logins]
    row.login, *row.other_logins = device_password.names_in_files(address, beside)
    row.shard = device_password.shard_of(row.login)
    row.other_shards = [device_password.shard_of(name) for name in row.other_logins]
    return before != [row.login, *row.other_logins]


def _lines(shards: Sequence[int] | None, now: datetime) -> Iterator[DeviceLine]:
    for rows in _batches(shards):
        known = people.by_ids({row.person_id for row in rows})
        for row in rows:
            if not _is_usable(row, known.get(row.person_id), now):
                continue
            for login in (row.login, *row.other_logins):
                if shards is None or device_password.shard_of(login) in shards:
                    yield DeviceLine(login, row.device_name, row.hash, row.tag)


def _is_usable(row: DevicePassword, person: PersonView | None, now: datetime) -> bool:
    return (
        person is not None
        and not person.has_left(now.date())
        and device_password.fits_mail_server(row.login)
    )


def _batches(shards: Sequence[int] | None) -> Iterator[list[DevicePassword]]:
    rows = DevicePassword.objects.filter(revoked_at__isnull=True).order_by("shard", "login", "pk")
    if shards is not None:
        rows = rows.filter(Q(shard__in=list(shards)) | Q(other_shards__overlap=list(shards)))
    batch: list[DevicePassword] = []
    for row in rows.iterator(chunk_size=_BATCH):
        batch.append(row)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    yield batch


def _limited_logins(now: datetime) -> Iterator[str]:
    stages = queries.stages()
    if not any(stage.limits_main_password for stage in stages.values()):
        return
    beside = logins.beside(None)
    for person in people.everyone(now.date()):
        limited = stage_of(person.groups, stages).limits_main_password
        if limited and device_password.fits_mail_server(person.address):
            yield from device_password.names_in_files(person.address, beside.get(person.id, ()))


def require(actor: Actor, person_id: int | None) -> None:
    """Refuse whoever may not act for this person (None: for everybody). Raises NotYourDevice."""
    if actor.person_id != person_id and not actor.roles & _FOR_OTHERS:
        raise NotYourDevice


def _record(event: str, person_id: int, name: str, *, actor: Actor, now: datetime) -> None:
    facts = {"device": name, "person": log.person_ref(person_id)}
    audit.record(event, actor_id=actor.person_id, facts=facts, now=now)
