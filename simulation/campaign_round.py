"""One round: an order on its way, faults, a take-back that is struck as well, and the corrections.

    senders work, are struck, work again -> somebody takes the order back and may die of it
    -> a worker finishes what was left, and may die too -> new senders bring the corrections

All of it is drawn from one number, so that a round can be played again.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from countermand import clock
from simulation import campaign_faults as faults
from simulation.campaign_faults import Patch, Strike
from simulation.campaign_judge import Verdict, judge
from simulation.campaign_people import Staff
from simulation.campaign_stage import Kid, Stage, Stuck

_STRIKE_WAIT_S: Final = 1.5
_SETTLE_WAIT_S: Final = 240.0  # a machine that does other things first is no fault of ours
_PRESS_TRIES: Final = 6
_WHAT_STRIKES_A_PRESS: Final = ("", *faults.PRESS_POINTS, *faults.PRESS_POINTS, "F17", "F20")
_ALONE_S: Final = 0.15
_WAKING_S: Final = 0.15
_HOW_OFTEN_ELSEWHERE: Final = 0.3
# A file's time is that of the last tick, up to so much before: CLOCK_REALTIME_COARSE.
_TICK_S: Final = time.clock_getres(5)


@dataclass(slots=True)
class Outcome:
    """What a round did and came to."""

    kills: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = field(default_factory=Verdict)
    power_losses: int = 0

    def struck(self, name: str, *, kill: bool = True) -> None:
        """Count a fault that hit."""
        self.faults[name] += 1
        self.kills += kill


class Round:
    """One round on a stage."""

    def __init__(self, stage: Stage, number: str, seed: str, *, without: str = "") -> None:
        """Draw everything from `seed`; `without` leaves a part of the design out."""
        self._stage = stage
        self._number = number
        self._chance = random.Random(seed)
        self._without = without
        self._outcome = Outcome()
        self._name = "sender-1"
        self._working = 1
        self._first_press = ""
        self._frozen: list[Kid] = []
        self._hears_stops: bool | None = None  # whether another machine does; None: there is none
        self._far: tuple[Kid, str] | None = None  # its sender, and the fault in it
        self._staff = Staff(stage, number, self._chance)

    def play(self) -> Outcome:
        """Play it from the beginning to the judgement."""
        self._stage.put_back()
        try:
            # Without the fence, rounds in which nothing but the fence could hold tell most.
            kind = 0.3 if self._without == "fence" else self._chance.random()
            if kind < 0.15:
                self._send_everything()
                self._five_hours_later()
            elif kind < 0.35:
                self._send_undisturbed()
            else:
                if self._chance.random() < _HOW_OFTEN_ELSEWHERE:
                    self._send_from_elsewhere()
                self._send_under_fire()
                self._pass_something_on(0.5)
            if self._stage.disk is not None:
                self._lose_power()
            self._stop()
            self._pass_something_on(0.3)
            self._correct()
            self._staff.look_at_the_end()
        except Stuck as stuck:
            self._outcome.verdict.stuck = 1
            self._outcome.verdict.why.append(str(stuck))
        finally:
            self._stage.end_kids()
        if not self._outcome.verdict.stuck:
            self._outcome.verdict = judge(
                self._stage,
                self._number,
                stop_seen_at=self._stop_seen_at(),
                senders=self._working,
                checks=self._staff.checks,
            )
        return self._outcome

    # -- while notices leave -------------------------------------------------------------------

    def _send_undisturbed(self) -> None:
        """A sender at work, with most still to do, and whoever presses dies with the fence laid."""
        self._stage.double.ask(do="delay_replies", seconds=0.03)
        self._sender(None)
        self._stage.wait_for(lambda: self._accepted() > 0, "nothing ever left", _SETTLE_WAIT_S)
        self._first_press = self._chance.choice(("F13", "F14"))

    def _send_from_elsewhere(self) -> None:
        """Another machine sends, too, and hears stops or does not.

        Where it does not, its sender is left alone: here nobody starts a dead one again, and five
        minutes are longer than a round.
        """
        self._hears_stops = self._chance.random() < 0.7
        self._working += 1
        name: str = "out_of_reach"
        point: tuple[Patch, Strike] | None = None
        if self._hears_stops:
            self._stage.fork("stop-port", partial(run_stop_port, self._stage, self._without))
            name = self._chance.choice(("at_work", "F1", "F3", "F4", "F6", "F7", "F29"))
            if name != "at_work":
                frozen = self._chance.random() < 0.5
                strike = Strike(self._chance.randrange(1, 12), frozen=frozen)
                point = (faults.SENDER_POINTS[name], strike)
        data = str(self._stage.far.path)
        run = partial(run_sender, "far-1", data, point, self._without)
        self._far = (self._stage.fork("far-1", run), name)

    def _look_elsewhere(self) -> None:
        """Count what became of the other machine's sender until somebody presses."""
        if self._far is None:
            return
        kid, name = self._far
        frozen = _is_frozen(kid)
        is_struck = frozen or name in {"at_work", "out_of_reach"} or not kid.is_alive()
        if is_struck:
            self._outcome.struck(f"far_{name}", kill=not kid.is_alive())
        if frozen:
            self._frozen.append(kid)

    def _send_under_fire(self) -> None:
        for _ in range(self._chance.choice((0, 1, 2, 3, 4))):
            self._chance.choice(
                (self._kill_at_point, self._kill_at_point, self._server_kills, self._trouble)
            )()
            if self._chance.random() < 0.8:
                self._stage.hurry(timedelta(minutes=2))
        self._stage.hurry(timedelta(minutes=2))
        seen = self._accepted()
        wanted = seen + self._chance.randrange(12)
        if self._chance.random() < 0.4:
            kid = self._freeze_at_work()
            with contextlib.suppress(Stuck):
                self._stage.wait_for(lambda: _is_frozen(kid) or self._is_idle(kid), "", 3)
            return
        self._sender(None)
        with contextlib.suppress(Stuck):
            self._stage.wait_for(lambda: self._accepted() >= wanted, "", 0.3)

    def _kill_at_point(self) -> None:
        name = self._chance.choice(tuple(faults.SENDER_POINTS))
        kid = self._sender((faults.SENDER_POINTS[name], Strike(self._chance.randrange(1, 12))))
        self._await_strike(kid, name)

    def _server_kills(self) -> None:
        name = self._chance.choice(tuple(faults.SERVER_PHASES))
        kid = self._sender(None)
        phase = faults.SERVER_PHASES[name]
        count = self._chance.randrange(1, 20)
        self._stage.double.ask(do="kill", pid=kid.pid, phase=phase, count=count)
        self._await_strike(kid, name)
        self._stage.double.ask(do="behave")

    def _trouble(self) -> None:
        """What goes wrong without anybody dying; then the sender is killed all the same."""
        name = self._chance.choice(("F8", "F9", "F10", "F11", "F17", "F23", "F24", "F31", "421"))
        self._prepare_trouble(name)
        patch: Patch = faults.impatient if name == "F10" else faults.unharmed
        kid = self._sender((patch, Strike()))
        seen = self._accepted()
        with contextlib.suppress(Stuck):
            self._stage.wait_for(lambda: self._accepted() >= seen + 3, "", 0.3)
        self._make_trouble(name, kid)
        self._outcome.struck(name, kill=False)
        time.sleep(self._chance.uniform(0, 0.02))
        kid.end()
        self._outcome.struck("sender_at_random")
        self._stage.double.ask(do="behave")
        self._stage.tell(timedelta(minutes=10))

    def _prepare_trouble(self, name: str) -> None:
        """What the mail server, or the disk, has in store before the sender begins."""
        times = self._chance.randrange(1, 4)
        match name:
            case "F8":
                self._stage.double.ask(do="drop_after_dot", to="*", times=times)
            case "F9":
                verb = self._chance.choice(("refuse", "defer"))
                self._stage.double.ask(do=verb, to="*", at="dot", times=times)
            case "F10":
                self._stage.double.ask(do="delay_replies", seconds=0.3)
            case "F31":
                self._lay_stale_lock()
            case _:
                pass

    def _make_trouble(self, name: str, kid: Kid) -> None:
        """What comes over a sender at work."""
        match name:
            case "F11":
                os.kill(kid.pid, signal.SIGSTOP)
                time.sleep(0.02)
                os.kill(kid.pid, signal.SIGCONT)
            case "F17":
                self._cut_sessions()
            case "F23":
                self._second_of_one_name()
            case "F24":
                self._stage.hurry(self._chance.choice(faults.CLOCK_JUMPS))
            case "421":
                self._stage.double.ask(do="announce_421")
            case _:
                pass

    def _cut_sessions(self) -> None:
        self._stage.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'sender:%%'"
        )

    def _second_of_one_name(self) -> None:
        second = self._fork_sender(self._name, None)
        with contextlib.suppress(Stuck):
            self._stage.wait_for(lambda: not second.is_alive(), "", _STRIKE_WAIT_S)
        if second.is_alive():
            self._outcome.verdict.why.append("two senders of one name")
            self._outcome.verdict.denied += 1
        second.end()

    def _lay_stale_lock(self) -> None:
        """A dead sender's lock names a process number that is somebody else's by now."""
        content = {"pid": os.getpid(), "started": "1", "host": os.uname().nodename, "since": ""}
        lock = self._stage.data.senders / "older.lock"
        lock.write_text(json.dumps(content).ljust(512), encoding="utf-8")

    def _freeze_at_work(self) -> Kid:
        """F11, between the look at the fence and the dot; or F32, in the middle of a body."""
        name, patch = self._chance.choice(
            (("F11", faults.before_dot), ("F11", faults.before_dot), ("F32", faults.mid_body))
        )
        self._outcome.struck(name, kill=False)
        kid = self._sender((patch, Strike(self._chance.randrange(1, 8), frozen=True)))
        self._frozen.append(kid)
        return kid

    # -- five hours later ----------------------------------------------------------------------

    def _send_everything(self) -> None:
        """Everybody is told; one address is refused, and one mail comes twice."""
        self._stage.double.ask(do="refuse", to="p20@example.org", at="dot", times=1)
        self._stage.double.ask(do="drop_after_dot", to="p21@example.org", times=1)
        kid = self._sender(None)
        self._stage.wait_for(lambda: not self._waiting(), "not everybody was told", _SETTLE_WAIT_S)
        self._stage.hurry(timedelta(minutes=3))
        self._stage.wait_for(lambda: not self._doubtful(), "the double never came", _SETTLE_WAIT_S)
        kid.end()

    def _five_hours_later(self) -> None:
        self._staff.five_hours_later()
        for name in ("F26", "five_hours_later", "passed_on"):
            self._outcome.struck(name, kill=False)

    def _pass_something_on(self, how_often: float) -> None:
        if self._chance.random() < how_often and self._staff.pass_something_on():
            self._outcome.struck("passed_on", kill=False)

    # -- the power -----------------------------------------------------------------------------

    def _lose_power(self) -> None:
        """Strike somebody and the disk at one instant; then everything starts anew."""
        disk = self._stage.disk
        assert disk is not None
        strike = Strike(self._chance.randrange(1, 6), power=disk.mount)
        who = self._chance.choice(("sender", "press", "press", "worker"))
        if who == "sender":
            name = self._chance.choice(("F1", "F4", "F6", "F7", "F29"))
            self._stage.hurry(timedelta(minutes=2))
            kid = self._sender((faults.SENDER_POINTS[name], strike))
        elif who == "press":
            name = self._chance.choice(("F12", "F12", "F13", "F14", "F18", "press_before_settling"))
            strike.count = strike.count if name == "F12" else 1
            kid = self._press((faults.PRESS_POINTS[name], strike))
        else:
            self._await_end(self._press((faults.before_booking, Strike())))
            name = self._chance.choice(("F18", "F19", "worker_before_settling"))
            strike.count = 1
            kid = self._worker((faults.WORKER_POINTS[name], strike))
        with contextlib.suppress(Stuck):
            self._stage.wait_for(lambda: not kid.is_alive(), "", _STRIKE_WAIT_S)
        self._stage.lose_power()
        self._outcome.struck(f"power_{name}")
        self._outcome.power_losses += 1
        boot = self._stage.fork("boot", partial(run_boot, self._stage, self._without))
        self._await_end(boot)

    # -- the take-back -------------------------------------------------------------------------

    def _stop(self) -> None:
        self._look_elsewhere()
        for _ in range(_PRESS_TRIES):
            name = self._first_press or self._chance.choice(_WHAT_STRIKES_A_PRESS)
            self._first_press = ""
            if name == "F20":
                first, second = self._press(None), self._press(None)
                self._await_end(first)
                self._await_end(second)
                self._outcome.struck("F20", kill=False)
            elif name == "F17":
                self._press_while_locked()
            elif name:
                count = self._chance.randrange(1, 5) if name == "F12" else 1
                count = self._chance.randrange(1, 4) if name == "F19" else count
                kid = self._press((faults.PRESS_POINTS[name], Strike(count)))
                self._await_strike(kid, name)
                if name in {"F13", "F14"}:
                    time.sleep(_ALONE_S)  # nobody but the fence holds the senders now
            else:
                self._await_end(self._press(None))
            if self._is_stopped():
                return
        self._await_end(self._press(None))
        if not self._is_stopped():
            raise Stuck("a take-back that nobody struck did not stop the order")

    def _press_while_locked(self) -> None:
        holder = self._stage.fork("holder", partial(_hold_lock, self._stage, self._number, 0.15))
        time.sleep(0.02)
        self._await_end(self._press(None))
        holder.end()
        self._outcome.struck("F17", kill=False)

    def _is_stopped(self) -> bool:
        return any(self._stage.data.fences.glob("*.take-back.json"))

    def _stop_seen_at(self) -> float:
        """Return from when on every sender could see the stop."""
        if self._hears_stops is False:
            return float("inf")  # until the database knew, which nobody wrote down
        folders = [self._stage.data] + ([self._stage.far] if self._hears_stops else [])
        fences = [each.fences / f"{self._number}.take-back.json" for each in folders]
        # When it was renamed into its place, by a clock that goes on in ticks: seen from here on.
        return max(fence.stat().st_ctime for fence in fences) + _TICK_S

    # -- the corrections -----------------------------------------------------------------------

    def _correct(self) -> None:
        # Senders that outlived whoever pressed are left to the worker, which has to find them; who
        # was proven dead has a successor of another name, and wakes up at the end if it lives.
        self._name = "sender-2"
        self._stage.double.ask(do="behave")
        for _ in range(self._chance.choice((0, 1, 1, 2))):
            name = self._chance.choice(tuple(faults.WORKER_POINTS))
            kid = self._worker((faults.WORKER_POINTS[name], Strike(self._chance.randrange(1, 3))))
            self._await_strike(kid, name, self._chance.uniform(0.02, 0.3))
        self._worker(None)
        self._stage.wait_for(
            lambda: self._phase() in {"correcting", "corrected"}, "never settled", _SETTLE_WAIT_S
        )
        for _ in range(self._chance.choice((0, 1, 2, 3))):
            self._chance.choice((self._kill_at_point, self._server_kills))()
            self._stage.hurry(timedelta(minutes=2))
        self._sender(None)
        begun = time.monotonic()
        last_jump = begun
        while self._phase() != "corrected" or self._stage.returned.is_unheard():
            if time.monotonic() - begun > _SETTLE_WAIT_S:
                raise Stuck("corrections never ended")
            if time.monotonic() - last_jump > 0.1:
                self._stage.hurry(timedelta(minutes=35))
                last_jump = time.monotonic()
            time.sleep(0.005)
        for kid in [each for each in self._frozen if each.is_alive()]:
            os.kill(kid.pid, signal.SIGCONT)  # whoever was proven dead cannot wake up
            time.sleep(_WAKING_S)

    # -- small things --------------------------------------------------------------------------

    def _sender(self, point: tuple[Patch, Strike] | None) -> Kid:
        """Start the next sender; one that still works under this name is killed first."""
        for older in self._stage.kids:
            if older.name == self._name and older.is_alive():
                older.end()
                self._outcome.struck("sender_at_random")
        return self._fork_sender(self._name, point)

    def _fork_sender(self, name: str, point: tuple[Patch, Strike] | None) -> Kid:
        return self._stage.fork(
            name, partial(run_sender, name, str(self._stage.data.path), point, self._without)
        )

    def _press(self, point: tuple[Patch, Strike] | None) -> Kid:
        arguments = ["take-back", self._number, "--because", "mistake", "--json"]
        return self._stage.fork("press", partial(run_press, arguments, point, self._without))

    def _worker(self, point: tuple[Patch, Strike] | None) -> Kid:
        return self._stage.fork("worker", partial(run_worker, self._stage, point, self._without))

    def _await_strike(self, kid: Kid, name: str, longest_s: float = _STRIKE_WAIT_S) -> None:
        """Wait for the strike; whoever never came to that point is killed where it stands."""
        with contextlib.suppress(Stuck):
            self._stage.wait_for(lambda: not kid.is_alive() or self._is_idle(kid), "", longest_s)
        if kid.is_alive():
            kid.end()
            self._outcome.struck("sender_at_random" if "sender" in kid.name else "F30")
        else:
            self._outcome.struck(name)

    def _is_idle(self, kid: Kid) -> bool:
        """Nothing is due, so it will never come to its point."""
        return kid.name.startswith("sender") and not self._due()

    def _await_end(self, kid: Kid) -> None:
        self._stage.wait_for(lambda: not kid.is_alive(), f"{kid.name} never ended", _SETTLE_WAIT_S)

    def _accepted(self) -> int:
        return sum(".notice." in mail["message_id"] for mail in self._stage.record())

    def _due(self) -> int:
        now = clock.for_data(self._stage.data).now()
        return int(
            self._stage.ask(
                "SELECT count(*) FROM notices_notice WHERE state IN ('claimed', 'permitted')"
                " OR (state = 'pending' OR state = 'maybe' AND attempts < 3) AND due_at <= %s",
                now,
            )[0][0]
        )

    def _waiting(self) -> int:
        return self._count("('pending', 'claimed', 'permitted')")

    def _doubtful(self) -> int:
        return self._count("('pending', 'claimed', 'permitted', 'maybe')")

    def _count(self, states: str) -> int:
        return int(
            self._stage.ask(f"SELECT count(*) FROM notices_notice WHERE state IN {states}")[0][0]
        )

    def _phase(self) -> str:
        return str(self._stage.ask("SELECT phase FROM orders_order")[0][0])


