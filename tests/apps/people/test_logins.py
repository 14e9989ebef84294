"""Logins beside the address: each one person's alone, or nobody's, and gone with its person."""

import importlib
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from django.apps import apps
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import conninfo

from countermand import environment
from countermand.domain.directory import PersonRecord
from countermand.people import actions, logins, provisioning
from countermand.people.actions import ImportOptions, ImportState, PeopleReport
from countermand.people.logins import SharedLogin, SharedLogins
from countermand.people.models import DirectoryEntry, Person
from countermand.people.provisioning import Told
from countermand.project.findings import State
from countermand.project.login_checkup import examine_logins
from tests.told_directory import ToldDirectory

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
LONG_AGO = date(2020, 1, 1)


def record(name: str, *names: str, **facts: object) -> PersonRecord:
    given = {"name": name.title(), "address": f"{name}@example.org", "logins": names, **facts}
    return PersonRecord(uid=name, **given)  # type: ignore[arg-type]


def load(*records: PersonRecord, **options: bool) -> PeopleReport:
    options = {"confirm_mass_change": True, **options}
    return actions.import_people(
        ToldDirectory(records), now=NOW, actor_id=None, options=ImportOptions(**options)
    )


def beside() -> dict[str, tuple[str, ...]]:
    uids = dict(Person.objects.values_list("pk", "uid"))
    return {uids[pk]: names for pk, names in logins.beside(None).items()}


def test_a_login_of_one_person_is_theirs() -> None:
    load(record("asha", "averma", r"corp\averma"), record("ben"))

    assert beside() == {"asha": ("averma", r"corp\averma")}


def test_a_login_that_two_people_have_is_nobodys_until_one_lets_it_go() -> None:
    load(record("asha", "av", "asha-k"), record("arjun", "av"))
    assert beside() == {"asha": ("asha-k",)}

    load(record("asha", "asha-k"), record("arjun", "av"))
    assert beside() == {"asha": ("asha-k",), "arjun": ("av",)}


@pytest.mark.parametrize("kind", ["address", "other_addresses"])
def test_a_login_that_is_the_address_of_somebody_else_is_nobodys(kind: str) -> None:
    taken = "verma@example.org"
    facts = {kind: taken if kind == "address" else (taken,)}
    load(record("asha", taken), record("verma", **facts))

    assert beside() == {}


def test_a_login_that_is_an_own_further_address_stays_ones_own() -> None:
    upn = "asha@corp.example.org"
    load(record("asha", upn, other_addresses=(upn,)), record("ben", "ben.b"))

    assert beside() == {"asha": (upn,), "ben": ("ben.b",)}


def test_whoever_has_left_has_no_login_and_the_next_one_may_have_it() -> None:
    load(record("asha", "av"), record("ben", "bb"), record("eva", "ev"))
    load(record("ben", "av"), record("eva", "ev", left_on=LONG_AGO))

    assert dict(Person.objects.values_list("uid", "logins")) == {
        "asha": [],
        "ben": ["av"],
        "eva": [],
    }
    assert beside() == {"ben": ("av",)}


def test_whoever_leaves_later_keeps_the_login_until_then() -> None:
    load(record("asha", "av", left_on=NOW.date() + timedelta(days=9)))

    assert beside() == {"asha": ("av",)}


def test_a_directory_that_writes_people_one_by_one_says_logins_and_lets_them_go() -> None:
    def told(record: PersonRecord, *, is_active: bool = True) -> Told:
        return Told(record=record, login="x", external_id="", said={}, is_active=is_active)

    asha = provisioning.put_person(told(record("asha", "av")), person_id=None, now=NOW).person_id
    assert beside() == {"asha": ("av",)}
    provisioning.put_person(told(record("asha", "av"), is_active=False), person_id=asha, now=NOW)
    assert Person.objects.get().logins == []
    provisioning.put_person(told(record("asha", "av")), person_id=asha, now=NOW)
    provisioning.take_away_person(asha, now=NOW)
    assert Person.objects.get().logins == []


