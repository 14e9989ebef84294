"""A sender in which something dies that nobody expected gives its mails back, and ends."""

import asyncio
import json
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

import pytest

from countermand.domain.delivery import ClaimedNotice, Holding, NoticeState, PermitAnswer, Reply
from countermand.sender.compose import Writer
from countermand.sender.journal import note_fault
from countermand.sender.ledger_line import ThreadLine
from countermand.sender.relay import Relay
from countermand.sender.service import SenderPlan, SenderService
from countermand.testing.ledger_house import NOW, SENDER
from countermand.testing.mail_server import MailServer
from countermand.testing.mail_session import EXTENSIONS, Record
from countermand.testing.memory_ledger import MemoryLedger
from tests.ledger_houses import MemoryHouse

WORDS = "p1@example.org"  # of whom nothing may be said
PEOPLE = 300
PATIENCE_S = 60.0


class Unexpected(Exception):
    """A fault in the program."""


class Faulty(MemoryLedger):
    """Fails at one verb, once its sender holds mails."""

    verb = ""

    def _fail_at(self, verb: str) -> None:
        states = {each.row.state for each in self.notices.values()}
        if verb == self.verb and NoticeState.SENT in states:
            raise Unexpected(WORDS)

    def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        self._fail_at("claim")
        return MemoryLedger.claim(
            self, sender=sender, claim=claim, heard=heard, limit=limit, now=now
        )

    def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        if permits:
            self._fail_at("exchange")
        answers = MemoryLedger.exchange(
            self, sender=sender, permits=permits, replies=replies, aborted=aborted, now=now
        )
        try:
            self._fail_at("answer")
        except Unexpected:
            # An answer about something that was never asked.
            return [PermitAnswer(Holding(0, 0), None)] if permits else answers
        return answers

    def queued(self) -> Collection[str]:
        self._fail_at("queue")
        return ()


def told_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    said = capsys.readouterr().err
    assert WORDS not in said
    assert "Traceback" not in said
    return [json.loads(line) for line in said.splitlines()]


async def work(folder: Path, ledger: Faulty) -> None:
    """Let a whole sender work until it ends."""
    double = MailServer(Record(folder / "record.jsonl", tell=lambda: None), EXTENSIONS)
    server = await asyncio.get_running_loop().create_server(double.session, "127.0.0.1", 0)
    plan = SenderPlan(
        name=SENDER,
        mode="live",
        relay=Relay("127.0.0.1", server.sockets[0].getsockname()[1]),
        connections=2,
        window=1,
        writer=Writer("orders@example.org", "Example", "help@example.org"),
        fences=folder / "fences",
        senders=folder / "senders",
        queued=ledger.queued,
    )
    service = SenderService(plan, ledger, lambda: ThreadLine(ledger), now=lambda: NOW)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await service.run()
    finally:
        server.close()


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        ("claim", Unexpected),
        ("exchange", Unexpected),
        ("answer", KeyError),
        ("queue", Unexpected),
    ],
)
def test_whatever_dies_in_a_sender_ends_it_with_nothing_left_in_its_hands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str, kind: type[Exception]
) -> None:
    ledger = Faulty(tick=time.monotonic)
    house = MemoryHouse(ledger)
    house.mailing()
    for person in range(PEOPLE):
        house.notice(person)
    ledger.verb = verb

    with pytest.raises(kind) as died:
        asyncio.run(work(tmp_path, ledger))

    states = {each.row.state for each in ledger.notices.values()}
    assert NoticeState.SENT in states
    assert NoticeState.PENDING in states
    assert NoticeState.CLAIMED not in states
    assert told_of(capsys)[-1]["event"] == "sender.ended"
    note_fault(died.value)
    [told] = told_of(capsys)
    assert told["kind"] == kind.__name__
    assert str(told["place"]).startswith("countermand.")
