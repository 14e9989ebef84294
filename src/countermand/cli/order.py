"""`countermand order`: from a file to an approved order, through its release, to its end.

Every verb is one action; what it changed is shown to the stop, to gates and on the look-up page
right afterwards. Pausing and taking back are verbs of their own and wait for nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from countermand.cli import (
    given,
    order_pages,
    order_reports,
    order_words,
    output,
    plan_page,
    shown_time,
)
from countermand.cli.output import JsonFlag
from countermand.cli.session import Session, session
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.orders.planning import PlanContext

Number = Annotated[
    str,
    typer.Argument(
        help=_("The number of the order, such as CM-7Q4K."), callback=given.order_number
    ),
]
_EXAMPLES: Final = {
    "plan": " order.yaml",
    "submit": " CM-7Q4K",
    "review": " CM-7Q4K",
    "approve": " CM-7Q4K",
    "return": " CM-7Q4K --because '…'",
    "abandon": " CM-7Q4K --because '…'",
    "release": " CM-7Q4K",
    "go": " CM-7Q4K",
    "close": " CM-7Q4K",
    "undone": " CM-7Q4K",
    "show": " CM-7Q4K --timeline",
    "reports": " CM-7Q4K --looked-at",
    "list": " --json",
}
Because = Annotated[str, typer.Option("--because", help=_("The reason, in one sentence."))]


def register(app: typer.Typer) -> None:
    """Add the group of verbs, and `resume` beside `pause`."""
    group = typer.Typer(
        no_args_is_help=True,
        help=_("Plan, approve, release and look at orders."),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    verbs = (
        ("plan", plan, _("Say what an order file would do, in numbers; nothing leaves.")),
        ("submit", submit, _("Hand a planned order to those who approve.")),
        ("review", review, _("Show plan, notice and correction; that you opened them is kept.")),
        ("approve", approve, _("Approve exactly the version that you opened.")),
        ("return", send_back, _("Return an order to its author for changes.")),
        ("abandon", abandon, _("Give an order up before it is released.")),
        ("release", release, _("Let an approved order go out, after a wait.")),
        ("go", go, _("Say that everybody may follow the first small group.")),
        ("close", close, _("End an order; everybody who got it is told.")),
        ("undone", undone, _("Confirm that another system no longer pauses mail.")),
        ("show", show, _("Show where an order stands.")),
        (
            "reports",
            order_reports.reports,
            _("Show which mails staff reported as forged, and note that you looked."),
        ),
        ("list", list_orders, _("List all orders.")),
    )
    for name, verb, help_text in verbs:
        taught = output.taught(help_text, f"order {name}{_EXAMPLES[name]}")
        group.command(name, help=taught)(verb)
    app.add_typer(group, name="order")
    resuming = _("Let a paused order go on; another person than who paused.")
    taught = output.taught(resuming, "resume CM-7Q4K --because '…'")
    app.command("resume", help=taught)(resume)


@dataclass(frozen=True, slots=True)
class Here:
    """An open session with what every action needs."""

    session: Session
    context: PlanContext


@contextmanager
def _at_work(*, changes: bool = True) -> Iterator[Here]:
    """Open a session; afterwards show the world what has changed."""
    with session() as opened:
        from countermand.orders import publishing
        from countermand.orders.planning import context_of

        yield Here(session=opened, context=context_of(opened.settings))
        if changes:
            publishing.publish(opened.settings, now=opened.now())


def plan(
    file: Annotated[Path | None, typer.Argument(help=_("The order file."))] = None,
    number: Annotated[
        str | None, typer.Option("--number", help=_("The order that this file edits."))
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Plan; without a file the newest text of `--number` is planned again."""
    if file is None and number is None:
        raise typer.BadParameter(_("Give an order file, or --number of the order to plan again."))
    with _at_work() as here, output.progress(_("Planning …")):
        from countermand.orders import actions, document_file, queries

        name = str(file) if file else None
        if file is None:
            text = queries.newest_revision(str(number)).source_text
        else:
            try:
                text = document_file.text_of(file)
            except OSError as error:
                raise given.OrderFileNotReadable(
                    file=str(file), why=error.strerror or str(error)
                ) from error
        planned = actions.plan(
            text,
            actor=here.session.actor(),
            now=here.session.now(),
            context=here.context,
            number=number,
            file=name,
        )
        answer = plan_page.planned(planned)

    def render(console: Any) -> None:
        plan_page.draw_plan(console, answer)
        next_step = order_words.what_comes_next(answer["phase"], number=answer["number"])
        output.say(console, "{line}", line=next_step)

    output.emit(answer, as_json=as_json, render=render)


def submit(number: Number, as_json: JsonFlag = False) -> None:
    """Submit."""
    with _at_work() as here:
        from countermand.orders import actions

        actions.submit(number, actor=here.session.actor(), now=here.session.now())
    _done(number, _("{number} is handed in for approval."), as_json=as_json)


def review(
    number: Number,
    part: Annotated[str, typer.Option("--part", help=_("plan, notice, correction or all"))] = "all",
    as_json: JsonFlag = False,
) -> None:
    """Show, and record what was opened."""
    with _at_work() as here:
        from countermand.domain.approvals import Part
        from countermand.orders import actions

        parts = tuple(Part) if part == "all" else tuple(one for one in Part if one.value == part)
        if not parts:
            raise typer.BadParameter(_("Choose one of: plan, notice, correction, all."))
        shown = order_pages.review(
            number,
            [one.value for one in parts],
            context=here.context,
            now=here.session.now(),
        )
        actor, now = here.session.actor(), here.session.now()
        for one in parts:
            actions.opened(number, one, actor=actor, now=now, digest=shown["digest"])
    output.emit(shown, as_json=as_json, render=lambda c: order_pages.draw_review(c, shown))


