"""`countermand notice` and `statement`: the mails of an order, as sent and as they would read."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from rich.console import Console

from countermand import i18n
from countermand.cli import given, mail_story, notice_list, order_pages, output
from countermand.cli.exit_codes import ExitCode
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.domain.address import shown_address
from countermand.domain.delivery import NoticeKind
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.notices.foreign_lint import Broken

Number = Annotated[
    str,
    typer.Argument(
        help=_("The number of the order, such as CM-7Q4K."), callback=given.order_number
    ),
]
Kind = Annotated[
    NoticeKind | None,
    typer.Option("--kind", help=_("notice, reminder, lock, restored, closing or correction")),
]


@dataclass(eq=False)
class FileNotReadable(CountermandError):
    """A file named on the command line cannot be opened."""

    file: str
    why: str

    code: ClassVar[str] = "mail_file.not_found"
    sentence: ClassVar[str] = gettext_noop("{file} cannot be opened ({why}).")
    remedy: ClassVar[str] = gettext_noop("Look at the name of the file.")


def register(app: typer.Typer) -> None:
    """Add the groups."""
    group = typer.Typer(no_args_is_help=True, help=_("The mails of an order."))
    listing = _("List everybody concerned: who was sent what, and what became of it.")
    group.command("list", help=output.taught(listing, "notice list CM-7Q4K --kind correction"))(
        notice_list.list_notices
    )
    showing = _("Show a mail as it would read.")
    group.command("preview", help=output.taught(showing, "notice preview CM-7Q4K --language hi"))(
        preview
    )
    counting = _("Count the unread copies that were taken away after a take-back.")
    group.command("copies", help=output.taught(counting, "notice copies CM-7Q4K"))(copies)
    judging = _("Judge anybody's mail by the rules that tell a genuine mail from a forged one.")
    group.command("lint", help=output.taught(judging, "notice lint last-mail.eml"))(lint)
    mail_story.register(group)
    app.add_typer(group, name="notice")
    statements = typer.Typer(no_args_is_help=True, help=_("What press and maker are told."))
    told = _("Show the statement with its figures; ready only after staff were told.")
    statements.command("show", help=output.taught(told, "statement show CM-7Q4K"))(statement)
    app.add_typer(statements, name="statement")


def copies(number: Number, as_json: JsonFlag = False) -> None:
    """Show what became of the copies in mailboxes, person by person."""
    with session() as opened:
        from countermand.orders import queries as orders
        from countermand.orders import withdrawing
        from countermand.people import queries as people

        orders.view(number)
        found = withdrawing.by_person(number)
        is_off = opened.settings.withdraw_copies == "off"
        known = people.by_ids({person_id for person_id, _, _ in found})
        answer: dict[str, Any] = {
            "number": number,
            "switched_on": not is_off,
            "copies": withdrawing.so_far(number),
            "people": [
                {
                    "name": known[person_id].name if person_id in known else "",
                    "address": address,
                    "state": state,
                }
                for person_id, address, state in found
            ],
        }

    def render(console: Console) -> None:
        rows = [
            (each["name"], shown_address(each["address"]), _(_COPIES[each["state"]]))
            for each in answer["people"]
        ]
        columns = [_("name"), _("address"), _("copy in the mailbox")]
        if rows:
            console.print(output.table(_("Copies in mailboxes"), columns, rows))
            counts = dataclasses.asdict(answer["copies"])
            for state, said in _COPIES.items():
                output.say(console, "{what}: {count}", what=_(said), count=counts[state])
        elif is_off:
            told = _("No mailbox was asked: taking copies away is off ({setting}).")
            output.say(console, told, setting="COUNTERMAND_WITHDRAW_COPIES")
        else:
            output.say(console, _("No mailbox was asked yet."))
        line = _("Everybody who got the notice is corrected, whatever became of the copy.")
        output.say(console, line)

    output.emit(answer, as_json=as_json, render=render)


_COPIES = {
    "asked": gettext_noop("not asked about yet"),
    "withdrawn": gettext_noop("taken away unread"),
    "already_read": gettext_noop("already read"),
    "not_found": gettext_noop("not found"),
    "unknown": gettext_noop("the mailbox did not say"),
}


def lint(
    file: Annotated[
        Path,
        typer.Argument(
            help=_("The mail as it was sent (.eml); - reads it from standard input."),
            metavar="FILE",
        ),
    ],
    name: Annotated[
        str, typer.Option("--name", help=_("Whom the mail was written to, as it names people."))
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Judge a mail, without installation or database; end with 1 when a rule is broken."""
    from countermand.notices import copy_rules, foreign_lint, foreign_mail

    try:
        opened = sys.stdin.buffer if str(file) == "-" else file.open("rb")
        with opened:
            content = opened.read(foreign_mail.LARGEST_BYTES + 1)
    except OSError as error:
        raise FileNotReadable(file=str(file), why=error.strerror or type(error).__name__) from None
    report = foreign_lint.lint(foreign_mail.read(content, file=str(file)), name=name)
    answer = {
        "file": str(file),
        "languages": report.languages,
        "not_judged": report.not_judged,
        "asks_something": report.is_demand,
        "rules": [
            {"rule": rule, "says": _(says), "state": report.state(rule)}
            for rule, says in copy_rules.RULES.items()
        ],
        "broken": [_told(each) for each in report.broken],
        "doubtful": [_told(each) for each in report.doubtful],
    }
    output.emit(answer, as_json=as_json, render=lambda c: _draw_report(c, answer))
    raise typer.Exit(ExitCode.DONE if report.is_clean else ExitCode.REFUSED)


