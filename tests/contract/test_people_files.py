"""People as Entra, Google and HR programs export them, in the encodings that they use."""

from datetime import date
from pathlib import Path

import pytest

from countermand.byte_source import ByteSource
from countermand.connectors.csv_files.people import Defaults, PeopleFiles
from countermand.domain.directory import PersonRecord

SAMPLES = Path(__file__).parent.parent / "fixtures" / "inventory"
ENTRA = (
    "id,displayName,mail,userPrincipalName,preferredLanguage,usageLocation,department,"
    "otherMails,employeeLeaveDateTime\n"
    "7f-1,Asha Verma,Asha.Verma@example.org,averma@corp.example.org,hi-IN,IN,Payments,"
    "smtp:asha@example.org;SMTP:av@example.org,\n"
)
GOOGLE = (
    "First Name [Required],Last Name [Required],Email Address [Required],"
    "Org Unit Path [Required],Employee ID,Manager Email\n"
    "Tomás,Ferreira,tomas.ferreira@example.org,/Sales/Field,E-17,lena.brandt@example.org\n"
)
HR = (
    "Employee Number;Employee Name;Work Email;Country;Time Zone;Supervisor;Leave Until\n"
    "0042;O'Neil, Siobhán;siobhan@example.org;Ireland;GMT Standard Time;0007;2026-12-01\n"
)


def read(folder: Path, content: bytes, defaults: Defaults | None = None) -> list[PersonRecord]:
    path = folder / "people.csv"
    path.write_bytes(content)
    source = PeopleFiles([ByteSource.of(path)], defaults=defaults or Defaults())
    people = list(source.people())
    assert not source.faults
    assert source.rejected == []
    return people


def test_an_entra_export_is_understood(tmp_path: Path) -> None:
    assert read(tmp_path, ENTRA.encode()) == [
        PersonRecord(
            uid="7f-1",
            name="Asha Verma",
            address="asha.verma@example.org",
            other_addresses=(
                "averma@corp.example.org",
                "asha@example.org",
                "av@example.org",
            ),
            # The name to log in with is no address: mail to it may be somebody else's, or nobody's.
            second_mailboxes=("asha@example.org", "av@example.org"),
            logins=("averma@corp.example.org",),
            language="hi-IN",
            country="IN",
            zone="Asia/Kolkata",
            groups=("all-staff",),
            unit="Payments",
            knows_no_leave=True,
        )
    ]


@pytest.mark.parametrize(
    ("header", "text", "logins"),
    [
        ("logins", "AVerma; CORP\\averma|asha", ("averma", "corp\\averma", "asha")),
        ("sAMAccountName", "averma", ("averma",)),
        ("Login", "averma", ("averma",)),  # a UPN need not look like an address
        ("User Principal Name", "Asha@Example.org", ()),
        ("logins", "", ()),
    ],
)
def test_names_to_log_in_with_stand_in_a_column_of_their_own(
    tmp_path: Path, header: str, text: str, logins: tuple[str, ...]
) -> None:
    content = f"email,name,{header}\nasha@example.org,Asha,{text}\n"

    assert read(tmp_path, content.encode())[0].logins == logins


def test_a_google_export_is_understood(tmp_path: Path) -> None:
    assert read(tmp_path, GOOGLE.encode(), Defaults(zone="Europe/Lisbon")) == [
        PersonRecord(
            uid="E-17",
            name="Tomás Ferreira",
            address="tomas.ferreira@example.org",
            zone="Europe/Lisbon",
            groups=("all-staff",),
            unit="/Sales/Field",
            manager="lena.brandt@example.org",
            knows_no_leave=True,
        )
    ]


@pytest.mark.parametrize(
    ("header", "here", "off"),
    [
        ("accountEnabled", "True", "False"),  # Entra
        ("Status [READ ONLY]", "Active", "Suspended"),  # Google
        ("Employment Status", "On leave", "Terminated"),
    ],
)
def test_whose_account_is_switched_off_has_left(
    tmp_path: Path, header: str, here: str, off: str
) -> None:
    text = f"email,name,{header}\na@example.org,A,{here}\nb@example.org,B,{off}\n"

    a, b = read(tmp_path, text.encode())

    assert (a.left_on, b.left_on) == (None, date(1970, 1, 1))


