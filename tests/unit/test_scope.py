"""Whom and what an order is about."""

from datetime import date

import pytest

from countermand.domain.app_id import Platform
from countermand.domain.order_parts import ExceptionGranted, Ownership, Scope
from countermand.domain.scope import (
    DeviceFacts,
    PersonFacts,
    device_in_scope,
    in_scope,
    is_excepted,
    person_in_scope,
)
from tests.order_samples import read_order, whole_order

ASHA = PersonFacts(1, "p01", "asha@example.org", frozenset({"all-staff", "payments"}), "IN")
PHONE = DeviceFacts(Platform.ANDROID, Ownership.PERSONAL, reads_mail=True)


def scope_of(people: dict[str, object], devices: dict[str, object] | None = None) -> Scope:
    return read_order(whole_order(scope={"people": people, "devices": devices or {}})).scope


def test_somebody_in_a_named_group_is_meant_wherever_they_live() -> None:
    assert person_in_scope(scope_of({"groups": ["payments"]}), ASHA)
    assert not person_in_scope(scope_of({"groups": ["board"]}), ASHA)


def test_a_star_as_group_means_everybody() -> None:
    assert person_in_scope(scope_of({"groups": ["*"]}), ASHA)


def test_somebody_elsewhere_is_not_meant() -> None:
    assert not person_in_scope(scope_of({"groups": ["payments"], "countries": ["DE"]}), ASHA)


def test_somebody_named_is_meant_by_key_or_address() -> None:
    assert person_in_scope(scope_of({"people": ["p01"]}), ASHA)
    assert person_in_scope(scope_of({"people": ["asha@example.org"]}), ASHA)


def test_an_excepted_group_always_wins() -> None:
    people: dict[str, object] = {"groups": ["all-staff"], "people": ["p01"]}

    assert not person_in_scope(scope_of(people | {"except_groups": ["payments"]}), ASHA)


def test_a_device_is_meant_by_owner_platform_and_mail() -> None:
    everyone: dict[str, object] = {"groups": ["*"]}

    assert device_in_scope(scope_of(everyone), PHONE)
    assert not device_in_scope(scope_of(everyone, {"ownership": ["corporate"]}), PHONE)
    assert not device_in_scope(scope_of(everyone, {"platforms": ["ios", "ipados"]}), PHONE)
    assert device_in_scope(scope_of(everyone, {"platforms": ["*"]}), PHONE)


def test_a_device_that_reads_no_mail_is_meant_only_if_the_order_says_so() -> None:
    silent = DeviceFacts(Platform.ANDROID, Ownership.PERSONAL, reads_mail=False)

    assert not device_in_scope(scope_of({"groups": ["*"]}), silent)
    assert device_in_scope(scope_of({"groups": ["*"]}, {"reads_mail": False}), silent)


def test_a_device_that_is_gone_is_not_meant() -> None:
    gone = DeviceFacts(Platform.ANDROID, Ownership.PERSONAL, reads_mail=True, is_gone=True)

    assert not in_scope(scope_of({"groups": ["*"]}), ASHA, gone)


def test_an_exception_holds_until_its_day_is_over() -> None:
    granted = (ExceptionGranted("group:payments", date(2020, 8, 1), "r@example.org", ""),)

    assert is_excepted(granted, ASHA, on=date(2020, 8, 1))
    assert not is_excepted(granted, ASHA, on=date(2020, 8, 2))


def test_an_exception_names_a_person_or_a_group_never_both_by_chance() -> None:
    payments = (ExceptionGranted("payments", date(2020, 8, 1), "r@example.org", ""),)
    asha = (ExceptionGranted("Asha@example.org", date(2020, 8, 1), "r@example.org", ""),)

    assert not is_excepted(payments, ASHA, on=date(2020, 7, 1))
    assert is_excepted(asha, ASHA, on=date(2020, 7, 1))


@pytest.mark.parametrize("who", ["asha.k@उदाहरण.भारत", "Asha.K@xn--p1b6ci4b4b3a.xn--h2brj9c"])
def test_an_exception_names_a_key_with_a_domain_in_either_spelling(who: str) -> None:
    granted = (ExceptionGranted(who, date(2020, 8, 1), "r@example.org", ""),)
    person = PersonFacts(2, "asha.k@उदाहरण.भारत", "asha@example.org", frozenset(), "IN")

    assert is_excepted(granted, person, on=date(2020, 7, 1))
