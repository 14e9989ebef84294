"""A log is believed only if every line, signature and step of it holds."""

from typing import Any

import pytest

from countermand.audit.signed_note import Signer
from countermand.audit.verifying import VerifyReport, verify
from countermand.domain.phases import Step
from tests.log_samples import SIGNER, Story, approved, lines_of, taken_back


def checked(story: Story) -> VerifyReport:
    return verify(lines_of(story.entries), pinned=SIGNER.verifier)


def why(report: VerifyReport) -> str:
    assert report.fault is not None
    return report.fault.why


def test_the_story_of_an_order_that_was_taken_back_is_sound() -> None:
    report = checked(taken_back())

    assert report.fault is None
    assert (report.orders, report.permits) == (1, 5)


def test_an_empty_log_is_sound() -> None:
    assert verify(lines_of([]), pinned=SIGNER.verifier).is_sound


def test_the_position_of_the_first_wrong_entry_is_named() -> None:
    story = taken_back()
    story.entries[9]["facts"]["after"] = "closed"

    report = checked(story)

    assert report.fault is not None
    assert report.fault.position == 9


def test_a_step_that_was_never_allowed_is_found() -> None:
    story = approved()
    story.entries[-1]["event"] = f"order.{Step.GO.value}"

    assert "not allowed" in why(checked(story))


def changed(story: Story, event: str, **facts: Any) -> None:
    entry = next(each for each in story.entries if each["event"] == event)
    entry["facts"].update(facts)


SPOILT = {
    "another version was sent": ("permit.batch", {"digest": "0" * 64}, "never released"),
    "sent under another epoch": ("permit.batch", {"epoch": 9}, "left while no"),
    "a mail of another order": (
        "permit.batch",
        {"message_ids": ["<CM-XX.1.notice.0.a@x>"]},
        "no mail of",
    ),
    "a correction before the take-back": (
        "permit.batch",
        {"message_ids": ["<CM-7Q4K.1.correction.0.a@x>"]},
        "left while no",
    ),
    "an approval too few": ("order.release", {"needed": 3}, "2 of 3"),
    "nobody from outside IT": ("order.release", {"needed_outside_it": 1}, "outside IT"),
    "too few for so many people": ("order.plan", {"people": 10_001}, "2 of 3"),
    "approvals of another version": ("order.policy_met", {"digest": "0" * 64}, "of 2"),
    "the plan was not opened": ("order.opened", {"part": "notice"}, "without opening: plan"),
    "another phase before": ("order.go", {"before": "hold"}, "it was canary"),
    "stops that were undone": ("order.take_back", {"epoch": 1}, "went back"),
    "a fact too few": ("order.go", {"before": "nowhere"}, "lacks a fact"),
}


@pytest.mark.parametrize(("event", "facts", "reason"), SPOILT.values(), ids=SPOILT.keys())
def test_what_breaks_the_law_is_found(event: str, facts: dict[str, Any], reason: str) -> None:
    story = taken_back()
    changed(story, event, **facts)

    assert reason in why(checked(story))


def test_an_author_who_approves_is_found() -> None:
    story = Story()
    story.take(Step.PLAN, "asha", people=12)
    story.take(Step.SUBMIT, "asha")
    story.approve("asha")

    assert "own order" in why(checked(story))


def test_one_person_who_approves_twice_is_found() -> None:
    story = Story()
    story.take(Step.PLAN, "asha", people=12)
    story.take(Step.SUBMIT, "asha")
    story.approve("bela")
    story.take(Step.APPROVE, "bela")

    assert "twice" in why(checked(story))


def test_an_edit_voids_the_approvals_of_the_version_before() -> None:
    story = approved()
    story.take(Step.EDIT, "asha")
    story.digest = "1" * 64
    story.take(Step.PLAN, "asha", people=12)
    story.take(Step.SUBMIT, "asha")
    story.approve("bela")
    story.take(Step.POLICY_MET, needed=2, needed_outside_it=0)

    assert "1 of 2" in why(checked(story))


def test_a_log_that_breaks_off_is_found() -> None:
    assert "breaks off" in why(verify(lines_of(taken_back().entries)[:-1], pinned=SIGNER.verifier))


def test_an_unsigned_end_is_found() -> None:
    lines = lines_of(taken_back().entries)
    del lines[-2]

    assert "nobody signed" in why(verify(lines, pinned=SIGNER.verifier))


def test_a_log_signed_anew_by_somebody_else_is_found() -> None:
    lines = lines_of(taken_back().entries, signer=Signer.generate(SIGNER.name))

    assert "another key" in why(verify(lines, pinned=SIGNER.verifier))
    assert verify(lines, pinned=None).is_sound


def test_a_key_survives_being_written_down() -> None:
    assert Signer.parse(SIGNER.encode()).encode() == SIGNER.encode()
