"""A user of SCIM as a person here, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from scim2_models import Email, GroupMembership, InvalidValueException, Meta, Reference

from countermand import person_facts
from countermand.domain.address import folded_address
from countermand.domain.directory import EVERYBODY, LONGEST_KEY, PersonRecord, logins_beside
from countermand.people.directory_groups import Group as GroupEntry
from countermand.people.provisioning import Away, Entry, Told
from countermand.people.queries import NOWHERE
from countermand.scim.service import (
    PERSON,
    EnterpriseUser,
    Group,
    Manager,
    Member,
    StaffUser,
    User,
)

MOST_EMAILS: Final = 100
MOST_DELEGATES: Final = 100
_MOST_DIGITS: Final = 15
_GROUP: Final = "g"
_NOT_KEPT: Final = frozenset({"id", "meta", "groups"})


def told(user: User, *, language: str, zone: str) -> Told:
    """Return what a directory says of one person; `language` and `zone` hold where it says none."""
    login = (user.user_name or "").strip()
    if not login:
        raise InvalidValueException(detail="userName is needed.")
    key = known_by(user.external_id)
    if len(login) > LONGEST_KEY:
        raise InvalidValueException(detail=f"userName: {LONGEST_KEY} characters at most.")
    enterprise = user[EnterpriseUser] or EnterpriseUser()
    mailboxes = _emails(user)
    addresses = _addresses(mailboxes, login)
    country = _country(user)
    manager = enterprise.manager.value if enterprise.manager else None
    record = PersonRecord(
        uid=key or login,
        name=_name(user, login)[:200],
        address=addresses[0],
        other_addresses=tuple(addresses[1:]),
        second_mailboxes=tuple(each for each in addresses[1:] if each in mailboxes),
        logins=logins_beside(addresses[0], (login,)),
        language=_language(user) or language,
        country=country,
        zone=person_facts.zone_name(user.timezone or "")
        or person_facts.only_zone_of(country)
        or zone,
        groups=(EVERYBODY,),
        unit=(enterprise.department or "")[:200],
    )
    return Told(
        record=record,
        login=login,
        external_id=key,
        said={
            name: value
            for name, value in user.model_dump(mode="json").items()
            if name not in _NOT_KEPT
        },
        is_active=user.active is not False,
        manager_id=key_of(manager or ""),
        away=_away(user[StaffUser]),
    )


def known_by(external_id: str | None) -> str:
    """Return under which key a directory knows somebody, or a group; empty where it says none.

    Raises InvalidValueException: cut, it could be the key of another.
    """
    key = external_id or ""
    if len(key) > LONGEST_KEY:
        raise InvalidValueException(detail=f"externalId: {LONGEST_KEY} characters at most.")
    return key


def key_of(text: str) -> int | None:
    """Read the id of a person; None if it is none of ours."""
    is_key = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if is_key else None


def group_key_of(text: str) -> int | None:
    """Read the id of a group; None if it is none of ours."""
    return key_of(text[1:]) if text.startswith(_GROUP) else None


def _group_id(key: int) -> str:
    """Write the id of a group: no person may have the same (RFC 7643, 3.1)."""
    return f"{_GROUP}{key}"


def _addresses(mailboxes: Sequence[str], login: str) -> list[str]:
    """Return all addresses, the one that mails go to first; nobody is left without any."""
    found = [*mailboxes, folded_address(login)]
    return list(dict.fromkeys(each for each in found if each)) or [
        f"{login.lower().replace('@', '-')}{NOWHERE}"
    ]


def _emails(user: User) -> list[str]:
    """Return where mails arrive, best first. Raises InvalidValueException."""
    if len(user.emails or []) > MOST_EMAILS:
        raise InvalidValueException(detail=f"emails: {MOST_EMAILS} at most.")
    emails = sorted(user.emails or [], key=_rank)
    folded = (folded_address(email.value or "") for email in emails)
    return [each for each in folded if each]


def _rank(email: Email) -> tuple[bool, bool]:
    return not email.primary, email.type != "work"


def _away(staff: StaffUser | None) -> Away | None:
    """Return what is said of leave and delegates, None if nothing. Raises InvalidValueException."""
    if staff is None:
        return None
    delegates = staff.delegates or []
    if len(delegates) > MOST_DELEGATES:
        raise InvalidValueException(detail=f"delegates: {MOST_DELEGATES} at most.")
    keys = (key_of(each.value or "") for each in delegates)
    return Away(
        until=staff.absent_until.date() if staff.absent_until else None,
        delegate_ids=tuple(dict.fromkeys(key for key in keys if key is not None)),
    )


def _name(user: User, login: str) -> str:
    name = user.name
    spelt = f"{name.given_name or ''} {name.family_name or ''}".strip() if name else ""
    return user.display_name or (name and name.formatted) or spelt or login


def _language(user: User) -> str | None:
    words = (user.preferred_language, user.locale)
    return next((tag for word in words if word and (tag := person_facts.language_tag(word))), None)


def _country(user: User) -> str:
    found = (person_facts.country_code(each.country or "") for each in user.addresses or [])
    return next((code for code in found if code), "")


def user_of(entry: Entry, base: str) -> User:
    """Return a person as they are said back; `base` is the address of this service."""
    user: User = PERSON.model_validate(dict(entry.said))
    user.id = str(entry.person_id)
    if user.active is not None or not entry.is_active:
        user.active = entry.is_active
    user.groups = [
        GroupMembership(
            value=group_id, display=name, type="direct", ref=Reference(f"{base}/Groups/{group_id}")
        )
        for group_id, name in ((_group_id(key), name) for key, name in entry.groups)
    ] or None
    enterprise = user[EnterpriseUser]
    if enterprise is not None and enterprise.manager is not None and entry.manager_id:
        link: Reference[User] = Reference(f"{base}/Users/{entry.manager_id}")
        enterprise.manager = Manager(value=str(entry.manager_id), ref=link)
    user.meta = _meta("User", f"{base}/Users/{entry.person_id}", entry)
    return user


def group_of(entry: GroupEntry, base: str) -> Group:
    """Return a group as it is said back."""
    return Group(
        id=_group_id(entry.key),
        external_id=entry.external_id or None,
        display_name=entry.name,
        members=[
            Member(value=str(key), ref=Reference(f"{base}/Users/{key}")) for key in entry.members
        ]
        or None,
        meta=_meta("Group", f"{base}/Groups/{_group_id(entry.key)}", entry),
    )


def _meta(kind: str, location: str, entry: Any) -> Meta:
    return Meta(
        resource_type=kind,
        created=entry.created_at,
        last_modified=entry.changed_at,
        location=location,
    )
