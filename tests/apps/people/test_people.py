"""People: taken over whole or not at all; what they may do is proven by a token."""

import importlib
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from countermand.audit.models import Entry
from countermand.domain.address import folded_name
from countermand.domain.approvals import Role
from countermand.domain.directory import LONG_AGO, PersonRecord
from countermand.domain.errors import Fault, FaultsFound
from countermand.domain.inventory import RejectedRow
from countermand.people import actions, queries
from countermand.people.actions import ImportOptions, ImportState, PeopleReport
from countermand.people.models import AccessToken, Person
from tests.told_directory import ToldDirectory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Counted(str):  # noqa: SLOT000 - with slots it could not be watched
    """A text of which one can tell whether it is still held."""


@dataclass
class Streamed(ToldDirectory):
    """A directory that never holds its people at once."""

    records: Iterable[PersonRecord]  # type: ignore[assignment]


def record(number: int) -> PersonRecord:
    return PersonRecord(
        uid=f"p{number}",
        name=f"Person {number}",
        address=f"p{number}@example.org",
        language="hi",
        groups=("all-staff",),
    )


def load(
    *records: PersonRecord, rejected: Sequence[RejectedRow] = (), **options: bool
) -> PeopleReport:
    return actions.import_people(
        ToldDirectory(records, list(rejected)),
        now=NOW,
        actor_id=None,
        options=ImportOptions(**options),
    )


