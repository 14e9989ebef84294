"""What the database says of everybody at once is what is said of each person alone.

The oracle reads one person after the other and asks the rules of the domain; nothing of the
statements is in it.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countermand.devices.models import Attestation, Device, DeviceAlias, ImportRun, Observation
from countermand.domain.app_id import IdentifierKey, IdentifierKind, Platform
from countermand.domain.order_parts import (
    DeviceScope,
    OrderDocument,
    Ownership,
    PeopleScope,
    SignedByName,
)
from countermand.domain.phases import Enforcement
from countermand.domain.presence import Presence
from countermand.enforcement.models import DevicePassword
from countermand.orders import cell_sql, documents, plan_counts
from countermand.orders.cells import PersonCells, cells_of
from countermand.orders.door_outlook import states_at_deadline, would_lose_mail
from countermand.people.models import Person
from tests.one_by_one import cells_in_scope
from tests.order_world import order_text

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
APPS = ("tiktok", "wechat", "shareit")
GROUPS = ("all-staff", "board", "interns")
# Around the edges: nothing, the refresh cycle and the freshness of each source, and now itself.
AGES = [HOUR * hours for hours in (-1, 0, 1, 23, 24, 25, 167, 168, 169, 191, 192, 193)]
instants = st.sampled_from([NOW - age for age in AGES])
few = partial(st.frozensets, max_size=2)

people = st.fixed_dictionaries(
    {
        "groups": few(st.sampled_from(GROUPS)).map(sorted),
        "country": st.sampled_from(["", "IN", "DE"]),
        "language": st.sampled_from(["en", "hi"]),
        "left_on": st.sampled_from([None, None, NOW.date(), NOW.date() + timedelta(days=1)]),
    }
)
sightings = st.fixed_dictionaries(
    {
        "presence": st.sampled_from([each.value for each in Presence]),
        "may_close": st.booleans(),
        "inventory_at": st.none() | instants,
        "collected_at": instants,
        "identifier_kind": st.sampled_from(["", "name", "android_package"]),
        "identifier": st.sampled_from(["TikTok", " tiktok ", "com.zhiliaoapp.musically"]),
        "publisher": st.sampled_from(["", "ByteDance", "Somebody Else"]),
    }
)
phones = st.fixed_dictionaries(
    {
        "device": st.fixed_dictionaries(
            {
                "source": st.sampled_from(["csv", "intune", "intune:berlin", "jamf"]),
                "platform": st.sampled_from(["android", "ios", "fridge"]),
                "ownership": st.sampled_from(["corporate", "personal", "rented"]),
                "reads_mail": st.booleans(),
                "gone_at": st.sampled_from([None, None, None, NOW]),
                "last_contact_at": st.none() | instants,
            }
        ),
        "owner": st.integers(min_value=-1, max_value=5),
        "apps": st.dictionaries(st.sampled_from(APPS), sightings),
        "said": st.lists(
            st.tuples(
                st.sampled_from(APPS),
                st.sampled_from(["removed", "cannot", "never_had"]),
                instants,
            ),
            max_size=3,
        ),
        "alias": st.sampled_from([None, "eas_device_id", "serial"]),
        "is_confirmed": st.booleans(),
        "password": st.sampled_from([None, "live", "revoked"]),
    }
)
keys = st.sampled_from(
    [
        IdentifierKey(IdentifierKind.NAME, "TIKTOK"),
        IdentifierKey(IdentifierKind.ANDROID_PACKAGE, "com.zhiliaoapp.musically"),
    ]
)
signed = st.builds(
    SignedByName,
    st.sampled_from(APPS),
    keys,
    st.sampled_from(["", "bytedance"]),
    st.just("Legal"),
)


@st.composite
def orders(draw: st.DrawFn) -> Callable[[OrderDocument], OrderDocument]:
    """A change of an order: its scope, apps, signatures and doors."""
    apps = tuple(draw(st.lists(st.sampled_from(APPS), min_size=1, max_size=3, unique=True)))
    meant = PeopleScope(
        groups=draw(few(st.sampled_from([*GROUPS, "*"]))),
        people=draw(few(st.sampled_from(["p0", "p1@example.org", "p2@old.example.org"]))),
        countries=draw(few(st.sampled_from(["*", "IN"]))),
        except_groups=draw(few(st.sampled_from(GROUPS))),
    )
    devices = DeviceScope(
        ownership=draw(few(st.sampled_from(Ownership))),
        platforms=draw(few(st.sampled_from([Platform.ANDROID, Platform.OTHER]))),
        reads_mail=draw(st.booleans()),
    )
    names = tuple(draw(st.lists(signed, max_size=2)))
    doors = draw(st.sampled_from(Enforcement))
    return lambda document: replace(
        document,
        apps=apps,
        enforcement=doors,
        signed_identifiers=names,
        scope=replace(document.scope, people=meant, devices=devices),
    )


def invent(staff: list[dict[str, Any]], devices: list[dict[str, Any]]) -> None:
    run = ImportRun.objects.create(source="csv", as_of=NOW, started_at=NOW, state="loaded")
    rows = [
        Person.objects.create(
            uid=f"p{n}",
            name=f"P {n}",
            address=f"p{n}@example.org",
            other_addresses=[f"p{n}@old.example.org"],
            # Of the last one nobody can say whose it is.
            logins=[f"login-{n}", "everybodys" if n else "of the first"],
            **facts,
        )
        for n, facts in enumerate(staff)
    ]
    for n, facts in enumerate(devices):
        owner = rows[facts["owner"] % len(rows)].pk if facts["owner"] >= 0 else None
        row = Device.objects.create(person_id=owner, source_device_id=f"d{n}", **facts["device"])
        for app, seen in facts["apps"].items():
            Observation.objects.create(device=row, app_id=app, coverage="full", run=run, **seen)
        for app, answer, at in facts["said"]:
            Attestation.objects.create(
                device=row, person_id=owner or 0, app_id=app, answer=answer, said_at=at
            )
        if facts["alias"]:
            DeviceAlias.objects.create(
                device=row,
                kind=facts["alias"],
                value=f"eas{n}",
                confirmed_by_id=1 if facts["is_confirmed"] else None,
            )
        if facts["password"]:
            DevicePassword.objects.create(
                person_id=owner or 0,
                device_id=row.pk,
                device_name=f"pw{n}",
                shard=0,
                issued_at=NOW,
                issued_by=1,
                revoked_at=NOW if facts["password"] == "revoked" else None,
            )


def known_devices(document: OrderDocument) -> dict[int, tuple[Any, ...]]:
    known = cell_sql.known_devices(document, now=NOW)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT device_id, person_id, in_scope, presence, may_close, evidence_at, fresh_until,"
            f" attested_at, loses_mail, {cell_sql.HAS_DOOR_NAME} FROM ({known.sql}) AS cell",
            known.parameters,
        )
        return {row[0]: row[1:] for row in cursor.fetchall()}


def one_by_one(document: OrderDocument) -> dict[int, tuple[Any, ...]]:
    states = states_at_deadline("CM-7Q4K", document.enforcement)
    found = {}
    everybody = Person.objects.values_list("pk", flat=True)
    for whole in cells_of(document, everybody):
        for cell in whole.cells:
            decides = cell.weightiest
            found[cell.device.id] = (
                whole.person.id,
                cell.in_scope,
                cell.presence.value,
                bool(decides and decides.may_close),
                decides.evidence_at if decides else None,
                decides.fresh_until if decides else None,
                decides.attested_at if decides else None,
                would_lose_mail(cell, "CM-7Q4K", states, NOW),
                bool(cell.device.doors),
            )
    return found


def spread(cells: list[tuple[str, str]]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for name, word in cells:
        found.setdefault(name, Counter())[word] += 1
    return {
        name: {word: counts[word] for word in plan_counts.WORDS.values()}
        for name, counts in found.items()
    }


def assert_counted(document: OrderDocument, everybody: list[PersonCells]) -> None:
    states = states_at_deadline("CM-7Q4K", document.enforcement)
    meant = [(each, cell) for each in everybody for cell in each.cells if cell.in_scope]
    words = [(each, cell, plan_counts.WORDS[cell.presence]) for each, cell in meant]
    losing = [
        each.person.id for each, cell in meant if would_lose_mail(cell, "CM-7Q4K", states, NOW)
    ]

    counts = plan_counts.devices_in_scope(document, now=NOW)

    assert counts.devices["all"] == len(meant)
    assert counts.by_platform == spread([(c.device.platform, w) for _, c, w in words])
    assert counts.by_ownership == spread([(c.device.ownership, w) for _, c, w in words])
    assert counts.by_country == spread([(e.person.country or "-", w) for e, _, w in words])
    assert (counts.losing_people, counts.losing_devices) == (len(set(losing)), len(losing))
    assert plan_counts.people_in_scope(document, now=NOW) == len(everybody)
    assert plan_counts.present_without_door_name(document, now=NOW) == sum(
        cell.presence is Presence.PRESENT and not cell.device.doors for _, cell in meant
    )


def assert_concerned(document: OrderDocument, everybody: list[PersonCells], author: int) -> None:
    there = {each.person.id: each for each in everybody}
    wanted = {each.person.id for each in everybody if each.concerned} | {author}

    found = plan_counts.people_concerned(document, always=[author], one_by_one=["board"], now=NOW)

    assert [each.person_id for each in found] == sorted(wanted)
    for each in found:
        (whole,) = cells_of(document, [each.person_id])
        cells = [cell for cell in whole.cells if cell.in_scope]
        assert each.is_meant == (each.person_id in there)
        assert each.is_named == ("board" in whole.person.groups)
        assert each.platforms == {cell.device.platform for cell in cells}
        assert set(each.presences) == {cell.presence for cell in cells}
        assert (each.country, each.language) == (whole.person.country, whole.person.language)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=60,
)
@given(st.lists(people, min_size=1, max_size=5), st.lists(phones, max_size=8), orders())
def test_the_database_says_of_all_what_is_said_of_each(
    staff: list[dict[str, Any]],
    devices: list[dict[str, Any]],
    changed: Callable[[OrderDocument], OrderDocument],
) -> None:
    written = datetime(2020, 7, 10, tzinfo=UTC)
    document = changed(documents.read(order_text(), file=None, now=written))
    with transaction.atomic():
        invent(staff, devices)
        everybody = list(cells_in_scope(document, now=NOW))

        assert known_devices(document) == one_by_one(document)
        assert_counted(document, everybody)
        assert_concerned(document, everybody, Person.objects.order_by("-pk")[0].pk)
        transaction.set_rollback(True)


def test_both_forms_agree_at_every_edge_of_time() -> None:
    person = {"groups": ["all-staff"], "country": "IN", "language": "en", "left_on": None}
    devices = [
        {
            "device": {"source": source, "platform": "ios", "ownership": "personal"},
            "owner": 0,
            "apps": {
                "tiktok": {
                    "presence": "present",
                    "may_close": True,
                    "inventory_at": NOW - age if has_own_time else None,
                    "collected_at": NOW - age,
                }
            },
            "said": [("tiktok", "removed", NOW - said)] if said is not None else [],
            "alias": None,
            "is_confirmed": False,
            "password": None,
        }
        for source in ("csv", "intune:berlin")
        for age in AGES
        for has_own_time in (True, False)
        for said in (None, age, age + 168 * HOUR)
    ]
    written = datetime(2020, 7, 10, tzinfo=UTC)
    document = documents.read(order_text(), file=None, now=written)
    invent([person], devices)

    found = known_devices(replace(document, enforcement=Enforcement.GATE))

    assert found == one_by_one(replace(document, enforcement=Enforcement.GATE))
    assert {row[-2] for row in found.values()} == {True, False}
