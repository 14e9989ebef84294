"""How quickly notices leave and how surely they stop, each beside its floor (`make bench-notices`).

QUICK=1 takes less than a minute and ends in the same last line: one JSON object. PRESSES is how
many stops are measured. Everything runs on this machine's loopback, the ledger with fsync on.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from dataclasses import dataclass
from typing import Any, Final

from benchmarks import notice_peers
from benchmarks.hindi_notice import TEMPLATE, WRITER, notice
from benchmarks.ledger_house import LedgerHouse, durable_house, wait_until
from benchmarks.notice_stops import dots_before_permit, doubt, presses
from benchmarks.pairing import Pairs, in_pairs, percentile
from benchmarks.sinks import smtp_sink, smtp_source
from countermand.sender.compose import Composer
from countermand.testing.private_postfix import PrivatePostfix, private_postfix, why_not

_COMPOSED: Final = 5000


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of everything is measured."""

    mails: int
    pairs: int
    pairs_of_48: int
    curve: tuple[int, ...]
    curve_pairs: int
    kills: int
    peer_mails: int
    postfix_pairs: int
    postfix_mails: int
    presses: int
    press_mails: int
    corrections: int
    proof_mails: int


QUICK: Final = Extent(5000, 5, 3, (), 1, 1, 100, 1, 250, 3, 900, 1, 120)
WHOLE: Final = Extent(20000, 5, 5, (2, 4, 8), 3, 4, 2000, 9, 1500, 200, 4000, 10, 2000)


def compose_us() -> float:
    """Return microseconds of processor time for one mail, the median of five runs."""
    composer = Composer(TEMPLATE, WRITER)
    rows = [notice(person) for person in range(_COMPOSED)]
    took: list[float] = []
    for _ in range(5):
        begun = time.process_time()
        for row in rows:
            composer.write(row)
        took.append((time.process_time() - begun) / _COMPOSED * 1e6)
    return statistics.median(took)


def send(house: LedgerHouse, port: int, *, mails: int, connections: int, window: int = 1) -> float:
    """Let a real sender process send `mails`; return mails per second, ledger settled."""
    house.empty()
    house.fill(mails)
    house.start_sender(f"127.0.0.1:{port}", connections=connections, window=window)
    begun = time.monotonic()
    house.set_phase("sending")
    wait_until(house.is_idle)
    rate = mails / (time.monotonic() - begun)
    house.end_senders()
    return rate


def against_source(
    house: LedgerHouse, *, pairs: int, mails: int, connections: int, window: int = 1
) -> Pairs:
    """Measure the sender beside smtp-source, both into a sink of their own kind."""
    size = len(Composer(TEMPLATE, WRITER).write(notice(1)).content)
    with smtp_sink() as port:
        return in_pairs(
            pairs,
            lambda: send(house, port, mails=mails, connections=connections, window=window),
            lambda: smtp_source(port, mails=mails, sessions=connections, size=size),
        )


class DeepestQueue:
    """Watches a Postfix's queue while mails go through it."""

    def __init__(self, postfix: PrivatePostfix) -> None:
        """Watch `postfix`."""
        self._postfix = postfix
        self.deepest = 0

    def is_empty(self) -> bool:
        """Look, and remember the most that was ever seen."""
        queued = self._postfix.queued()
        self.deepest = max(self.deepest, queued)
        return queued == 0


def through_postfix(house: LedgerHouse, extent: Extent) -> tuple[Pairs, float] | str:
    """Relay through a real Postfix; return the pairs and the deepest queue in seconds of drain."""
    if why := why_not():
        return why
    size = len(Composer(TEMPLATE, WRITER).write(notice(1)).content)
    mails = extent.postfix_mails
    deepest_s: list[float] = []
    with smtp_sink() as sink, private_postfix(relay_to=sink) as postfix:

        def ours() -> float:
            house.empty()
            house.fill(mails)
            watch = DeepestQueue(postfix)
            house.start_sender(
                f"127.0.0.1:{postfix.port}",
                connections=16,
                COUNTERMAND_RELAY_QUEUE_COMMAND=postfix.queue_command,
            )
            begun = time.monotonic()
            house.set_phase("sending")
            wait_until(lambda: watch.is_empty() and house.is_idle())
            rate = mails / (time.monotonic() - begun)
            house.end_senders()
            deepest_s.append(watch.deepest / rate)
            return rate

        def floor() -> float:
            begun = time.monotonic()
            smtp_source(postfix.port, mails=mails, sessions=16, size=size, to_many=True)
            wait_until(lambda: postfix.queued() == 0)
            return mails / (time.monotonic() - begun)

        return in_pairs(extent.postfix_pairs, ours, floor), max(deepest_s)


