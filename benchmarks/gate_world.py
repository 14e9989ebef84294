"""A gate's world for measuring: a data folder with so many devices, and questions about them.

Of a million devices 3 in 100 are shut, a fifth stand under an order that leaves them open, and
the rest are known and under no order. What is written is what the worker would have published.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import shutil
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from countermand.data_folder import DataFolder, write_json, write_private
from countermand.domain import order_number
from countermand.domain.device_key import door_key, normal_device, plain_door_key
from countermand.domain.door_record import body_of, seal
from countermand.domain.published_states import PublishedOrder, payload
from countermand.domain.verdict import EntryFacts
from countermand.gate import keys, table
from countermand.gate.machine_time import ThisMachine
from countermand.gate.order_states import OrderStates, SignedSet
from countermand.gate.table import FeedRow, Table

TOKEN: Final = "a-token-for-the-benchmark-0123456789abcdef"  # noqa: S105 - of this run only
ORDERS: Final = 256
_SHUT_EVERY: Final = 33
_UNDER_AN_ORDER: Final = 5
_QUESTIONS: Final = 40_000
_DEVICES_OF_ONE: Final = 5
FORM: Final = "6"  # raise it when what is written here changes


@dataclass(frozen=True, slots=True)
class Phone:
    """One device as its owner's mail client shows it."""

    number: int

    @property
    def login(self) -> str:
        """Return whose it is."""
        return f"u{self.number // _DEVICES_OF_ONE:06d}@example.org"

    @property
    def device(self) -> str:
        """Return its ActiveSync id, 32 hexadecimal digits as phones write it."""
        return hashlib.md5(b"device %d" % self.number, usedforsecurity=False).hexdigest().upper()

    @property
    def is_shut(self) -> bool:
        """Tell whether the gate has to refuse it."""
        return self.number % _SHUT_EVERY == 0 or self.number < ORDERS

    @property
    def is_under_an_order(self) -> bool:
        """Tell whether any order names it; the others are only known."""
        return self.is_shut or self.number % _UNDER_AN_ORDER == 0

    @property
    def key(self) -> bytes:
        """Return the key of its door."""
        return door_key(self.login, normal_device(self.device))

    def uri(self) -> str:
        """Return what it asks its mail server for."""
        login = self.login.replace("@", "%40")
        return (
            f"/Microsoft-Server-ActiveSync?Cmd=Sync&User={login}"
            f"&DeviceId={self.device}&DeviceType=iPhone"
        )

    def question(self) -> bytes:
        """Return the question that our nginx configuration makes of it for the gate."""
        return (
            "GET /auth HTTP/1.1\r\n"
            f"Authorization: Bearer {TOKEN}\r\n"
            f"X-Original-URI: {self.uri()}\r\n"
            "X-Original-Method: POST\r\n"
            f"X-Remote-User: {self.login}\r\n"
            "Host: countermand_gate\r\n\r\n"
        ).encode()

    def request(self) -> bytes:
        """Return the request as the phone itself sends it to nginx."""
        basic = b64encode(f"{self.login}:a password".encode()).decode()
        return (
            f"GET {self.uri()} HTTP/1.1\r\n"
            "Host: mail.example.org\r\n"
            f"Authorization: Basic {basic}\r\n"
            "User-Agent: Apple-iPhone14C2/2001.55\r\n"
            "MS-ASProtocolVersion: 14.1\r\n"
            "X-MS-PolicyKey: 1307199584\r\n\r\n"
        ).encode()


@cache
def number_of(order: int) -> str:
    """Return the number of one of the orders of this world."""
    return order_number.generate(hashlib.sha256(b"order %d" % order).digest()[:16]).text


def order_of(phone: Phone) -> str:
    """Return the order that a phone stands under."""
    return number_of(phone.number % ORDERS)


def furnish(place: Path, devices: int) -> DataFolder:
    """Return a data folder with so many devices; one made by an earlier run is used again."""
    folder = DataFolder(place)
    done = place / f"done-{table.FORM}.{FORM}-{devices}"
    if not done.exists():
        shutil.rmtree(place, ignore_errors=True)
        for each in folder.folders:
            each.mkdir(mode=0o700, parents=True)
        write_json(folder.instance, {"instance_id": secrets.token_hex(8), "kind": "production"})
        write_private(folder.keys / "gate-token", TOKEN.encode())
        keys.make(folder.keys)
        filled = Table(folder.gate / "table")
        filled.replace_all(_rows(folder, devices), version=1, row_id=1)
        filled.close()
        done.touch()
    shutil.rmtree(folder.fences)
    folder.fences.mkdir(mode=0o700)
    publish(folder)
    return folder


