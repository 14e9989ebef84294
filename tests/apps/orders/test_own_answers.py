"""Staff answer for their own devices: proven by their own mail, opening at once, closing never."""

import json
import re
import socket
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks as CaptureOnCommit

from countermand.audit.models import Entry
from countermand.devices import sources
from countermand.devices.models import Attestation, Device, Hint
from countermand.domain import check_code
from countermand.domain.check_code import Verdict
from countermand.domain.delivery import StopKind
from countermand.domain.errors import CountermandError
from countermand.domain.presence import OPENING_ANSWERS, Answer
from countermand.enforcement.actions import Publisher, compile_entries
from countermand.notices.lookup_answers import Asked
from countermand.notices.models import Notice
from countermand.orders import answer_lists, own_answers
from countermand.orders.own_answers import Reaction
from countermand.orders.planning import context_of
from tests.gate_world import PATIENCE_S, door, now
from tests.order_world import HOUR, MINUTE, After, World

KEY = b"key"


@dataclass
class Staff:
    """Somebody with a telephone and their mail, and the order that is about them."""

    world: World
    number: str

    def asked(self, uid: str) -> Asked | None:
        person_id = self.world.people[uid].pk
        return own_answers.asked_of(person_id, self.number, key=KEY, now=self.world.now)

    def says(self, proof: str, device: object, said: str, number: str = "") -> Reaction:
        return own_answers.give(
            number or self.number,
            proof,
            str(device),
            said,
            key=KEY,
            publisher=Publisher.load(self.world.settings.folder),
            context=context_of(self.world.settings),
            now=self.world.now,
        )

    def presses(self, proof: str, device: object) -> Reaction:
        return own_answers.look(self.number, proof, str(device), key=KEY, now=self.world.now)

    def proof(self, uid: str) -> str:
        asked = self.asked(uid)
        assert asked is not None
        return asked.proof

    def phone(self, uid: str) -> Device:
        return Device.objects.filter(person_id=self.world.people[uid].pk).order_by("pk")[0]


@pytest.fixture
def staff(after: After) -> Staff:
    return Staff(*after(World.told_six))


def test_each_of_the_six_answers_is_kept_and_four_of_them_open(staff: Staff) -> None:
    phone, owner = staff.phone("p5"), staff.world.people["p5"]

    for said in Answer:
        staff.world.now += MINUTE
        reaction = staff.says(staff.proof("p5"), phone.pk, said.value)

        opens = said in OPENING_ANSWERS
        assert reaction.verdict is (Verdict.NOTED if opens else Verdict.NOTED_HELP)
        kept = Attestation.objects.latest("pk")
        assert (kept.device_id, kept.answer, kept.person_id) == (phone.pk, said.value, owner.pk)
        assert reaction.asked is not None
        assert [each.said for each in reaction.asked.devices] == [said]
    entries = Entry.objects.filter(event="device.answered")
    assert entries.count() == len(Answer)
    assert not any("p5" in json.dumps(entry.facts).lower() for entry in entries)


def test_the_source_of_a_phone_looks_at_it_again_when_its_person_says_it_is_gone(
    staff: Staff, django_capture_on_commit_callbacks: CaptureOnCommit
) -> None:
    phone = staff.phone("p5")
    Device.objects.filter(pk=phone.pk).update(source="jamf")
    sources.add("jamf", options={}, every=None, actor_id=None, now=staff.world.now)

    with django_capture_on_commit_callbacks(execute=True):
        staff.says(staff.proof("p5"), phone.pk, "cannot")
    assert not Hint.objects.exists()
    with django_capture_on_commit_callbacks(execute=True):
        staff.says(staff.proof("p5"), phone.pk, "removed")

    assert [each.source_device_id for each in Hint.objects.all()] == [phone.source_device_id]


def with_source(staff: Staff, phone: Device, source: str) -> None:
    Device.objects.filter(pk=phone.pk).update(source=source)
    sources.add(source, options={}, every=None, actor_id=None, now=staff.world.now)


