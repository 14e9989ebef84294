"""Reads people out of an LDAP directory; a fetch that breaks off is a fault, never a short list.

People come page by page and are not held; of groups only names and members are. The password goes
over a protected connection alone, to a server whose certificate bears its name, unless the server
is on this machine; where a directory refers us to another server, nobody follows.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from urllib.parse import urlsplit

from ldap3 import NONE, SUBTREE, Connection, Server, Tls
from ldap3.core.exceptions import LDAPException

from countermand import person_facts
from countermand.domain.address import folded_address
from countermand.domain.directory import (
    EVERYBODY,
    LONG_AGO,
    LONGEST_KEY,
    PersonRecord,
    logins_beside,
)
from countermand.domain.errors import Fault, gettext_noop
from countermand.domain.inventory import RejectedRow
from countermand.fault_list import FaultList
from countermand.field_texts import clean
from countermand.wire import hosts

PAGE: Final = 500
_SWITCHED_OFF: Final = 2  # a bit of userAccountControl
_MOST_DIGITS: Final = 18
_TIMEOUT_S: Final = 30
_KEYS: Final = ("entryUUID", "objectGUID")
# In Active Directory these are people by their class: addresses of others, and machines.
_NO_STAFF: Final = frozenset({"contact", "computer"})
_PEOPLE: Final = (
    *_KEYS,
    "objectClass",
    "uid",
    "sAMAccountName",
    "cn",
    "displayName",
    "mail",
    "mailAlternateAddress",
    "proxyAddresses",
    "preferredLanguage",
    "c",
    "co",
    "ou",
    "department",
    "manager",
    "secretary",
    "userAccountControl",
)
# Names to log in with, where whoever imports names no others.
LOGIN_ATTRIBUTES: Final = ("uid", "sAMAccountName", "userPrincipalName")
_GROUPS: Final = ("cn", "member", "uniqueMember", "memberUid")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_GENERALIZED_TIME: Final = re.compile(r"\d{14}(?:[.,]\d+)?(?:Z|[+-]\d{4})")  # RFC 4517, 3.3.13
Attributes = Mapping[str, Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Where a directory is and how it is read; `url` is ldaps://… or ldap:// (StartTLS).

    `ca_file` holds the certificates that are trusted, empty: those that this machine trusts.
    No standard says how time zone and leave are called: `zone_attribute` (an IANA name) and
    `leave_attribute` (a date or a generalized time) do, and empty ones are not asked for. Names to
    log in to mail with are in `login_attributes`. Raises
    ValueError for what can be no name of an attribute.
    """

    url: str
    bind_dn: str = ""
    password: str = ""
    base: str
    people: str = "(&(objectClass=person)(mail=*))"
    groups: str = "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group))"
    language: str = "en"
    zone: str = "UTC"
    country: str = ""
    zone_attribute: str = ""
    leave_attribute: str = ""
    login_attributes: tuple[str, ...] = LOGIN_ATTRIBUTES
    ca_file: str = ""

    def __post_init__(self) -> None:
        """Take no part of a filter for a name."""
        for name in self.further:
            if not _ATTRIBUTE.fullmatch(name):
                raise ValueError(f"not the name of an attribute: {name[:80]}")

    @property
    def further(self) -> tuple[str, ...]:
        """The attributes that this directory alone calls so."""
        named = (self.zone_attribute, self.leave_attribute, *self.login_attributes)
        return tuple(name for name in named if name)


