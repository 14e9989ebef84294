"""The two acts of the story, told on a stage of real processes."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

from demo.chaos import kill
from demo.doors import Doors, Phone, away_on, read_phones
from demo.judging import TakeBack
from demo.organisation import EVE, FRIDAY, JOINED, MONDAY, MORNING_AFTER, NOON, Organisation
from demo.stage import WALKING, Answer, Stage, StageBroke
from demo.telling import Telling

EXAMPLES = Path(__file__).parents[1] / "examples" / "july-2020"
TIKTOK = "TikTok"  # by its name in the inventory files; the gate goes by identifiers
_DEADLINE = datetime(2020, 7, 17, 17)  # noqa: DTZ001 - by each person's own clock
_DEADLINE_RIGHTLY = datetime(2020, 7, 23, 17)  # noqa: DTZ001
_DEADLINE_AMENDED = datetime(2020, 8, 3, 17)  # noqa: DTZ001

_LONGEST_STRETCH = 4 * 3600.0  # told seconds; longer ones take no longer than this
_FASTEST_CLOCK = 1_000_000.0  # told seconds in a real one; more is taken for a damaged file
_HALF_AN_HOUR = timedelta(minutes=31)
_FIVE_HOURS = timedelta(hours=5)
_SLOW_REPLY_S = 0.12  # as slow as a busy relay, so that a wave lasts long enough to be stopped

AUTHOR = "lena.brandt@example.org"
APPROVERS = ("siobhan.oneil@example.org", "kavya.iyer@example.org")
OPERATOR = "imran.qureshi@example.org"
HELP_DESK = "ravi.kulkarni@example.org"
AUDITOR = "meera.nair@example.org"
ROLES = (
    (AUTHOR, "author", ()),
    (APPROVERS[0], "approver", ("--outside-it",)),
    (APPROVERS[1], "approver", ("--outside-it",)),
    (OPERATOR, "operator", ()),
    (HELP_DESK, "help_desk", ()),
    (AUDITOR, "auditor", ()),
)


@dataclass
class Story:
    """Everything the two acts share; `figures` grows into the report."""

    stage: Stage
    telling: Telling
    organisation: Organisation
    rate: float  # told seconds in a real second while the clock hurries
    with_own_kill: bool = True
    figures: dict[str, Any] = field(default_factory=dict)
    mistake: dict[str, Any] = field(default_factory=dict)
    amendment: dict[str, Any] = field(default_factory=dict)
    late: str = ""  # the address of the person who joined late

    # -- small words used by both acts ------------------------------------------------------------

    def told(self) -> str:
        """The told time, as it stands in front of a line."""
        return self.stage.now().strftime("%a %d %b %H:%M")

    def say(self, key: str, **facts: object) -> None:
        """Tell one line with the told time."""
        self.telling.say(key, told_at=self.told(), **facts)

    def at(self, moment: datetime) -> None:
        """Let the clock hurry to `moment`; long stretches hurry more than short ones."""
        stretch_s = (moment - self.stage.now()).total_seconds()
        longest_s = _LONGEST_STRETCH / self.rate
        hurried = min(stretch_s / longest_s, _FASTEST_CLOCK)
        self.stage.run_clock_to(moment, rate=max(self.rate, hurried))

    def show(self, number: str) -> dict[str, Any]:
        """What `order show` says of an order."""
        answer: dict[str, Any] = self.stage.countermand("order", "show", number, actor=AUDITOR).json
        return answer

    def phase(self, number: str) -> str:
        """The phase of an order, by the list of orders."""
        lines = self.stage.countermand("order", "list", actor=AUDITOR).json
        return str(next(line["phase"] for line in lines if line["number"] == number))

    def wait_for_phase(self, number: str, *phases: str, limit_s: float = 120) -> None:
        """Wait until the order is in one of `phases`.

        The list for stops may be a moment ahead of the database, so that one is asked as well.
        """
        self.stage.wait_until(
            f"{number} is {' or '.join(phases)}",
            lambda: self.stage.shown_phase(number) in phases and self.phase(number) in phases,
            limit_s=limit_s,
        )

    def doors(self) -> Doors:
        """A mail server's connection to the gate that runs now."""
        running = self.stage.running()
        token = (self.stage.data / "keys" / "gate-token").read_text(encoding="utf-8").strip()
        return Doors(running["gate"], token)

    def approve_by_two(self, number: str) -> str:
        """Both approvers open all three parts, and approve; return what they approved."""
        for approver in APPROVERS:
            self.stage.countermand("order", "review", number, actor=approver)
            self.stage.countermand("order", "approve", number, actor=approver)
        return str(self.show(number)["digest"])

    def import_devices(self, folder: Path, as_of: datetime, *options: str) -> Answer:
        """Take over an inventory as it stood at `as_of`."""
        return self.stage.countermand(
            *("import", "devices", "--source", "csv", "--as-of", as_of.isoformat(), *options),
            *(str(folder / "devices.csv"), str(folder / "apps.csv")),
        )

    def import_people(self, folder: Path) -> Answer:
        """Take over the sample organisation grown by the invented people of `folder`."""
        return self.stage.countermand(
            "import", "people", str(EXAMPLES / "people.csv"), str(folder / "people.csv")
        )

    def release(self, number: str) -> dict[str, Any]:
        """Release an order; once more while the look-up page is just being started again."""
        answers: list[Answer] = []

        def is_released() -> bool:
            answers.append(
                self.stage.countermand("order", "release", number, actor=OPERATOR, expect=(0, 5))
            )
            return answers[-1].code == 0

        self.stage.wait_until("the look-up page is there", is_released, limit_s=90, every_s=0.5)
        released: dict[str, Any] = answers[-1].json
        return released

    def due_instants(self, number: str) -> list[tuple[datetime, int]]:
        """When mails of an order are due, and how many by then in all; who has none is left out."""
        rows = self.stage.countermand(
            "notice", "list", number, "--kind", "notice", actor=AUDITOR
        ).json
        due = Counter(datetime.fromisoformat(row["due_at"]) for row in rows if row["due_at"])
        return list(zip(sorted(due), accumulate(due[at] for at in sorted(due)), strict=True))

    def taken(self, number: str) -> int:
        """How many people the mail server has a notice of this order for, by its own record."""
        mails = self.stage.mails()
        return len({m.to for m in mails if m.order_number == number and m.kind == "notice"})

    def begin_waves(self, number: str) -> list[tuple[datetime, int]]:
        """From the hold to the first wave; return when the waves are due."""
        held = self.show(number)["hold_until"]
        self.at(datetime.fromisoformat(held))
        self.wait_for_phase(number, "canary", "sending")
        group = self.due_instants(number)[0]
        self.stage.wait_until(
            "the first small group is told", lambda: self.taken(number) >= group[1]
        )
        self.say("first_group", count=self.taken(number))
        self.at(datetime.fromisoformat(self.show(number)["soak_until"]))
        self.wait_for_phase(number, "sending")
        return self.due_instants(number)

    def send_wave(self, number: str, wave: tuple[datetime, int]) -> None:
        """Let the clock hurry to a wave, and wait until everybody in it has been told."""
        due_at, told_by_then = wave
        self.at(due_at)
        self.stage.wait_until(
            f"the wave of {due_at:%H:%M} is out", lambda: self.taken(number) >= told_by_then
        )

    def begin_wave(self, number: str, wave: tuple[datetime, int]) -> None:
        """Let the clock hurry to a wave, and return while it is going out."""
        before = self.taken(number)
        self.at(wave[0])
        self.stage.wait_until("the next wave", lambda: self.taken(number) > before + 5)

    # -- the stage ----------------------------------------------------------------------------

    def prepare(self) -> None:
        """Invent the organisation, take it over, and give everybody their roles."""
        self.import_people(self.organisation.path("friday"))
        for person, role, options in ROLES:
            self.stage.countermand("staff", "grant", person, role, *options)
        for person in {person for person, _, _ in ROLES}:
            token = self.stage.countermand("staff", "token", person).json["token"]
            self.stage.tokens[person] = token
        self.figures["people"] = self.organisation.people
        devices = self.organisation.devices("friday")
        self.figures["devices"] = devices
        self.telling.say("stage", people=self.organisation.people, devices=devices)
        self.organisation.go_on()

    # -- act 1 --------------------------------------------------------------------------------

    def the_mistake(self) -> None:
        """Act 1: planned well, sent by mistake, taken back in the middle."""
        self.telling.heading("act1")
        self._as_sent()
        number = self._planned_and_approved()
        self._held(number)
        self._waves_with_a_kill(number)

    def _as_sent(self) -> None:
        refused = self.stage.countermand(
            "order", "plan", str(EXAMPLES / "order-as-sent.yaml"), actor=AUTHOR, expect=(1,)
        )
        faults = refused.json["error"]["faults"]
        connections = self.stage.ask_mail_server(do="count")["sessions"]
        self.say("as_sent_refused", count=len(faults), connections=connections)
        for fault in faults:
            self.telling.quote(f"{fault['line']}: {fault['key']}: {fault['sentence']}")
        self.figures["as_sent_faults"] = len(faults)
        if connections:
            raise StageBroke("the mail server saw a connection before anything was approved")

    def _planned_and_approved(self) -> str:
        plan = self.stage.countermand(
            "order", "plan", str(EXAMPLES / "order.yaml"), actor=AUTHOR
        ).json
        number = str(plan["number"])
        self.import_devices(self.organisation.path("friday"), FRIDAY - timedelta(hours=1))
        plan = self._plan_again(number, EXAMPLES / "order.yaml")
        figures = plan["plan"]
        self.say(
            "planned",
            number=number,
            people=figures["people"],
            present=figures["devices"]["present"],
            unseen=figures["devices"]["unobservable"],
        )
        self.figures["affected_people"] = figures["people"]
        self.figures["affected_devices"] = figures["devices"]["present"]
        self.stage.countermand("order", "submit", number, actor=AUTHOR)
        self.stage.countermand("order", "review", number, actor=AUTHOR)
        own = self.stage.countermand("order", "approve", number, actor=AUTHOR, expect=(1, 4))
        self.say("own_approval_refused", code=own.json["error"]["code"])
        self.stage.countermand("order", "review", number, actor=APPROVERS[0])
        self.stage.countermand("order", "approve", number, actor=APPROVERS[0])
        self._edit_one_word(number)
        self.say("approved", digest=self.approve_by_two(number)[:12])
        return number

    def _plan_again(self, number: str, file: Path) -> dict[str, Any]:
        answer: dict[str, Any] = self.stage.countermand(
            "order", "plan", str(file), "--number", number, actor=AUTHOR
        ).json
        return answer

    def _edit_one_word(self, number: str) -> None:
        edited = self.stage.folder / "order-edited.yaml"
        text = (EXAMPLES / "order.yaml").read_text(encoding="utf-8")
        edited.write_text(text.replace("have not tested", "did not test"), encoding="utf-8")
        self._plan_again(number, edited)
        if self.show(number)["approvals"]:
            raise StageBroke("an approval outlived an edit")
        self.say("edit_voids")
        self.stage.countermand("order", "submit", number, actor=AUTHOR)

    def _held(self, number: str) -> None:
        held = self.release(number)
        until = datetime.fromisoformat(held["hold_until"])
        self.say("held", until=until.strftime("%H:%M UTC"))
        if self.stage.accepted():
            raise StageBroke("something left while the order was held")

    def _waves_with_a_kill(self, number: str) -> None:
        waves = self.begin_waves(number)
        mistake_at = datetime.fromisoformat(self.show(number)["first_group_at"]) + _FIVE_HOURS
        done = [wave for wave in waves if wave[0] < mistake_at - timedelta(minutes=5)]
        coming = waves[len(done)]
        if not self.with_own_kill:  # somebody else may kill in any of them
            self._let_mails_take_their_time()
        for wave in done[1:]:
            if self.with_own_kill and wave is done[2]:
                self._kill_a_sender_in(number, wave)
            self.send_wave(number, wave)
        self.say("waves", count=self.taken(number))
        self._let_mails_take_their_time()
        self.begin_wave(number, coming)
        self._taken_back_in_the_middle(number)

    def _let_mails_take_their_time(self) -> None:
        self.stage.ask_mail_server(do="delay_replies", seconds=_SLOW_REPLY_S)

    def _kill_a_sender_in(self, number: str, wave: tuple[datetime, int]) -> None:
        self._let_mails_take_their_time()
        self.begin_wave(number, wave)
        kill(self.stage.processes()["sender-1"])
        self.stage.ask_mail_server(do="delay_replies", seconds=0.0)
        self.figures["kills"] = 1
        self.say("sender_killed")

    def _taken_back_in_the_middle(self, number: str) -> None:
        first_at = min(m.told_at for m in self.stage.mails() if m.kind == "notice")
        share = self.taken(number) / int(self.figures["affected_people"])
        self.say("five_hours", share=f"{share:.0%}")
        self.mistake = self.press(number)
        self.stage.ask_mail_server(do="delay_replies", seconds=0.0)
        gone = self.mistake["taken_back_at"] - first_at
        self.figures["first_notice_to_press_s"] = round(gone.total_seconds())
        self.wait_for_phase(number, "corrected", limit_s=120)

    def press(self, number: str) -> dict[str, Any]:
        """One person takes the order back at a terminal; return what the program said, and when."""
        self.stage.set_clock(self.stage.now(), rate=1.0)
        pressed_at = time.time()
        before = self.stage.now()
        answer = self.stage.shell(
            "take-back", number, "--because", "mistake", actor=OPERATOR, expect=(0, 6)
        )
        written = self.stage.data / "fences" / f"{number}.take-back.json"
        taken_back_at = datetime.fromisoformat(json.loads(written.read_text("utf-8"))["at"])
        if not before <= taken_back_at <= self.stage.now():
            raise StageBroke(f"taken back at {before}, but the mails will say {taken_back_at}")
        self.stage.set_clock(self.stage.now(), rate=WALKING)
        return {
            "number": number,
            "pressed_at": pressed_at,
            "taken_back_at": taken_back_at,
            "stop_durable_at": written.stat().st_mtime,
            "said": answer.json,
        }

    def take_backs(self) -> list[TakeBack]:
        """The take-backs so far, first the mistake, then the amendment."""
        found = [TakeBack(**self.mistake, apps=("TikTok",), deadline=_DEADLINE, standing=None)]
        if self.amendment:
            standing = (str(self.figures["rightly_number"]), ("TikTok",), _DEADLINE_RIGHTLY)
            found.append(
                TakeBack(
                    **self.amendment,
                    apps=("TikTok", "TikTok Lite"),
                    deadline=_DEADLINE_AMENDED,
                    standing=standing,
                )
            )
        return found

    # -- act 2 --------------------------------------------------------------------------------

    def done_rightly(self) -> None:
        """Act 2: the same matter, heard, proven, reminded, enforced, and one mistake mended."""
        self.telling.heading("act2")
        self.at(MONDAY)
        number = self._plan_rightly()
        self._late_joiner(number)
        self._reminders_and_deadline(number)
        carrying = self._doors_after_the_deadline()
        self._i_removed_it(number, carrying)
        file = self._amendment_of(number)
        amendment = str(
            self.stage.countermand("order", "plan", str(file), actor=AUTHOR).json["number"]
        )
        # The list of noon is the first that is searched for both apps.
        self._next_inventory()
        self._amendment(amendment, file)

    def _plan_rightly(self) -> str:
        self.import_devices(self.organisation.path("monday"), MONDAY - timedelta(hours=1))
        file = EXAMPLES / "order-done-rightly.yaml"
        number = str(
            self.stage.countermand("order", "plan", str(file), actor=AUTHOR).json["number"]
        )
        self.stage.countermand("order", "submit", number, actor=AUTHOR)
        self.approve_by_two(number)
        self.say("done_rightly", number=number)
        self.release(number)
        for wave in self.begin_waves(number)[1:]:
            self.send_wave(number, wave)
        self.wait_for_phase(number, "notified", "enforcing")
        self.say("all_told", count=self.taken(number))
        self.figures["rightly_number"] = number
        return number

    def _late_joiner(self, number: str) -> None:
        self.at(JOINED)
        joined = self.late = self.organisation.late()
        if not joined:
            raise StageBroke("nobody among the new people carries the app; choose another seed")
        self.import_people(self.organisation.path("joined"))
        self.import_devices(self.organisation.path("joined"), JOINED)
        self.stage.wait_until(
            "the late joiner is told",
            lambda: any(row["late"] for row in self._person_rows(number, joined)),
            every_s=0.1,
        )
        row = next(row for row in self._person_rows(number, joined) if row["late"])
        self.say(
            "late_joiner",
            name=row["name"],
            deadline=datetime.fromisoformat(row["own_deadline_at"]).strftime("%a %d %b %H:%M UTC"),
        )

    def _person_rows(self, number: str, address: str) -> Sequence[dict[str, Any]]:
        rows: Sequence[dict[str, Any]] = self.stage.countermand(
            "notice", "list", number, "--person", address, actor=AUDITOR
        ).json
        return rows

    def _reminders_and_deadline(self, number: str) -> None:
        self.at(EVE)
        self._take_over_inventory("eve", EVE)
        for hours in (8, 16, 24):
            # Reminders are due at hours of the day, which differ: nobody's may be jumped over.
            self.at(EVE + timedelta(hours=hours))
            self.stage.await_sweep()
        self.at(MORNING_AFTER)
        self.wait_for_phase(number, "enforcing")
        sent = self.show(number)["notices"]["by_kind"]
        self.say("reminders", count=sent.get("reminder", 0), locks=sent.get("lock", 0))

    def _take_over_inventory(self, name: str, as_of: datetime) -> None:
        self.import_devices(self.organisation.path(name), as_of, "--confirm-mass-change")

    def _doors_after_the_deadline(self) -> list[Phone]:
        """Ask about every phone; compare with the inventory files, not with our own tables."""
        self._take_over_inventory("morning", MORNING_AFTER)
        phones = read_phones(self.organisation.path("morning"), TIKTOK)
        # Whoever joined late has a deadline of their own, somewhere in this morning.
        asked = [phone for phone in phones if phone.active_sync_id and phone.owner != self.late]
        # As it was known when the deadlines were set.
        away = away_on(self.organisation.path("friday"), _DEADLINE_RIGHTLY.date())
        expected = {phone.source_id for phone in asked if phone.carries and phone.owner not in away}
        doors = self.doors()

        def closed(among: Iterable[Phone]) -> set[str]:
            return {
                phone.source_id
                for number, phone in enumerate(among)
                if doors.is_paused(phone, base64_query=number % 2 == 1)
            }

        carrying = [phone for phone in asked if phone.source_id in expected]
        # Whoever was not seen for a day gets the last notice now, and half an hour more.
        owners = {phone.owner for phone in carrying}
        self.stage.wait_until("the last notices", lambda: owners <= self._told_last(), limit_s=60)
        self.at(self.stage.now() + _HALF_AN_HOUR)
        self.stage.wait_until("the doors", lambda: closed(carrying) == expected, limit_s=60)
        self.stage.set_clock(self.stage.now(), rate=1.0)
        found = closed(asked)
        wrong = found ^ expected
        self.say("gate_closed", asked=len(asked), closed=len(found), wrong=len(wrong))
        self.figures["doors_asked"] = len(asked)
        self.figures["doors_closed"] = len(found)
        self.figures["doors_wrong"] = len(wrong)
        refused, words = doors.imap_answer(carrying[0])
        if not refused:
            raise StageBroke("the gate let a phone in over IMAP that it refuses elsewhere")
        self.telling.quote(f"IMAP: NO [ALERT] {words}")
        return carrying

    def _told_last(self) -> set[str]:
        """Who has been sent a last notice, by the mail server's own record."""
        number = self.figures["rightly_number"]
        mails = self.stage.mails()
        return {m.to for m in mails if m.order_number == number and m.kind == "lock"}

    def _i_removed_it(self, number: str, carrying: list[Phone]) -> None:
        phone = carrying[0]
        doors = self.doors()
        began = time.monotonic()
        said = self.stage.countermand(
            *("answer", "removed", "--order", number, "--device", phone.source_id),
            actor=HELP_DESK,
        ).json
        self.stage.wait_until("the door", lambda: not doors.is_paused(phone), limit_s=60)
        opened_ms = (time.monotonic() - began) * 1000
        self.say("removed", name=said["name"], ms=f"{opened_ms:.0f}")
        self.figures["removed_opens_ms"] = round(opened_ms, 1)

    def _next_inventory(self) -> None:
        self.at(NOON)
        self._take_over_inventory("noon", NOON)
        left = read_phones(self.organisation.path("noon"), TIKTOK)
        self.say("confirmed", count=sum(phone.carries for phone in left))

    def _amendment_of(self, standing: str) -> Path:
        file = self.stage.folder / "amendment.yaml"
        text = (EXAMPLES / "amendment-by-mistake.yaml").read_text(encoding="utf-8")
        text = text.replace("amends: CM-7Q4K", f"amends: {standing}")
        file.write_text(text.replace("2020-07-24T17:00", "2020-08-03T17:00"), encoding="utf-8")
        return file

    def _amendment(self, number: str, file: Path) -> None:
        self._plan_again(number, file)
        self.stage.countermand("order", "submit", number, actor=AUTHOR)
        self.approve_by_two(number)
        self.release(number)
        waves = self.begin_waves(number)
        self.send_wave(number, waves[1])
        self._let_mails_take_their_time()
        self.begin_wave(number, waves[2])
        self.say("amendment_out", number=number, count=self.taken(number))
        self.amendment = self.press(number)
        self.stage.ask_mail_server(do="delay_replies", seconds=0.0)
        self.wait_for_phase(number, "corrected", limit_s=120)