def test_a_press_lets_the_source_look_at_ones_own_phone_and_again_after_ten_minutes(
    staff: Staff,
) -> None:
    phone, proof = staff.phone("p5"), staff.proof("p5")
    with_source(staff, phone, "jamf")

    asked = staff.asked("p5")
    assert asked is not None
    assert [each.can_look for each in asked.devices] == [True]
    first = staff.presses(proof, phone.pk)
    assert first.verdict is Verdict.LOOK_ASKED
    assert [each.source_device_id for each in Hint.objects.all()] == [phone.source_device_id]
    assert staff.presses(proof, phone.pk).verdict is Verdict.LOOK_WAITS
    staff.world.now += check_code.LOOK_AGAIN_AFTER
    assert staff.presses(proof, phone.pk).verdict is Verdict.LOOK_ASKED
    assert Entry.objects.filter(event="device.look_asked").count() == 2
    assert not Attestation.objects.exists()  # a look is no answer


@pytest.mark.parametrize("source", ["intune", "csv"])
def test_where_a_source_cannot_look_at_one_phone_it_is_said(staff: Staff, source: str) -> None:
    phone = staff.phone("p5")
    with_source(staff, phone, source)

    asked = staff.asked("p5")
    assert asked is not None
    assert [each.can_look for each in asked.devices] == [False]
    assert staff.presses(staff.proof("p5"), phone.pk).verdict is Verdict.CANNOT_LOOK
    assert not Hint.objects.exists()


def test_while_a_source_fails_nobody_is_promised_a_look(staff: Staff) -> None:
    phone = staff.phone("p5")
    with_source(staff, phone, "jamf")
    sources.failed("jamf", "source.unavailable", now=staff.world.now)

    assert staff.presses(staff.proof("p5"), phone.pk).verdict is Verdict.CANNOT_LOOK
    sources.succeeded("jamf", now=staff.world.now)
    assert staff.presses(staff.proof("p5"), phone.pk).verdict is Verdict.LOOK_ASKED


def test_nobody_has_the_phone_of_somebody_else_looked_at(staff: Staff) -> None:
    proof, other = staff.proof("p5"), staff.phone("p6")
    with_source(staff, other, "jamf")

    for given, device in ((proof, other.pk), ("", other.pk), ("1.2.3", other.pk), (proof, "x")):
        assert staff.presses(given, device).verdict is Verdict.PROVE_AGAIN
    assert not Hint.objects.exists()


def test_nobody_answers_for_the_phone_of_somebody_else(staff: Staff) -> None:
    proof, other = staff.proof("p5"), staff.phone("p6")

    assert staff.says(proof, other.pk, "removed").verdict is Verdict.PROVE_AGAIN
    theirs = proof.replace(str(staff.world.people["p5"].pk), str(staff.world.people["p6"].pk), 1)
    assert staff.says(theirs, other.pk, "removed").verdict is Verdict.PROVE_AGAIN
    assert not Attestation.objects.exists()


def test_what_is_no_answer_changes_nothing(staff: Staff) -> None:
    proof, phone = staff.proof("p5"), str(staff.phone("p5").pk)
    person, until, signature = proof.split(".")
    odd = [
        ("", "", ""),
        ("1.2.3", phone, "removed"),
        ("9" * 400, phone, "removed"),
        ("\x00", "\x00", "removed"),
        (f"{person}.{int(until) + 1}.{signature}", phone, "removed"),
        (f"{proof}\n", phone, "removed"),
        (proof.replace(person, "१", 1), phone, "removed"),
        (proof, "x", "removed"),
        (proof, "9" * 400, "removed"),
        (proof, phone, "nonsense"),
        (proof, phone, ""),
    ]

    for given, device, said in odd:
        assert staff.says(given, device, said) == Reaction(Verdict.PROVE_AGAIN)
    assert not Attestation.objects.exists()


def test_a_proof_is_for_one_notice_and_half_an_hour(staff: Staff) -> None:
    proof, phone = staff.proof("p5"), staff.phone("p5")

    assert staff.says(proof, phone.pk, "removed", "CM-7Q4K").verdict is Verdict.PROVE_AGAIN
    staff.world.now += check_code.ANSWER_WITHIN
    assert staff.says(proof, phone.pk, "removed").verdict is Verdict.NOTED
    staff.world.now += timedelta(seconds=1)
    assert staff.says(proof, phone.pk, "removed").verdict is Verdict.PROVE_AGAIN