def approve(
    number: Number,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", help=_("The version that you mean, as it was shown.")),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Approve."""
    with _at_work() as here:
        from countermand.orders import actions

        enough = actions.approve(
            number,
            actor=here.session.actor(),
            now=here.session.now(),
            digest=fingerprint,
        )
    said = (
        _("Approved. Enough people have approved {number}; it can be released.")
        if enough
        else _("Approved. {number} needs at least one more person.")
    )
    _done(number, said, as_json=as_json, enough=enough)


def send_back(number: Number, because: Because, as_json: JsonFlag = False) -> None:
    """Return for changes."""
    with _at_work() as here:
        from countermand.orders import actions

        actor, now = here.session.actor(), here.session.now()
        actions.send_back(number, actor=actor, now=now, because=because)
    _done(number, _("{number} is with its author again; approvals are void."), as_json=as_json)


def abandon(number: Number, because: Because, as_json: JsonFlag = False) -> None:
    """Give up."""
    with _at_work() as here:
        from countermand.orders import actions

        actor, now = here.session.actor(), here.session.now()
        actions.abandon(number, actor=actor, now=now, because=because)
    _done(number, _("{number} is given up; nothing of it ever leaves."), as_json=as_json)


def release(number: Number, as_json: JsonFlag = False) -> None:
    """Release."""
    with _at_work() as here:
        from countermand.cli import surroundings
        from countermand.orders import actions, publishing

        settings, now = here.session.settings, here.session.now()
        actor = here.session.actor()
        publishing.write_lookup(settings, now=now)
        released = actions.release(
            number,
            actor=actor,
            now=now,
            context=here.context,
            surroundings=actions.Surroundings(
                lookup_missing_at=surroundings.lookup_missing_at(settings, number),
                relay_missing_at=surroundings.relay_missing_at(settings),
            ),
        )
    answer: dict[str, Any] = {
        "number": released.number,
        "hold_until": released.hold_until,
        "emergency_code": released.emergency_code,
    }
    said = _(
        "{number} is released. Nothing leaves before {until}; until then anybody with a role can "
        "withdraw it unseen: countermand take-back {number} --because mistake"
    )
    code = _(
        "Emergency code (print it, keep it sealed; it stops this order without any key): {code}"
    )

    def render(console: Any) -> None:
        output.say(console, said, number=number, until=shown_time.instant(released.hold_until))
        output.say(console, code, code=released.emergency_code)

    output.emit(answer, as_json=as_json, render=render)


def go(number: Number, as_json: JsonFlag = False) -> None:
    """Go on after the first small group."""
    with _at_work() as here:
        from countermand.orders import actions

        actions.go(number, actor=here.session.actor(), now=here.session.now())
    _done(
        number,
        _("{number} goes on as soon as the first small group's time is over."),
        as_json=as_json,
    )


def close(number: Number, as_json: JsonFlag = False) -> None:
    """End an order."""
    with _at_work() as here:
        from countermand.orders import actions

        actor, now = here.session.actor(), here.session.now()
        actions.close(number, actor=actor, now=now, context=here.context)
    _done(
        number,
        _("{number} has ended; mail is open, and everybody who got it is told."),
        as_json=as_json,
    )


def undone(number: Number, as_json: JsonFlag = False) -> None:
    """Confirm the end of another system's policy."""
    with _at_work() as here:
        from countermand.orders import actions

        actions.confirm_undone(number, actor=here.session.actor(), now=here.session.now())
    _done(
        number,
        _("Written down: no other system pauses mail for {number} any more."),
        as_json=as_json,
    )


def resume(number: Number, because: Because, as_json: JsonFlag = False) -> None:
    """Go on after a pause."""
    with _at_work() as here:
        from countermand.orders import actions
        from countermand.orders.planning import context_of
        from countermand.project import register as registers
        from countermand.stop import fence as fences

        settings = here.session.settings
        actions.resume(
            number,
            actor=here.session.actor(),
            now=here.session.now(),
            because=because,
            context=context_of(settings),
            fence=fences.read(settings.folder.fences, number),
            register=lambda *coming: registers.ahead(settings, *coming),
        )
    _done(number, _("{number} goes on."), as_json=as_json)


def show(
    number: Number,
    timeline: Annotated[
        bool, typer.Option("--timeline", help=_("Everything that happened to it, in order."))
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Show one order."""
    with _at_work(changes=False) as here:
        answer = order_pages.shown(
            number,
            timeline=timeline,
            now=here.session.now(),
            settings=here.session.settings,
        )
    output.emit(answer, as_json=as_json, render=lambda c: order_pages.draw_order(c, answer))


def list_orders(as_json: JsonFlag = False) -> None:
    """List orders."""
    with _at_work(changes=False):
        answer = order_pages.listed()
    output.emit(answer, as_json=as_json, render=lambda c: order_pages.draw_list(c, answer))


def _done(number: str, sentence: str, *, as_json: bool, **facts: Any) -> None:
    with session() as opened:
        answer = {**order_pages.brief(number), **facts}
        del opened
    output.emit(answer, as_json=as_json, render=lambda c: output.say(c, sentence, number=number))