def places() -> dict[str, str]:
    """Where each row lies: one that is written again lies elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT uid, ctid::text FROM people_person")
        return dict(cursor.fetchall())


def left() -> set[str]:
    return set(Person.objects.filter(left_on__isnull=False).values_list("uid", flat=True))


def test_people_are_taken_over_and_unchanged_ones_are_not_written_again() -> None:
    everyone = [record(n) for n in range(5)]
    assert load(*everyone).new == 5

    before = places()
    report = load(*everyone[:4], replace(everyone[4], unit="Legal"))

    assert (report.unchanged, report.changed, report.left) == (4, 1, 0)
    assert {uid for uid, place in places().items() if place != before[uid]} == {"p4"}
    assert queries.person("p4").unit == "Legal"


def test_a_directory_that_knows_no_leave_ends_nobodys_leave() -> None:
    away = replace(record(1), absent_until=date(2026, 12, 1))
    load(away, record(2))

    silent = [replace(record(n), knows_no_leave=True) for n in (1, 2)]
    assert load(*silent).unchanged == 2
    assert queries.person("p1").absent_until == date(2026, 12, 1)

    assert load(record(1), record(2)).changed == 1
    assert queries.person("p1").absent_until is None


def test_whoever_is_missing_has_left_and_may_come_back() -> None:
    load(*(record(n) for n in range(10)))
    load(*(record(n) for n in range(9)))

    assert left() == {"p9"}
    assert len(list(queries.everyone(NOW.date()))) == 9

    load(*(record(n) for n in range(10)))

    assert left() == set()


def test_an_import_that_switches_off_more_than_a_fifth_is_held() -> None:
    """Whoever is listed as having left is sent away like whoever is not listed."""
    load(*(record(n) for n in range(20)))
    off = [replace(record(n), left_on=NOW.date()) if n < 5 else record(n) for n in range(20)]

    assert load(*off).state is ImportState.HELD
    assert left() == set()
    assert load(*off, confirm_mass_change=True).left == 5
    assert left() == {"p0", "p1", "p2", "p3", "p4"}
    assert load(*off).left == 0  # they have left already


def test_an_import_that_sends_away_more_than_a_fifth_is_held() -> None:
    load(*(record(n) for n in range(20)))

    held = load(*(record(n) for n in range(15)))

    assert held.state is ImportState.HELD
    assert left() == set()
    assert load(*(record(n) for n in range(15)), confirm_mass_change=True).left == 5
    assert len(left()) == 5


def test_nobody_has_left_while_a_row_that_was_left_out_names_nobody() -> None:
    load(*(record(n) for n in range(10)))
    unnamed = RejectedRow("", "row.too_long", (Fault("row.too_long", "no row", "mend it"),))
    off = replace(record(0), left_on=NOW.date())

    report = load(off, *(record(n) for n in range(1, 9)), rejected=[unnamed], accept_rejects=True)

    assert (report.state, report.left) == (ImportState.LOADED, 1)
    assert left() == {"p0"}  # the list says it; of p9 it may have said nothing that can be read
    assert (report.rows_of_nobody, report.missing_that_stay) == (1, 1)


def test_a_list_in_which_every_row_names_somebody_keeps_nobody() -> None:
    load(*(record(n) for n in range(10)))
    named = RejectedRow("p8", "row.too_long", (Fault("row.too_long", "no row", "mend it"),))

    report = load(*(record(n) for n in range(8)), rejected=[named], accept_rejects=True)

    assert (report.left, report.rows_of_nobody, report.missing_that_stay) == (1, 0, 0)
    assert left() == {"p9"}


def test_a_list_of_which_nearly_everybody_has_left_already_is_held() -> None:
    """Its status is misread, most likely; at a first import nobody is there who could vanish."""
    off = [replace(record(n), left_on=LONG_AGO) if n < 9 else record(n) for n in range(10)]

    held = load(*off)

    assert (held.state, held.came_as_left, held.is_of_leavers) == (ImportState.HELD, 9, True)
    assert not Person.objects.exists()
    assert load(*off, confirm_mass_change=True).state is ImportState.LOADED
    assert len(left()) == 9
    assert load(*off).state is ImportState.LOADED  # they have left already: nobody is asked again


def test_an_hr_programs_leavers_of_many_years_are_no_reason_to_hold_a_list() -> None:
    off = [replace(record(n), left_on=LONG_AGO) if n < 8 else record(n) for n in range(10)]

    report = load(*off)

    assert (report.state, report.came_as_left) == (ImportState.LOADED, 8)
    assert len(left()) == 8


def test_a_dry_run_and_a_faulty_file_change_nothing() -> None:
    fault = Fault("row.bad_zone", "no zone", "mend it", line=2)
    bad = RejectedRow("p2", "zone invalid", (fault,))

    assert load(record(1), dry_run=True).state is ImportState.TRIED
    with pytest.raises(FaultsFound):
        load(record(1), rejected=[bad])
    assert not Person.objects.exists()
    assert not Entry.objects.exists()

    load(record(1), rejected=[bad], accept_rejects=True)
    assert Person.objects.count() == 1


def test_somebody_whose_row_was_left_out_has_not_left() -> None:
    load(*(record(n) for n in range(10)))
    bad = RejectedRow("p9", "zone invalid", (Fault("row.bad_zone", "no zone", "mend it"),))

    load(*(record(n) for n in range(9)), rejected=[bad], accept_rejects=True)

    assert left() == set()


def test_addresses_may_change_hands_within_one_import() -> None:
    load(record(1), record(2))
    before = {p.uid: p.pk for p in Person.objects.all()}

    load(
        replace(record(1), address="p2@example.org"),
        replace(record(2), address="p1@example.org"),
    )

    assert queries.person("p2@example.org").uid == "p1"
    assert {p.uid: p.pk for p in Person.objects.all()} == before


def test_an_address_given_on_after_somebody_left_makes_a_new_person() -> None:
    load(*(record(n) for n in range(10)))
    load(*(record(n) for n in range(9)))
    old = Person.objects.get(uid="p9").pk

    load(*(record(n) for n in range(9)), replace(record(77), address="p9@example.org"))

    assert queries.person("p9@example.org").uid == "p77"
    assert queries.person("p9@example.org").id != old


def test_a_new_key_of_the_same_address_is_the_same_person() -> None:
    load(*(record(n) for n in range(10)))
    before = Person.objects.get(uid="p9").pk

    report = load(*(record(n) for n in range(9)), replace(record(9), uid="E-0009"))

    assert report.left == 0
    assert Person.objects.get(uid="E-0009").pk == before


def test_a_namesake_on_an_address_that_was_given_on_is_somebody_else() -> None:
    load(record(1), record(2))
    before = Person.objects.get(uid="p1").pk

    load(
        replace(record(1), address="moved@example.org"),
        record(2),
        replace(record(3), name=record(1).name, address="p1@example.org"),
    )

    assert Person.objects.get(uid="p1").pk == before
    assert queries.person("p1@example.org").uid == "p3"


def test_a_manager_is_found_by_address_and_by_key() -> None:
    load(
        record(1),
        replace(record(2), manager="p1@example.org"),
        replace(record(3), manager="p1"),
        replace(record(4), manager="nobody@example.org"),
    )

    managers = dict(Person.objects.order_by("uid").values_list("uid", "manager_uid"))
    assert managers == {"p1": "", "p2": "p1", "p3": "p1", "p4": ""}


def test_a_key_in_other_letters_is_found_by_either_spelling() -> None:
    """Words that name a manager come with their domain in ASCII, keys as the list has them."""
    load(
        replace(record(1), uid="Ram@आशा.भारत"),
        replace(record(2), manager=folded_name("ram@आशा.भारत")),
        replace(record(3), delegates=(folded_name("ram@आशा.भारत"), "प4")),
        replace(record(4), uid="प4"),
    )

    assert Person.objects.get(uid="p2").manager_uid == "Ram@आशा.भारत"
    assert Person.objects.get(uid="p3").delegate_uids == ["Ram@आशा.भारत", "प4"]


def test_delegates_are_found_by_address_and_by_key_and_nobody_is_their_own() -> None:
    load(
        record(1),
        record(2),
        replace(record(3), delegates=("p1@example.org", "p2", "p3", "nobody@example.org")),
    )

    assert Person.objects.get(uid="p3").delegate_uids == ["p1", "p2"]


def test_an_import_needs_no_more_memory_for_more_people() -> None:
    held = weakref.WeakSet[Counted]()
    most = 0

    def everyone() -> Iterator[PersonRecord]:
        nonlocal most
        for number in range(3_000):
            unit = Counted(f"unit {number}")
            held.add(unit)
            most = max(most, len(held))
            yield replace(record(number), unit=unit)

    report = actions.import_people(
        Streamed(everyone()), now=NOW, actor_id=None, options=ImportOptions()
    )

    assert report.new == 3_000
    assert most < 10


def test_people_are_found_by_any_address_and_a_slip_gets_a_suggestion() -> None:
    load(replace(record(1), other_addresses=("first@corp.example.org",)))

    assert queries.person("first@corp.example.org").uid == "p1"
    assert queries.ids_at_addresses(queries.ids_by_address()) == queries.ids_by_address()
    assert queries.ids_by_address() == {
        "p1@example.org": queries.person("p1").id,
        "first@corp.example.org": queries.person("p1").id,
    }
    with pytest.raises(queries.PersonNotKnown, match=r"p1@example\.org"):
        queries.person("p1@exmaple.org")
    with pytest.raises(queries.PersonNotKnown, match="Look at how it is written"):
        queries.person("somebody-else-entirely@elsewhere.example")


def test_an_address_that_is_not_folded_cannot_be_stored() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Person.objects.create(uid="x", name="X", address="X@Example.org")


@pytest.fixture
def asha() -> int:
    load(record(1))
    return queries.person("p1").id


def test_a_token_proves_a_person_with_their_roles_and_is_stored_as_a_hash_alone(asha: int) -> None:
    actions.grant_role(person_id=asha, role=Role.APPROVER, outside_it=True, actor_id=None, now=NOW)

    token = actions.issue_token(person_id=asha, label="laptop", actor_id=None, now=NOW)

    assert len(token) == 30
    assert token.startswith("cmt_")
    actor = queries.actor_for_token(token, NOW)
    assert actor == queries.Actor(asha, "Person 1", frozenset({Role.APPROVER}), outside_it=True)
    stored = AccessToken.objects.get()
    assert token not in str(vars(stored))
    assert all(token[4:] not in str(entry.facts) for entry in Entry.objects.all())
    assert queries.live_tokens(NOW) == {stored.sha256: actor}


def test_a_wrong_a_void_and_a_leavers_token_prove_nobody(asha: int) -> None:
    token = actions.issue_token(person_id=asha, label="", actor_id=None, now=NOW)
    with pytest.raises(queries.TokenNotKnown):
        queries.actor_for_token(token + "A", NOW)

    Person.objects.update(left_on=date(2026, 11, 24))
    queries.actor_for_token(token, NOW)
    with pytest.raises(queries.TokenNotKnown):
        queries.actor_for_token(token, NOW + timedelta(days=1))
    assert queries.live_tokens(NOW + timedelta(days=1)) == {}

    Person.objects.update(left_on=None)
    assert actions.revoke_tokens(person_id=asha, actor_id=None, now=NOW) == 1
    with pytest.raises(queries.TokenNotKnown):
        queries.actor_for_token(token, NOW)


def test_roles_come_and_go_and_each_change_is_in_the_log(asha: int) -> None:
    for _ in range(2):
        actions.grant_role(
            person_id=asha, role=Role.OPERATOR, outside_it=False, actor_id=asha, now=NOW
        )

    assert queries.people_with_role(Role.OPERATOR) == (asha,)
    assert actions.revoke_role(person_id=asha, role=Role.OPERATOR, actor_id=asha, now=NOW)
    assert not actions.revoke_role(person_id=asha, role=Role.OPERATOR, actor_id=asha, now=NOW)
    assert queries.actor(asha).roles == frozenset()
    events = list(Entry.objects.order_by("pk").values_list("event", flat=True))
    assert events == ["people.loaded", "role.granted", "role.granted", "role.revoked"]


def test_a_role_is_read_as_people_write_it() -> None:
    assert actions.role_of("Help-Desk") is Role.HELP_DESK
    with pytest.raises(actions.RoleNotKnown, match="help-desk"):
        actions.role_of("boss")


def test_a_person_is_found_by_either_spelling_of_a_domain() -> None:
    address = "asha@xn--i1b1b4ch5i.xn--h2brj9c"
    load(replace(record(1), address=address, other_addresses=("a.verma@xn--h2brj9c",)))

    for who in ("asha@कंपनी.भारत", "Asha@कंपनी.भारत", address, "a.verma@भारत"):
        assert queries.person(who).uid == "p1"
        found = queries.owner_of(who), queries.also_known_at(who)
        assert [each for each in found if each is not None] == [queries.person("p1").id]


def plan_of(ask: Callable[[], object]) -> str:
    """How the database finds what one question asks of it."""
    with CaptureQueriesContext(connection) as asked:
        ask()
    [question] = asked.captured_queries
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {question['sql']}")
        return "\n".join(line for (line,) in cursor.fetchall())


def test_whose_further_address_it_is_is_found_without_going_through_all_people() -> None:
    load(*(replace(record(n), other_addresses=(f"q{n}@example.org",)) for n in range(3000)))

    for who in ("q7@example.org", "nobody@example.org"):
        plan = plan_of(lambda who=who: queries.also_known_at(who))  # type: ignore[misc]
        assert "person_by_other_address" in plan
        assert "Seq Scan" not in plan
    assert queries.also_known_at("q7@example.org") == queries.person("p7").id


def test_addresses_that_were_kept_in_the_other_spelling_are_brought_over() -> None:
    step = importlib.import_module("countermand.people.migrations.0005_domains_in_ascii")
    keyed = Person.objects.create(uid="p1", name="A", address="asha@कंपनी.भारत")
    unkeyed = Person.objects.create(
        uid="ben@कंपनी.भारत",
        name="B",
        address="ben@कंपनी.भारत",
        other_addresses=["b@भारत", "ben"],
        second_mailboxes=["b@भारत"],
    )

    reader = Person.objects.create(
        uid="p3",
        name="C",
        address="c@example.org",
        manager_uid="ben@कंपनी.भारत",
        delegate_uids=["p1", "ben@कंपनी.भारत"],
    )
    # Somebody has the other spelling already: the next list says whose it is.
    Person.objects.create(uid="p4", name="D", address="d@xn--h2brj9c")
    left = Person.objects.create(
        uid="d@भारत", name="D", address="d@भारत", other_addresses=["d2@भारत"]
    )

    step.fold(apps, None)

    for person in (keyed, unkeyed, reader, left):
        person.refresh_from_db()
    assert (keyed.uid, keyed.address) == ("p1", "asha@xn--i1b1b4ch5i.xn--h2brj9c")
    assert unkeyed.uid == unkeyed.address == "ben@xn--i1b1b4ch5i.xn--h2brj9c"
    assert unkeyed.other_addresses == ["b@xn--h2brj9c", "ben"]
    assert unkeyed.second_mailboxes == ["b@xn--h2brj9c"]
    assert reader.manager_uid == unkeyed.uid
    assert reader.delegate_uids == ["p1", unkeyed.uid]
    readers = {(each.owner_id, each.holder_id) for each in queries.mail_readers()}
    assert readers == {(reader.pk, keyed.pk), (reader.pk, unkeyed.pk)}
    assert (left.uid, left.address) == ("d@भारत", "d@भारत")
    assert left.other_addresses == ["d2@xn--h2brj9c"]
