"""`countermand notice list`: everybody on an order's list, with what became of their mails."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from countermand.cli import given, mail_story, order_pages, order_words, output, shown_time
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.domain.address import shown_address
from countermand.domain.delivery import NoticeKind
from countermand.domain.errors import gettext_noop
from countermand.i18n import gettext as _

# Of a mail to be called about; what was skipped alone was written down, its address is another's.
_WHY: Final = MappingProxyType(
    {
        "maybe": gettext_noop("it is not certain that the mail arrived"),
        "skipped": gettext_noop("never sent: this person has no address of their own any more"),
    }
)
# Of whom there is no mail, too.
_KEYS: Final = (
    "kind",
    "name",
    "address",
    "language",
    "late",
    "own_deadline_at",
    "due_at",
    "accepted_at",
    "state",
    "reach",
    "message_id",
    "last_reply",
)


def list_notices(
    *,
    number: Annotated[
        str,
        typer.Argument(
            help=_("The number of the order, such as CM-7Q4K."), callback=given.order_number
        ),
    ],
    person: Annotated[
        str | None,
        typer.Option("--person", help=_("Only this person: an address or directory key.")),
    ] = None,
    kind: Annotated[
        NoticeKind | None,
        typer.Option("--kind", help=_("notice, reminder, lock, restored, closing or correction")),
    ] = None,
    to_call: Annotated[
        bool,
        typer.Option("--to-call", help=_("Only people of whom no mail is known to have arrived.")),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """List mails, with the person's own deadline."""
    if to_call:
        _list_to_call(number, as_json=as_json)
        return
    with session():
        from countermand.notices import queries as ledger
        from countermand.orders import queries as orders
        from countermand.people import queries as people

        orders.view(number)
        who = people.person(person).id if person else None
        lines = ledger.lines(number, kind=kind, person_id=who)
        known = people.by_ids({line.person_id for line in lines})
        listed = orders.listed_people(number)
        answer: list[dict[str, Any]] = [
            {
                "kind": line.kind,
                "name": known[line.person_id].name if line.person_id in known else "",
                "address": line.address,
                "language": line.language,
                "late": line.person_id in listed and listed[line.person_id].joined_at is not None,
                "own_deadline_at": listed[line.person_id].own_deadline_at
                if line.person_id in listed
                else None,
                "due_at": line.due_at,
                "accepted_at": line.accepted_at,
                "state": line.state,
                "reach": mail_story.REACH[int(line.exposure)],
                "message_id": line.message_id,
                "last_reply": line.last_reply,
            }
            for line in lines
        ]
        if kind in {None, NoticeKind.NOTICE}:
            for each in mail_story.without_mail(number, person_id=who):
                is_late = listed[each.person_id].joined_at is not None
                told = mail_story.no_mail(each)
                answer.append({key: told.get(key) for key in _KEYS} | {"late": is_late})
    output.emit(answer, as_json=as_json, render=lambda c: _draw_list(c, answer))


def _list_to_call(number: str, *, as_json: bool) -> None:
    with session():
        from countermand.orders import queries as orders

        orders.view(number)
        answer = order_pages.to_call(number)

    def render(console: Console) -> None:
        rows = [
            (
                each["name"],
                shown_address(each["address"]),
                _(order_words.KINDS[each["kind"]]),
                _why(each["state"], each["detail"]),
            )
            for each in answer
        ]
        title = _("To be called by a person")
        columns = [_("name"), _("address"), _("mail"), _("why")]
        console.print(output.table(title, columns, rows))

    output.emit(answer, as_json=as_json, render=render)


def _why(state: str, detail: str) -> str:
    if detail in mail_story.OURS:
        return mail_story.state_word(state, detail)
    words = _(_WHY[state]) if state in _WHY else mail_story.state_word(state)
    return f"{words} {detail}".strip()


def _draw_list(console: Console, answer: Sequence[dict[str, Any]]) -> None:
    rows = [
        (
            line["name"],
            shown_address(line["address"]),
            _(order_words.KINDS[line["kind"]]),
            mail_story.reach_word(line["reach"]),
            mail_story.state_word(line["state"], line["last_reply"]),
            shown_time.instant(line["accepted_at"]),
            shown_time.instant(line["own_deadline_at"]),
        )
        for line in answer
    ]
    columns = [
        _("name"),
        _("address"),
        _("mail"),
        _("how it stands"),
        _("the mail"),
        _("accepted"),
        _("own deadline"),
    ]
    console.print(output.table(_("Mails"), columns, rows))