def _rows(folder: DataFolder, devices: int) -> Iterator[FeedRow]:
    key = keys.entry_key(folder.keys)
    bodies = {number_of(n): _bodies(number_of(n)) for n in range(ORDERS)}
    known = body_of(_facts("", presence="unknown"))
    for door, number in sorted((each, number) for number, each in enumerate(door_keys(devices))):
        phone = Phone(number)
        order = order_of(phone)
        shut, absent = bodies[order]
        if not phone.is_under_an_order:
            order, body = "", known
        else:
            body = shut if phone.is_shut else absent
        yield FeedRow(door, order, body + seal(key, door, body))


def door_keys(devices: int) -> Iterator[bytes]:
    """Return the key of each device's door, quicker than one by one."""
    for number in range(devices):
        login = b"u%06d@example.org" % (number // _DEVICES_OF_ONE)
        device = hashlib.md5(b"device %d" % number, usedforsecurity=False).hexdigest()
        yield plain_door_key(login, device.encode())


def _bodies(order: str) -> tuple[bytes, bytes]:
    return body_of(_facts(order, presence="present")), body_of(_facts(order, presence="absent"))


def _facts(order: str, *, presence: str) -> EntryFacts:
    # Fixed instants, so that a folder of an earlier run is still right.
    at = datetime(2020, 7, 10, 17, 0, tzinfo=UTC)
    return EntryFacts(
        order_number=order,
        presence=presence,
        evidence_at=at - timedelta(days=1),
        fresh_until=at + timedelta(days=36_500),
        may_close=True,
        closes_at=at,
        noticed_at=at - timedelta(days=9),
        lock_accepted_at=at - timedelta(hours=1),
        attested_at=None,
        override_until=None,
    )


def shut_record(folder: DataFolder, phone: Phone, *, attested: bool) -> FeedRow:
    """Return the row that shuts a phone, or that opens it because its owner said "removed"."""
    order = order_of(phone)
    facts = _facts(order, presence="absent" if attested else "present")
    body = body_of(facts)
    key = phone.key
    return FeedRow(key, order, body + seal(keys.entry_key(folder.keys), key, body))


def publish(folder: DataFolder) -> None:
    """Write signed states on which all orders are in force, as a gate remembers them."""
    machine = ThisMachine()
    orders = [
        PublishedOrder(
            number=number_of(n), phase="enforcing", enforcement="gate", exercise=False, epoch=1
        )
        for n in range(ORDERS)
    ]
    signer = keys.PublisherKey.load(folder.keys)
    content = payload(
        orders,
        instance=folder.instance_id,
        sequence=machine.wall_ms(),
        issued_ms=machine.wall_ms(),
        valid_for_s=86_400,
    )
    signed = SignedSet(content, signer.sign(content), signer.key_id)
    states = OrderStates(
        keys=keys.GateKeys.load(folder.keys), instance=folder.instance_id, time=machine
    )
    states.receive(signed, at_once=True)
    states.remember(folder.gate / "states.json", signed)


def sample(devices: int) -> list[Phone]:
    """Return the phones that ask, the same in every run."""
    chosen = random.Random(7)  # noqa: S311 - a sample, not a secret
    return [Phone(chosen.randrange(devices)) for _ in range(_QUESTIONS)]


def write_script(path: Path, requests: list[bytes]) -> None:
    """Write a script that has wrk send these requests in turn; all of them are of one length."""
    # Cut as they are sent: to read them all beforehand takes a third of a second in every run.
    [length] = {len(each) for each in requests}
    content = path.with_suffix(".requests")
    content.write_bytes(b"".join(requests))
    path.write_text(
        f'local file = io.open("{content}", "rb")\nlocal all = file:read("*a")\nfile:close()\n'
        f"local at, sub = 1 - {length}, string.sub\n"
        f"function request() at = at + {length}; if at > #all then at = 1 end\n"
        f"  return sub(all, at, at + {length - 1}) end\n",
        encoding="ascii",
    )