def test_people_whom_a_directory_wrote_before_get_the_logins_that_it_said() -> None:
    step = importlib.import_module("countermand.people.migrations.0007_logins_of_directories")
    logins_said = {"asha": "AVerma@corp.example.org", "ben": "Ben@example.org", "eva": "ev"}
    for uid, login in logins_said.items():
        person = Person.objects.create(uid=uid, name=uid, address=f"{uid}@example.org")
        DirectoryEntry.objects.create(person=person, login=login, created_at=NOW, changed_at=NOW)
    Person.objects.filter(uid="eva").update(left_on=LONG_AGO)

    step.take_over(apps, None)

    assert dict(Person.objects.values_list("uid", "logins")) == {
        "asha": ["averma@corp.example.org"],
        "ben": [],
        "eva": [],
    }


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_import_names_logins_of_several_people_and_loads_all_the_same(*, dry_run: bool) -> None:
    report = load(
        record("asha", "av", "ok"),
        record("arjun", "av", "ben@example.org"),
        record("ben"),
        record("eva", "av", left_on=LONG_AGO),
        dry_run=dry_run,
    )

    assert report.state is (ImportState.TRIED if dry_run else ImportState.LOADED)
    assert report.shared_logins == SharedLogins(
        2,
        (
            SharedLogin("av", ("arjun@example.org", "asha@example.org")),
            SharedLogin("ben@example.org", ("arjun@example.org", "ben@example.org")),
        ),
    )
    assert report.rejected == ()


def test_an_import_without_such_logins_names_none() -> None:
    assert load(record("asha", "av"), record("ben", "bb")).shared_logins == SharedLogins()


@pytest.mark.django_db(transaction=True)
def test_the_doctor_names_logins_of_several_people_as_long_as_there_are_some() -> None:
    about = connection.settings_dict
    names = {"host": "HOST", "port": "PORT", "dbname": "NAME", "user": "USER"}
    url = conninfo.make_conninfo(
        password=about["PASSWORD"], **{name: about[key] for name, key in names.items()}
    )
    of_doctor = environment.load({"DATABASE_URL": url})
    assert examine_logins(of_doctor).state is State.GOOD
    Person.objects.create(uid="a", name="A", address="a@example.org", logins=["av", "own"])
    Person.objects.create(uid="b", name="B", address="b@example.org", logins=["av"])

    found = examine_logins(of_doctor)
    Person.objects.all().delete()

    assert found.state is State.NOTE
    assert "By 1 logins" in found.sentence
    assert "av (a@example.org, b@example.org)" in found.sentence
    assert "own" not in found.sentence


def test_what_an_import_changes_of_logins_is_a_change_and_what_it_repeats_is_none() -> None:
    load(record("asha", "av"), record("ben", left_on=LONG_AGO))

    assert load(record("asha", "av"), record("ben", "bb", left_on=LONG_AGO)).changed == 0
    assert load(record("asha", "av2"), record("ben", left_on=LONG_AGO)).changed == 1


WORDS = st.sampled_from(["a", "b", "c", "p0@x.org", "p1@x.org", "p2@x.org"])


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(
    st.lists(
        st.tuples(st.sets(WORDS, max_size=3), st.sets(WORDS, max_size=2), st.booleans()),
        min_size=1,
        max_size=3,
    )
)
def test_no_login_is_ever_that_of_two_people(
    told: list[tuple[set[str], set[str], bool]],
) -> None:
    with transaction.atomic():
        rows = [
            Person.objects.create(
                uid=f"p{n}",
                name="P",
                address=f"p{n}@x.org",
                logins=[] if has_left else sorted(names - {f"p{n}@x.org"}),
                other_addresses=sorted(others),
                left_on=LONG_AGO if has_left else None,
            )
            for n, (names, others, has_left) in enumerate(told)
        ]
        here = [row for row in rows if row.left_on is None]
        named = [{row.address, *row.logins, *row.other_addresses} for row in here]
        times = Counter(name for names in named for name in names)
        expected = {
            row.pk: tuple(own)
            for row in here
            if (own := [name for name in row.logins if times[name] == 1])
        }
        shared = {name for row in here for name in row.logins if times[name] > 1}

        assert logins.beside(None) == expected
        for row in rows:
            assert logins.beside([row.pk]) == {
                pk: expected[pk] for pk in [row.pk] if pk in expected
            }
        assert {each.login for each in logins.shared().first} == shared
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT person_id, address FROM ({logins.LOGINS}) AS every")
            found = set(cursor.fetchall())
        by_address = {(row.pk, row.address) for row in rows}
        assert found == by_address | {(pk, name) for pk, own in expected.items() for name in own}
        transaction.set_rollback(True)


def test_where_nobody_has_a_login_nobody_is_looked_at() -> None:
    Person.objects.bulk_create(
        Person(uid=f"p{n}", name="P", address=f"p{n}@x.org") for n in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE people_person")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT TEXT) {logins._ALL_BESIDE}")
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "person_with_logins" in plan
    assert "rows=5000 loops=1" not in plan
