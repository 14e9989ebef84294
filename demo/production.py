"""Puts the story on the stage and judges how it ended."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from countermand import i18n
from demo import reporting
from demo.chaos import Chaos
from demo.judging import committed_message_ids
from demo.organisation import FRIDAY, Organisation
from demo.stage import Stage, StageBroke, opened
from demo.story import AUDITOR, OPERATOR, Story
from demo.telling import Telling

# Told seconds in a real second while the clock hurries.
_RATES = {"fast": 57600.0, "normal": 4800.0}
_LEAST_SHARE, _MOST_SHARE = 0.1, 0.9
_MUST_BE_ZERO = (
    "corrections_missed",
    "corrections_stray",
    "untrue_sentences",
    "notices_after_correction",
    "accepted_without_commitment",
    "corrections_in_another_thread",
    "corrections_in_another_language",
    "doors_wrong",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked for."""

    people: int
    seed: str
    is_fast: bool
    with_chaos: bool
    folder: Path


def produce(wish: Wish) -> int:
    """Tell the story; return 0 when it ended as promised."""
    language = i18n.from_locale(os.environ, None)
    telling = Telling(language)
    rate = _RATES["fast" if wish.is_fast else "normal"]
    stage = Stage(folder=wish.folder, language=language)
    invented = wish.folder.parent / f"{wish.folder.name}-organisation"
    shutil.rmtree(invented, ignore_errors=True)
    organisation = Organisation(invented, wish.people, wish.seed)
    organisation.begin()
    telling.heading("title")
    telling.say("clock", seconds=f"{3600 / rate:.1f}")
    try:
        with opened(stage, FRIDAY):
            story = Story(stage, telling, organisation, rate, not wish.with_chaos)
            report = _play(story, stage, wish)
    except StageBroke as broke:
        telling.say("failed", what=broke)
        return 1
    return _end(telling, wish, report)


def _play(story: Story, stage: Stage, wish: Wish) -> dict[str, Any]:
    story.prepare()
    chaos = Chaos(stage, zlib.crc32(wish.seed.encode())) if wish.with_chaos else None
    if chaos:
        chaos.begin()
    try:
        story.the_mistake()
        _tell_take_back(story, stage)
        story.done_rightly()
    finally:
        if chaos:
            chaos.end()
    kills = chaos.total() if chaos else int(story.figures.get("kills", 0))
    return _prove(story, stage, kills)


def _is_whole(stage: Stage) -> bool:
    """Export the log; the worker may still be numbering the last commitments."""
    log = stage.folder / "log.jsonl"
    log.unlink(missing_ok=True)  # an export writes over nothing
    stage.countermand("log", "export", str(log), actor=AUDITOR)
    return {mail.message_id for mail in stage.mails()} <= committed_message_ids(log)


def _export_log(stage: Stage) -> None:
    """Export the log once it holds every mail; the report counts what it then still lacks."""
    with contextlib.suppress(StageBroke):
        stage.wait_until("the log holds every mail", lambda: _is_whole(stage), limit_s=60)


def _prove(story: Story, stage: Stage, kills: int) -> dict[str, Any]:
    _export_log(stage)
    verified = stage.countermand("log", "verify", actor=AUDITOR, expect=(0, 1))
    story.figures["log_verified"] = verified.code == 0
    backs = story.take_backs()
    report = reporting.build(story, stage, backs, kills)
    story.telling.say(
        "amendment_back", number=story.figures["rightly_number"], untrue=report["untrue_sentences"]
    )
    story.telling.say(
        "log_verified",
        entries=verified.json["entries"],
        checkpoints=verified.json["heads"],
    )
    for number in (backs[0].number, story.figures["rightly_number"]):
        story.telling.say("timeline", number=number)
        story.telling.quote(stage.words("order", "show", number, "--timeline", actor=AUDITOR))
    return report


def _tell_take_back(story: Story, stage: Stage) -> None:
    """Right after act 1: what the record says of the correction, and what applies now."""
    back = story.take_backs()[0]
    _export_log(stage)
    judged = reporting.judged(stage, back)
    gates = [gate["ms"] for gate in back.said["gates"]]
    story.say(
        "taken_back",
        durable=back.said["durable_ms"],
        gate=max(gates, default="-"),
        last=reporting.after_press(judged, back),
    )
    story.say(
        "corrections",
        sent=judged.corrections_accepted,
        missed=len(judged.missed),
        stray=len(judged.stray),
        precautionary=len(judged.precautionary),
    )
    statement = stage.words("statement", "show", back.number, actor=AUDITOR)
    story.say("statement")
    story.telling.quote(statement)
    rules = stage.countermand(
        *("rules", "--app", "tiktok", "--person", OPERATOR),
        *("--at", stage.now().isoformat()),
        actor=AUDITOR,
    ).json
    if rules["in_force"]:
        raise StageBroke(f"rules are in force after the take-back: {rules['in_force']}")
    story.say("nothing_in_force")


def _end(telling: Telling, wish: Wish, report: dict[str, Any]) -> int:
    path = wish.folder / "report.json"
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    telling.say("figures", path=path)
    telling.quote(json.dumps(report, indent=1, ensure_ascii=False))
    broken = [key for key in _MUST_BE_ZERO if report[key]]
    if not report["log_verified"]:
        broken.append("log_verified")
    if not _LEAST_SHARE <= report["mistake_reached_share"] <= _MOST_SHARE:
        broken.append("mistake_reached_share")
    if broken:
        telling.say("failed", what=", ".join(f"{key}={report[key]}" for key in broken))
        return 1
    telling.say("go_on")
    return 0
