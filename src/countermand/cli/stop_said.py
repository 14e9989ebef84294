"""What `pause` and `take-back` say of a stop: what holds, what does not yet, and what to do then.

Standard library only, as all that a stop loads before it is durable.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TextIO

from countermand import i18n
from countermand.cli import shown_time
from countermand.domain.delivery import StopKind
from countermand.i18n import gettext as _
from countermand.stop.gates import GateAnswer, Obstacle
from countermand.stop.press import Pressed
from countermand.stop.senders import Death

# How long a gate that could not be told goes on with the last word it had.
STATE_VALID_FOR: Final = timedelta(minutes=15)


@dataclass(slots=True)
class Stop:
    """One wish to stop an order, and what became of it."""

    kind: StopKind
    number: str
    because: str
    note: str
    force: bool
    now: datetime
    finished: dict[str, Any] = field(default_factory=dict)
    unfinished_why: str = ""
    is_here_alone: bool = False

    @property
    def database_knows(self) -> bool:
        """Whether the database keeps the order from going on, whatever lies on the disk."""
        return "phase" in self.finished

    @property
    def fence_words(self) -> str:
        """What is written down with the stop; a take-back begins with its variant."""
        return f"{self.because}: {self.note}" if self.note else self.because


def say(stop: Stop, pressed: Pressed) -> None:
    """Say what one press achieved by itself, before the database is asked."""
    back = stop.kind is StopKind.TAKE_BACK
    if pressed.refused:
        line = _("{number} is NOT STOPPED on this machine: its disk refused ({why}).")
        warn(line.format(number=stop.number, why=i18n.reason(pressed.refused)))
    else:
        said = _("{number} is taken back.") if back else _("{number} is paused.")
        leaves = _("No notice of it leaves any more ({ms:.0f} ms).")
        if not back:
            leaves = _("Until somebody lets it go on, no mail of it leaves ({ms:.0f} ms).")
        tell(f"{said.format(number=stop.number)} {leaves.format(ms=pressed.durable_ms)}")
    _say_senders(pressed)
    _say_gates(stop, pressed)


def _say_senders(pressed: Pressed) -> None:
    for proof in pressed.senders:
        if proof.death is Death.NOT_PROVEN:
            line = _("Mail sender {name}: not proven to have ended yet ({why}).")
            tell(line.format(name=proof.name, why=i18n.reason(proof.why)))
    killed = [proof for proof in pressed.senders if proof.death is not Death.NOT_PROVEN]
    tell(_("Mail senders ended: {count}.").format(count=len(killed)))
    for host in pressed.sender_hosts:
        _say_sender_host(host)


def _say_sender_host(host: GateAnswer) -> None:
    if not host.acknowledged:
        line = _("Not reached: {url}; its mail senders go on until the database knows of the stop.")
        tell(line.format(url=host.url))
        if host.obstacle is Obstacle.TOKEN_REFUSED:
            _say_other_token(host)
        return
    line = _("Mail senders ended at {url}: {count} ({ms:.0f} ms).")
    tell(line.format(url=host.url, count=host.ended, ms=host.took_ms))
    if host.living:
        line = _("Mail senders at {url} not proven to have ended yet: {names}.")
        tell(line.format(url=host.url, names=", ".join(host.living)))
    if not host.durable:
        _say_forgetful(host)


def _say_forgetful(one: GateAnswer) -> None:
    line = _("Its disk takes nothing: {url} knows it until it ends. Make room there first.")
    tell(line.format(url=one.url))


def _say_other_token(one: GateAnswer) -> None:
    line = _("{url} answers and does not take our token: compare its keys/gate-token.")
    tell(line.format(url=one.url))


def _say_gates(stop: Stop, pressed: Pressed) -> None:
    told = [gate for gate in pressed.gates if gate.acknowledged]
    if pressed.gates:
        line = _("Mail gates that know: {told} of {all}.")
        tell(line.format(told=len(told), all=len(pressed.gates)))
    for gate in told:
        tell(_("Knows: {url} ({ms:.0f} ms).").format(url=gate.url, ms=gate.took_ms))
        if not gate.durable:
            _say_forgetful(gate)
    for gate in pressed.gates:
        if not gate.acknowledged:
            _say_not_reached(gate, stop, pressed)
            if gate.obstacle is Obstacle.TOKEN_REFUSED:
                _say_other_token(gate)


def _say_not_reached(gate: GateAnswer, stop: Stop, pressed: Pressed) -> None:
    if pressed.refused:  # nothing lies anywhere that would tell it
        tell(_("Not reached: {url}; it goes on as before.").format(url=gate.url))
        return
    # Told to the minute, and never a second too early.
    latest = _latest(stop) + timedelta(minutes=1)
    line = _("Not reached: {url}; mail is open there by {at} at the latest.")
    tell(line.format(url=gate.url, at=shown_time.instant(latest)))


def say_refused_later(pressed: Pressed) -> None:
    """Say that the disk took the first press, and not the one for the newest start of the order."""
    line = _(
        "It was started anew after the list here was written, and the disk refused to stop that "
        "({why}): it is NOT STOPPED on this machine."
    )
    warn(line.format(why=i18n.reason(pressed.refused)))


def say_finished(stop: Stop, pressed: Pressed) -> None:
    """Say what the database made of the stop; where it has nothing yet, what follows from that."""
    if pressed.refused:
        _say_not_on_disk(stop)
    elif stop.is_here_alone:
        tell(_("No orders are made here, and nobody else is told: stop it where they are, too."))
    elif stop.unfinished_why:
        tell(_("The rest follows as soon as the database answers; the stop holds meanwhile."))
        tell(_("Why it waits: {why}").format(why=i18n.reason(stop.unfinished_why)))
    elif not stop.database_knows and stop.kind is StopKind.TAKE_BACK:
        tell(_("No order here has this number; should one ever get it, it stays stopped."))
    if stop.database_knows:
        _say_booked(stop)


def _say_booked(stop: Stop) -> None:
    counts = stop.finished
    if "got_it" in counts:
        line = _("Got it: {got_it}. May have got it: {may_have}. Not sent any more: {not_sent}.")
        if stop.kind is StopKind.PAUSE:
            line = _("Got it: {got_it}. May have got it: {may_have}. Not sent so far: {not_sent}.")
        tell(line.format(**counts))
        if stop.kind is StopKind.TAKE_BACK and counts.get("phase") != "withdrawn":
            _say_queue(counts)
    match counts.get("phase"):
        case "withdrawn":
            tell(_("Nobody was told, so nobody needs a correction."))
        case "correcting" | "corrected":
            line = _("Corrections are on their way. People: {count}.")
            tell(line.format(count=counts.get("corrections", 0)))
        case "stopping":
            tell(_("Corrections leave as soon as every sender is proven to have ended."))
            _say_held_elsewhere(counts)
        case _:
            if stop.kind is StopKind.PAUSE:
                _say_who_resumes(stop)


def _say_held_elsewhere(counts: Mapping[str, Any]) -> None:
    """Name the senders that nobody here can prove dead, and when that does not matter any more."""
    for held in counts.get("held_elsewhere", ()):
        # Told to the minute, and never a second too early.
        until = datetime.fromisoformat(held["until"]) + timedelta(minutes=1)
        line = _("Mail sender {name} on {host} may still end a mail until {at} at the latest.")
        host = held["place"].partition("/")[0]
        tell(line.format(name=held["sender"], host=host, at=shown_time.instant(until)))


def _say_who_resumes(stop: Stop) -> None:
    line = _("Another approver can let it go on: countermand resume {number} --because …")
    tell(line.format(number=stop.number))


def _say_not_on_disk(stop: Stop) -> None:
    """Say what holds though the disk refused, and what to do."""
    if stop.database_knows:
        warn(_("The database knows it: nothing of it leaves, as long as the database keeps this."))
    elif stop.unfinished_why:
        line = _("The database was not told either ({why}): mail senders that start again go on.")
        warn(line.format(why=i18n.reason(stop.unfinished_why)))
    else:
        warn(_("The database knows no order with this number."))
    warn(_("Make room on that disk, then give the same command again at once."))


def _say_queue(counts: Mapping[str, Any]) -> None:
    """Say what became of mails that the relay had taken and not delivered."""
    if counts.get("fetched_back"):
        line = _("Fetched back from the mail relay before delivery: {count}.")
        tell(line.format(count=counts["fetched_back"]))
    match counts.get("queue"):
        case "none":
            tell(_("What the mail relay has taken cannot be fetched back: no way to it is set up."))
        case "reached" | None:
            pass
        case why:
            line = _("Nothing could be fetched back from the mail relay ({why}).")
            tell(line.format(why=i18n.reason(why)))


def as_json(stop: Stop, pressed: Pressed) -> dict[str, Any]:
    """Return the same for a program."""
    return {
        "number": stop.number,
        "stopped": not pressed.refused or stop.database_knows,
        "on_disk": not pressed.refused,
        "disk_refused": pressed.refused,
        "kind": stop.kind.value,
        "durable_ms": round(pressed.durable_ms, 3),
        "took_ms": round(pressed.took_ms, 3),
        "senders": [
            {"name": one.name, "ended": one.death is not Death.NOT_PROVEN, "why": one.why}
            for one in pressed.senders
        ],
        "sender_hosts": [
            {
                "url": one.url,
                "knows": one.acknowledged,
                "durable": one.durable,
                "ended": one.ended,
                "living": list(one.living),
                "ms": round(one.took_ms, 3),
                "why": one.why,
            }
            for one in pressed.sender_hosts
        ],
        "gates": [
            {
                "url": one.url,
                "knows": one.acknowledged,
                "durable": one.durable,
                "ms": round(one.took_ms, 3),
                "why": one.why,
            }
            for one in pressed.gates
        ],
        "open_by_at_the_latest": None if pressed.refused else _latest(stop).isoformat(),
        "unfinished": stop.unfinished_why,
        "here_alone": stop.is_here_alone,
        **stop.finished,
    }


def _latest(stop: Stop) -> datetime:
    return stop.now + STATE_VALID_FOR


def tell(line: str) -> None:
    """Print one line for whoever stops."""
    _print(line, sys.stdout)


def warn(line: str) -> None:
    """Print one line that must be seen, whatever becomes of the others."""
    _print(line, sys.stderr)


def _print(line: str, stream: TextIO | None) -> None:
    """Print as far as anybody can read it: a stop goes on, and is no failure, where nobody can."""
    if stream is None:  # it was closed before we began
        return
    encoding = stream.encoding or "utf-8"
    with contextlib.suppress(ValueError):  # it was closed since
        try:
            stream.write(f"{line}\n".encode(encoding, "replace").decode(encoding))
            stream.flush()
        except OSError:
            forsake(stream)


def forsake(stream: TextIO) -> None:
    """Let a stream that takes no more lead nowhere: what it still holds would fail at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
