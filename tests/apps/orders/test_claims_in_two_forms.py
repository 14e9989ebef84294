"""What the database tells doors of everybody at once is what is found person by person."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countermand.devices.models import Device
from countermand.domain.order_parts import ExceptionGranted
from countermand.domain.verdict import EntryFacts
from countermand.enforcement.door_facts import DoorFacts
from countermand.notices.models import Notice
from countermand.orders import documents, doors, entry_claims
from countermand.orders.models import Affected, Order, ToldDevice
from countermand.people.models import Person
from tests.apps.orders.test_cells_in_two_forms import NOW, instants, invent, people, phones
from tests.one_by_one import door_facts
from tests.order_world import order_text

pytestmark = pytest.mark.django_db
NUMBER = "CM-7Q4K"
AMENDMENT = "CM-2222"
DAY = timedelta(days=1)

notices = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["notice", "lock"]),
        "step": st.sampled_from([0, 1, 3, 102, 103]),
        "state": st.sampled_from(["sent", "delivered", "bounced"]),
        "accepted_at": st.none() | instants,
        "proven_at": st.none() | instants,
    }
)
# Mostly told and not covered, by a name that doors know: few others are claimed by anybody.
tellings = st.tuples(
    st.sampled_from([True, True, True, False]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([0, 1]),
    st.integers(min_value=0, max_value=5),
)


def at_a_door(phone: dict[str, Any]) -> dict[str, Any]:
    return {
        **phone,
        "owner": phone["owner"] % 6,
        "alias": phone["alias"] or "eas_device_id",
        "is_confirmed": False,
        "device": {**phone["device"], "gone_at": None, "ownership": "corporate"},
    }


def tell(
    staff: list[Person],
    letters: list[list[dict[str, Any]]],
    told: list[tuple[bool, bool, int, int]],
) -> Order:
    facts = {"mode": "live", "enforcement": "gate", "author_id": 1, "created_at": NOW}
    order = Order.objects.create(number=NUMBER, phase="notified", revision_number=1, **facts)
    amendment = Order.objects.create(number=AMENDMENT, phase="notified", amends=NUMBER, **facts)
    for device, (is_told, is_covered, step, person) in zip(
        Device.objects.all(), told, strict=False
    ):
        # Mostly who has it was told, and else somebody whose it was before.
        holder = device.person_id if person else staff[step % len(staff)].pk
        row = {"device_id": device.pk, "person_id": holder or staff[0].pk, "step": step}
        if is_told:
            ToldDevice.objects.create(order=order, own_deadline_at=NOW, **row)
        if is_covered:
            ToldDevice.objects.create(order=amendment, own_deadline_at=NOW, **row)
    with connection.cursor() as cursor:  # mails are born unsent; these were told
        cursor.execute("ALTER TABLE notices_notice DISABLE TRIGGER USER")
    for reader, theirs in zip(staff, letters, strict=False):
        Affected.objects.create(
            order=order, revision_number=1, person_id=reader.pk, wave=1, reason="device"
        )
        for n, letter in enumerate(theirs):
            Notice.objects.create(
                order_number=NUMBER,
                revision_number=n,  # so that one step may have several letters
                person_id=reader.pk,
                template_id=1,
                exposure=2,
                message_id=f"<{reader.pk}.{n}@example.org>",
                dated_at=NOW,
                due_at=NOW,
                epoch=1,
                values={},
                **letter,
            )
    return order


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=40,
)
@given(
    st.lists(people, min_size=1, max_size=4),
    st.lists(phones | phones.map(at_a_door), min_size=2, max_size=6),
    st.lists(st.lists(notices, max_size=3), max_size=4),
    st.lists(tellings, min_size=6, max_size=6),
    st.sampled_from([None, "p0", "P1@EXAMPLE.ORG", "group:board"]),
)
def test_doors_are_told_of_all_what_is_found_of_each(
    staff: list[dict[str, Any]],
    devices: list[dict[str, Any]],
    letters: list[list[dict[str, Any]]],
    told: list[tuple[bool, bool, int, int]],
    excepted: str | None,
) -> None:
    document = documents.read(order_text(), file=None, now=datetime(2020, 7, 10, tzinfo=UTC))
    if excepted is not None:
        until = ExceptionGranted(excepted, date(2026, 12, 1), "legal", "-")
        document = replace(document, exceptions=(until,))
    with transaction.atomic():
        invent(staff, devices)
        everybody = list(Person.objects.order_by("pk"))
        order = tell(everybody, letters, told)

        found = entry_claims.claims(
            order,
            document,
            amendments=[AMENDMENT],
            steps_a_notice=doors.STEPS_A_NOTICE,
            now=NOW,
        )
        some = [person.pk for person in everybody[:2]]
        of_some = entry_claims.claims(
            order,
            document,
            amendments=[AMENDMENT],
            steps_a_notice=doors.STEPS_A_NOTICE,
            now=NOW,
            person_ids=some,
        )
        expected = sorted(door_facts(order, document, now=NOW), key=by_login)

        assert rows(found) == expected
        assert rows(of_some) == [each for each in expected if each.person_id in some]
        transaction.set_rollback(True)


def by_login(claim: DoorFacts) -> tuple[int, int, str]:
    """Leave the names of a device in their order."""
    return claim.person_id, claim.device_id, claim.login


def rows(claims: Any) -> list[DoorFacts]:
    """Return the claims as the other form has them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT address, value, device_id, person_id, presence, evidence_at, fresh_until,"
            " may_close, closes_at, noticed_at, lock_accepted_at, attested_at, override_until"
            f" FROM ({claims.sql}) AS claim ORDER BY person_id, device_id, place",
            claims.parameters,
        )
        found = [
            DoorFacts(login, device, device_id, person_id, EntryFacts(NUMBER, *facts))
            for login, device, device_id, person_id, *facts in cursor.fetchall()
        ]
    return sorted(found, key=by_login)
