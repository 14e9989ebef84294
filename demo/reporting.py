"""The report of the demo: every figure from the mail server's record, the log, or the clock."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from countermand import environment
from countermand.orders import document_file
from countermand.testing.judge_grammar import GRAMMARS
from countermand.testing.sentence_judge import World, untrue_sentences
from demo.judging import (
    AcceptedMail,
    TakeBack,
    TakeBackJudgement,
    committed_message_ids,
    judge_take_back,
)
from demo.judging import read_record as read_mails
from demo.stage import Stage
from demo.story import EXAMPLES, Story


@dataclass(frozen=True, slots=True)
class Staff:
    """Whom the demo's own files know at an address."""

    name: str
    zone: str
    absent_until: date | None


def staff_of(folder: Path) -> dict[str, Staff]:
    """Read the people files that were taken over, by folded address.

    Who is away, and until when, is read as it was known when the deadlines were set: on Friday.
    """
    known: dict[str, Staff] = {}
    files = sorted(folder.glob("**/people.csv"), key=lambda file: file.parent.name == "friday")
    for file in (EXAMPLES / "people.csv", *files):
        with file.open(encoding="utf-8-sig", newline="") as rows:
            for row in csv.DictReader(rows):
                name = row["display_name"]
                if row["preferred_language"] == "hi" and row["local_name"]:
                    name = row["local_name"]
                away = row["absent_until"]
                absent_until = date.fromisoformat(away) if away else None
                known[row["email"].lower()] = Staff(name, row["time_zone"], absent_until)
    return known


def untrue(
    mails: list[AcceptedMail], back: TakeBack, staff: Mapping[str, Staff], own: frozenset[str]
) -> list[tuple[str, str]]:
    """Return (address, sentence) for every sentence of a correction that is not true."""
    found: list[tuple[str, str]] = []
    standing = _first_notices(mails, back.standing[0]) if back.standing else []
    for mail in mails:
        if mail.order_number != back.number or mail.kind != "correction":
            continue
        world = _world(back, staff[mail.to], mail, standing, own)
        found += [(mail.to, bad) for bad in untrue_sentences(mail.body_text, mail.language, world)]
    return found


_SATURDAY = 5
_EVERYBODY_TOLD = timedelta(days=3)
_OWN_NOTICE = timedelta(hours=72)
_SLACK = timedelta(minutes=30)  # from the decision to tell somebody to the mail's arrival


def _world(
    back: TakeBack,
    person: Staff,
    mail: AcceptedMail,
    notices_of_standing: list[AcceptedMail],
    own: frozenset[str],
) -> World:
    in_force: dict[str, dict[str, datetime | None]] = {app: {} for app in back.apps}
    pausing: frozenset[str] = frozenset()
    if back.standing is not None:
        number, apps, deadline = back.standing
        pausing = frozenset({number})
        own_deadline = _told_deadline(
            mail.to, ZoneInfo(person.zone), notices_of_standing
        ) or _own_deadline(deadline, person)
        for app in apps:
            in_force[app] = {number: own_deadline}
    return World(
        number=back.number,
        name=person.name,
        zone=person.zone,
        variant="mistake",
        taken_back_at=back.taken_back_at,
        in_force=in_force,
        before=in_force,
        door="gate",
        deadline_at=_own_deadline(back.deadline, person),
        pausing=pausing,
        lookup_address="orders.example",
        own_texts=own,
    )


def _own_deadline(deadline: datetime, person: Staff) -> datetime:
    """The deadline by the person's own clock; whoever is away has one working day after that."""
    zone = ZoneInfo(person.zone)
    day = deadline.date()
    if person.absent_until is not None:
        back_on = person.absent_until + timedelta(days=1)
        while back_on.weekday() >= _SATURDAY:
            back_on += timedelta(days=1)
        day = max(day, back_on)
    return datetime.combine(day, deadline.time(), tzinfo=zone)


def _first_notices(mails: list[AcceptedMail], number: str) -> list[AcceptedMail]:
    return [m for m in mails if m.order_number == number and m.kind == "notice"]


def _told_deadline(address: str, zone: ZoneInfo, notices: list[AcceptedMail]) -> datetime | None:
    """What their first notice told somebody who joined after everybody was told."""
    own = [mail for mail in notices if mail.to == address]
    if not own or own[0].told_at < notices[0].told_at + _EVERYBODY_TOLD:
        return None
    joined = own[0].told_at.replace(second=0, microsecond=0)
    grammar = GRAMMARS[own[0].language]
    for match in re.finditer(grammar.moment, own[0].body_text):
        year, month, day, hour, minute, _ = grammar.read_moment(match)
        moment = datetime(year, month, day, hour, minute, tzinfo=zone)
        if abs(moment - joined - _OWN_NOTICE) <= _SLACK:
            return moment
    return None