class LdapPeople:
    """One load of people. After `people()` is used up, the other members are complete."""

    kind: Final = "ldap"

    def __init__(self, directory: Directory) -> None:
        """Read all of `directory`; nothing is asked before `people()`."""
        self._directory = directory
        self._groups_of: dict[str, set[str]] = {}
        self._keys: dict[str, str] = {}
        self._seen: dict[str, str] = {}
        self._tells_leave = False
        self.faults = FaultList()
        self.rejected: list[RejectedRow] = []

    def people(self) -> Iterator[PersonRecord]:
        """Yield one record a person; an entry that cannot be read is kept in `rejected`."""
        try:
            connection = self._connected()
            try:
                self._read_groups(connection)
                self._read_keys(connection)
                self._tells_leave = self._is_leave_told(connection)
                wanted = tuple(dict.fromkeys((*_PEOPLE, *self._directory.further)))
                for name, found in self._search(connection, self._directory.people, wanted):
                    if _is_no_staff(found):
                        continue
                    record = self._person(name, found)
                    if record is not None:
                        yield record
            finally:
                connection.unbind()
        except LDAPException as error:
            self.faults.add(_broken(self._directory.url, error))

    def _connected(self) -> Connection:
        place = self._directory
        # By itself ldap3 logs in wherever a server refers it to.
        server = Server(
            place.url,
            get_info=NONE,
            connect_timeout=_TIMEOUT_S,
            tls=_CheckedTls(place.ca_file),
            allowed_referral_hosts=[],
        )
        connection = Connection(
            server,
            user=place.bind_dn or None,
            password=place.password or None,
            raise_exceptions=True,
            read_only=True,
            receive_timeout=_TIMEOUT_S,
            auto_range=True,
            auto_referrals=False,
        )
        try:
            connection.open()
            if not server.ssl and not _is_here(place.url):
                connection.start_tls()
            connection.bind()
        except LDAPException:
            connection.unbind()
            raise
        return connection

    def _search(
        self, connection: Connection, wanted: str, attributes: Sequence[str]
    ) -> Iterator[tuple[str, Attributes]]:
        """Yield every entry, page by page; raises LDAPException when a page fails."""
        # Of attributes that its schema does not know, a server says nothing.
        pages = connection.extend.standard.paged_search(
            self._directory.base,
            wanted,
            SUBTREE,
            attributes=list(attributes),
            paged_size=PAGE,
            generator=True,
        )
        for entry in pages:
            if entry.get("type") == "searchResEntry":
                yield str(entry["dn"]), entry["raw_attributes"]
        # An answer that refers elsewhere raises nothing by itself, and lists nobody.
        ended = str(connection.result["description"])
        if ended != "success":
            raise LDAPException(ended)

    def _read_groups(self, connection: Connection) -> None:
        """Find out for every entry in which groups it is, through groups in groups, too."""
        names: dict[str, str] = {}
        above: dict[str, set[str]] = {}  # a member, or a login, and the groups that name it
        for name, found in self._search(connection, self._directory.groups, _GROUPS):
            key = _folded(name)
            names[key] = clean(_first(found, "cn"))[:100]
            for member in (*_all(found, "member"), *_all(found, "uniqueMember")):
                above.setdefault(_folded(member), set()).add(key)
            for login in _all(found, "memberUid"):
                above.setdefault(f"uid:{login.lower()}", set()).add(key)
        for member, named in above.items():
            reached: set[str] = set()
            waiting = list(named)
            while waiting:
                group = waiting.pop()
                if group not in reached:
                    reached.add(group)
                    waiting += above.get(group, ())
            self._groups_of[member] = {names[group] for group in reached if names.get(group)}

    def _read_keys(self, connection: Connection) -> None:
        """Learn under which key each entry is known: managers are named by their place."""
        wanted = (*_KEYS, "uid", "sAMAccountName")
        for name, found in self._search(connection, self._directory.people, wanted):
            key = _key(found) or name
            if len(key) <= LONGEST_KEY:  # else nobody is known by it
                self._keys[_folded(name)] = key

    def _is_leave_told(self, connection: Connection) -> bool:
        """Whether anybody's leave is in the directory: a wrong name must end nobody's."""
        attribute, people = self._directory.leave_attribute, self._directory.people
        if not attribute:
            return False
        somebody = self._search(connection, f"(&{people}({attribute}=*))", (attribute,))
        return any(_first(found, attribute) for _, found in somebody)

    def _person(self, name: str, found: Attributes) -> PersonRecord | None:
        key = _key(found) or name
        login = _first(found, "uid") or _first(found, "sAMAccountName")
        addresses = _addresses(found)
        shown = clean(_first(found, "displayName") or _first(found, "cn"))
        first = next((a for a in (key, *addresses[:1]) if a in self._seen), None)
        leave = _first(found, self._directory.leave_attribute) if self._tells_leave else ""
        absent_until = _date(leave)
        why = _why_not(addresses, shown, self._seen.get(first or ""))
        if not why and len(key) > LONGEST_KEY:
            why = gettext_noop("its key is longer than 200 characters")
        if not why and leave and absent_until is None:
            why = f"{self._directory.leave_attribute} is no date: {leave[:40]}"
        if why:
            fault = _fault_of(name, why)
            # Earlier versions kept a long key cut: nobody leaves for being refused now.
            self.rejected.append(RejectedRow(key[:LONGEST_KEY], fault.code, (fault,)))
            return None
        for each in (key, addresses[0]):
            self._seen[each] = name
        country = person_facts.country_code(_first(found, "c") or _first(found, "co"))
        country = country or self._directory.country
        member_of = self._groups_of.get(_folded(name), set()) | self._groups_of.get(
            f"uid:{login.lower()}", set()
        )
        return PersonRecord(
            uid=key,
            name=shown[:200],
            address=addresses[0],
            other_addresses=tuple(addresses[1:]),
            second_mailboxes=tuple(addresses[1:]),
            logins=logins_beside(
                addresses[0],
                [each for name in self._directory.login_attributes for each in _all(found, name)],
            ),
            language=person_facts.language_tag(_first(found, "preferredLanguage"))
            or self._directory.language,
            country=country,
            zone=person_facts.zone_name(_first(found, self._directory.zone_attribute))
            or person_facts.only_zone_of(country)
            or self._directory.zone,
            groups=tuple(sorted({EVERYBODY, *member_of})),
            absent_until=absent_until,
            knows_no_leave=not self._tells_leave,
            unit=clean(_first(found, "department") or _first(found, "ou"))[:200],
            manager=self._keys.get(_folded(_first(found, "manager")), "").lower(),
            delegates=tuple(
                self._keys[_folded(each)].lower()
                for each in _all(found, "secretary")
                if _folded(each) in self._keys
            ),
            left_on=LONG_AGO if _is_off(found) else None,
        )