def test_a_day_of_leaving_that_is_given_counts_before_a_word(tmp_path: Path) -> None:
    text = "email,name,Status,Termination Date\na@example.org,A,Terminated,2027-01-31\n"

    assert read(tmp_path, text.encode())[0].left_on == date(2027, 1, 31)


@pytest.mark.parametrize(("header", "has_left"), [("Status", False), ("Enabled", True)])
@pytest.mark.parametrize("word", ["0", "no"])
def test_a_status_that_may_be_a_number_sends_nobody_away(
    tmp_path: Path, header: str, word: str, *, has_left: bool
) -> None:
    text = f"email,name,{header}\na@example.org,A,{word}\n"

    assert (read(tmp_path, text.encode())[0].left_on is not None) is has_left


def test_an_hr_export_is_understood(tmp_path: Path) -> None:
    person = read(tmp_path, HR.encode())[0]

    assert (person.uid, person.name) == ("0042", "O'Neil, Siobhán")
    assert (person.country, person.zone) == ("IE", "Europe/London")
    assert (person.manager, person.absent_until) == ("0007", date(2026, 12, 1))
    assert not person.knows_no_leave


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encoding_separator_and_line_ends_do_not_matter(
    tmp_path: Path, encoding: str, separator: str, line_end: str
) -> None:
    rows = ["person_id,name,email,language", "p1,आशा वर्मा,asha@example.org,Hindi", ""]
    text = line_end.join(rows).replace(",", separator)

    person = read(tmp_path, text.encode(encoding))[0]

    assert (person.name, person.language) == ("आशा वर्मा", "hi")


def test_the_line_by_which_excel_tells_its_separator_is_understood(tmp_path: Path) -> None:
    text = "sep=;\nemail;name\nasha@example.org;Verma, Asha\n"

    assert [p.name for p in read(tmp_path, text.encode())] == ["Verma, Asha"]


def test_groups_are_taken_as_they_are_where_the_file_has_them(tmp_path: Path) -> None:
    text = "email,name,groups\na@example.org,A,board; all-staff ;\nb@example.org,B,\n"

    people = read(tmp_path, text.encode())

    assert [person.groups for person in people] == [("all-staff", "board"), ()]


def test_a_country_with_several_zones_gives_none_away(tmp_path: Path) -> None:
    text = "email,name,country\na@example.org,A,USA\nb@example.org,B,भारत\n"

    people = read(tmp_path, text.encode())

    assert [(p.country, p.zone) for p in people] == [("US", "UTC"), ("IN", "Asia/Kolkata")]


def test_two_keys_that_differ_beyond_what_there_is_room_for_are_not_one(tmp_path: Path) -> None:
    path, long = tmp_path / "people.csv", "k" * 200
    rows = f"{long}1,A,a@example.org,,\n{long}2,B,b@example.org,,\n{long},C,c@example.org,,\n"
    rows += f"d,D,d@example.org,{long}1,{long}2;{long}\n"
    path.write_text(f"person_id,name,email,manager,delegates\n{rows}", encoding="utf-8")
    source = PeopleFiles([ByteSource.of(path)], defaults=Defaults())

    people = {each.uid: each for each in source.people()}

    assert set(people) == {long, "d"}
    assert (people["d"].manager, people["d"].delegates) == ("", (long,))
    assert [row.why for row in source.rejected] == ["person_id invalid"] * 2
    # Under what an earlier version kept of it: nobody leaves for being refused.
    assert {row.device_id for row in source.rejected} == {long}


def test_two_files_are_one_list(tmp_path: Path) -> None:
    other = tmp_path / "others.csv"
    other.write_text("email,name\nasha.verma@example.org,Twice\n", encoding="utf-8")
    files = [ByteSource.of(SAMPLES / "people.csv"), ByteSource.of(other)]
    source = PeopleFiles(files, defaults=Defaults())

    people = list(source.people())

    assert len(people) == 8
    assert [row.why for row in source.rejected] == ["person listed twice"]


def test_an_endless_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"email,name\n" + b"x" * 3_000_000)
    source = PeopleFiles([ByteSource.of(path)], defaults=Defaults())

    assert list(source.people()) == []
    assert [(f.code, f.line) for f in source.faults.faults] == []
    assert [row.why for row in source.rejected] == ["row.field_too_long"]
