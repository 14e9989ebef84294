"""Shared devices and assistants: everybody concerned is told, each in words of their own."""

import pytest

from countermand.devices import links
from countermand.devices.models import Device
from countermand.domain.delivery import StopKind
from countermand.notices.models import Notice
from countermand.people.models import Person
from tests.order_world import DAY, MINUTE, World

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


def test_what_follows_a_notice_says_of_a_shared_device_what_the_notice_said(world: World) -> None:
    world.staff(6)
    Person.objects.filter(uid="p8").update(delegate_uids=["p5"])
    tablet = world.device("p7", "present", name="Warehouse tablet", short_id="WH01")
    links.set_custodian(tablet.pk, world.people["p5"].pk, actor_id=None, now=world.now)
    number = world.notified()

    for before in (DAY, 40 * MINUTE):
        world.now = world.last_deadline(number) - before
        world.import_run()
        for device in world.devices():
            world.observe(device, "present")
        world.sweep()
        world.send()

    followed = Notice.objects.filter(address="p5@example.org", kind__in=["reminder", "lock"])
    assert {mail.kind for mail in followed} == {"reminder", "lock"}
    for mail in followed:
        [line] = [each for each in mail.values["devices"] if "Warehouse tablet" in each]
        assert SHARED[mail.language] in line
        assert "P8" in line


def test_a_notice_that_is_written_anew_says_whose_phone_reads_their_mail_again(
    world: World,
) -> None:
    world.staff(30)
    number = world.sent_to_first_group()
    first = set(Notice.objects.values_list("address", flat=True))
    owner, holder, *_ = Person.objects.filter(uid__startswith="p").exclude(address__in=first)
    Person.objects.filter(pk=owner.pk).update(delegate_uids=[holder.uid])
    Device.objects.filter(person_id=holder.pk).update(name="Galaxy", short_id="A546")
    world.sweep(31 * MINUTE)

    world.press(number, StopKind.PAUSE)
    world.now += 6 * DAY
    world.resume(number)

    anew = Notice.objects.get(address=owner.address, state="pending")
    assert anew.step == 1
    assert any("Galaxy (…A546)" in line for line in anew.values["devices"])


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
