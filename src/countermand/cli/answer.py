"""`countermand answer`: what people said about the app on their devices; "I removed it" opens."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from countermand.cli import gates_told, given, output
from countermand.cli.output import JsonFlag
from countermand.cli.session import session
from countermand.domain.address import shown_address
from countermand.domain.errors import gettext_noop
from countermand.domain.presence import OPENING_ANSWERS, Answer
from countermand.i18n import gettext as _

Device = Annotated[
    str, typer.Option("--device", help=_("The device, as the inventory or the gate calls it."))
]
OrderNumber = Annotated[
    str | None, typer.Option("--order", help=_("Only this order; without it, all that apply."))
]
Number = Annotated[
    str,
    typer.Argument(
        help=_("The number of the order, such as CM-7Q4K."), callback=given.order_number
    ),
]
_SAYS: Final = MappingProxyType(
    {
        Answer.REMOVED: gettext_noop("They removed the app; mail is let in at once."),
        Answer.NEVER_HAD: gettext_noop("They never had the app; mail is let in at once."),
        Answer.NOT_MINE: gettext_noop("It is not their phone; mail is let in at once."),
        Answer.SHARED: gettext_noop("They share the device; a person looks after it."),
        Answer.CANNOT: gettext_noop("They cannot do it; a person looks after it."),
        Answer.NO_MAIL_ON_PHONE: gettext_noop(
            "They read no company mail on a phone; mail is let in at once."
        ),
    }
)
_SHORT: Final = MappingProxyType(
    {
        Answer.REMOVED: gettext_noop("removed the app"),
        Answer.NEVER_HAD: gettext_noop("never had the app"),
        Answer.NOT_MINE: gettext_noop("not their phone"),
        Answer.SHARED: gettext_noop("share the device"),
        Answer.CANNOT: gettext_noop("cannot do it"),
        Answer.NO_MAIL_ON_PHONE: gettext_noop("read no company mail on a phone"),
    }
)


def register(app: typer.Typer) -> None:
    """Add the verbs: one for each answer, and the list of them."""
    group = typer.Typer(
        no_args_is_help=True,
        help=_("What people say about the app on their devices; an answer opens, never closes."),
    )
    for said in Answer:
        word = said.value.replace("_", "-")
        example = f"answer {word} --order CM-7Q4K --device 8f2c…"
        group.command(word, help=output.taught(_(_SAYS[said]), example))(_recorder(said))
    listing = _("Count the answers to an order, and list whom a person is left to ask.")
    group.command("list", help=output.taught(listing, "answer list CM-7Q4K"))(list_answers)
    app.add_typer(group, name="answer")


def _recorder(said: Answer) -> Callable[..., None]:
    def record(*, device: Device, order: OrderNumber = None, as_json: JsonFlag = False) -> None:
        _record(said, device, order, as_json=as_json)

    return record


def _record(said: Answer, device: str, order: str | None, *, as_json: bool) -> None:
    with session() as opened:
        from countermand.enforcement import openings
        from countermand.enforcement.actions import Publisher
        from countermand.orders import actions
        from countermand.orders.planning import context_of

        now, settings = opened.now(), opened.settings
        found = actions.record_answer(
            device,
            said,
            actor=opened.actor(),
            publisher=Publisher.load(settings.folder),
            context=context_of(settings),
            now=now,
            number=order,
        )
        gates = settings.gates if found.opened else ()
        told = openings.tell(found.device_id, found.orders, gates=gates, token=settings.gate_token)
    shown: dict[str, Any] = {
        "name": found.name,
        "device": found.device,
        "answer": said.value,
        "orders": list(found.orders),
        "doors_opened": found.opened,
    }
    opened_line = _(
        "Written down for {name}, {device}. Mail is let in on it, unless another notice pauses it."
    )
    open_line = _(
        "Written down for {name}, {device}. These notices pause no mail on it now: {orders}."
    )
    help_line = _("Written down for {name}, {device}. A person looks after it.")
    kept_line = open_line if said in OPENING_ANSWERS else help_line
    line = opened_line if found.opened else kept_line
    orders = ", ".join(found.orders)

    def render(console: Console) -> None:
        output.say(console, line, name=found.name, device=found.device, orders=orders)
        gates_told.say(console, told, now)

    output.emit({**shown, **gates_told.as_json(told, now)}, as_json=as_json, render=render)
    raise typer.Exit(gates_told.exit_code(told))


def list_answers(number: Number, as_json: JsonFlag = False) -> None:
    """Show the figures, and the list for a human."""
    with session() as opened:
        from countermand.orders import answer_lists
        from countermand.people import queries as people

        found = answer_lists.collected(number, actor=opened.actor(), now=opened.now())
        known = people.by_ids({each.person_id for each in found.to_ask})
    answer: dict[str, Any] = {
        "number": number,
        "people": found.people,
        "devices": found.devices,
        "answered": found.answered,
        "answers": {said.value: count for said, count in found.said.items()},
        "found_without": found.found_without,
        "silent": found.silent,
        "to_ask": [
            {
                "name": known[each.person_id].name,
                "address": known[each.person_id].address,
                "device": each.device,
                "id": each.id,
                "said": each.said,
            }
            for each in found.to_ask
            if each.person_id in known
        ],
    }
    output.emit(answer, as_json=as_json, render=lambda c: _draw(c, answer))


def _draw(console: Console, answer: dict[str, Any]) -> None:
    line = _("{number}: {answered} of {devices} devices are answered for ({people} people asked).")
    output.say(console, line, **answer)
    for said in Answer:
        if count := answer["answers"][said.value]:
            output.say(console, "  {count} · {said}", count=count, said=_(_SHORT[said]))
    line = _("Not answered: {found_without} where the app was found to be gone, {silent} others.")
    output.say(console, line, **answer)
    if not answer["to_ask"]:
        output.say(console, _("Nobody is left to ask."))
        return
    rows = [
        (
            each["name"],
            shown_address(each["address"]),
            each["device"],
            each["id"],
            _(_SHORT[each["said"]]) if each["said"] else _("nothing said"),
        )
        for each in answer["to_ask"]
    ]
    columns = (_("name"), _("address"), _("device"), _("its id"), _("said"))
    console.print(output.table(_("To be asked by a person"), columns, rows))
