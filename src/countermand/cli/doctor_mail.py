"""`countermand doctor mail`: the real notice in probe mailboxes, as people would see it."""

from __future__ import annotations

import imaplib
import os
import smtplib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer
from rich.console import Console

from countermand.cli import given, output
from countermand.cli.exit_codes import ExitCode
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.i18n import gettext as _

PASSWORD: str = "COUNTERMAND_PROBE_PASSWORD"  # noqa: S105  (the name of a variable)


@dataclass(eq=False)
class ProbeServerRefused(CountermandError):
    """The relay took no probe, or the probe's mailbox let nobody in."""

    why: str

    code: ClassVar[str] = "probe.not_reachable"
    sentence: ClassVar[str] = gettext_noop("A mail server refused: {why}")
    remedy: ClassVar[str] = gettext_noop(
        "Look at the relay, and at login and password of the probe."
    )


def mail(
    *,
    number: Annotated[
        str,
        typer.Argument(
            help=_("The number of the order, such as CM-7Q4K."), callback=given.order_number
        ),
    ],
    probe: Annotated[
        list[str],
        typer.Option(
            "--probe",
            help=_(
                "A mailbox to watch, as imaps://probe%40example.org@mail.example.org; may be given"
                " several times."
            ),
        ),
    ],
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", help=_("The password of the mailboxes that are watched.")),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help=_("A file with an access token for these mailboxes (XOAUTH2), for no password."),
        ),
    ] = None,
    wait: Annotated[
        int, typer.Option("--wait", help=_("How many seconds a mail may take."), min=1, max=3600)
    ] = 60,
    as_json: JsonFlag = False,
) -> None:
    """Send the notice of an order to mailboxes of ours; end with 1 when one is not well."""
    with session() as opened:
        from countermand.domain.delivery import NoticeKind
        from countermand.orders import probing, showing
        from countermand.orders.planning import context_of
        from countermand.project import mail_probes
        from countermand.project.mail_probes import ProbeMailbox

        opened.settings.check_relay()
        password = _password(password_file)
        actor = opened.actor()
        mailboxes = [ProbeMailbox.parse(text, password, token_file) for text in probe]
        addresses, stops = [each.login for each in mailboxes], opened.settings.folder.fences
        probing.check(number, addresses, stops=stops, actor=actor)
        context = context_of(opened.settings)
        mails = [
            each
            for each in showing.mails(number, context=context, now=opened.now())
            if each.kind is NoticeKind.NOTICE
        ]

        def begin() -> None:
            probing.begin(number, addresses, stops=stops, actor=actor, now=opened.now())

        try:
            found = mail_probes.run(
                mails,
                mailboxes,
                settings=opened.settings,
                now=opened.now(),
                wait_s=wait,
                begin=begin,
            )
        except (OSError, smtplib.SMTPException, imaplib.IMAP4.error) as error:
            raise ProbeServerRefused(why=f"{type(error).__name__}: {error}"[:200]) from None
    is_well = all(each.arrival is not None and each.arrival.is_well for each in found)
    answer: dict[str, Any] = {"well": is_well, "mails": found}
    output.emit(answer, as_json=as_json, render=lambda c: _draw(c, found))
    raise typer.Exit(ExitCode.DONE if is_well else ExitCode.REFUSED)


def _password(path: Path | None) -> str:
    if path is None:
        return os.environ.get(PASSWORD, "")
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ProbeServerRefused(why=f"{path}: {error.strerror}") from None


def _draw(console: Console, found: list[Any]) -> None:
    for each in found:
        head = _("{address}, in the language “{language}”:")
        output.say(console, head, address=each.address, language=each.language)
        if each.arrival is None:
            output.say(console, "  " + _("✗ It has not arrived in this time."))
            continue
        for line in _lines(each.arrival):
            output.say(console, "  {line}", line=line)


def _lines(arrival: Any) -> list[str]:
    sign = "✗" if arrival.is_junk else "✓"
    lines = [f"{sign} " + _("It lies in the folder “{folder}”.").format(folder=arrival.folder)]
    if arrival.subject_changed:
        lines.append(_("✗ The subject was changed: {text}").format(text=arrival.subject_changed))
    lines += [_("✗ Somebody put in: {text}").format(text=text) for text in arrival.banner]
    lines += [_("✗ Somebody took out: {text}").format(text=text) for text in arrival.missing]
    lines += [_("✗ A link was put in or rewritten: {text}").format(text=t) for t in arrival.links]
    for method, result in arrival.authentication:
        mark = "✓" if result == "pass" else "✗"
        lines.append(f"{mark} {method}={result}")
    if not arrival.authentication:
        lines.append(_("• The receiving server wrote down no check of the sender."))
    return lines