def _told(broken: Broken) -> dict[str, Any]:
    return {
        "rule": broken.way.rule,
        "code": f"copy.{broken.key}",
        "language": broken.language,
        "words": broken.words,
        "sentence": _(broken.way.sentence).format(words=broken.words),
        "instead": _(broken.way.instead),
        "example": broken.example(),
    }


def _draw_report(console: Console, answer: dict[str, Any]) -> None:
    for each in answer["rules"]:
        head = f"{_SIGNS[each['state']]} {each['rule']}. {each['says']}"
        console.print(head, markup=False, soft_wrap=True)
        for broken in [*answer["broken"], *answer["doubtful"]]:
            if broken["rule"] == each["rule"]:
                _draw_broken(console, broken)
    for language in answer["not_judged"]:
        told = _("The words in the language “{language}” were not judged; a reader has to.")
        if language == "unknown":
            told = _("Words in a language that is not known here were not judged; a reader has to.")
        output.say(console, told, language=language)
    count = len(answer["broken"])
    looks = sum(each["state"] == "not_judged" for each in answer["rules"])
    if count:
        told = _("To be changed before it is sent: {count}.")
    elif looks:
        told = _("No rule is seen broken; rules left to a person (?): {looks}.")
    else:
        told = _("No rule is broken.")
    output.say(console, told, count=count, looks=looks)


def _draw_broken(console: Console, broken: dict[str, Any]) -> None:
    where = f" ({broken['language']})" if broken["language"] else ""
    console.print(f"    {broken['sentence']}{where}", markup=False, soft_wrap=True)
    console.print(f"    → {broken['instead']}", markup=False, soft_wrap=True)
    if broken["example"]:
        console.print(f"      “{broken['example']}”", markup=False, soft_wrap=True)


_SIGNS = {"kept": "✓", "broken": "✗", "not_judged": "?", "not_needed": "–"}


def preview(
    number: Number,
    kind: Kind = None,
    language: Annotated[
        str | None, typer.Option("--language", help=_("Only this language, such as hi."))
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show mails filled for an invented person."""
    with session() as opened:
        from countermand.notices.preview import NoSuchMail
        from countermand.orders import showing
        from countermand.orders.planning import context_of

        found = showing.mails(number, context=context_of(opened.settings), now=opened.now())
        answer = [
            {
                "kind": mail.kind.value,
                "variant": mail.variant,
                "language": mail.language,
                "subject": mail.subject,
                "text": mail.text,
                "html": mail.html,
            }
            for mail in found
            if kind in {None, mail.kind} and language in {None, mail.language}
        ]
        if not answer:
            raise NoSuchMail.among(found, number)

    def render(console: Console) -> None:
        for mail in answer:
            order_pages.draw_mail(console, mail)

    output.emit(answer, as_json=as_json, render=render)


def statement(
    number: Number,
    language: Annotated[
        str | None,
        typer.Option("--language", help=_("A language such as en or hi; without it, your own.")),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show the statement."""
    chosen = language or i18n.language_in_use()
    with session() as opened:
        from countermand.orders import showing
        from countermand.orders.planning import context_of

        context = context_of(opened.settings)
        text = showing.statement_of(number, language=chosen, context=context)
    answer = {"number": number, "language": text.language, "statement": text}
    output.emit(answer, as_json=as_json, render=lambda c: c.print(text, markup=False))