def test_one_person_is_not_heard_without_end(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_code, "ANSWERS_OF_ONE_PERSON", 3)
    phone = staff.phone("p5")
    for _ in range(3):
        assert staff.says(staff.proof("p5"), phone.pk, "removed").verdict is Verdict.NOTED
        staff.world.now += MINUTE

    assert staff.says(staff.proof("p5"), phone.pk, "removed").verdict is Verdict.TOO_OFTEN
    other = staff.says(staff.proof("p6"), staff.phone("p6").pk, "removed")
    assert other.verdict is Verdict.NOTED
    staff.world.now += check_code.WITHIN
    assert staff.says(staff.proof("p5"), phone.pk, "removed").verdict is Verdict.NOTED


def test_a_notice_that_was_taken_back_asks_nothing(staff: Staff) -> None:
    proof, phone = staff.proof("p5"), staff.phone("p5")

    staff.world.press(staff.number, StopKind.TAKE_BACK)

    assert staff.asked("p5") is None
    assert staff.says(proof, phone.pk, "removed").verdict is Verdict.PROVE_AGAIN


def test_nobody_is_asked_about_devices_that_are_not_theirs_or_not_meant(staff: Staff) -> None:
    staff.world.device("p5", "absent")

    asked = staff.asked("p5")

    assert asked is not None
    assert [each.id for each in asked.devices] == [staff.phone("p5").pk]
    assert staff.asked("council") is None


# -- the page -----------------------------------------------------------------------------------


