"""`countermand notice story` and `export`: what became of every mail, and how that is known."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from countermand.cli import given, order_words, output, shown_time
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.domain.address import shown_address
from countermand.domain.errors import gettext_noop
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.notices.mail_story import MailStory

MAIL_STATES: Final = MappingProxyType(
    {
        "pending": gettext_noop("waits to be sent"),
        "claimed": gettext_noop("about to be sent"),
        "permitted": gettext_noop("is being sent"),
        "sent": gettext_noop("taken by the mail server"),
        "maybe": gettext_noop("nobody knows whether it arrived"),
        "refused": gettext_noop("refused by the mail server"),
        "skipped": gettext_noop("never sent"),
        "delivered": gettext_noop("arrived"),
        "bounced": gettext_noop("came back"),
        "pulled_queue": gettext_noop("fetched back before it arrived"),
        "pulled_unread": gettext_noop("arrived, taken away unread"),
    }
)
# What stands in place of a mail server's answer where none was asked.
OURS: Final = MappingProxyType(
    {
        "notice.slot_not_filled": gettext_noop("not sent: its text has a gap"),
        "notice.address_not_usable": gettext_noop("not sent: this address cannot be used"),
        "notice.fault": gettext_noop("not sent: something failed here"),
    }
)
# Of somebody on the list of an order for whom there is no notice.
NO_MAIL: Final = MappingProxyType(
    {
        "wave_not_begun": gettext_noop("no mail yet: their wave has not begun"),
        "had_left": gettext_noop("no mail: this person had left before their turn came"),
        "ended_first": gettext_noop("no mail: it ended before their wave began"),
        "forgotten": gettext_noop("what was sent to them is no longer kept"),
    }
)
HEARD: Final = MappingProxyType(
    {
        "dsn_delivered": gettext_noop("a mail server reports that it arrived"),
        "dsn_failed": gettext_noop("it came back"),
        "relay_log_accepted": gettext_noop("the relay has it"),
        "relay_log_not_accepted": gettext_noop("the relay's log shows that it took none"),
        "check_code": gettext_noop("its check code was entered"),
        "pulled_from_queue": gettext_noop("fetched back from the relay"),
        "pulled_unread": gettext_noop("taken out of the mailbox unread"),
    }
)
# What these kinds note down beside adds nothing for a reader.
_SAID_WHOLE: Final = frozenset({"check_code", "pulled_unread"})
REACH: Final = ("none", "possible", "certain")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
# What stands above each column of an export.
_COLUMNS: Final = MappingProxyType(
    {
        "order": gettext_noop("order"),
        "kind": gettext_noop("mail"),
        "name": gettext_noop("name"),
        "address": gettext_noop("address"),
        "language": gettext_noop("language"),
        "reach": gettext_noop("how it stands"),
        "state": gettext_noop("the mail"),
        "due_at": gettext_noop("due"),
        "accepted_at": gettext_noop("accepted"),
        "came_back_at": gettext_noop("came back"),
        "proven_at": gettext_noop("known to have arrived"),
        "attempts": gettext_noop("tries"),
        "last_reply": gettext_noop("last answer of the mail server"),
        "heard": gettext_noop("what was heard"),
        "message_id": gettext_noop("Message-ID"),
    }
)


class Format(StrEnum):
    """What an export is written in."""

    CSV = "csv"
    JSON = "json"


def register(group: typer.Typer) -> None:
    """Add the verbs to `notice`."""
    telling = _("Tell one person's story: every mail to them, and what is known of it.")
    words = "notice story asha.verma@example.org"
    group.command("story", help=output.taught(telling, words))(story)
    writing = _("Write down for everybody concerned who got which mail, and how that is known.")
    group.command("export", help=output.taught(writing, "notice export CM-7Q4K --to mails.csv"))(
        export
    )


def story(
    who: Annotated[
        str,
        typer.Argument(metavar="PERSON", help=_("An address or a directory key.")),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Show every mail to one person, oldest first."""
    with session():
        from countermand.notices import mail_story
        from countermand.people import queries as people

        person = people.person(who)
        mails = [_plain(mail, person.name) for mail in mail_story.of_person(person.id)]
        answer = {"name": person.name, "address": person.address, "mails": mails}

    def render(console: Console) -> None:
        title = f"{person.name} <{shown_address(person.address)}>"
        columns = [_("time"), _("order"), _("mail"), _("address"), _("what happened")]
        console.print(output.table(title, columns, _events(mails)))

    output.emit(answer, as_json=as_json, render=render)


