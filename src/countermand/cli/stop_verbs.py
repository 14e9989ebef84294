"""`pause` and `take-back`: one person, one step, with the standard library before anything else.

The order is stopped durably before Django is loaded, with the database down as well; who acts is
proven by a personal token against the list that lies in the data folder. What is left (counting
who got it, writing the corrections) is begun right afterwards, and finished by the worker if this
command is cut off.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from countermand import clock, config, environment, i18n
from countermand.cli import shown_time
from countermand.cli.stop_refusals import (
    CodeNotRight,
    MistypedButNear,
    NoSuchOrder,
    NoSuchOrderButNear,
    NotForYourRole,
    NothingToStop,
    PauseInHold,
    WhoIsActing,
)
from countermand.cli.stop_said import (
    Stop,
    as_json,
    say,
    say_finished,
    say_refused_later,
    tell,
    warn,
)
from countermand.cli.stop_words import (
    DONE,
    NOT_ALLOWED,
    NOT_FOUND,
    NOT_ON_DISK,
    NOT_PROVEN_YET,
    REFUSED,
    UNAVAILABLE,
    USAGE,
    parse,
)
from countermand.data_folder import DataFolder
from countermand.domain.delivery import StopKind
from countermand.domain.errors import CountermandError
from countermand.domain.order_number import CheckCharacterWrong, OrderNumber, nearest
from countermand.i18n import gettext as _
from countermand.stop import lookup_page
from countermand.stop import press as stopping
from countermand.stop import register as registers
from countermand.stop.gates import Telling, with_code
from countermand.stop.press import Pressed
from countermand.stop.register import KnownActor, Register, RegisterUnreadable

_TAKE_BACK_ROLES: Final = frozenset({"author", "approver", "operator"})
_BEFORE_RELEASE: Final = frozenset({"draft", "planned", "review", "approved"})
_OVER: Final = frozenset({"withdrawn", "corrected", "abandoned"})


def run(arguments: Sequence[str], environ: Mapping[str, str] | None = None) -> int:
    """Carry out `pause …` or `take-back …`; return the exit code."""
    environ = os.environ if environ is None else environ
    i18n.use(i18n.from_locale(environ, i18n.flag_of(arguments)))
    try:
        return _stop(parse(arguments), environ)
    except CountermandError as error:
        return _refuse(error, as_json="--json" in arguments)
    except OSError as error:
        warn(_("NOT STOPPED: the disk refused: {why}").format(why=i18n.reason(error)))
        return UNAVAILABLE


def _stop(given: argparse.Namespace, environ: Mapping[str, str]) -> int:
    left_out: list[CountermandError] = []  # no setting that is wrong keeps anybody from stopping
    settings = environment.load(environ, data=given.data, left_out=left_out)
    shown_time.use(settings.zone)
    folder = settings.folder
    kind = StopKind.PAUSE if given.verb == "pause" else StopKind.TAKE_BACK
    force = bool(getattr(given, "force", False))
    code = _code(getattr(given, "code", ""))
    register = _register(folder, code)
    number = _number(given.number, register, force=force or bool(code))
    by = None
    if code:
        _check_code(code, number, register, settings)
    else:
        actor = _actor(environ, register)
        _allow(kind, number, register, actor)
        by = actor.person_id
    stop = Stop(
        kind=kind,
        number=number,
        because=given.because,
        note=getattr(given, "note", ""),
        force=force,
        now=clock.for_data(folder).now(),
    )
    pressed = stopping.press(
        folder,
        number,
        kind,
        by=by,
        because=stop.fence_words,
        now=stop.now,
        gates=settings.gates,
        sender_hosts=settings.sender_hosts,
        token=settings.gate_token,
        code=code,
    )
    if kind is StopKind.TAKE_BACK and not pressed.refused:
        _show_withdrawn(folder.lookup, stop)
    if not given.json:
        say(stop, pressed)
    for each in left_out:
        warn("\n→ ".join(i18n.told(each, i18n.language_in_use())))
    first, pressed = pressed, _finish(settings, stop, pressed)
    if given.json:
        tell(json.dumps(as_json(stop, pressed), ensure_ascii=False))
    else:
        if pressed.refused and not first.refused:
            say_refused_later(pressed)
        say_finished(stop, pressed)
    if pressed.refused:
        told_anywhere = any(each.acknowledged for each in (*pressed.gates, *pressed.sender_hosts))
        known = stop.database_knows or told_anywhere
        return NOT_ON_DISK if known else UNAVAILABLE
    told = all(gate.acknowledged and gate.durable for gate in pressed.gates)
    is_proven = pressed.senders_proven_dead and told and not stop.finished.get("held_elsewhere")
    is_whole = not stop.unfinished_why and not stop.is_here_alone
    return DONE if is_proven and is_whole else NOT_PROVEN_YET


def _show_withdrawn(lookup: Path, stop: Stop) -> None:
    """Let the look-up page say so at once; the worker writes it again, so a full disk is no end."""
    with contextlib.suppress(OSError, ValueError):
        lookup_page.show_withdrawn(lookup, stop.number, stop.now)


def _number(text: str, register: Register, *, force: bool) -> str:
    """Read the number; raise with the nearest one when it is mistyped or not known."""
    try:
        number = OrderNumber.parse(text).text
    except CheckCharacterWrong as error:
        if suggestion := nearest(error.text, register.orders):
            raise MistypedButNear(text=error.text, suggestion=suggestion) from None
        raise
    if number in register.orders or force:
        return number
    suggestion = nearest(number, register.orders)
    if suggestion:
        raise NoSuchOrderButNear(number=number, suggestion=suggestion)
    raise NoSuchOrder(number=number)


def _code(text: str) -> str:
    """Read an emergency code as people type it: in groups, in capitals."""
    return "".join(text.replace("-", " ").split()).lower()


def _register(folder: DataFolder, code: str) -> Register:
    """Read what is known here; whoever shows a code does without it."""
    try:
        return registers.read(folder)
    except RegisterUnreadable:
        if not code:
            raise
        return Register()


def _check_code(code: str, number: str, register: Register, settings: config.Settings) -> None:
    """Accept an emergency code if it is right here, or if a gate says that it is.

    Nobody is named by it. Raises CodeNotRight or NothingToStop.
    """
    known = register.orders.get(number)
    if known is not None and known.phase in _OVER:
        raise NothingToStop(number=number, phase=_(known.phase))
    if register.order_of_code(code) == number:
        return
    # Only others know the order then: gates that took the code over are open already.
    others = [*settings.gates, *settings.sender_hosts]
    told = Telling(others, [with_code(number, code)]).answers()
    if not any(gate.acknowledged for gate in told):
        raise CodeNotRight(number=number)


def _actor(environ: Mapping[str, str], register: Register) -> KnownActor:
    actor = register.actor(_token(environ))
    if actor is None:
        raise WhoIsActing
    return actor


def _token(environ: Mapping[str, str]) -> str:
    if text := environ.get("COUNTERMAND_TOKEN", "").strip():
        return text
    named = environ.get("COUNTERMAND_TOKEN_FILE")
    home = Path(environ.get("HOME", "~")).expanduser()
    path = Path(named) if named else home / ".config" / "countermand" / "token"
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise WhoIsActing from None


def _allow(kind: StopKind, number: str, register: Register, actor: KnownActor) -> None:
    known = register.orders.get(number)
    phase = known.phase if known else ""
    if phase in _BEFORE_RELEASE or phase in _OVER:
        raise NothingToStop(number=number, phase=_(phase))
    if kind is StopKind.PAUSE and phase == "hold":
        raise PauseInHold(number=number)
    needs_any_role = kind is StopKind.PAUSE or phase == "hold"
    roles = frozenset(actor.roles)
    if not (roles if needs_any_role else roles & _TAKE_BACK_ROLES):
        raise NotForYourRole(roles=", ".join(sorted(roles)) or "-")


def _finish(settings: config.Settings, stop: Stop, pressed: Pressed) -> Pressed:
    """Count who got it and begin the corrections; what fails here is finished by the worker.

    Returns the last press: the database may know of an epoch that had to be stopped as well.
    """
    if settings.folder.makes_no_orders and not settings.database_url:
        stop.is_here_alone = True
        return pressed
    try:
        from countermand.cli.session import prepare

        prepare(settings)
        from countermand import wiring
        from countermand.orders import pressing

        with wiring.orders_desk(settings) as desk:
            done = pressing.finish_stop(desk, pressed.fence, pressed=pressed, now=stop.now)
            stop.finished, pressed = done.counts, done.pressed
    except Exception as error:  # noqa: BLE001 - the order is stopped; nothing may undo saying so
        stop.unfinished_why = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return pressed


def _refuse(error: CountermandError, *, as_json: bool) -> int:
    sentence, remedy = i18n.told(error, i18n.language_in_use())
    if as_json:
        problem = {"code": error.code, "sentence": sentence, "remedy": remedy}
        tell(json.dumps({"error": problem, "stopped": False}, ensure_ascii=False))
    else:
        warn(f"{sentence}\n→ {remedy}")
    by_code = {
        "stop.not_understood": USAGE,
        "order_number.not_understood": USAGE,
        "order_number.check_character": NOT_FOUND,
        "stop.no_such_order": NOT_FOUND,
        "stop.order_not_known": NOT_FOUND,
        "stop.who_is_acting": NOT_ALLOWED,
        "stop.not_for_your_role": NOT_ALLOWED,
        "stop.register_unreadable": UNAVAILABLE,
        "stop.code_not_right": NOT_ALLOWED,
    }
    return by_code.get(error.code, REFUSED)
