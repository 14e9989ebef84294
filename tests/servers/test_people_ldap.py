"""People out of a real OpenLDAP server: pages, groups in groups, new addresses, breaking off."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from ldap3 import MODIFY_REPLACE, NONE, Connection, Server

from countermand.connectors.people_ldap import source as ldap
from countermand.connectors.people_ldap.source import Directory, LdapPeople
from countermand.domain.directory import PersonRecord
from countermand.testing import certificates

SLAPD = shutil.which("slapd") or "/usr/sbin/slapd"
pytestmark = [
    pytest.mark.skipif(not Path(SLAPD).exists(), reason="apt install slapd"),
    pytest.mark.allow_hosts(["127.0.0.1"]),
    pytest.mark.enable_socket,
]
BASE = "dc=example,dc=org"
ADMIN = f"cn=admin,{BASE}"
PASSWORD = "only-for-this-test"
CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
objectclass ( 1.3.6.1.4.1.4203.666.11.99 NAME 'contact' SUP inetOrgPerson STRUCTURAL )
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "{base}"
rootdn "{admin}"
rootpw {password}
directory {folder}/db
{more}
access to * by users read by * none
"""
CERTIFICATES = """\
TLSCACertificateFile {files.authority}
TLSCertificateFile {files.certificate}
TLSCertificateKeyFile {files.key}
"""


@dataclass
class Slapd:
    """One server with an empty tree."""

    url: str
    connection: Connection

    def add(self, name: str, kinds: list[str], **facts: object) -> None:
        done = self.connection.add(f"{name},{BASE}", kinds, facts)  # type: ignore[no-untyped-call]
        assert done, self.connection.result

    def person(self, uid: str, **facts: object) -> str:
        name = uid.title()
        self.add(
            f"uid={uid}",
            ["inetOrgPerson"],
            **{"cn": name, "sn": name, "mail": f"{uid}@example.org", **facts},
        )
        return f"uid={uid},{BASE}"

    def group(self, name: str, *members: str) -> str:
        self.add(f"cn={name}", ["groupOfNames"], member=list(members))
        return f"cn={name},{BASE}"

    def change(self, name: str, fact: str, *values: str) -> None:
        changes = {fact: [(MODIFY_REPLACE, list(values))]}
        assert self.connection.modify(name, changes)  # type: ignore[no-untyped-call]

    def people(self, **more: Any) -> tuple[dict[str, PersonRecord], LdapPeople]:
        given = {"bind_dn": ADMIN, "password": PASSWORD, **more}
        source = LdapPeople(Directory(url=self.url, base=BASE, **given))
        return {record.address: record for record in source.people()}, source


