"""What people do with their mails: read them, check them, leave, move, and pass them on.

A mail that was passed on is beyond any ledger. Whoever has it from somebody else is told nothing by
us and corrected of nothing; on the look-up page its code is right with the address of the person
whom it went to, and proves that mail alone; what a server elsewhere sends back is about that
person, too. Everything typed here stands in a mail of the mail server's own record.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any, Final

from countermand import clock, wiring
from simulation.campaign_stage import COLLEAGUE, Stage, Stuck

ELSEWHERE: Final = "at-home@elsewhere.example"
_FIVE_HOURS: Final = timedelta(hours=5)
_CODE: Final = re.compile(r"\b\d{4} \d{4}\b")
_GENUINE: Final = "This mail is genuine"
_SAID_BACK: Final = "This mail is genuine, and the notice has been taken back"
_NOT_GENUINE: Final = "No such mail went from us"
_TAKEN_BACK: Final = '<div class="state withdrawn">'
_REPORT: Final = """From: MAILER-DAEMON@relay.example
Content-Type: multipart/report; report-type=delivery-status; boundary="=b"
MIME-Version: 1.0

--=b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.example

Final-Recipient: rfc822; {final}
Original-Recipient: rfc822;{told}
Action: failed
Status: 5.1.1
Last-Attempt-Date: {at}

--=b
Content-Type: text/rfc822-headers

Message-ID: {message_id}

--=b--
"""
_REPLY: Final = """From: {colleague}
In-Reply-To: {message_id}
References: {message_id}
Subject: Re: {message_id}
Content-Type: text/plain

This was passed on to me. Does it apply to me, too?
> {message_id} {code}
"""


@dataclass(frozen=True, slots=True)
class Check:
    """Somebody typed the code of a mail together with an address, and the page answered."""

    mail: dict[str, Any]
    typed: str
    is_genuine: bool
    says_taken_back: bool
    is_after_all: bool = False  # typed when corrections had arrived


@dataclass(slots=True)
class Staff:
    """The people of one round, as far as they do something; `checks` is what they were told."""

    stage: Stage
    number: str
    chance: random.Random
    checks: list[Check] = field(default_factory=list)

    # -- the mails that they have ----------------------------------------------------------------

    def mails(self, kind: str) -> list[dict[str, Any]]:
        """Return the mails of one kind in the server's record, oldest first."""
        return [each for each in self.stage.record() if f".{kind}." in each["message_id"]]

    def _some(self, kind: str) -> dict[str, Any] | None:
        mails = self.mails(kind)
        return self.chance.choice(mails) if mails else None

    def _without_a_mail(self) -> str:
        """Return whom no mail of ours has reached: no order is about them, or theirs is to come."""
        has_one = {mail["to"] for mail in self.stage.record()}
        rows = self.stage.ask("SELECT address FROM notices_notice WHERE kind = 'notice'")
        return self.chance.choice([COLLEAGUE, *sorted({str(row[0]) for row in rows} - has_one)])

    # -- what they do ------------------------------------------------------------------------------

    def read(self, mail: dict[str, Any]) -> None:
        """Let its person read a mail and check it, as it went to them or as they are called now."""
        self._check(mail, self.chance.choice((mail["to"], self._address_now(mail["to"]))))

    def pass_on(self, mail: dict[str, Any], whom: str) -> None:
        """Let somebody else check a mail: as their own, then as that of the person who had it."""
        self._check(mail, whom)
        self.read(mail)

    def pass_something_on(self) -> bool:
        """Pass some notice on, in the middle of everything; False while nobody has one.

        Its mailbox may hand all mails on, too, to a server elsewhere that sends this one back.
        """
        mail = self._some("notice")
        if mail is None:
            return False
        self.pass_on(mail, self._without_a_mail())
        if self.chance.random() < 0.5:
            self.stage.returned.add(_report(self.stage, mail, final=ELSEWHERE))
        return True

    def five_hours_later(self) -> None:
        """Some read it, one came back, one was passed on and one handed on; one left; two moved."""
        from countermand.people.models import Person

        self.stage.hurry(_FIVE_HOURS)
        mails = {mail["to"].partition("@")[0]: mail for mail in self.mails("notice")}
        for uid in ("p8", "p9"):
            self.read(mails[uid])
        returned = mails["p10"]
        self.stage.returned.add(_report(self.stage, returned, final=returned["to"]))
        self.pass_on(mails["p14"], COLLEAGUE)
        self.stage.returned.add(_reply(mails["p14"]))
        self.stage.returned.add(_report(self.stage, mails["p15"], final=ELSEWHERE))
        now = clock.for_data(self.stage.data).now()
        if self.chance.random() < 0.5:  # else the worker hears of it after the take-back
            wiring.take_evidence(self.stage.settings, now)
        Person.objects.filter(uid="p11").update(left_on=now.date() - timedelta(days=1))
        Person.objects.filter(uid="p12").update(address="p12.new@example.org")
        alias = ["p13.alias@example.org"]
        Person.objects.filter(uid="p13").update(second_mailboxes=alias, other_addresses=alias)

    def look_at_the_end(self) -> None:
        """Pass a correction on as well, and look at the notice's page. Raises Stuck."""
        mail = self._some("correction")
        if mail is None:
            return
        self.pass_on(mail, COLLEAGUE)
        for each in filter(None, [self._some("notice")]):
            self._check(each, each["to"], is_after_all=True)
        page = _web().get(f"/{self.number.lower()}").content.decode()
        if page.count(_TAKEN_BACK) != 2:  # in two languages
            raise Stuck("people are corrected, and the page of the notice does not say so")

    # -- the look-up page ----------------------------------------------------------------------

    def _address_now(self, address: str) -> str:
        rows = self.stage.ask(
            "SELECT now.address FROM people_person AS now JOIN kept.people_person USING (id)"
            " WHERE kept.people_person.address = %s OR %s = ANY(now.second_mailboxes)"
            " OR now.address = %s",
            *[address] * 3,
        )
        return str(rows[0][0])

    def _check(self, mail: dict[str, Any], typed: str, *, is_after_all: bool = False) -> None:
        asked = {"number": self.number, "address": typed, "code": code_of(mail), "do": "check"}
        page = _web().post("/check", asked).content.decode()
        said = [text in page for text in (_GENUINE, _NOT_GENUINE)]
        if said.count(True) != 1:
            raise Stuck("the look-up page does not say whether a mail is genuine")
        self.checks.append(Check(mail, typed, said[0], _SAID_BACK in page, is_after_all))


def code_of(mail: dict[str, Any]) -> str:
    """Return the check code that a mail tells its reader. Raises Stuck."""
    found: set[str] = set(_CODE.findall(mail["body_text"]))
    if len(found) != 1:
        raise Stuck("a mail does not tell one check code")
    return found.pop()


def _report(stage: Stage, mail: dict[str, Any], *, final: str) -> str:
    at = format_datetime(clock.for_data(stage.data).now())
    return _REPORT.format(told=mail["to"], final=final, at=at, message_id=mail["message_id"])


def _reply(mail: dict[str, Any]) -> str:
    return _REPLY.format(colleague=COLLEAGUE, message_id=mail["message_id"], code=code_of(mail))


def _web() -> Any:
    from django.test import Client

    return Client(headers={"host": "127.0.0.1"})
