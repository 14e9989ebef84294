"""What others may know of people: frozen values and ids, never rows."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import ClassVar, Final

from django.db.models import Q, QuerySet

from countermand.domain.address import folded_name
from countermand.domain.approvals import Role
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.nearest import nearest_word
from countermand.people.models import AccessToken, DirectoryChanges, Person, RoleGrant

# How the address of somebody ends whose own was given on to somebody else (RFC 6761).
NOWHERE: Final = "@invalid"
# The event of the log by which a directory was taken over.
LOADED: Final = "people.loaded"
# For rooms above: everybody ever known, with what a scope asks of a person.
EVERYBODY: Final = """
    SELECT id AS person_id, uid, address, other_addresses, groups, country, language, zone, unit,
           absent_until, left_on
    FROM people_person
"""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, proven by a personal token, and what they may do."""

    person_id: int
    name: str
    roles: frozenset[Role]
    outside_it: bool


@dataclass(frozen=True, slots=True)
class PersonView:
    """One person as the directory knows them; languages are BCP 47, zones IANA names."""

    id: int
    uid: str
    name: str
    local_name: str
    address: str
    other_addresses: tuple[str, ...]
    second_mailboxes: tuple[str, ...]
    language: str
    country: str
    zone: str
    groups: frozenset[str]
    unit: str
    manager_uid: str
    absent_until: date | None
    left_on: date | None

    def has_left(self, today: date) -> bool:
        """Tell whether this person is no longer here."""
        return self.left_on is not None and self.left_on <= today

    def name_in(self, language: str) -> str:
        """Return the name as it is written in a language that does not use Latin letters."""
        latin = language.partition("-")[0].lower() == "en"
        return self.name if latin or not self.local_name else self.local_name


@dataclass(eq=False)
class TokenNotKnown(CountermandError):
    """A token that proves nobody: never issued, mistyped, or revoked."""

    code: ClassVar[str] = "people.token_not_known"
    sentence: ClassVar[str] = gettext_noop("This token is not known, or it was revoked.")
    remedy: ClassVar[str] = gettext_noop(
        "Ask whoever runs this machine for a new one: countermand staff token ADDRESS."
    )


@dataclass(eq=False)
class PersonNotKnown(CountermandError):
    """Nobody here has this address or key."""

    who: str

    code: ClassVar[str] = "people.person_not_known"
    sentence: ClassVar[str] = gettext_noop("Nobody with the address or key “{who}” is known here.")
    remedy: ClassVar[str] = gettext_noop("Look at how it is written, or import people first.")


@dataclass(eq=False)
class PersonNotKnownButNear(PersonNotKnown):
    """Nobody here has this address or key, and somebody's is near."""

    nearest: str

    remedy: ClassVar[str] = gettext_noop("Did you mean “{nearest}”? Otherwise import people first.")


def token_hash(token: str) -> str:
    """Return the only form in which a token is stored: SHA-256 of its text, hex."""
    return hashlib.sha256(token.strip().encode()).hexdigest()


def actor_for_token(token: str, now: datetime) -> Actor:
    """Return whom a token proves. Raises TokenNotKnown, also for somebody who has left."""
    row = (
        AccessToken.objects.select_related("person")
        .filter(sha256=token_hash(token), revoked_at__isnull=True)
        .filter(Q(person__left_on__isnull=True) | Q(person__left_on__gt=now.date()))
        .first()
    )
    if row is None:
        raise TokenNotKnown
    return _actor(row.person)


def actor(person_id: int) -> Actor:
    """Return what a person may do, without a proof: for showing, never for acting."""
    return _actor(Person.objects.get(pk=person_id))


def _actor(person: Person) -> Actor:
    grants = RoleGrant.objects.filter(person=person).values_list("role", "outside_it")
    return _actor_of(person.pk, person.name, list(grants))


def _actor_of(person_id: int, name: str, grants: Sequence[tuple[str, bool]]) -> Actor:
    return Actor(
        person_id=person_id,
        name=name,
        roles=frozenset(Role(role) for role, _ in grants),
        outside_it=any(outside_it for _, outside_it in grants),
    )


def units_of(person_id: int, role: Role) -> frozenset[str]:
    """Return the units whose people a role is about; none named means all of them."""
    units = RoleGrant.objects.filter(person_id=person_id, role=role.value)
    return frozenset(units.values_list("units", flat=True).first() or ())


def units_among(person_ids: Iterable[int]) -> frozenset[str]:
    """Return every unit that somebody among these people belongs to."""
    rows = Person.objects.filter(pk__in=list(person_ids))
    return frozenset(rows.values_list("unit", flat=True).distinct())


def live_tokens(now: datetime) -> dict[str, Actor]:
    """Return all tokens that prove somebody, by SHA-256 (hex), for the stop register.

    Every sweep asks: only what an actor is made of is read.
    """
    rows = AccessToken.objects.filter(revoked_at__isnull=True).filter(
        Q(person__left_on__isnull=True) | Q(person__left_on__gt=now.date())
    )
    shown = list(rows.values_list("sha256", "person_id", "person__name"))
    grants: dict[int, list[tuple[str, bool]]] = {}
    held = RoleGrant.objects.filter(person_id__in={person for _, person, _ in shown})
    for person, role, outside_it in held.values_list("person_id", "role", "outside_it"):
        grants.setdefault(person, []).append((role, outside_it))
    return {
        sha256: _actor_of(person, name, grants.get(person, ())) for sha256, person, name in shown
    }


