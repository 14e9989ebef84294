"""The invented organisation: the same seed, the same people; every script; nothing real."""

import unicodedata
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from countermand.catalogue.queries import catalogue
from countermand.domain.address import folded_address
from countermand.domain.app_id import Matcher, Platform
from countermand.domain.inventory import names_something
from countermand.domain.presence import Coverage
from countermand.synth.organisation import Organisation, Recipe, after_removal, invent

AS_OF = datetime(2026, 11, 23, 6, tzinfo=UTC)
TIKTOK = catalogue().wanted(["tiktok"])[0]
RECIPE = Recipe(seed="7", as_of=AS_OF, app=TIKTOK, app_name="TikTok")


@pytest.fixture(scope="module")
def organisation() -> Organisation:
    return invent(RECIPE, 1000)


def test_the_same_seed_invents_the_same_organisation(organisation: Organisation) -> None:
    assert invent(RECIPE, 1000) == organisation


def test_people_stay_who_they_are_when_more_join(organisation: Organisation) -> None:
    fewer = invent(RECIPE, 400)

    assert organisation.people[:400] == fewer.people
    assert organisation.devices[: len(fewer.devices)] == fewer.devices


def test_everybody_has_an_address_of_their_own(organisation: Organisation) -> None:
    addresses = [a for person in organisation.people for a in (person.address, person.upn)]

    assert len(set(addresses)) == len(addresses)
    assert all(folded_address(address) == address for address in addresses)
    assert all(address.endswith(("@example.org", ".example.org")) for address in addresses)


def test_names_come_in_every_script(organisation: Organisation) -> None:
    text = "".join(f"{person.name}{person.local_name}" for person in organisation.people)

    scripts = {unicodedata.name(c).partition(" ")[0] for c in text if c.isalpha()}

    assert {"LATIN", "DEVANAGARI", "TAMIL", "BENGALI", "ARABIC", "CYRILLIC", "CJK"} <= scripts
    assert any(unicodedata.decomposition(c) for c in text if c.isalpha())


def test_the_language_mix_is_kept_about(organisation: Organisation) -> None:
    spoken = Counter(person.language for person in organisation.people)

    assert set(spoken) == {"hi", "en"}
    assert 380 < spoken["hi"] < 520


def test_there_are_between_one_point_two_and_one_point_five_devices_a_person(
    organisation: Organisation,
) -> None:
    assert 1.2 < len(organisation.devices) / len(organisation.people) < 1.5
    assert len({device.device_id for device in organisation.devices}) == len(organisation.devices)
    assert {device.platform for device in organisation.devices} >= {
        Platform.IOS,
        Platform.ANDROID,
        Platform.WINDOWS,
        Platform.MACOS,
        Platform.IPADOS,
    }
    assert all(names_something(d.eas_id) for d in organisation.devices if d.eas_id)


def test_the_app_is_listed_where_it_can_be_seen_and_about_as_often_as_asked(
    organisation: Organisation,
) -> None:
    matcher = Matcher((TIKTOK,))
    carriers = [device for device in organisation.devices if device.carries]
    seen = [
        device
        for device in organisation.devices
        if device.coverage is Coverage.FULL
        and device.platform in {Platform.IOS, Platform.IPADOS, Platform.ANDROID}
    ]

    assert all(device.coverage is Coverage.FULL for device in carriers)
    assert 0.08 < len(carriers) / len(seen) < 0.16
    for device in organisation.devices:
        found = [a for a in device.apps if matcher.by_identifier(device.platform, a.identifier)]
        assert bool(found) == device.carries


def test_every_device_also_lists_apps_that_no_order_names(organisation: Organisation) -> None:
    others = [app for device in organisation.devices for app in device.apps if not app.is_ordered]

    assert all(app.identifier.startswith("org.example.") for app in others)
    assert all(device.apps for device in organisation.devices)


def test_no_time_lies_after_the_export(organisation: Organisation) -> None:
    assert all(d.inventory_at <= d.last_seen <= AS_OF for d in organisation.devices)


def test_a_later_inventory_only_takes_the_app_away(organisation: Organisation) -> None:
    then = AS_OF + timedelta(days=3)

    later = after_removal(organisation, seed="7", share=0.8, as_of=then)

    before = {device.device_id for device in organisation.devices if device.carries}
    after = {device.device_id for device in later.devices if device.carries}
    assert after < before
    assert 0.65 < 1 - len(after) / len(before) < 0.95
    assert all(then - timedelta(hours=6) <= d.inventory_at < then for d in later.devices)


def test_who_removed_the_app_once_has_removed_it_at_every_higher_share(
    organisation: Organisation,
) -> None:
    def carriers(share: float) -> set[str]:
        later = after_removal(organisation, seed="7", share=share, as_of=AS_OF)
        return {device.device_id for device in later.devices if device.carries}

    assert carriers(0.9) <= carriers(0.4) <= carriers(0.0)
    assert carriers(1.0) == set()
