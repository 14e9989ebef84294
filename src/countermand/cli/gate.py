"""`countermand gate ask`: what the running gate would answer a phone now, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final

import typer
from rich.console import Console

from countermand import config, environment
from countermand.cli import output
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.verdict import Reason
from countermand.i18n import gettext as _

_LONGEST_S: Final = 5.0


@dataclass(eq=False)
class GateNotReachable(CountermandError):
    """No gate answers where one is expected."""

    address: str
    why: str

    code: ClassVar[str] = "gate.not_reachable"
    sentence: ClassVar[str] = gettext_noop(
        "The mail gate at {address} does not answer: {why}. Mail flows meanwhile."
    )
    remedy: ClassVar[str] = gettext_noop("Start it with countermand up, or look at logs/gate.log.")


@dataclass(eq=False)
class GateHasOtherToken(CountermandError):
    """A gate answers and does not take our token: it runs with another data folder."""

    address: str

    code: ClassVar[str] = "gate.other_token"
    sentence: ClassVar[str] = gettext_noop(
        "The mail gate at {address} does not take the token of this data folder."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Name the folder that it runs with (--data), or copy keys/gate-token from there."
    )


_WHY: Final[Mapping[str, str]] = MappingProxyType(
    {
        Reason.NO_ENTRY: gettext_noop("no company notice names this device"),
        Reason.STATE_NOT_VALID: gettext_noop(
            "the gate has no fresh list of company notices, and then it lets everybody in"
        ),
        Reason.EXERCISE: gettext_noop("this is an exercise, and exercises never pause mail"),
        Reason.NOT_OUR_DOOR: gettext_noop("this company notice does not pause mail here"),
        Reason.TAKEN_BACK: gettext_noop("the company notice was taken back"),
        Reason.STOPPED: gettext_noop("the company notice is paused"),
        Reason.NOT_ENFORCING: gettext_noop(
            "the deadline of the company notice is not over, or the notice has ended"
        ),
        Reason.NOT_PRESENT: gettext_noop("the app was not found on this device"),
        Reason.IDENTIFIER_UNSURE: gettext_noop("it is not certain that the app found is this one"),
        Reason.EVIDENCE_STALE: gettext_noop("it is too long ago that the app was found"),
        Reason.SAID_REMOVED: gettext_noop("its person said that the app is removed"),
        Reason.LET_THROUGH: gettext_noop("a person let this device through for a while"),
        Reason.NOT_TOLD: gettext_noop("it is not proven that its person got the notice"),
        Reason.DEADLINE_AHEAD: gettext_noop("its person’s own deadline is not over"),
        Reason.TOLD_TOO_LATE: gettext_noop("its person got the notice too short a time ago"),
        Reason.NO_LOCK_NOTICE: gettext_noop(
            "its person was not told yet that mail is about to be paused"
        ),
        Reason.LOCK_NOTICE_TOO_LATE: gettext_noop(
            "its person was told less than 30 minutes ago that mail is about to be paused"
        ),
        Reason.PAUSED_ON_DEVICE: gettext_noop(
            "the app is on it, the deadline is over, and its person was told in time"
        ),
    }
)
_WITHOUT_DEVICE: Final = gettext_noop("this way to read mail does not say which device it is")


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What the gate said, in outside words; `reason` is the label that its counts carry."""

    login: str
    device: str
    paused: bool
    order: str | None
    reason: str
    because: str
    at: str


def register(app: typer.Typer) -> None:
    """Add the verb."""
    group = typer.Typer(
        no_args_is_help=True,
        help=_("Look at the mail gate."),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.command(
        "ask",
        help=_(
            "Ask the running gate whether mail is paused on a device.\n\n"
            "Example: countermand gate ask --login asha@example.org --device phone-7f3a"
        ),
    )(ask)
    app.add_typer(group, name="gate")


def ask(
    login: Annotated[str, typer.Option("--login", help=_("The person’s mail login."))],
    device: Annotated[
        str,
        typer.Option(
            "--device", help=_("The ActiveSync id, or the name of the device’s own password.")
        ),
    ] = "",
    *,
    as_json: output.JsonFlag = False,
) -> None:
    """Ask and say it in words; the exit code says only whether the gate answered."""
    settings = environment.load()
    said = question(settings, login=login, device=device)
    paused, reason = bool(said["paused"]), str(said["reason"])
    why = _WITHOUT_DEVICE if said["device"] == "none" else _WHY.get(reason, reason)
    answer = GateAnswer(
        login=login,
        device=device,
        paused=paused,
        order=said["order"],
        reason=reason,
        because=_(why),
        at=str(said["at"]),
    )

    def draw(console: Console) -> None:
        sentence = (
            _("Mail is paused on this device, because {because}.")
            if answer.paused
            else _("Mail is not paused on this device, because {because}.")
        )
        output.say(console, sentence, because=answer.because)
        if answer.order:
            output.say(console, _("Company notice: {number}"), number=answer.order)

    output.emit(answer, as_json=as_json, render=draw)


def question(settings: config.Settings, *, login: str, device: str) -> dict[str, Any]:
    """Put one question to the gate's control address.

    Raises GateNotReachable, and GateHasOtherToken where it answers nobody who shows this token.
    """
    from http.client import HTTPConnection, HTTPException, HTTPSConnection
    from urllib.parse import urlsplit

    address = settings.gates[0] if settings.gates else f"http://{settings.gate_control}"
    parts = urlsplit(address)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_LONGEST_S)
    headers = {"Authorization": f"Bearer {settings.gate_token}"}
    body = json.dumps({"login": login, "device": device})
    try:
        connection.request("POST", "/ask", body=body.encode(), headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == HTTPStatus.FORBIDDEN:
            raise GateHasOtherToken(address=address)
        if answer.status != HTTPStatus.OK:
            raise GateNotReachable(address=address, why=f"HTTP {answer.status}")
        said: dict[str, Any] = json.loads(content)
    except (OSError, HTTPException, ValueError) as error:
        raise GateNotReachable(address=address, why=str(error) or type(error).__name__) from None
    finally:
        connection.close()
    return said
