"""Who is told that an order is over reads it in a mailbox of their own, and nobody else does."""

import json

import pytest

from countermand.cli import entry
from countermand.domain.delivery import EvidenceKind, StopKind
from countermand.domain.findings import Finding
from countermand.notices import evidence
from countermand.notices import queries as ledger
from countermand.notices.models import Notice
from countermand.orders import actions
from countermand.people.models import Person
from tests.apps.orders.test_doors_and_followups import enforcing
from tests.order_world import HOUR, MINUTE, World


def owner(world: World, address: str) -> Person:
    return next(person for person in world.people.values() if person.address == address)


def swap(one: Person, other: Person) -> None:
    """Let two people have each other's address."""
    theirs = one.address, other.address
    for person, address in ((one, "between@example.org"), (other, theirs[0]), (one, theirs[1])):
        person.address = address
        person.save()


def words(number: str, kind: str) -> set[tuple[str, str, int]]:
    rows = Notice.objects.filter(order_number=number, kind=kind)
    return set(rows.values_list("state", "address", "person_id"))


def test_two_who_swapped_addresses_are_each_corrected_at_their_own(world: World) -> None:
    world.staff(30)
    number = world.sending()
    first, second = world.send(2)
    one, other = owner(world, first), owner(world, second)
    swap(one, other)

    world.press(number, StopKind.TAKE_BACK)
    world.send()

    assert {word for word in words(number, "correction") if word[1] in {first, second}} == {
        ("sent", first, other.pk),
        ("sent", second, one.pk),
        ("skipped", first, one.pk),
        ("skipped", second, other.pk),
    }
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"
    assert ledger.corrections(number).to_call == ()


@pytest.mark.parametrize("has_it", ["as their own", "as a second mailbox", "as a further address"])
def test_whoever_has_the_address_of_somebody_who_was_told_gets_no_correction(
    world: World, has_it: str
) -> None:
    world.staff(30)
    number = world.sending()
    address = world.send(1)[0]
    told, newcomer = owner(world, address), world.person("newcomer", groups=["elsewhere"])
    if has_it == "as their own":
        swap(told, newcomer)
    else:
        Person.objects.filter(pk=told.pk).update(address="moved@example.org")
        newcomer.other_addresses = [address]
        newcomer.second_mailboxes = [address] * (has_it == "as a second mailbox")
        newcomer.save()
        told.refresh_from_db()

    world.press(number, StopKind.TAKE_BACK)
    sent = world.send()

    assert told.address in sent
    assert address not in sent
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"
    assert world.send() == []


def test_a_mail_that_came_late_to_an_address_given_on_is_corrected_where_its_person_is(
    world: World,
) -> None:
    world.staff(30)
    number = world.sending()
    address = world.send(1)[0]
    world.press(number, StopKind.TAKE_BACK)
    assert address in world.send()
    world.sweep(MINUTE)
    told = owner(world, address)
    swap(told, world.person("newcomer", groups=["elsewhere"]))
    world.now += 6 * HOUR

    late = Notice.objects.get(order_number=number, kind="notice", address=address)
    heard = Finding(EvidenceKind.DSN_DELIVERED, world.now, "", message_id=late.message_id)
    evidence.take([heard], ledger=world.ledger, now=world.now)
    world.sweep(MINUTE)

    assert world.send() == [told.address]
    world.sweep(MINUTE)
    assert world.send() == []


def test_whoever_has_no_address_of_their_own_any_more_is_to_be_called(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COUNTERMAND_DATA", str(world.settings.data))
    monkeypatch.setenv("DATABASE_URL", world.settings.database_url)
    world.staff(30)
    number = world.sending()
    address = world.send(1)[0]
    gone = owner(world, address)
    swap(gone, world.person("newcomer", address="gone@invalid", groups=["elsewhere"]))

    world.press(number, StopKind.TAKE_BACK)
    sent = world.send()
    world.sweep(MINUTE)

    assert not {address, "gone@invalid"} & set(sent)
    assert world.order(number).phase == "corrected"
    assert ledger.corrections(number).to_call == (gone.pk,)
    entry.main(["notice", "list", number, "--to-call", "--json"])
    [listed] = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["state"]) == (gone.name, "skipped")
    entry.main(["notice", "list", number, "--to-call"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "no address of their own" in shown


def test_nobody_is_told_of_the_end_of_an_order_in_place_of_another(world: World) -> None:
    world.staff(6)
    number = enforcing(world)
    told, newcomer = world.people["p5"], world.person("newcomer", groups=["elsewhere"])
    swap(told, newcomer)

    actions.close(number, actor=world.actor("author"), now=world.now, context=world.desk.context)
    sent = world.send()

    assert told.address in sent
    assert newcomer.address not in sent
    assert ("skipped", newcomer.address, told.pk) in words(number, "closing")
    for _ in range(3):
        world.sweep(HOUR)
        assert world.send() == []
