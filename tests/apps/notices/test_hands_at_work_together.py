"""However many work on an order at one instant, no mail is lost and none is sent twice."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta

from countermand.domain.delivery import Evidence, EvidenceKind, PermitRefusal, Reply, ReplyKind
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.testing.ledger_contract import NOW
from tests.fresh_database import FreshDatabase
from tests.ledger_houses import PostgresHouse

_SENDERS = ("sender-1", "sender-2", "sender-3")
_PEOPLE = 1500  # more than all of them together get through
_ROUNDS = 60
_STEP = timedelta(minutes=10)


@dataclass
class _Heard:
    """What one sender was told."""

    accepted: list[int] = field(default_factory=list)
    refusals: list[PermitRefusal] = field(default_factory=list)


def _sends(url: str, name: str) -> _Heard:
    """Claim and send, with every end that a mail can have."""
    chance, heard = random.Random(name), _Heard()
    with closing(PostgresLedger(url)) as ledger:
        for turn in range(_ROUNDS):
            now = NOW + turn * _STEP
            ids = [n.notice_id for n in ledger.claim(sender=name, limit=6, now=now)]
            given_back = [each for each in ids if chance.random() < 0.1]
            ledger.abort(sender=name, notice_ids=given_back, now=now)
            asked = [each for each in ids if each not in given_back]
            answers = ledger.permit(sender=name, notice_ids=asked, now=now)
            heard.refusals += [each.refusal for each in answers if each.refusal is not None]
            for each in asked:
                kind = chance.choice([*ReplyKind, ReplyKind.ACCEPTED, ReplyKind.ACCEPTED])
                reply = Reply(each, kind, kind is not ReplyKind.DEFERRED, "as told", None)
                ledger.acknowledge(sender=name, replies=[reply], now=now)
                heard.accepted += [each] if kind is ReplyKind.ACCEPTED else []
    return heard


def _dies_again_and_again(url: str) -> None:
    """Claim under a new name each time, let some out, and never be heard of again."""
    with closing(PostgresLedger(url)) as ledger:
        for turn in range(_ROUNDS):
            name, now = f"dying-{turn}", NOW + turn * _STEP
            ledger.lease(sender=name, mode="live", host="here", pid=1, seconds=0.05)
            ids = [n.notice_id for n in ledger.claim(sender=name, limit=4, now=now)]
            ledger.permit(sender=name, notice_ids=ids[:2], now=now)
            ledger.recover(sender="sender-1", own=False, now=now)


def _tells_what_it_heard(url: str, notice_id: int) -> None:
    """Bring evidence of one mail, over and over: all that is noted is written down each time."""
    with closing(PostgresLedger(url)) as ledger:
        for turn in range(2 * _ROUNDS):
            at = NOW + turn * _STEP
            ledger.evidence(evidence=[Evidence(notice_id, EvidenceKind.CHECK_CODE, at)])


def _all_at_once(url: str, told: int) -> Iterator[_Heard]:
    with ThreadPoolExecutor(len(_SENDERS) + 2) as threads:
        sending = [threads.submit(_sends, url, name) for name in _SENDERS]
        beside = [
            threads.submit(_dies_again_and_again, url),
            threads.submit(_tells_what_it_heard, url, told),
        ]
        for other in beside:
            other.result()
        for each in sending:
            yield each.result()


def test_no_mail_is_lost_or_held_twice_however_senders_die_and_evidence_comes(
    postgres_house: PostgresHouse, database: FreshDatabase
) -> None:
    house = postgres_house
    house.mailing()
    for name in _SENDERS:
        house.lease(name)
    told = house.permitted(_PEOPLE + 1)
    house.notices(range(1, _PEOPLE + 1))

    heard = list(_all_at_once(database.url, told))

    assert [refusal for each in heard for refusal in each.refusals] == []
    accepted = [notice_id for each in heard for notice_id in each.accepted]
    assert len(accepted) == len(set(accepted)) > 100
    house.fold()
    [(not_sent,)] = house.connection.execute(
        "SELECT count(*) FROM notices_notice WHERE id = ANY (%s) AND state <> 'sent'", [accepted]
    ).fetchall()
    assert not_sent == 0