@pytest.fixture
def slapd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Slapd]:
    more = getattr(request, "param", "")
    (tmp_path / "db").mkdir()
    config = tmp_path / "slapd.conf"
    config.write_text(
        CONFIG.format(folder=tmp_path, base=BASE, admin=ADMIN, password=PASSWORD, more=more)
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"ldap://127.0.0.1:{port}"
    server = subprocess.Popen([SLAPD, "-f", str(config), "-h", url, "-d", "0"])
    try:
        connection = _connected(port, server)
        slapd = Slapd(url, connection)
        slapd.connection.add(  # type: ignore[no-untyped-call]
            BASE, ["dcObject", "organization"], {"dc": "example", "o": "Example"}
        )
        yield slapd
        connection.unbind()
    finally:
        server.kill()
        server.wait()


def _connected(port: int, server: subprocess.Popen[bytes]) -> Connection:
    _wait_for(port, server)
    url = f"ldap://127.0.0.1:{port}"
    return Connection(Server(url, get_info=NONE), ADMIN, PASSWORD, auto_bind=True)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(1200):
        assert server.poll() is None, "slapd ended"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("slapd never answered")


def test_a_person_is_read_with_language_country_unit_manager_and_assistant(slapd: Slapd) -> None:
    boss = slapd.person("boss")
    helper = slapd.person("helper")
    slapd.person(
        "asha",
        displayName="Asha Verma",
        mail=["asha@example.org", "a.verma@example.org"],
        preferredLanguage="hi-IN, en;q=0.5",
        ou="Payments",
        manager=boss,
        secretary=helper,
    )

    found, source = slapd.people(country="IN")

    asha = found["asha@example.org"]
    assert (asha.name, asha.language, asha.unit) == ("Asha Verma", "hi-IN", "Payments")
    assert (asha.country, asha.zone) == ("IN", "Asia/Kolkata")
    assert asha.other_addresses == asha.second_mailboxes == ("a.verma@example.org",)
    assert asha.manager == found["boss@example.org"].uid
    assert asha.delegates == (found["helper@example.org"].uid,)
    assert asha.knows_no_leave
    assert not source.faults
    assert source.rejected == []


def test_logins_are_read_and_other_attributes_for_them_may_be_named(slapd: Slapd) -> None:
    slapd.person("asha", mail="asha.verma@example.org", roomNumber=["E-17", "CORP\\asha"])

    usual, _ = slapd.people()
    named, _ = slapd.people(login_attributes=("roomNumber",))

    assert usual["asha.verma@example.org"].logins == ("asha",)
    assert sorted(named["asha.verma@example.org"].logins) == ["corp\\asha", "e-17"]
    with pytest.raises(ValueError, match="no\\)"):
        slapd.people(login_attributes=("no)",))


def test_zone_and_leave_are_read_from_the_attributes_that_are_named(slapd: Slapd) -> None:
    slapd.person("asha", roomNumber="Asia/Kolkata", employeeType="20261224220000Z")
    slapd.person("ben", roomNumber="the one on the left", employeeType="2026-12-01")
    slapd.person("eva")

    found, source = slapd.people(zone_attribute="roomNumber", leave_attribute="employeeType")

    told = {name[:3]: (each.zone, each.absent_until) for name, each in found.items()}
    assert told == {
        "ash": ("Asia/Kolkata", date(2026, 12, 24)),
        "ben": ("UTC", date(2026, 12, 1)),
        "eva": ("UTC", None),
    }
    assert not any(each.knows_no_leave for each in found.values())
    assert source.rejected == []


def test_an_attribute_that_nobody_has_ends_nobodys_leave(slapd: Slapd) -> None:
    slapd.person("asha")

    found, source = slapd.people(leave_attribute="absentUntill")

    assert found["asha@example.org"].knows_no_leave
    assert not source.faults


def test_a_leave_that_is_no_date_is_named(slapd: Slapd) -> None:
    slapd.person("asha", employeeType="soon")

    found, source = slapd.people(leave_attribute="employeeType")

    assert found == {}
    assert dict(source.rejected[0].faults[0].facts)["why"] == "employeeType is no date: soon"


@pytest.mark.parametrize("name", ["a)(uid=*", "a b", "1", "a" * 65])
def test_no_part_of_a_filter_is_taken_for_the_name_of_an_attribute(name: str) -> None:
    with pytest.raises(ValueError, match="name of an attribute"):
        Directory(url="ldaps://ldap.example.org", base=BASE, leave_attribute=name)


def test_somebody_elses_address_is_nobody_of_the_staff(slapd: Slapd) -> None:
    """Active Directory keeps addresses of other firms as contacts, which are people by class."""
    slapd.person("asha")
    facts = {"cn": "Supplier", "sn": "Supplier", "mail": "desk@supplier.example"}
    slapd.add("cn=supplier", ["contact"], **facts)

    found, source = slapd.people()

    assert set(found) == {"asha@example.org"}
    assert source.rejected == []


def test_groups_in_groups_are_followed_and_a_circle_ends(slapd: Slapd) -> None:
    asha = slapd.person("asha")
    slapd.person("ben")
    inner = slapd.group("inner", asha)
    middle = slapd.group("middle", inner)
    slapd.group("outer", middle)
    slapd.change(inner, "member", asha, f"cn=outer,{BASE}")

    found, _ = slapd.people()

    assert found["asha@example.org"].groups == ("all-staff", "inner", "middle", "outer")
    assert found["ben@example.org"].groups == ("all-staff",)


def test_more_people_than_a_page_are_read_whole(
    slapd: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap, "PAGE", 7)
    for number in range(23):
        slapd.person(f"p{number}")

    found, source = slapd.people()

    assert len(found) == 23
    assert not source.faults


def test_whoever_gets_another_address_and_name_keeps_the_key(slapd: Slapd) -> None:
    name = slapd.person("asha")
    before = slapd.people()[0]["asha@example.org"]

    slapd.change(name, "mail", "asha.rao@example.org")
    slapd.connection.modify_dn(name, "uid=arao")

    assert slapd.people()[0]["asha.rao@example.org"].uid == before.uid


@pytest.mark.parametrize("slapd", ["lastmod off"], indirect=True)  # the uid is the key
def test_a_key_that_is_too_long_is_refused_and_never_cut(slapd: Slapd) -> None:
    slapd.person("a" * 200, mail="asha@example.org")
    boss = slapd.person("b" * 201, mail="ben@example.org")
    slapd.person("chris", manager=boss)

    found, source = slapd.people()

    assert set(found) == {"asha@example.org", "chris@example.org"}
    assert found["asha@example.org"].uid == "a" * 200
    assert found["chris@example.org"].manager == ""  # nobody is known by that key
    [rejected] = source.rejected
    assert rejected.device_id == "b" * 200  # nobody leaves who was kept under it
    assert dict(rejected.faults[0].facts)["why"] == "its key is longer than 200 characters"


@pytest.mark.parametrize("slapd", ["sizelimit 5"], indirect=True)
def test_a_directory_that_breaks_off_is_a_fault_and_no_short_list(slapd: Slapd) -> None:
    for number in range(9):
        slapd.person(f"p{number}")
    reader = slapd.person("reader", userPassword=PASSWORD)

    _, source = slapd.people(bind_dn=reader)

    assert [fault.code for fault in source.faults.faults] == ["directory.unreadable"]


def test_a_wrong_password_is_a_fault(slapd: Slapd) -> None:
    found, source = slapd.people(password="wrong")

    assert found == {}
    assert [fault.code for fault in source.faults.faults] == ["directory.unreadable"]


@pytest.fixture
def tls_url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A server that speaks TLS; it has nobody, and says so only to whoever logged in."""
    (tmp_path / "db").mkdir()
    files = certificates.for_loopback(tmp_path, misnamed=getattr(request, "param", False))
    text = CONFIG + CERTIFICATES
    config = tmp_path / "slapd.conf"
    config.write_text(
        text.format(
            folder=tmp_path,
            base=BASE,
            admin=ADMIN,
            password=PASSWORD,
            limit=9,
            files=files,
            more="",
        )
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"ldaps://127.0.0.1:{port}"
    server = subprocess.Popen([SLAPD, "-f", str(config), "-h", url, "-d", "0"])
    try:
        _wait_for(port, server)
        yield url
    finally:
        server.kill()
        server.wait()


def _why(url: str, ca_file: Path | None) -> str:
    place = Directory(
        url=url, base=BASE, bind_dn=ADMIN, password=PASSWORD, ca_file=str(ca_file or "")
    )
    source = LdapPeople(place)
    assert list(source.people()) == []
    return dict(source.faults.faults[0].facts)["why"]


def test_a_directory_is_trusted_by_its_authority(tls_url: str, tmp_path: Path) -> None:
    assert "noSuchObject" in _why(tls_url, tmp_path / "ca.pem")  # it let us in: it has nobody yet


def test_no_password_goes_to_a_server_that_nobody_vouches_for(tls_url: str) -> None:
    assert "certificate verify failed" in _why(tls_url, None)


@pytest.mark.parametrize("tls_url", [True], indirect=True)
def test_no_password_goes_to_a_server_of_another_name(tls_url: str, tmp_path: Path) -> None:
    assert "IP address mismatch" in _why(tls_url, tmp_path / "ca.pem")


def test_nobody_logs_in_where_a_directory_refers_to(slapd: Slapd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        port = elsewhere.getsockname()[1]
        there = f"ldap://127.0.0.1:{port}/{BASE}"
        slapd.add("ou=moved", ["referral", "extensibleObject"], ref=there)
        source = LdapPeople(
            Directory(url=slapd.url, base=f"ou=moved,{BASE}", bind_dn=ADMIN, password=PASSWORD)
        )

        found = list(source.people())

        elsewhere.settimeout(0.1)
        with pytest.raises(TimeoutError):
            elsewhere.accept()
    assert found == []
    assert dict(source.faults.faults[0].facts) == {"why": "referral"}