def everyone(today: date) -> Iterator[PersonView]:
    """Yield all who have not left by `today`, by id."""
    here = Q(left_on__isnull=True) | Q(left_on__gt=today)
    rows = Person.objects.filter(here).order_by("pk")
    return (_view(row) for row in rows.iterator(chunk_size=2000))


def by_ids(person_ids: Iterable[int]) -> dict[int, PersonView]:
    """Return people by id; ids that nobody has are left out."""
    rows = Person.objects.filter(pk__in=list(person_ids))
    return {row.pk: _view(row) for row in rows}


def person(who: str) -> PersonView:
    """Find one person by key or by any of their addresses. Raises PersonNotKnown."""
    text, name = who.strip(), folded_name(who)
    row = Person.objects.filter(
        Q(uid=text) | Q(address=name) | Q(other_addresses__contains=[name])
    ).first()
    if row is None:
        known = Person.objects.values_list("address", flat=True)[:20_000]
        if near := nearest_word(name, known):
            raise PersonNotKnownButNear(who=who, nearest=near)
        raise PersonNotKnown(who=who)
    return _view(row)


def owner_of(address: str) -> int | None:
    """Return whose own address this is now; None if it is nobody's."""
    rows = Person.objects.filter(address=folded_name(address))
    return rows.values_list("pk", flat=True).first()


def also_known_at(address: str) -> int | None:
    """Return who has this beside their own address; of several the first; None if it is nobody's.

    Found by an index, as quickly whether somebody has it or not.
    """
    rows = Person.objects.filter(other_addresses__contains=[folded_name(address)])
    return min(rows.values_list("pk", flat=True), default=None)


@dataclass(frozen=True, slots=True)
class MailReader:
    """Somebody (`holder`) who reads the mail of somebody else as well (`owner`)."""

    owner_id: int
    owner_name: str
    holder_id: int
    holder_name: str


def mail_readers() -> tuple[MailReader, ...]:
    """Return everybody who reads the mail of another: assistants and delegates; few, mostly."""
    owners = Person.objects.exclude(delegate_uids=[]).order_by("pk")
    rows = list(owners.values_list("pk", "name", "delegate_uids"))
    uids = {uid for _, _, named in rows for uid in named}
    holders = {
        uid: (pk, name)
        for pk, uid, name in Person.objects.filter(uid__in=uids).values_list("pk", "uid", "name")
    }
    return tuple(
        MailReader(owner, name, *holders[uid])
        for owner, name, named in rows
        for uid in named
        if uid in holders
    )


def owners_of(addresses: Collection[str]) -> dict[str, int]:
    """Return whose own address each of these is now; those that are nobody's are left out."""
    rows = (
        Person.objects.filter(address__in=list(addresses)) if addresses else Person.objects.none()
    )
    return dict(rows.values_list("address", "pk"))


def ids_by_address() -> Mapping[str, int]:
    """Return the id of whoever owns an address, all addresses of all people, folded."""
    ids: dict[str, int] = {}
    rows = Person.objects.values_list("pk", "address", "other_addresses")
    for pk, _, others in rows.iterator(chunk_size=5000):
        for other in others:
            ids[other] = min(pk, ids.get(other, pk))
    # The main address wins over somebody else's second one.
    ids.update({address: pk for pk, address in Person.objects.values_list("pk", "address")})
    return ids


def ids_at_addresses(addresses: Collection[str]) -> Mapping[str, int]:
    """Return the ids of whoever owns a few addresses, folded; nobody else is read."""
    mine = Person.objects.filter(address__in=addresses)
    ids = dict(mine.values_list("address", "pk"))
    if others := [each for each in addresses if each not in ids]:
        rows = Person.objects.filter(other_addresses__overlap=others).order_by("-pk")
        for pk, known in rows.values_list("pk", "other_addresses"):
            ids |= dict.fromkeys(set(known).intersection(others), pk)
    return ids


def stamp() -> str:
    """Return a text that changes whenever anything of any person does; costs one small row."""
    return str(DirectoryChanges.objects.values_list("changes", flat=True).first() or 0)


@dataclass(frozen=True, slots=True)
class Grant:
    """A role that somebody holds; without `units` it is about people of all of them."""

    role: Role
    person_id: int
    outside_it: bool
    units: tuple[str, ...]


def grants() -> list[Grant]:
    """Return every role that is held, in the order of the roles."""
    found = [
        Grant(Role(row.role), row.person_id, row.outside_it, tuple(row.units))
        for row in RoleGrant.objects.order_by("person_id")
    ]
    return sorted(found, key=lambda each: list(Role).index(each.role))


def people_with_role(role: Role) -> tuple[int, ...]:
    """Return the ids of everybody who holds a role."""
    rows = RoleGrant.objects.filter(role=role).order_by("person_id")
    return tuple(rows.values_list("person_id", flat=True))


def _view(row: Person) -> PersonView:
    return PersonView(
        id=row.pk,
        uid=row.uid,
        name=row.name,
        local_name=row.local_name,
        address=row.address,
        other_addresses=tuple(row.other_addresses),
        second_mailboxes=tuple(row.second_mailboxes),
        language=row.language,
        country=row.country,
        zone=row.zone,
        groups=frozenset(row.groups),
        unit=row.unit,
        manager_uid=row.manager_uid,
        absent_until=row.absent_until,
        left_on=row.left_on,
    )


def ids_in(countries: Collection[str]) -> QuerySet[Person, int]:
    """Return the keys of the people of some countries, to filter by without reading them."""
    return Person.objects.filter(country__in=list(countries)).values_list("pk", flat=True)