def build(story: Story, stage: Stage, backs: list[TakeBack], kills: int) -> dict[str, Any]:
    """Put the report together; who was missed is read from the mail server's record alone."""
    mails = read_mails(stage.record)
    committed = committed_message_ids(stage.folder / "log.jsonl")
    staff = staff_of(story.organisation.folder)
    judges = [_judged(mails, back, committed, stage) for back in backs]
    untrue_found = [found for back in backs for found in untrue(mails, back, staff, own_texts())]
    first, mistake = judges[0], backs[0]
    first_show = story.show(mistake.number)
    affected = int(story.figures["affected_people"])
    reached = first_show["notices"]
    return {
        "people": story.organisation.people,
        "devices": story.figures["devices"],
        "kills": kills,
        "mistake_reached_share": round(first.addresses_reached / affected, 4),
        "affected_people": affected,
        "affected_devices": story.figures["affected_devices"],
        "notices_accepted": first.notices_accepted,
        "reached_certain": reached["certain"],
        "reached_possible": reached["possible"],
        "corrections_sent": sum(one.corrections_accepted for one in judges),
        "corrections_missed": sum(len(one.missed) for one in judges),
        "corrections_stray": sum(len(one.stray) for one in judges),
        "corrections_precautionary": sum(len(one.precautionary) for one in judges),
        "untrue_sentences": len(untrue_found),
        "notices_after_stop": sum(one.notices_after_stop for one in judges),
        "notices_after_correction": sum(len(one.notices_after_correction) for one in judges),
        "corrections_in_another_thread": sum(len(one.wrong_thread) for one in judges),
        "corrections_in_another_language": sum(len(one.wrong_language) for one in judges),
        "accepted_without_commitment": len({m.message_id for m in mails} - committed),
        "stop_durable_ms": mistake.said["durable_ms"],
        # From the start of the program that was typed in, Python's own start included.
        "press_to_stop_ms": round((mistake.stop_durable_at - mistake.pressed_at) * 1000, 1),
        "gate_open_ms": max((gate["ms"] for gate in mistake.said["gates"]), default=None),
        "first_notice_to_press_s": story.figures["first_notice_to_press_s"],
        "press_to_last_correction_s": after_press(first, mistake),
        "people_to_call": len(first_show["to_call"]),
        "doors_asked": story.figures.get("doors_asked"),
        "doors_closed": story.figures.get("doors_closed"),
        "doors_wrong": story.figures.get("doors_wrong"),
        "removed_opens_ms": story.figures.get("removed_opens_ms"),
        "log_verified": bool(story.figures["log_verified"]),
        "untrue": [f"{address}: {sentence}" for address, sentence in untrue_found[:20]],
        "missed": [address for one in judges for address in one.missed][:20],
        "stray": [address for one in judges for address in one.stray][:20],
    }


def judged(stage: Stage, back: TakeBack) -> TakeBackJudgement:
    """Judge one take-back by the record and the log as they stand."""
    committed = committed_message_ids(stage.folder / "log.jsonl")
    return _judged(read_mails(stage.record), back, committed, stage)


def _judged(
    mails: list[AcceptedMail], back: TakeBack, committed: frozenset[str], stage: Stage
) -> TakeBackJudgement:
    to_call = stage.countermand("order", "show", back.number).json["to_call"]
    return judge_take_back(
        mails,
        order_number=back.number,
        committed=committed,
        stop_durable_at=back.stop_durable_at,
        to_call=[row["address"] for row in to_call],
    )


def after_press(judgement: TakeBackJudgement, back: TakeBack) -> float | None:
    """Return the real seconds from the press to the last correction."""
    if judgement.last_correction_at is None:
        return None
    return round(judgement.last_correction_at - back.pressed_at, 3)


def own_texts() -> frozenset[str]:
    """Texts that the orders and the house wrote themselves, as their files have them."""
    return _texts_of(EXAMPLES / "order.yaml") | _texts_of(EXAMPLES / "amendment-by-mistake.yaml")


def _texts_of(file: Path) -> frozenset[str]:
    mapping, _ = document_file.load(file)
    settings = environment.load({})
    why = mapping["corrections"]["mistake"].values()
    return frozenset({*why, settings.help_desk, "Imran Qureshi (Mail)", "इमरान क़ुरैशी (Mail)"})
