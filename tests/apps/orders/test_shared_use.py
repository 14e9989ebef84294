"""Shared devices and assistants: everybody concerned is told, each in words of their own."""

import pytest

from countermand.devices import links
from countermand.devices.models import Device
from countermand.domain.delivery import StopKind
from countermand.notices.models import Notice
from countermand.people.models import Person
from tests.order_world import World

pytestmark = pytest.mark.timeout(240)
SHARED = {
    "en": "It is shared, and you look after it: please tell those who use it.",
    "hi": "यह साझा है और आपकी देखरेख में है: इसे इस्तेमाल करने वालों को भी बता दें।",
}


def told(number: str, uid: str) -> list[str]:
    """What the notice of a person says of devices."""
    mail = Notice.objects.get(order_number=number, address=f"{uid}@example.org", kind="notice")
    said = mail.values["devices"]
    assert isinstance(said, list)
    return said


@pytest.mark.parametrize("language", ["en", "hi"])
def test_a_custodian_is_told_of_the_shared_device_in_words_of_their_own(
    world: World, language: str
) -> None:
    world.staff(6)
    Person.objects.filter(uid="p5").update(language=language)
    tablet = world.device("p7", "present", name="Warehouse tablet", short_id="WH01")
    links.set_custodian(tablet.pk, world.people["p5"].pk, actor_id=None, now=world.now)

    number = world.notified()

    lines = [line for line in told(number, "p5") if "Warehouse tablet (…WH01)" in line]
    assert len(lines) == 1
    assert lines[0].endswith(SHARED[language])
    assert not any("Warehouse" in line for line in told(number, "p7"))
    assert not any(SHARED["en"] in line for line in told(number, "p7"))


@pytest.mark.parametrize("language", ["en", "hi"])
def test_holder_and_owner_of_the_mail_are_both_told_and_the_owner_nothing_of_the_app(
    world: World, language: str
) -> None:
    world.staff(6)
    Person.objects.filter(uid="p5").update(delegate_uids=["p6", "p5", "nobody"], language=language)
    Device.objects.filter(person_id=world.people["p6"].pk).update(name="Galaxy", short_id="A546")

    number = world.notified()

    own = [line for line in told(number, "p6") if line.startswith("Galaxy (…A546)")]
    assert own
    assert own[0].endswith("Mail of P5 may be read on it as well.")
    beside = [line for line in told(number, "p5") if line.startswith("Galaxy (…A546)")]
    assert len(beside) == 1
    assert "P6" in beside[0]
    assert "TikTok" not in beside[0]
    assert "TikTok" in own[0]
    assert ("your mail" in beside[0]) == (language == "en")
    others = [line for uid in ("p7", "p8", "p9", "p10") for line in told(number, uid)]
    assert not any("Galaxy" in line for line in others)


def test_both_are_corrected_when_the_order_is_taken_back(world: World) -> None:
    world.staff(6)
    Person.objects.filter(uid="p5").update(delegate_uids=["p6"])
    number = world.notified()

    world.press(number, StopKind.TAKE_BACK)

    assert {"p5@example.org", "p6@example.org"} <= set(world.send())


def test_a_phone_without_the_app_is_nothing_to_tell_its_directors(world: World) -> None:
    world.staff(6)
    Person.objects.filter(uid="p5").update(delegate_uids=["legal"])
    world.device("legal", "absent", name="Clean phone", short_id="C1")

    number = world.notified()

    assert not any("Clean phone" in line for line in told(number, "p5"))