class _CheckedTls(Tls):
    """TLS as sources over HTTP speak it; by itself ldap3 takes any certificate."""

    def __init__(self, ca_file: str) -> None:
        super().__init__()
        self._ca_file = ca_file

    def wrap_socket(self, connection: Connection, do_handshake: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  (the signature is ldap3's)
        """Shake hands with the server that was named, and with no other."""
        context = hosts.tls(self._ca_file)
        connection.socket = context.wrap_socket(
            connection.socket, server_hostname=connection.server.host
        )


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _folded(name: str) -> str:
    """Return a place in the tree so that two spellings of it are equal."""
    return ",".join(part.strip() for part in name.lower().split(","))


def _all(found: Attributes, name: str) -> list[str]:
    folded = name.lower()
    values = next((v for k, v in found.items() if k.lower() == folded), ())
    return [_printable(value.decode("utf-8", "replace")).strip() for value in values]


def _printable(text: str) -> str:
    """Return a text without control characters: a directory may hold any bytes."""
    return "".join(" " if unicodedata.category(c) == "Cc" else c for c in text)


def _first(found: Attributes, name: str) -> str:
    return next(iter(_all(found, name)), "")


def _key(found: Attributes) -> str:
    guid = next((v for k, v in found.items() if k.lower() == "objectguid"), ())
    if guid and len(guid[0]) == 16:  # noqa: PLR2004 - bytes of a UUID, as Windows orders them
        return str(uuid.UUID(bytes_le=bytes(guid[0])))
    return _first(found, "entryUUID") or _first(found, "uid") or _first(found, "sAMAccountName")


def _addresses(found: Attributes) -> list[str]:
    """Return all addresses, the main one first; `SMTP:` in capitals marks the main one."""
    proxies = _all(found, "proxyAddresses")
    main = [each[5:] for each in proxies if each.startswith("SMTP:")]
    others = [each[5:] for each in proxies if each.startswith("smtp:")]
    texts = (*main, *_all(found, "mail"), *others, *_all(found, "mailAlternateAddress"))
    folded = (folded_address(text) for text in texts)
    return list(dict.fromkeys(each for each in folded if each))


def _is_no_staff(found: Attributes) -> bool:
    return not _NO_STAFF.isdisjoint(each.lower() for each in _all(found, "objectClass"))


def _is_off(found: Attributes) -> bool:
    word = _first(found, "userAccountControl")
    return word.isdecimal() and bool(int(word[:_MOST_DIGITS]) & _SWITCHED_OFF)


def _broken(url: str, error: LDAPException) -> Fault:
    return Fault(
        code="directory.unreadable",
        sentence=gettext_noop("The directory cannot be read to its end: {why}."),
        remedy=gettext_noop("Look at address, account and limits; nothing was changed."),
        line=None,
        file=url,
        facts=(("why", str(error)[:300] or type(error).__name__),),
    )


def _why_not(addresses: Sequence[str], shown: str, first: str | None) -> str:
    if not addresses:
        return gettext_noop("no mail address")
    if not shown:
        return gettext_noop("no name")
    return f"as {first}" if first is not None else ""


def _date(text: str) -> date | None:
    """Read a date such as 2026-12-24, or the date of a generalized time; None if it is neither."""
    if _GENERALIZED_TIME.fullmatch(text):
        text = f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _fault_of(name: str, why: str) -> Fault:
    return Fault(
        code="directory.bad_entry",
        sentence=gettext_noop("The entry {entry} cannot be taken over: {why}."),
        remedy=gettext_noop("Mend it in the directory, or import with --accept-rejects."),
        line=None,
        file=name,
        facts=(("entry", name[:200]), ("why", why)),
    )