def _events(mails: Iterable[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return what happened to somebody's mails, in the order in which it did."""
    happened: list[tuple[Any, int, tuple[str, ...]]] = []
    for place, mail in enumerate(mails):
        about = (mail["order"], _(order_words.KINDS[mail["kind"]]), shown_address(mail["address"]))
        for key, words in _MOMENTS.items():
            if mail[key] is not None:
                happened.append((mail[key], place, (*about, _(words))))
        happened.extend((heard["at"], place, (*about, _heard(heard))) for heard in mail["heard"])
        if mail["state"] in _STANDS_STILL:
            words = state_word(mail["state"], mail["last_reply"])
            happened.append((mail["due_at"], place, (*about, words)))
    happened.sort(key=lambda each: (each[0], each[1]))
    return [(shown_time.instant(at), *cells) for at, _place, cells in happened]


def _heard(each: Mapping[str, Any]) -> str:
    words = _(HEARD[each["kind"]])
    return words if each["kind"] in _SAID_WHOLE else f"{words} {each['detail']}".strip()


_MOMENTS: Final = MappingProxyType(
    {
        "accepted_at": gettext_noop("taken by the mail server"),
        "came_back_at": gettext_noop("came back"),
        "proven_at": gettext_noop("arrived"),
    }
)
# Nothing else says at which time they came to stand so.
_STANDS_STILL: Final = frozenset({"pending", "claimed", "permitted", "maybe", "refused", "skipped"})


def export(
    *,
    number: Annotated[
        str,
        typer.Argument(
            help=_("The number of the order, such as CM-7Q4K."), callback=given.order_number
        ),
    ],
    written: Annotated[
        Format, typer.Option("--format", help=_("csv or json."), case_sensitive=False)
    ] = Format.CSV,
    to: Annotated[
        Path | None,
        typer.Option("--to", help=_("A new file, readable by you alone; without it, the screen.")),
    ] = None,
) -> None:
    """Write every mail of an order, one a line, and everybody for whom there is none."""
    with session():
        from countermand.notices import mail_story
        from countermand.orders import queries as orders
        from countermand.people import queries as people

        orders.view(number)
        mails = list(mail_story.of_order(number))
        known = people.by_ids({mail.person_id for mail in mails})
        lines = [
            _plain(mail, known[mail.person_id].name if mail.person_id in known else "")
            for mail in mails
        ]
        lines += [no_mail(each) for each in without_mail(number)]
    if written is Format.CSV:
        _write(_as_csv(lines), to)
    elif to is None:
        output.write_json(lines)
    else:
        _write(json.dumps(output.plain(lines), ensure_ascii=False, indent=1), to)


def _plain(mail: MailStory, name: str) -> dict[str, Any]:
    return {
        "order": mail.order_number,
        "kind": mail.kind,
        "name": name,
        "address": mail.address,
        "language": mail.language,
        "reach": REACH[int(mail.exposure)],
        "state": mail.state,
        "due_at": mail.due_at,
        "accepted_at": mail.accepted_at,
        "came_back_at": mail.bounced_at,
        "proven_at": mail.proven_at,
        "attempts": mail.attempts,
        "last_reply": mail.last_reply,
        "heard": [
            {"kind": heard.kind, "at": heard.at, "detail": heard.detail} for heard in mail.heard
        ],
        "message_id": mail.message_id,
    }


@dataclass(frozen=True, slots=True)
class NoMailFor:
    """Somebody on the list of an order for whom there is no notice, and why: see `NO_MAIL`."""

    order_number: str
    person_id: int
    name: str
    address: str
    why: str


def without_mail(number: str, *, person_id: int | None = None) -> list[NoMailFor]:
    """Return everybody on the list of an order whom no mail line names."""
    from countermand.orders import reach
    from countermand.people import queries as people

    found = reach.without_mail(number, person_id=person_id)
    known = people.by_ids([each.person_id for each in found])
    return [
        NoMailFor(
            number,
            each.person_id,
            name=known[each.person_id].name if each.person_id in known else "",
            address=known[each.person_id].address if each.person_id in known else "",
            why=each.why.value,
        )
        for each in found
    ]


def no_mail(one: NoMailFor) -> dict[str, Any]:
    """Return a line as mails have it, for somebody who has none."""
    nothing: dict[str, Any] = dict.fromkeys(_COLUMNS)
    return {
        **nothing,
        "order": one.order_number,
        "kind": "notice",
        "name": one.name,
        "address": one.address,
        "reach": None if one.why == "forgotten" else REACH[0],
        "state": one.why,
        "attempts": 0,
        "last_reply": "",
        "heard": [],
    }


def state_word(state: str, last_reply: str = "") -> str:
    """Return how a mail stands, or why there is none, in the language in use."""
    if state in {"refused", "pending"} and last_reply in OURS:
        return _(OURS[last_reply])
    return _(NO_MAIL[state] if state in NO_MAIL else MAIL_STATES[state])


def reach_word(reach: str | None) -> str:
    """Return how somebody was reached, in the language in use; nothing where nobody knows it."""
    return "" if reach is None else _(order_words.EXPOSURES[REACH.index(reach)])


def _as_csv(lines: Iterable[dict[str, Any]]) -> str:
    """Write a table for people; no cell of it can be a formula to the program that opens it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([_(heading) for heading in _COLUMNS.values()])
    for line in lines:
        heard = "; ".join(
            f"{shown_time.instant(each['at'])} {_heard(each)}" for each in line["heard"]
        )
        shown = {
            **line,
            "kind": _(order_words.KINDS[line["kind"]]),
            "address": shown_address(line["address"]),
            "reach": reach_word(line["reach"]),
            "state": state_word(line["state"], line["last_reply"]),
            "last_reply": "" if line["last_reply"] in OURS else line["last_reply"],
            "heard": heard,
        }
        writer.writerow([_cell(shown[column]) for column in _COLUMNS])
    return text.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        value = shown_time.local(value).isoformat(timespec="seconds")
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _write(text: str, to: Path | None) -> None:
    if to is None:
        sys.stdout.write(text)
        return
    # A mark at the beginning lets spreadsheets read Devanagari.
    marked = f"\ufeff{text}" if to.suffix.lower() == ".csv" else text
    given.new_file(to, [marked.encode()])