def _is_frozen(kid: Kid) -> bool:
    try:
        stat = Path(f"/proc/{kid.pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"


def run_sender(name: str, data: str, point: tuple[Patch, Strike] | None, without: str) -> None:
    """Be a sender: the program's own entry point."""
    from countermand.sender.__main__ import main

    faults.leave_out(without)
    if point is not None:
        point[0](point[1])
    raise SystemExit(main(["--name", name, "--data", data]))


def run_stop_port(stage: Stage, without: str) -> None:
    """Be what hears stops on another machine."""
    from countermand.sender.stop_port import main

    faults.leave_out(without)
    port = stage.settings.sender_hosts[0].rpartition(":")[2]
    raise SystemExit(main(["--data", str(stage.far.path), "--port", port]))


def run_press(arguments: list[str], point: tuple[Patch, Strike] | None, without: str) -> None:
    """Be whoever takes the order back, on the command line."""
    from countermand.cli import stop_verbs

    faults.leave_out(without)
    if point is not None:
        point[0](point[1])
    raise SystemExit(stop_verbs.run(arguments))


def run_worker(stage: Stage, point: tuple[Patch, Strike] | None, without: str) -> None:
    """Be the worker: stops first, then whatever is due, over and over."""
    from countermand import wiring

    faults.leave_out(without)
    if point is not None:
        point[0](point[1])
    told = clock.for_data(stage.data)
    stops, orders = wiring.moving_orders(stage.settings)
    while True:
        stops.run(told.now())
        if stage.returned.is_unheard():
            wiring.take_evidence(stage.settings, told.now())
        orders.run(told.now())
        time.sleep(0.03)


def run_boot(stage: Stage, without: str) -> None:
    """Be what a start does before anything else may run."""
    from countermand import wiring

    faults.leave_out(without)
    now = clock.for_data(stage.data).now()
    wiring.pause_what_was_restored(stage.settings, now)
    wiring.complete_stops(stage.settings, now)


def _hold_lock(stage: Stage, number: str, seconds: float) -> None:
    """Be a session that keeps the order's record to itself for a while."""
    import psycopg

    with psycopg.connect(stage.settings.database_url, application_name="somebody") as session:
        session.execute("SELECT ledger_lock_exclusive(%s)", [number])
        time.sleep(seconds)
