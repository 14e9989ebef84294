"""The real Dovecot's questions are those that the gate reads without a parser."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from countermand.domain.device_key import door_key
from countermand.domain.door_record import KNOWN_DEVICE
from countermand.gate.counts import Counts
from countermand.gate.doors import WANTED_HEADERS
from countermand.gate.protocol import Listener
from lab import mailbox
from lab.dovecot import dovecot_that_asks
from lab.ground import HERE, TOKEN
from lab.people import ASHA, LAPTOP, PHONE, RAVI, TABLET
from tests.plain_answers import World, doors_of


class Reading:
    """A gate's port in a thread of this process; it counts what a parser had to read."""

    def __init__(self, world: World) -> None:
        self.counts = Counts()
        self.carefully = 0
        self._doors = doors_of(world, self.counts, token=TOKEN)

    def respond(self, request: Any) -> Any:
        self.carefully += 1
        return self._doors.respond(request)

    @contextmanager
    def served(self) -> Iterator[int]:
        loop = asyncio.new_event_loop()
        listener = Listener(self.respond, WANTED_HEADERS, learn=self._doors.learn)
        server = loop.run_until_complete(loop.create_server(listener.connection, HERE, 0))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            server.close()
            listener.close_all()
            loop.run_until_complete(server.wait_closed())
            loop.close()


def test_dovecot_s_logins_are_read_without_a_parser_after_the_first() -> None:
    world = World()
    devices = [(ASHA, PHONE), (ASHA, LAPTOP), (RAVI, TABLET)]
    for person, device in devices:
        world.doors[door_key(person.login, device)] = KNOWN_DEVICE
    reading = Reading(world)

    with reading.served() as port, dovecot_that_asks(port) as dovecot:
        for person, device in devices * 4:
            word = person.devices[device]
            assert mailbox.login(dovecot.port, person.login, word) == "OK"

    asked = reading.counts.get("answers", door="device_password", answer="open")
    assert asked == 4 * len(devices)
    # One a connection, and Dovecot keeps its connection.
    assert 1 <= reading.carefully <= asked // 2
