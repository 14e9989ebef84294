"""An invented organisation in a real database, and a desk from which its orders are moved on."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from countermand.config import Settings
from countermand.devices.models import Attestation, Device, DeviceAlias, ImportRun, Observation
from countermand.domain.approvals import Part, Role
from countermand.domain.delivery import ClaimedNotice, Holding, Reply, ReplyKind, StopKind
from countermand.orders import actions as orders
from countermand.orders import jobs, pressing
from countermand.orders.desk import Desk, open_desk
from countermand.orders.models import Order
from countermand.people.models import AccessToken, Person, RoleGrant
from countermand.people.queries import Actor, token_hash
from countermand.project import register as registers
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.stop import fence as fences
from countermand.stop import press as stopping
from countermand.stop import senders
from tests.order_samples import whole_order

NOW = datetime(2020, 7, 10, 3, 30, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
_APP = "tiktok"


ROLLOUT: Final = {
    "hold": "10min",
    "first_group": "1%",
    "soak": "30min",
    "wave_size": "25%",
    "wave_every": "30min",
    "go": "automatic",
}


def order_text(**changes: Any) -> str:
    """Return the file of an order: JSON is YAML, too."""
    given = {
        "number": None,
        "rollout": ROLLOUT,
        "steps": [
            {"at": "-72h", "send": "reminder"},
            {"at": "-24h", "send": "reminder"},
            {"at": "-45min", "send": "lock-notice"},
            {"at": "deadline", "close": "door"},
        ],
        "scope": {
            "people": {"groups": ["all-staff"]},
            "devices": {"ownership": ["corporate", "personal", "unknown"]},
            "late_joiners": {"until": "review_on", "own_notice": "72h", "cap_per_day": "50%"},
        },
        **changes,
    }
    return json.dumps(whole_order(**given), ensure_ascii=False)


@dataclass
class World:
    """People, devices, a clock that the test moves, and everything that acts."""

    settings: Settings
    now: datetime = NOW
    ledger: PostgresLedger = field(init=False)
    run: ImportRun = field(init=False)
    people: dict[str, Person] = field(default_factory=dict)
    claims: Counter[str] = field(default_factory=Counter)
    order_deadline: datetime = NOW

    def __post_init__(self) -> None:
        self.ledger = PostgresLedger(self.settings.database_url)
        self.run = self.import_run()
        self.person("author", Role.AUTHOR, zone="Asia/Kolkata")
        self.person("legal", Role.APPROVER)
        self.person("council", Role.APPROVER, outside_it=True)
        self.person("operator", Role.OPERATOR)
        self.person("desk", Role.HELP_DESK)

    # -- who and what there is -----------------------------------------------------------------

    def person(
        self, uid: str, role: Role | None = None, *, outside_it: bool = False, **facts: Any
    ) -> Person:
        person = Person.objects.create(
            uid=uid,
            name=uid.title(),
            **{
                "address": f"{uid}@example.org",
                "groups": ["all-staff"],
                "country": "IN",
                "zone": "Asia/Kolkata",
                **facts,
            },
        )
        self.people[uid] = person
        if role is not None:
            RoleGrant.objects.create(
                person=person, role=role.value, outside_it=outside_it, granted_at=self.now
            )
            AccessToken.objects.create(
                person=person, sha256=token_hash(f"token-of-{uid}"), created_at=self.now
            )
        return person

    def import_run(self) -> ImportRun:
        self.run = ImportRun.objects.create(
            source="csv", as_of=self.now, started_at=self.now, state="loaded"
        )
        return self.run

    def device(self, uid: str, presence: str | None = "present", **facts: Any) -> Device:
        device = Device.objects.create(
            person_id=self.people[uid].pk,
            source="csv",
            source_device_id=f"d{Device.objects.count()}",
            **{"platform": "android", "ownership": "corporate", "name": "Phone", **facts},
        )
        DeviceAlias.objects.create(device=device, kind="eas_device_id", value=f"eas{device.pk}")
        if presence is not None:
            self.observe(device, presence)
        return device

    def observe(self, device: Device, presence: str) -> None:
        Observation.objects.update_or_create(
            device=device,
            app_id=_APP,
            defaults={
                "presence": presence,
                "coverage": "full",
                "may_close": presence == "present",
                "inventory_at": self.now,
                "collected_at": self.now,
                "run": self.run,
            },
        )

    def says_removed(self, device: Device) -> None:
        Attestation.objects.create(
            device=device,
            person_id=device.person_id or 0,
            app_id=_APP,
            answer="removed",
            said_at=self.now,
        )

    def staff(self, count: int, presence: str | None = "present") -> None:
        """Add so many people with a phone each."""
        zones = ("Asia/Kolkata", "Europe/London", "America/New_York")
        languages = ("en", "hi")
        begin = len(self.people)
        for n in range(begin, begin + count):
            uid = f"p{n}"
            self.person(uid, zone=zones[n % 3], language=languages[n % 2])
            self.device(uid, presence)

    def devices(self) -> list[Device]:
        return list(Device.objects.order_by("pk"))

    def uid_of(self, person_id: int) -> str:
        return next(uid for uid, person in self.people.items() if person.pk == person_id)

    def zone_of(self, person_id: int) -> str:
        return next(p.zone for p in self.people.values() if p.pk == person_id)

    # -- who acts ------------------------------------------------------------------------------

    def actor(self, uid: str) -> Actor:
        person = self.people[uid]
        grants = list(RoleGrant.objects.filter(person=person))
        return Actor(
            person_id=person.pk,
            name=person.name,
            roles=frozenset(Role(grant.role) for grant in grants),
            outside_it=any(grant.outside_it for grant in grants),
        )

    @property
    def desk(self) -> Desk:
        return open_desk(self.settings, owing=self.ledger)

    def last_deadline(self, number: str) -> datetime:
        at = self.order(number).last_deadline_at
        assert at is not None
        return at

    def order(self, number: str) -> Order:
        return Order.objects.get(number=number)

    def plan(self, number: str | None = None, **changes: Any) -> str:
        return orders.plan(
            order_text(**changes),
            actor=self.actor("author"),
            now=self.now,
            context=self.desk.context,
            number=number,
        )

    def open_and_approve(self, number: str, uid: str) -> bool:
        for part in Part:
            orders.opened(number, part, actor=self.actor(uid), now=self.now)
        return orders.approve(number, actor=self.actor(uid), now=self.now)

    def approved(self, **changes: Any) -> str:
        number = self.plan(**changes)
        orders.submit(number, actor=self.actor("author"), now=self.now)
        self.open_and_approve(number, "legal")
        self.open_and_approve(number, "council")
        return number

    def release(self, number: str) -> orders.Released:
        return orders.release(
            number,
            actor=self.actor("operator"),
            now=self.now,
            context=self.desk.context,
            surroundings=orders.Surroundings(),
        )

    def released(self, **changes: Any) -> str:
        number = self.approved(**changes)
        self.release(number)
        return number

    # -- time and mail -------------------------------------------------------------------------

    def sweep(self, after: timedelta = timedelta(0)) -> list[str]:
        self.now += after
        pressing.complete_stops(self.desk, now=self.now)
        return jobs.sweep(self.desk, now=self.now)

    @property
    def here(self) -> str:
        """The place whose senders this desk can prove dead."""
        return senders.place(self.settings.folder.senders)

    def send(
        self, limit: int = 10_000, kind: ReplyKind = ReplyKind.ACCEPTED, said: str = "250"
    ) -> list[str]:
        """Let a sender send what is due; returns the addresses, in order."""
        name = "sender-1"
        self.ledger.lease(sender=name, mode="live", host=self.here, pid=1, seconds=60)
        claimed = self.claim(limit, sender=name)
        permits = [each.holding for each in claimed]
        answers = self.ledger.exchange(
            sender=name, permits=permits, replies=[], aborted=[], now=self.now
        )
        allowed = {answer.holding for answer in answers if answer.refusal is None}
        replies = [Reply(each, kind, after_dot=True, text=said, queue_id="q") for each in allowed]
        self.ledger.exchange(
            sender=name,
            permits=[],
            replies=replies,
            aborted=[each for each in permits if each not in allowed],
            now=self.now,
        )
        self.claim(0, sender=name)  # a sender's next, as ever
        return [each.address for each in claimed if each.holding in allowed]

    def claim(self, limit: int, *, sender: str) -> Sequence[ClaimedNotice]:
        """Claim as a sender does, under a number of its own."""
        claim = self.claims[sender] + 1
        heard, self.claims[sender] = self.claims[sender], claim
        return self.ledger.claim(sender=sender, claim=claim, heard=heard, limit=limit, now=self.now)

    def permit(self, claimed: Sequence[ClaimedNotice], *, sender: str) -> list[Holding]:
        """Bring mails to where their dots may be written."""
        holdings = [each.holding for each in claimed]
        self.ledger.permit(sender=sender, holdings=holdings, now=self.now)
        return holdings

    def sent_to_first_group(self, **changes: Any) -> str:
        number = self.released(**changes)
        self.sweep(11 * MINUTE)
        self.send()
        return number

    def sending(self, **changes: Any) -> str:
        number = self.sent_to_first_group(**changes)
        self.sweep(31 * MINUTE)
        return number

    def notified(self, **changes: Any) -> str:
        number = self.sending(**changes)
        for _ in range(6):
            self.send()
            self.sweep(31 * MINUTE)
        return number

    def told_six(self) -> str:
        """Tell six people, to the last notice; what many tests begin with."""
        self.staff(6)
        return self.notified()

    def sending_to_thirty(self) -> str:
        """Bring thirty people to where the first wave may leave."""
        self.staff(30)
        return self.sending()

    def sending_to_forty(self) -> str:
        """Bring forty people to where the first wave may leave."""
        self.staff(40)
        return self.sending()

    def released_to_forty(self) -> str:
        """Begin the hold of an order about forty people."""
        self.staff(40)
        return self.released()

    def told_thirty(self) -> str:
        """Tell thirty people, to the last notice."""
        self.staff(30)
        return self.notified()

    def press(self, number: str, kind: StopKind, uid: str = "operator", because: str = "") -> Any:
        """Stop an order as the command line does."""
        pressed = stopping.press(
            self.settings.folder,
            number,
            kind,
            by=self.people[uid].pk,
            because=because or ("mistake" if kind is StopKind.TAKE_BACK else "Looks wrong."),
            now=self.now,
        )
        return pressing.finish_stop(self.desk, pressed.fence, pressed=pressed, now=self.now).counts

    def stops_on_disk(self, number: str, uid: str | None, because: str = "mistake") -> None:
        """Take an order back so far as the file that says so; the database has not heard of it."""
        fences.write(
            self.settings.folder.fences,
            fences.Fence(
                number,
                fences.TAKEN_BACK_EPOCH,
                withdrawn=True,
                at=self.now,
                by=self.people[uid].pk if uid else None,
                because=because,
            ),
        )

    def resume(self, number: str, uid: str = "legal", because: str = "It was fine.") -> None:
        orders.resume(
            number,
            actor=self.actor(uid),
            now=self.now,
            because=because,
            context=self.desk.context,
            fence=fences.read(self.settings.folder.fences, number),
            register=lambda *coming: registers.ahead(self.settings, *coming),
        )


# What brings a world to where a test begins; it returns the number of its order.
Story = Callable[[World], str]
After = Callable[[Story], tuple[World, str]]
