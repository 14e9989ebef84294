"""What an action records is numbered, signed, never changed, and names nobody."""

import threading
from datetime import UTC, datetime

import psycopg
import pytest
from django.db import DatabaseError, connection, connections, transaction

from countermand.audit import actions, exporting, jobs, queries
from countermand.audit.actions import LogDamaged, PersonalDataInLog
from countermand.audit.models import Checkpoint, Entry, PersonSalt
from countermand.audit.signed_note import Signer
from countermand.domain.canonical_json import NotCanonical
from tests.fresh_database import FreshDatabase

NOW = datetime(2026, 12, 4, 9, 0, 0, 123456, tzinfo=UTC)
SIGNER = Signer.generate("countermand-of-tests")

pytestmark = pytest.mark.django_db


def record(event: str = "people.imported", **facts: object) -> None:
    actions.record(event, actor_id=None, facts=facts, now=NOW)


def test_entries_are_numbered_signed_and_sound() -> None:
    for count in range(7):
        record(count=count)
    actions.number_batch(NOW, signer=SIGNER, limit=3)

    assert jobs.sequence(NOW, signer=SIGNER) == 4
    report = exporting.verify_database(SIGNER.verifier)
    assert report.fault is None
    assert (report.entries, report.heads) == (7, 2)


def test_nothing_new_is_no_new_head() -> None:
    record()
    jobs.sequence(NOW, signer=SIGNER)

    assert jobs.sequence(NOW, signer=SIGNER) == 0
    assert Checkpoint.objects.count() == 1


def test_an_entry_falls_with_the_transaction_that_wrote_it() -> None:
    with transaction.atomic():
        record()
        transaction.set_rollback(True)

    assert not Entry.objects.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entry SET facts = '{}'",
        "UPDATE audit_entry SET position = position + 7",
        "UPDATE audit_entry SET position = NULL, leaf_hash = NULL",
        "DELETE FROM audit_entry",
        "UPDATE audit_checkpoint SET note = ''",
        "DELETE FROM audit_checkpoint",
    ],
)
def test_the_database_refuses_to_change_what_is_numbered(statement: str) -> None:
    record()
    jobs.sequence(NOW, signer=SIGNER)

    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        connection.cursor().execute(statement)


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_entry SET facts = '{}'", "DELETE FROM audit_entry"]
)
def test_the_database_refuses_to_change_what_waits_for_its_number(statement: str) -> None:
    record()

    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        connection.cursor().execute(statement)


def without_guards(statement: str) -> None:
    """What somebody could do who owns the tables."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_is_final")
        cursor.execute("ALTER TABLE audit_checkpoint DISABLE TRIGGER audit_checkpoint_is_final")
        cursor.execute(statement)


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE audit_entry SET facts = '{\"count\": 9}' WHERE position = 2", 2),
        ("UPDATE audit_entry SET at = at + interval '1 microsecond' WHERE position = 1", 1),
        ("DELETE FROM audit_entry WHERE position = 3", 3),
        ("DELETE FROM audit_checkpoint WHERE size = 5", 3),
        ("UPDATE audit_checkpoint SET note = replace(note, '5', '4') WHERE size = 5", 5),
    ],
)
def test_whoever_gets_round_the_guards_is_found(statement: str, position: int) -> None:
    for count in range(5):
        record(count=count)
    actions.number_batch(NOW, signer=SIGNER, limit=3)
    jobs.sequence(NOW, signer=SIGNER)

    without_guards(statement)

    fault = exporting.verify_database(SIGNER.verifier).fault
    assert fault is not None
    assert fault.position == position


def test_the_sequencer_adds_nothing_to_a_log_that_lost_entries() -> None:
    record()
    jobs.sequence(NOW, signer=SIGNER)
    without_guards("DELETE FROM audit_entry")
    record()

    with pytest.raises(LogDamaged):
        jobs.sequence(NOW, signer=SIGNER)


@pytest.mark.parametrize("key", ["name", "address", "person_id", "by_person_id"])
def test_a_person_cannot_be_named_in_the_log(key: str) -> None:
    with pytest.raises(PersonalDataInLog):
        record(inner=[{key: "Asha"}])


def test_what_has_no_exact_form_is_refused_at_once() -> None:
    with pytest.raises(NotCanonical):
        record(share=0.5)


def test_who_acted_is_a_salted_reference_that_points_to_nobody_without_its_salt() -> None:
    actions.record("order.plan", actor_id=7, facts={}, now=NOW)
    before = Entry.objects.get().actor_ref

    assert before == queries.person_ref(7)
    PersonSalt.objects.all().delete()
    assert before != queries.person_ref(7)


@pytest.mark.django_db(transaction=True)
def test_of_two_sequencers_at_once_one_does_nothing() -> None:
    record()
    counted: list[int] = []

    def other() -> None:
        counted.append(jobs.sequence(NOW, signer=SIGNER))
        connections.close_all()

    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(1129137997, 1)")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    assert counted == [0]
    assert jobs.sequence(NOW, signer=SIGNER) == 1


def test_the_sender_s_own_role_reads_and_writes_nothing_of_the_log(database: FreshDatabase) -> None:
    with (
        psycopg.connect(database.sender_url) as sender,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        sender.execute("SELECT * FROM audit_entry")
