"""What `countermand order plan` answers: whom and what an order would hit, in values and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from countermand import i18n
from countermand.cli import held_inventories, order_words, output
from countermand.cli.shown_time import instant
from countermand.domain.approvals import SHOWN_FINGERPRINT
from countermand.i18n import gettext as _


def planned(number: str) -> dict[str, Any]:
    """Return what a plan says, names instead of ids."""
    from countermand.orders import queries

    revision = queries.newest_revision(number)
    view = queries.view(number)
    return {
        "number": number,
        "phase": view.phase,
        "version": revision.number,
        "digest": revision.digest,
        "held_inventories": held_inventories.held(),
        "beside": [{"number": each.number, "phase": each.phase} for each in queries.beside(number)],
        "plan": _figures(revision.plan),
    }


def _figures(plan: Mapping[str, Any]) -> dict[str, Any]:
    from countermand.people import queries as people

    known = people.by_ids({*plan["first_group"], *plan["named"]})

    def names(ids: Sequence[int]) -> list[dict[str, str]]:
        return [{"name": known[i].name, "address": known[i].address} for i in ids if i in known]

    return {**plan, "first_group": names(plan["first_group"]), "named": names(plan["named"])}


def draw_plan(console: Console, answer: Mapping[str, Any]) -> None:
    """Draw a plan."""
    plan = answer["plan"]
    output.say(
        console,
        _("{number}, version {version}, fingerprint {digest}"),
        number=answer["number"],
        version=answer["version"],
        digest=answer["digest"][:SHOWN_FINGERPRINT],
    )
    rows = [
        (_("people affected"), plan["people"]),
        (_("people named by the order"), plan["people_in_scope"]),
        (_("first small group"), len(plan["first_group"])),
        (_("waves after it"), plan["waves"]),
        (
            _("would lose mail on a device, if the deadline were now"),
            _("{people} people, {devices} devices").format(**plan["would_lose_mail"]),
        ),
        *doors_that_know(plan.get("mail_reading")),
        (_("absent at present"), plan["absent"]["people"]),
        (_("approvals needed"), _needed(plan["need"])),
        (_("languages of the texts"), ", ".join(plan["languages"])),
    ]
    console.print(output.table(_("Plan"), [_("what"), _("how many")], rows))
    _draw_spread(console, _("By kind of device"), plan["by_platform"])
    _draw_spread(console, _("By owner of the device"), plan["by_ownership"])
    _draw_spread(console, _("By country"), plan["by_country"])
    by_instant = sorted(plan["deadlines"].items(), key=lambda each: (each[1]["first"], each[0]))
    zones = [(zone, instant(of["first"]), of["people"]) for zone, of in by_instant]
    console.print(
        output.table(
            _("Deadlines"), [_("time zone"), _("first deadline"), _("people affected")], zones
        )
    )
    for line in [*_beside(answer["beside"]), *_warnings(plan)]:
        output.say(console, line)
    held_inventories.draw(console, answer["held_inventories"])


def _needed(need: Mapping[str, int]) -> str:
    if need["outside_it"]:
        return _("{count}, at least {outside_it} from outside IT").format(**need)
    return str(need["count"])


def _draw_spread(console: Console, title: str, spread: Mapping[str, Mapping[str, int]]) -> None:
    states = list(order_words.DEVICE_STATES)
    columns = ["", *(_(order_words.DEVICE_STATES[state]) for state in states)]
    most_first = sorted(spread.items(), key=lambda each: (-sum(each[1].values()), each[0]))
    rows = [(name, *(of[state] for state in states)) for name, of in most_first]
    console.print(output.table(title, columns, rows))


def _beside(others: Sequence[Mapping[str, str]]) -> list[str]:
    line = _(
        "{number} ({where}) is about the same app: whoever both reach is told twice. If one is "
        "enough, give one up; if this one is to change it, write {number} under “amends” or "
        "“replaces”."
    )
    return [
        line.format(number=each["number"], where=order_words.phase(each["phase"]))
        for each in others
    ]


def _reaching_nobody(devices: Mapping[str, int]) -> list[str]:
    if not devices["all"]:
        line = _(
            "No device in scope is known: nobody but the author and an approver would be told. "
            "Give an inventory first: countermand import devices."
        )
    elif devices["absent"] == devices["all"]:
        line = _(
            "On no device in scope is the app, as far as lists say: nobody but the author and an "
            "approver would be told."
        )
    else:
        return []
    return [line]


def _warnings(plan: Mapping[str, Any]) -> list[str]:
    found = _reaching_nobody(plan["devices"])
    if plan["devices"]["not_checked_yet"]:
        line = _("{count} devices were not checked yet for these apps: import again, then plan.")
        found.append(line.format(count=plan["devices"]["not_checked_yet"]))
    if plan["present_without_door_name"]:
        line = _("{count} devices carry the app, but no mail gate would recognise them.")
        found.append(line.format(count=plan["present_without_door_name"]))
    if plan["approvers_not_known"]:
        line = _("Not known here as people who may approve: {who}.")
        found.append(line.format(who=", ".join(plan["approvers_not_known"])))
    if plan["absent"]["beyond_deadline"]:
        line = _("People absent beyond their deadline, who get a later one: {count}.")
        found.append(line.format(count=plan["absent"]["beyond_deadline"]))
    found += _days_off(plan.get("days_off", {"days": [], "unknown": []}))
    if (outside := plan.get("outside_hours", {"people": 0}))["people"]:
        line = _(
            "People with a deadline when the help desk is not there ({hours}, where they live):"
            " {people}."
        )
        found.append(line.format(**outside))
    if plan["named"]:
        names = ", ".join(person["name"] for person in plan["named"])
        found.append(_("Among those affected: {names}.").format(names=names))
    return found


def _days_off(plan: Mapping[str, Any]) -> list[str]:
    found = []
    for day in plan["days"]:
        names = day["holiday"]
        name = names.get(i18n.language_in_use()) or names.get("en") or _("weekend")
        line = _("{day} is a day off in {country} ({name}). Deadlines on that day: {people}.")
        found.append(
            line.format(day=day["day"], country=day["country"], name=name, people=day["people"])
        )
    if plan["unknown"]:
        line = _("No calendar of public holidays is known for: {countries}.")
        found.append(line.format(countries=", ".join(plan["unknown"])))
    return found


def doors_that_know(reading: Mapping[str, Any] | None) -> list[tuple[str, object]]:
    """Return the line about the share of mail reading that an order can reach at all."""
    if reading is None:  # planned by an older version
        return []
    what = _("mail read through doors that know the device ({days} days)")
    share = _("not counted yet") if reading["per_cent"] is None else f"{reading['per_cent']} %"
    return [(what.format(days=reading["days"]), share)]
