"""Who was told what, by the mail server's own record; the ledger is judged by it.

Counted over people and addresses:

- missed: a notice was accepted for an address, no correction was accepted there or at another
  mailbox that its person has by now, and nobody is to call;
- stray: corrected, although no notice was accepted and no permit was ever committed;
- precautionary: corrected, permitted, not accepted (published, at most two a connection and kill);
- after_correction: a notice accepted after the correction for the same person;
- untrue: a sentence of a correction that an independent reader finds untrue for its person, an
  answer of the look-up page that is wrong for who asked, a reading noted that nobody did;
- unpermitted: accepted without a committed permit; denied: accepted, and the ledger says "not";
- unlike: copies of one mail that differ; after_stop: accepted after the stop was on the disk,
  beyond one for each open connection.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from countermand.testing.sentence_judge import World, untrue_sentences
from simulation.campaign_people import Check
from simulation.campaign_stage import CONNECTIONS, Stage

MUST_BE_ZERO: Final = (
    "missed",
    "stray",
    "after_correction",
    "untrue",
    "unpermitted",
    "denied",
    "unlike",
    "after_stop",
    "stuck",
)
_OWN_TEXTS: Final = frozenset(
    {"In English.", "हिंदी में।", "help desk: help@example.org", "Operator", "Author"}
)
_DEADLINE: Final = datetime(2020, 7, 17, 17, 0)  # noqa: DTZ001 - by each person's own clock


@dataclass(slots=True)
class Verdict:
    """What one round came to; every field but the first two is zero when all is well."""

    accepted: int = 0
    precautionary: int = 0
    missed: int = 0
    stray: int = 0
    after_correction: int = 0
    untrue: int = 0
    unpermitted: int = 0
    denied: int = 0
    unlike: int = 0
    after_stop: int = 0
    stuck: int = 0
    why: list[str] = field(default_factory=list)

    def is_red(self) -> bool:
        """Say whether a promise was broken."""
        return any(getattr(self, name) for name in MUST_BE_ZERO)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, slots=True)
class _Person:
    person_id: int
    name: str
    zone: str


def judge(
    stage: Stage, number: str, *, stop_seen_at: float, senders: int, checks: Sequence[Check]
) -> Verdict:
    """Judge one round, after everything has ended. `stop_seen_at` is real time, in seconds."""
    mails = stage.record()
    verdict = Verdict()
    people = _people(stage)
    told = [mail for mail in mails if _kind(mail) not in ("correction", "")]
    corrections = [mail for mail in mails if _kind(mail) == "correction"]
    verdict.accepted = len(told)
    _look_at_corrections(stage, verdict, told, corrections, people)
    _look_at_ledger(stage, verdict, told)
    by_id: dict[str, set[str]] = {}
    for mail in mails:
        by_id.setdefault(mail["message_id"], set()).add(mail["bytes_sha256"])
    verdict.unlike = sum(len(contents) > 1 for contents in by_id.values())
    late = sum(mail["real_at"] > stop_seen_at for mail in told)
    verdict.after_stop = max(0, late - CONNECTIONS * senders)
    _look_at_words(stage, verdict, corrections, people, number)
    _look_at_checks(stage, verdict, checks, people)
    return verdict


def _look_at_corrections(
    stage: Stage,
    verdict: Verdict,
    told: list[dict[str, Any]],
    corrections: list[dict[str, Any]],
    people: Mapping[str, _Person],
) -> None:
    corrected = {mail["to"] for mail in corrections}
    called = {
        address
        for (address,) in stage.ask(
            "SELECT address FROM notices_notice WHERE kind = 'correction'"
            " AND state IN ('refused', 'bounced')"
        )
    }
    reached = {mail["to"] for mail in told}
    reached_people = {people[address].person_id for address in reached if address in people}
    theirs = {row[3] for row in _present_addresses(stage) if row[0] in reached_people}
    missed = (reached | theirs) - corrected - called
    verdict.missed = len(missed)
    ids = _permitted_ids(stage)
    rows = stage.ask("SELECT message_id, address FROM notices_notice WHERE kind <> 'correction'")
    permitted = {address for message_id, address in rows if message_id in ids}
    own = {people[address].person_id for address in reached if address in people}
    meant = {people[address].person_id for address in permitted if address in people}
    for address in corrected - reached:
        person = people.get(address)
        if person is not None and person.person_id in own:
            continue  # another address of somebody who was reached
        if person is not None and person.person_id in meant:
            verdict.precautionary += 1
        else:
            verdict.stray += 1
            verdict.why.append(f"stray: {address}")
    verdict.why += [f"missed: {address}" for address in sorted(missed)]
    first: dict[int, int] = {}
    for mail in corrections:
        person = people.get(mail["to"])
        if person is not None:
            first.setdefault(person.person_id, mail["seq"])
    for mail in told:
        person = people.get(mail["to"])
        if person is not None and mail["seq"] > first.get(person.person_id, mail["seq"]):
            verdict.after_correction += 1
            verdict.why.append(f"after its correction: {mail['to']}")


def _look_at_ledger(stage: Stage, verdict: Verdict, told: list[dict[str, Any]]) -> None:
    never = {
        message_id
        for (message_id,) in stage.ask(
            "SELECT message_id FROM notices_notice WHERE kind <> 'correction' AND exposure = 0"
        )
    }
    ids = {mail["message_id"] for mail in told}
    verdict.unpermitted = len(ids - _permitted_ids(stage))
    verdict.denied = len(ids & never)


def _permitted_ids(stage: Stage) -> set[str]:
    rows = stage.ask("SELECT message_ids FROM notices_permitbatch")
    return {message_id for (message_ids,) in rows for message_id in message_ids}


def _look_at_words(
    stage: Stage,
    verdict: Verdict,
    corrections: list[dict[str, Any]],
    people: Mapping[str, _Person],
    number: str,
) -> None:
    rows = stage.ask("SELECT taken_back_at FROM orders_order WHERE number = %s", number)
    if not rows or rows[0][0] is None:
        return
    for mail in corrections:
        person = people[mail["to"]]
        world = World(
            number=number,
            name=person.name,
            zone=person.zone,
            variant="mistake",
            taken_back_at=rows[0][0],
            in_force={"TikTok": {}},
            before={"TikTok": {}},
            door="gate",
            deadline_at=_DEADLINE.replace(tzinfo=ZoneInfo(person.zone)),
            lookup_address="orders.example",
            own_texts=_OWN_TEXTS,
        )
        bad = untrue_sentences(mail["body_text"], mail["language"], world)
        verdict.untrue += len(bad)
        verdict.why += [f"untrue: {sentence}" for sentence in bad]


def _look_at_checks(
    stage: Stage, verdict: Verdict, checks: Sequence[Check], people: Mapping[str, _Person]
) -> None:
    """A code is right for the person whom its mail went to, and says of that mail that it was read.

    Whoever had the mail from somebody else proves nothing about themselves.
    """
    read = set()
    for each in checks:
        is_theirs = people[each.typed].person_id == people[each.mail["to"]].person_id
        if each.is_genuine is not is_theirs:
            verdict.untrue += 1
            verdict.why.append(f"answered {each.is_genuine} to {each.typed}: {each.mail['to']}")
        if each.is_after_all and is_theirs and not each.says_taken_back:
            verdict.untrue += 1
            verdict.why.append(f"told nothing of the take-back: {each.typed}")
        if is_theirs:
            read.add(each.mail["message_id"])
    noted = {
        message_id
        for (message_id,) in stage.ask(
            "SELECT message_id FROM notices_notice AS mail JOIN notices_noticeevidence AS heard"
            " ON heard.notice_id = mail.id WHERE heard.kind = 'check_code'"
        )
    }
    verdict.untrue += len(noted ^ read)
    verdict.why += [f"read, or noted as read: {message_id}" for message_id in sorted(noted ^ read)]


def _people(stage: Stage) -> dict[str, _Person]:
    """Return who is meant by an address, whenever it was theirs."""
    before = stage.ask("SELECT id, name, zone, address FROM kept.people_person")
    return {
        address: _Person(pk, name, zone)
        for pk, name, zone, address in [*before, *_present_addresses(stage)]
    }


def _present_addresses(stage: Stage) -> list[Any]:
    """Return every mailbox that somebody has now, whatever they had when they were told."""
    return stage.ask(
        "SELECT id, name, zone, unnest(second_mailboxes || address) FROM people_person"
    )


def _kind(mail: Mapping[str, Any]) -> str:
    parts = str(mail["message_id"]).strip("<>").split(".")
    return parts[2] if len(parts) > 2 else ""