@pytest.fixture
def web(staff: Staff, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setenv("COUNTERMAND_DATA", str(staff.world.settings.data))
    monkeypatch.setenv("DATABASE_URL", staff.world.settings.database_url)
    return Client(headers={"host": "127.0.0.1"}, enforce_csrf_checks=True)


def checked(staff: Staff, web: Client, uid: str = "p5") -> str:
    mail = Notice.objects.get(
        order_number=staff.number, address=f"{uid}@example.org", kind="notice"
    )
    typed = {
        "number": staff.number.lower(),
        "address": mail.address,
        "code": mail.values["check_code"],
        "do": "check",
    }
    return web.post("/check", typed).content.decode()


def form_of(page: str) -> dict[str, str]:
    """Return what the first form of a page sends, as a browser without scripts would."""
    form = page[page.index('action="answer"') :]
    form = form[: form.index("</form>")]
    return dict(re.findall(r'type="hidden" name="([a-z]+)" value="([^"]*)"', form))


def test_one_tap_on_the_page_is_kept_and_confirmed_in_both_languages(
    staff: Staff, web: Client
) -> None:
    page = checked(staff, web)
    sent = form_of(page)

    answer = web.post("/answer", sent | {"said": "removed"})

    shown = answer.content.decode()
    assert answer.status_code == 200
    assert "Noted. Thank you" in shown
    assert "दर्ज हो गया। धन्यवाद" in shown
    assert "You told us: “I removed the app”" in shown
    assert Attestation.objects.get().answer == "removed"
    assert answer["Cache-Control"] == "no-store"
    assert "form-action 'self'" in answer["Content-Security-Policy"]
    assert not answer.cookies


def test_one_tap_on_the_page_is_told_to_gates_and_waits_for_none(
    staff: Staff, web: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = door("phone-a", device_id=staff.phone("p5").pk)
    facts = replace(facts, entry=replace(facts.entry, order_number=staff.number))
    publisher = Publisher.load(staff.world.settings.folder)
    compile_entries(staff.number, [facts], publisher=publisher, now=now())
    page = checked(staff, web)
    with socket.create_server(("127.0.0.1", 0)) as gate:
        gate.settimeout(PATIENCE_S)
        monkeypatch.setenv("COUNTERMAND_GATES", f"http://127.0.0.1:{gate.getsockname()[1]}")

        answer = web.post("/answer", form_of(page) | {"said": "removed"})

        assert "Noted. Thank you" in answer.content.decode()
        told, _ = gate.accept()  # nobody has answered
        with told:
            told.settimeout(PATIENCE_S)
            assert told.recv(100).startswith(b"POST /open HTTP/1.1\r\n")


def test_the_page_offers_six_buttons_in_each_language_and_keeps_its_proof_in_bodies(
    staff: Staff, web: Client
) -> None:
    page = checked(staff, web)
    proof = form_of(page)["proof"]

    assert page.count('name="said"') == 2 * len(Answer)
    for said in Answer:
        assert page.count(f'name="said" value="{said.value}"') == 2
    for form in re.findall(r"<form[^>]*>", page):
        assert 'method="post"' in form
    assert not any(proof in link for link in re.findall(r'(?:href|action)="([^"]*)"', page))
    assert "p5@example.org" not in page
    assert "<script" not in page
    identifiers = re.findall(r' id="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    labels = " ".join(re.findall(r'aria-labelledby="([^"]+)"', page)).split()
    assert set(labels) <= set(identifiers)


def test_a_look_is_asked_for_by_a_button_of_its_own(staff: Staff, web: Client) -> None:
    with_source(staff, staff.phone("p5"), "jamf")
    page = checked(staff, web)
    pressed = form_of(page) | {"do": "look"}

    first, again = web.post("/answer", pressed), web.post("/answer", pressed)

    assert page.count('name="do" value="look"') == 2  # one in each language
    assert (first.status_code, again.status_code) == (200, 429)
    assert "Your device is being looked at" in first.content.decode()
    assert "आपके डिवाइस की जाँच हो रही है" in first.content.decode()
    assert "less than ten minutes ago" in again.content.decode()
    assert web.get("/answer", pressed).status_code == 303
    assert Hint.objects.count() == 1


def test_where_nobody_can_look_there_is_no_button_but_a_sentence(staff: Staff, web: Client) -> None:
    page = checked(staff, web)

    assert 'value="look"' not in page
    assert "This device cannot be checked again on request" in page


def test_an_answer_is_never_taken_from_an_address(staff: Staff, web: Client) -> None:
    sent = form_of(checked(staff, web)) | {"said": "removed"}

    assert web.get("/answer", sent).status_code == 303
    assert web.post("/answer?" + "&".join(f"{k}={v}" for k, v in sent.items())).status_code == 403
    assert not Attestation.objects.exists()


def test_the_name_of_a_device_is_text_and_a_wrong_code_is_asked_nothing(
    staff: Staff, web: Client
) -> None:
    Device.objects.update(name='<script>"x"</script>')

    page = checked(staff, web)
    shown = web.post("/answer", form_of(page) | {"said": "cannot"}).content.decode()

    assert "<script" not in page + shown
    typed = {"number": staff.number, "address": "p5@example.org", "code": "0000 0000"}
    wrong = web.post("/check", typed).content.decode()
    assert 'action="answer"' not in wrong
    assert "Noted. A person looks at it" in shown


# -- the list -----------------------------------------------------------------------------------


def test_the_list_counts_every_device_once_and_names_whom_to_ask(staff: Staff) -> None:
    world = staff.world
    for uid, said in (("p5", "removed"), ("p6", "cannot"), ("p7", "shared")):
        staff.says(staff.proof(uid), staff.phone(uid).pk, said)
    world.now += HOUR
    world.import_run()
    world.observe(staff.phone("p8"), "absent")

    found = answer_lists.collected(staff.number, actor=world.actor("desk"), now=world.now)

    assert (found.devices, found.people, found.answered) == (6, 6, 3)
    assert (found.found_without, found.silent) == (1, 2)
    assert {said.value: count for said, count in found.said.items() if count} == {
        "removed": 1,
        "cannot": 1,
        "shared": 1,
    }
    asked = [(world.uid_of(each.person_id), each.said) for each in found.to_ask]
    assert asked == [("p6", "cannot"), ("p7", "shared"), ("p9", None), ("p10", None)]


def test_the_last_answer_counts_and_one_from_before_the_notice_does_not(staff: Staff) -> None:
    world, phone = staff.world, staff.phone("p5")
    for said in ("cannot", "never_had"):
        staff.says(staff.proof("p5"), phone.pk, said)
        world.now += MINUTE
    Attestation.objects.create(
        device=staff.phone("p6"),
        person_id=world.people["p6"].pk,
        app_id="tiktok",
        answer="removed",
        said_at=world.order(staff.number).created_at - HOUR,
    )

    found = answer_lists.collected(staff.number, actor=world.actor("desk"), now=world.now)

    assert {said.value: count for said, count in found.said.items() if count} == {"never_had": 1}
    assert found.silent == 5
    with pytest.raises(CountermandError) as refused:
        answer_lists.collected(staff.number, actor=staff.world.actor("p5"), now=staff.world.now)

    assert refused.value.code == "answer.list_not_allowed"
