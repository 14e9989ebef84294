"""However many work on an order at one instant, no mail is lost and none is sent twice."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from countermand.domain.delivery import (
    Evidence,
    EvidenceKind,
    Holding,
    PermitRefusal,
    Reply,
    ReplyKind,
)
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.testing.ledger_house import NOW
from tests.fresh_database import FreshDatabase
from tests.ledger_houses import PostgresHouse

_SENDERS = ("sender-1", "sender-2", "sender-3")
_SLEEPER = "sleeper"
_PEOPLE = 1500  # more than all of them together get through
_ROUNDS = 60
_STEP = timedelta(minutes=10)


@dataclass
class _Heard:
    """What one sender was told."""

    accepted: list[int] = field(default_factory=list)
    refusals: list[PermitRefusal] = field(default_factory=list)


def _claimed(
    ledger: PostgresLedger, name: str, claim: int, *, heard: int, limit: int, now: datetime
) -> list[Holding]:
    claimed = ledger.claim(sender=name, claim=claim, heard=heard, limit=limit, now=now)
    return [each.holding for each in claimed]


def _sends(url: str, name: str) -> _Heard:
    """Claim and send, with every end that a mail can have, and answers to claims that are lost."""
    chance, heard, newest = random.Random(name), _Heard(), 0
    with closing(PostgresLedger(url)) as ledger:
        for turn in range(_ROUNDS):
            now = NOW + turn * _STEP
            held = _claimed(ledger, name, turn + 1, heard=newest, limit=6, now=now)
            if chance.random() < 0.1:
                continue
            newest = turn + 1
            given_back = [each for each in held if chance.random() < 0.1]
            ledger.abort(sender=name, holdings=given_back, now=now)
            asked = [each for each in held if each not in given_back]
            answers = ledger.permit(sender=name, holdings=asked, now=now)
            heard.refusals += [each.refusal for each in answers if each.refusal is not None]
            for each in asked:
                kind = chance.choice([*ReplyKind, ReplyKind.ACCEPTED, ReplyKind.ACCEPTED])
                reply = Reply(each, kind, kind is not ReplyKind.DEFERRED, "as told", None)
                ledger.acknowledge(sender=name, replies=[reply], now=now)
                heard.accepted += [each.notice_id] if kind is ReplyKind.ACCEPTED else []
    return heard


def _dies_again_and_again(url: str) -> None:
    """Claim under a new name each time, let some out, and never be heard of again."""
    with closing(PostgresLedger(url)) as ledger:
        for turn in range(_ROUNDS):
            name, now = f"dying-{turn}", NOW + turn * _STEP
            ledger.lease(sender=name, mode="live", host="here", pid=1, seconds=0.05)
            held = _claimed(ledger, name, 1, heard=0, limit=4, now=now)
            ledger.permit(sender=name, holdings=held[:2], now=now)
            ledger.recover(sender="sender-1", own=False, now=now)


def _sleeps_past_its_lease(url: str) -> list[int]:
    """Wake up with mails in hand that are claimed anew; returns those whose dot it may have ended.

    Of the older holding it says whatever it can: none of it may touch the permit of the newer.
    """
    chance, ended = random.Random(_SLEEPER), []
    with closing(PostgresLedger(url)) as ledger:
        for turn in range(_ROUNDS):
            now = NOW + turn * _STEP
            ledger.lease(sender=_SLEEPER, mode="live", host="here", pid=1, seconds=600)
            older = _claimed(ledger, _SLEEPER, 2 * turn + 1, heard=2 * turn, limit=4, now=now)
            ledger.permit(sender=_SLEEPER, holdings=older[:1], now=now)
            ledger.lease(sender=_SLEEPER, mode="live", host="here", pid=1, seconds=-1)
            ledger.recover(sender="sender-1", own=False, now=now)
            ledger.lease(sender=_SLEEPER, mode="live", host="here", pid=1, seconds=600)
            newer = _claimed(ledger, _SLEEPER, 2 * turn + 2, heard=2 * turn + 1, limit=4, now=now)
            answers = ledger.permit(sender=_SLEEPER, holdings=older + newer, now=now)
            assert all(each.holding in newer for each in answers if each.refusal is None)
            ended += [each.holding.notice_id for each in answers if each.refusal is None]
            kind = chance.choice([ReplyKind.LOST, ReplyKind.DEFERRED, ReplyKind.REFUSED])
            replies = [Reply(each, kind, after_dot=True, text="", queue_id=None) for each in older]
            ledger.exchange(
                sender=_SLEEPER, permits=[], replies=replies[:2], aborted=older[2:], now=now
            )
    return ended


def _tells_what_it_heard(url: str, notice_id: int) -> None:
    """Bring evidence of one mail, over and over: all that is noted is written down each time."""
    with closing(PostgresLedger(url)) as ledger:
        for turn in range(2 * _ROUNDS):
            at = NOW + turn * _STEP
            ledger.evidence(evidence=[Evidence(notice_id, EvidenceKind.CHECK_CODE, at)])


def _all_at_once(url: str, told: int, ended: list[int]) -> Iterator[_Heard]:
    with ThreadPoolExecutor(len(_SENDERS) + 3) as threads:
        sending = [threads.submit(_sends, url, name) for name in _SENDERS]
        beside = [
            threads.submit(_dies_again_and_again, url),
            threads.submit(_tells_what_it_heard, url, told),
        ]
        ended += threads.submit(_sleeps_past_its_lease, url).result()
        for other in beside:
            other.result()
        for each in sending:
            yield each.result()


def test_no_mail_is_lost_or_held_twice_however_senders_die_or_sleep_and_evidence_comes(
    postgres_house: PostgresHouse, database: FreshDatabase
) -> None:
    house = postgres_house
    house.mailing()
    for name in _SENDERS:
        house.lease(name)
    told = house.permitted(_PEOPLE + 1)
    house.notices(range(1, _PEOPLE + 1))

    ended: list[int] = []
    heard = list(_all_at_once(database.url, told, ended))

    assert [refusal for each in heard for refusal in each.refusals] == []
    accepted = [notice_id for each in heard for notice_id in each.accepted]
    assert len(accepted) == len(set(accepted)) > 100
    house.fold()
    [(not_sent,)] = house.connection.execute(
        "SELECT count(*) FROM notices_notice WHERE id = ANY (%s) AND state <> 'sent'", [accepted]
    ).fetchall()
    assert not_sent == 0
    [(never_permitted,)] = house.connection.execute(
        "SELECT count(*) FROM notices_notice WHERE id = ANY (%s) AND exposure = 0", [ended]
    ).fetchall()
    assert len(ended) > 50
    assert never_permitted == 0
    for name in _SENDERS:  # what no answer told them waits again
        house.ledger.claim(sender=name, claim=_ROUNDS + 1, heard=0, limit=0, now=NOW)
    [(forgotten,)] = house.connection.execute(
        "SELECT count(*) FROM notices_notice n WHERE n.state = 'claimed'"
        " AND n.claimed_by = ANY (%s)",
        [list(_SENDERS)],
    ).fetchall()
    assert forgotten == 0