def measured(house: LedgerHouse, extent: Extent) -> dict[str, Any]:
    """Measure everything; the keys of the last line."""
    found: dict[str, Any] = {"compose_us": round(compose_us(), 1)}
    dots, early = dots_before_permit(house, extent.proof_mails)
    found |= {"dots_judged": dots, "dots_before_permit": early}
    tell("the ledger judged dots", found)

    usual = against_source(house, pairs=extent.pairs, mails=extent.mails, connections=16)
    tell("16 connections", usual.facts)
    many = against_source(house, pairs=extent.pairs_of_48, mails=extent.mails, connections=48)
    tell("48 connections", many.facts)
    found["ratio_smtp_source"] = round(usual.ratio, 3)
    found["ratio_smtp_source_48"] = round(many.ratio, 3)
    found |= curve(house, extent, usual)
    found |= beside_peers(statistics.median(usual.ours), extent.peer_mails)

    relayed = through_postfix(house, extent)
    if isinstance(relayed, str):
        found |= {"ratio_postfix": None, "ratio_postfix_reason": relayed}
    else:
        tell("through Postfix", relayed[0].facts)
        found["ratio_postfix"] = round(relayed[0].ratio, 3)
        found["postfix_queue_s"] = round(relayed[1], 2)
    return found | stopped(house, extent)


def curve(house: LedgerHouse, extent: Extent, usual: Pairs) -> dict[str, Any]:
    """Measure the doubt that each window leaves, and what it gains."""
    rows = []
    for window in (1, *extent.curve):
        pairs = usual
        if window > 1:
            pairs = against_source(
                house,
                pairs=extent.curve_pairs,
                mails=extent.mails,
                connections=16,
                window=window,
            )
        rows_in_doubt = doubt(house, window=window, kills=extent.kills, mails=extent.press_mails)
        row = {"window": window, "ratio": round(pairs.ratio, 3), "doubt": max(rows_in_doubt)}
        tell("curve", row)
        rows.append(row)
    return {"doubt_per_connection": rows[0]["doubt"], "curve": rows}


def beside_peers(ours_per_s: float, mails: int) -> dict[str, Any]:
    """Measure Django and nodemailer with the same mail, into the same kind of sink."""
    with smtp_sink() as port:
        django = notice_peers.django(port, mails)
        nodemailer, why = notice_peers.nodemailer(port, mails)
    tell("peers per second", {"django": round(django), "nodemailer": nodemailer, "why": why})
    found: dict[str, Any] = {
        "ratio_django": round(ours_per_s / django, 2),
        "ratio_nodemailer": round(ours_per_s / nodemailer, 2) if nodemailer else None,
    }
    return found | ({"ratio_nodemailer_reason": why} if why else {})


def stopped(house: LedgerHouse, extent: Extent) -> dict[str, Any]:
    """Press under full load."""
    count = int(os.environ.get("PRESSES", extent.presses))
    stops = presses(house, count=count, mails=extent.press_mails, corrections=extent.corrections)
    return {
        "presses": count,
        "people_per_press": extent.press_mails,
        "stop_durable_p50_ms": round(percentile(stops.durable_ms, 0.5), 2),
        "stop_durable_p99_ms": round(percentile(stops.durable_ms, 0.99), 2),
        "arrivals_after_stop_per_connection": max(stops.arrivals),
        "last_arrival_ms": round(max(stops.late_ms), 1),
        "settled_p50_ms": round(percentile(stops.settled_ms, 0.5), 1),
        "settled_p99_ms": round(percentile(stops.settled_ms, 0.99), 1),
        "first_correction_s": round(max(stops.first_correction_s), 2),
        "missed": stops.missed,
        "stray": stops.stray,
        "precautionary": stops.precautionary,
    }


def tell(what: str, facts: object) -> None:
    """Print a line of the report."""
    print(f"{what}: {json.dumps(facts)}", flush=True)


def main() -> None:
    """Measure, and print one JSON object as the last line."""
    quick = bool(os.environ.get("QUICK"))
    begun = time.monotonic()
    with durable_house() as house:
        found = measured(house, QUICK if quick else WHOLE)
    found |= {"quick": quick, "took_s": round(time.monotonic() - begun, 1)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
