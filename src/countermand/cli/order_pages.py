"""What `countermand order` answers of orders as they stand, in values and tables; outside words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console

from countermand.cli import held_inventories, order_words, output, plan_page
from countermand.cli.shown_time import instant
from countermand.domain import causes
from countermand.domain.approvals import PART_WORDS, SHOWN_FINGERPRINT
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.config import Settings
    from countermand.notices.preview import PreviewMail
    from countermand.orders.overrides import Standing
    from countermand.orders.planning import PlanContext
    from countermand.orders.queries import OrderView


def _stopping(answer: Mapping[str, Any]) -> list[tuple[str, object]]:
    """Return by when mail has truly stopped, and open sessions that could not be ended."""
    rows: list[tuple[str, object]] = []
    if answer["mail_stops_by"] is not None:
        rows.append((_("mail has stopped by"), instant(answer["mail_stops_by"])))
    elif answer["requests_stop_by"] is not None:
        rows += [
            (_("new requests for mail have stopped by"), instant(answer["requests_stop_by"])),
            (
                _("open IMAP sessions"),
                _("read on: COUNTERMAND_DOVEADM is not set, so nothing ends them"),
            ),
        ]
    if answer["last_notice_awaited"]:
        waiting = _("{count} devices: their last notice is not accepted yet")
        rows.append((_("not stopped by then"), waiting.format(count=answer["last_notice_awaited"])))
    if answer["sessions"].unended:
        rows.append((_("open sessions that could not be ended yet"), answer["sessions"].unended))
    return rows


def review(
    number: str, parts: Sequence[str], *, context: PlanContext, now: datetime
) -> dict[str, Any]:
    """Return the parts of an order that somebody opens."""
    from countermand.orders import showing

    answer: dict[str, Any] = plan_page.planned(number)  # its digest first: see `actions.opened`
    mails = showing.mails(number, context=context, now=now)
    plan = answer.pop("plan")
    answer["parts"] = list(parts)
    if "plan" in parts:
        answer["plan"] = plan
    if "notice" in parts:
        answer["notice"] = [_mail(mail) for mail in showing.notices_of(mails)]
    if "correction" in parts:
        answer["correction"] = [_mail(mail) for mail in showing.corrections_of(mails)]
    return answer


def _mail(mail: PreviewMail) -> dict[str, str]:
    return {
        "kind": mail.kind.value,
        "variant": mail.variant,
        "language": mail.language,
        "subject": mail.subject,
        "text": mail.text,
    }


def draw_review(console: Console, answer: Mapping[str, Any]) -> None:
    """Draw the parts that were opened, one after the other."""
    if "plan" in answer:
        plan_page.draw_plan(console, answer)
    for part in ("notice", "correction"):
        for mail in answer.get(part, ()):
            draw_mail(console, mail)
    output.say(
        console,
        _("Opened: {parts}. Fingerprint of this version: {digest}"),
        parts=", ".join(_(PART_WORDS[part]) for part in answer["parts"]),
        digest=answer["digest"],
    )


def draw_mail(console: Console, mail: Mapping[str, str]) -> None:
    """Draw one mail as it would be read."""
    kind = _(order_words.KINDS[mail["kind"]])
    head = " · ".join(
        part for part in (kind, order_words.variant(mail["variant"]), mail["language"]) if part
    )
    console.rule(head, align="left")
    console.print(mail["subject"], style="bold", markup=False)
    output.show(console, mail["text"])


def brief(number: str) -> dict[str, Any]:
    """Return where an order stands, in three words."""
    from countermand.orders import queries

    view = queries.view(number)
    return {"number": number, "phase": view.phase, "digest": view.digest}


def shown(number: str, *, timeline: bool, now: datetime, settings: Settings) -> dict[str, Any]:
    """Return everything that `order show` says of one order."""
    from countermand.notices import queries as ledger
    from countermand.orders import closings, door_outlook, doors, overrides, queries, reach, reports

    view = queries.view(number)
    written = ledger.reach(number)
    found = reach.of(number, written)
    stopping = None
    if view.taken_back_at is None and view.phase != "closed":
        stopping = closings.stopping(
            number,
            sweep_every_s=settings.sweep_every_s,
            longest_sync_s=settings.longest_sync_s,
            ends_sessions=bool(settings.doveadm),
        )
    corrections = ledger.corrections(number)
    reported, unseen = reports.counted(number)
    answer: dict[str, Any] = {
        **_standing(view),
        "approvals": _approvals(number, view.digest),
        "notices": {
            "certain": found.got_it,
            "possible": found.may_have,
            "not_sent": found.not_sent,
            "by_kind": ledger.by_kind(number),
        },
        "corrections": {"sent": corrections.sent, "waiting": corrections.waiting},
        "to_call": to_call(number),
        "at_fault": ledger.at_fault(number),
        "nobody_sends_exercises": view.mode == "exercise"
        and written.not_sent + corrections.waiting > 0
        and not ledger.is_sent_here(view.mode),
        "paused_devices": len(doors.closed_devices(number, now=now)),
        "mail_stops_by": stopping.by if stopping else None,
        "requests_stop_by": stopping.requests_by if stopping else None,
        "last_notice_awaited": stopping.waiting if stopping else 0,
        "ends_sessions": bool(settings.doveadm),
        "sessions": closings.standing(number),
        "reports": {"all": reported, "not_looked_at": unseen},
        "let_through": overrides.standing(number, now=now),
        "mail_reading": door_outlook.doors_that_know(now),
        "review_on": queries.newest_revision(number).content["order"]["review_on"],
        "held_inventories": held_inventories.held() if view.ended_at is None else [],
        "to_be_undone_elsewhere": view.undone_at is None and _was_handed_over(view),
    }
    if timeline:
        answer["timeline"] = _timeline(number)
    return answer


def _standing(view: OrderView) -> dict[str, Any]:
    names = _names(
        [view.author_id, view.released_by, view.paused_by, view.taken_back_by, view.submitted_by]
    )
    return {
        "number": view.number,
        "mode": view.mode,
        "phase": view.phase,
        "enforcement": view.enforcement,
        "version": view.revision_number,
        "digest": view.digest,
        "people": view.people,
        "author": names.get(view.author_id),
        "submitted_by": names.get(view.submitted_by),
        "released_by": names.get(view.released_by),
        "paused_by": names.get(view.paused_by),
        "pause_cause": causes.told(view.pause_cause, _),
        "pause_code": (causes.parts(view.pause_cause) or ("",))[0],
        "taken_back_by": names.get(view.taken_back_by),
        "variant": view.variant,
        "amends": view.amends,
        "replaces": view.replaces,
        **{
            name: getattr(view, name)
            for name in (
                "created_at",
                "released_at",
                "hold_until",
                "first_group_at",
                "soak_until",
                "sending_at",
                "notified_at",
                "in_force_at",
                "first_deadline_at",
                "last_deadline_at",
                "paused_at",
                "taken_back_at",
                "corrected_at",
                "statement_at",
                "ended_at",
            )
        },
    }


def _names(ids: Sequence[int | None]) -> dict[int | None, str]:
    from countermand.people import queries as people

    known = people.by_ids([each for each in ids if each is not None])
    return {person_id: person.name for person_id, person in known.items()}


def _was_handed_over(view: OrderView) -> bool:
    is_over = view.taken_back_at is not None or view.phase == "closed"
    return view.enforcement == "handed-over" and is_over


def to_call(number: str) -> list[dict[str, str]]:
    """Return of whom no mail of this order is known to have arrived, or no correction, and why.

    Once it is taken back only the corrections count: whom no notice reached knows of nothing.
    """
    from countermand.notices import mail_story
    from countermand.notices import queries as ledger
    from countermand.orders import queries
    from countermand.people import queries as people

    is_over = queries.view(number).taken_back_at is not None
    unreached = () if is_over else mail_story.unreached(number)
    ids = sorted({*ledger.corrections(number).to_call, *unreached})
    last = mail_story.last_undelivered(number, ids)
    known = people.by_ids(ids)
    return [
        {
            "name": known[each].name,
            "address": known[each].address,
            "kind": last[each].kind,
            "state": last[each].state,
            "detail": last[each].heard[-1].detail if last[each].heard else last[each].last_reply,
        }
        for each in ids
        if each in known
    ]


def _approvals(number: str, digest: str) -> list[dict[str, Any]]:
    from countermand.orders import queries

    live = [a for a in queries.approvals(number) if a.void_at is None and a.digest == digest]
    names = _names([each.person_id for each in live])
    return [
        {"name": names.get(each.person_id), "at": each.at, "outside_it": each.outside_it}
        for each in live
    ]


def _timeline(number: str) -> list[dict[str, Any]]:
    from countermand.orders import queries

    lines = queries.timeline(number)
    names = _names([line.facts.get("actor_id") for line in lines])
    return [
        {
            # What people press counts from the press, also when it is entered later.
            "at": line.facts.get("pressed_at", line.at),
            "what": order_words.event(line.event, line.facts),
            "who": names.get(line.facts.get("actor_id")),
        }
        for line in lines
    ]


def draw_order(console: Console, answer: Mapping[str, Any]) -> None:
    """Draw one order."""
    head = _("{number}: {where}")
    output.say(console, head, number=answer["number"], where=order_words.phase(answer["phase"]))
    notices = answer["notices"]
    rows: list[tuple[str, object]] = [
        (_("people affected"), answer["people"]),
        (_("got it"), notices["certain"]),
        (_("may have got it"), notices["possible"]),
        (_("not sent"), notices["not_sent"]),
        (_("mail paused on so many devices"), answer["paused_devices"]),
        *plan_page.doors_that_know(answer["mail_reading"]),
        *_stopping(answer),
        (_("approved by"), ", ".join(str(each["name"]) for each in answer["approvals"])),
        (_("version fingerprint"), answer["digest"][:SHOWN_FINGERPRINT]),
        (_("first deadline"), instant(answer["first_deadline_at"])),
        (_("last deadline"), instant(answer["last_deadline_at"])),
    ]
    if answer["reports"]["all"]:
        rows.append((_("reported as forged"), _reported(answer)))
    if answer["at_fault"]:
        rows.append((_("mails at which something failed here"), _at_fault(answer)))
    if answer["phase"] == "paused" and answer["pause_cause"]:
        rows.append((_("why it is paused"), answer["pause_cause"]))
    if answer["taken_back_at"]:
        rows += [
            (_("taken back"), instant(answer["taken_back_at"])),
            (_("taken back by"), answer["taken_back_by"]),
            (_("corrected"), answer["corrections"]["sent"]),
            (_("to be called by a person"), len(answer["to_call"])),
        ]
    console.print(output.table("", [_("what"), _("how it stands")], rows))
    console.print(_next(answer), markup=False)
    if answer["nobody_sends_exercises"]:
        line = _("Nobody sends exercises here, so these mails wait. Start: {command}")
        output.say(console, line, command="countermand up --exercises")
    held_inventories.draw(console, answer["held_inventories"])
    draw_let_through(console, answer["let_through"])
    if answer["to_be_undone_elsewhere"]:
        line = _("Another system may still pause mail. Undo it there, then: {command}")
        output.say(console, line, command=f"countermand order undone {answer['number']}")
    if "timeline" in answer:
        lines = [(instant(e["at"]), e["what"], e["who"]) for e in answer["timeline"]]
        title = _("What happened")
        console.print(output.table(title, [_("when"), _("what"), _("who")], lines))


def _at_fault(answer: Mapping[str, Any]) -> str:
    return f"{answer['at_fault']}: countermand notice list {answer['number']} --to-call"


def _reported(answer: Mapping[str, Any]) -> str:
    line = _("{all}, nobody has looked at {not_looked_at}: {command}")
    command = f"countermand order reports {answer['number']}"
    return line.format(**answer["reports"], command=command)


def _next(answer: Mapping[str, Any]) -> str:
    """Return what comes next, and by whose hand."""
    instants = {
        name: instant(answer[name]) for name in ("hold_until", "soak_until", "first_deadline_at")
    }
    if answer["to_call"] and answer["phase"] in {"corrected", "closed"}:
        return order_words.whom_to_call(answer["number"])
    return order_words.what_comes_next(
        answer["phase"], number=answer["number"], review_on=answer["review_on"], **instants
    )


def draw_let_through(
    console: Console, overrides: Sequence[Standing], *, always: bool = False
) -> None:
    """Draw which devices are let through; nothing for none, unless `always`."""
    if not overrides and not always:
        return
    columns = [_("device"), _("its id"), _("person"), _("until"), _("by"), _("why")]
    rows = [(o.device, o.id, o.person, instant(o.until), o.by, o.because) for o in overrides]
    console.print(output.table(_("Let through"), columns, rows))


def listed() -> list[dict[str, Any]]:
    """Return one line for every order."""
    from countermand.orders import queries

    return [
        {
            "number": view.number,
            "mode": view.mode,
            "phase": view.phase,
            "people": view.people,
            "created_at": view.created_at,
            "first_deadline_at": view.first_deadline_at,
        }
        for view in queries.every_order()
    ]


def draw_list(console: Console, answer: Sequence[Mapping[str, Any]]) -> None:
    """Draw all orders."""
    rows = [
        (
            line["number"],
            _("exercise") if line["mode"] == "exercise" else "",
            order_words.phase(line["phase"]),
            line["people"],
            instant(line["first_deadline_at"]),
        )
        for line in answer
    ]
    columns = [_("number"), "", _("where it stands"), _("people affected"), _("first deadline")]
    console.print(output.table(_("Orders"), columns, rows))
