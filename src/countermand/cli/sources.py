"""`countermand sources`: inventories that are asked by themselves; no secret is kept of any."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from countermand.cli import (
    given,
    held_inventories,
    import_devices,
    import_outcome,
    output,
)
from countermand.cli.session import session
from countermand.cli.shown_time import instant
from countermand.connectors.names import SourceKind
from countermand.i18n import gettext as _

if TYPE_CHECKING:
    from countermand.cli.session import Session
    from countermand.devices.sources import SourceView
    from countermand.project.source_runs import Ran

Name = Annotated[str, typer.Argument(help=_("The name of the source: kind, or kind:label."))]
_KINDS = ", ".join(kind.value for kind in SourceKind if kind is not SourceKind.CSV)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        no_args_is_help=True,
        help=_("Ask inventories by themselves: where they are, when, and how it went."),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    verbs = (
        (
            "add",
            add,
            _("Add a source. Secrets are named (file:… or env:…), never kept."),
            " jamf --url https://jamf.example.org --client-id ID --secret file:/etc/jamf",
        ),
        ("test", try_out, _("See whether a source lets us in; nothing is changed."), " jamf"),
        ("sync", sync, _("Ask a source now; --dry-run only says what would change."), " jamf"),
        (
            "status",
            status,
            _("Show all sources: how far a run is, last success, next run, last fault."),
            "",
        ),
        ("remove", remove, _("Forget a source; what it said stays."), " jamf"),
    )
    for name, verb, said, rest in verbs:
        group.command(name, help=output.taught(said, f"sources {name}{rest}"))(verb)
    app.add_typer(group, name="sources")


def add(  # one option for each thing that a source can be told
    *,
    name: Name,
    url: Annotated[str, typer.Option(help=_("Its address, such as https://…"))] = "",
    secret: Annotated[
        str, typer.Option(help=_("Where its key stands: file:/path or env:NAME."))
    ] = "",
    hook_secret: Annotated[
        str, typer.Option(help=_("Where the key of its hook stands: file:/path or env:NAME."))
    ] = "",
    client_id: Annotated[str, typer.Option(help=_("The id of the API client."))] = "",
    tenant: Annotated[str, typer.Option(help=_("The Entra tenant."))] = "",
    enterprise: Annotated[
        str, typer.Option(help=_("The Android enterprise, such as enterprises/LC…"))
    ] = "",
    subscription: Annotated[
        str, typer.Option(help=_("The Pub/Sub subscription with its messages."))
    ] = "",
    push_account: Annotated[
        str, typer.Option(help=_("The service account in whose name Pub/Sub posts to us."))
    ] = "",
    push_audience: Annotated[
        str, typer.Option(help=_("The audience that was set at the push subscription."))
    ] = "",
    customer: Annotated[str, typer.Option(help=_("The Google Workspace customer."))] = "",
    subject: Annotated[
        str, typer.Option(help=_("The administrator in whose name Google is asked."))
    ] = "",
    host: Annotated[
        list[str] | None, typer.Option("--host", help=_("One more host that it may lead to."))
    ] = None,
    login_url: Annotated[str, typer.Option(help=_("Where to sign in, for national clouds."))] = "",
    ca_file: Annotated[
        str, typer.Option(help=_("Trust this certificate file in place of the machine's."))
    ] = "",
    private_network: Annotated[
        bool, typer.Option("--private-network", help=_("It stands in our own network."))
    ] = False,
    violations: Annotated[
        bool,
        typer.Option("--violations", help=_("Intune: read violations of restricted apps too.")),
    ] = False,
    every: Annotated[
        str, typer.Option(help=_("How often, such as 6h; nothing: only when told."))
    ] = "",
    as_json: output.JsonFlag = False,
) -> None:
    """Add a source."""
    options: dict[str, Any] = {
        "url": url,
        "secret": secret,
        "hook_secret": hook_secret,
        "client_id": client_id,
        "tenant": tenant,
        "enterprise": enterprise,
        "subscription": subscription,
        "push_account": push_account,
        "push_audience": push_audience,
        "customer": customer,
        "subject": subject,
        "hosts": host or [],
        "login_url": login_url,
        "ca_file": ca_file,
        "private_network": private_network,
        "violations": violations,
    }
    with session() as opened:
        from countermand.connectors import servers
        from countermand.devices import sources

        kept = {key: value for key, value in options.items() if value}
        servers.check_options(kind_of(name), kept)
        sources.add(
            name,
            options=kept,
            every=given.duration(every) if every else None,
            actor_id=_actor_id(opened),
            now=opened.now(),
        )
        view = sources.view(name)
    output.emit(
        answer(view),
        as_json=as_json,
        render=lambda console: output.say(
            console, _("Added {name}. Try it: countermand sources test {name}"), name=name
        ),
    )


def remove(*, name: Name, as_json: output.JsonFlag = False) -> None:
    """Forget a source."""
    with session() as opened:
        from countermand.devices import sources

        sources.remove(name, actor_id=_actor_id(opened), now=opened.now())
    output.emit(
        {"source": name, "removed": True},
        as_json=as_json,
        render=lambda c: output.say(c, _("Removed {name}; what it said stays."), name=name),
    )


def try_out(*, name: Name, as_json: output.JsonFlag = False) -> None:
    """See whether a source lets us in."""
    with session() as opened:
        from countermand.project import source_runs

        source_runs.runner(opened.settings).probe(name, now=opened.now())
    output.emit(
        {"source": name, "lets_us_in": True},
        as_json=as_json,
        render=lambda console: output.say(console, _("{name} lets us in."), name=name),
    )


def sync(
    *,
    name: Name,
    dry_run: import_outcome.DryRun = False,
    confirm_mass_change: import_outcome.Confirm = False,
    as_json: output.JsonFlag = False,
) -> None:
    """Ask a source now."""
    with session() as opened:
        from countermand.devices.actions import LoadOptions
        from countermand.project import source_runs

        options = LoadOptions(
            accept_rejects=True, confirm_mass_change=confirm_mass_change, dry_run=dry_run
        )
        with output.progress(_("Asking {name}").format(name=name)) as advance:
            ran = source_runs.runner(opened.settings).run(
                name,
                now=opened.now(),
                actor_id=_actor_id(opened),
                options=options,
                on_progress=advance,
            )
    told = import_devices.devices_answer(ran.report) if ran.report else {"asked": ran.asked}
    output.emit(
        {"source": name} | told, as_json=as_json, render=lambda console: _show(console, name, ran)
    )
    if ran.report is not None:
        import_outcome.end(ran.report.state)


def status(*, as_json: output.JsonFlag = False) -> None:
    """Show all sources."""
    with session():
        from countermand.devices import sources

        views = sources.every_source()
        held = held_inventories.held()
    output.emit(
        [answer(view) for view in views],
        as_json=as_json,
        render=lambda console: _show_all(console, views, held),
    )


def kind_of(name: str) -> SourceKind:
    """Return the kind that a name begins with. Raises NotUnderstood."""
    kind, colon, label = name.partition(":")
    known = {each.value for each in SourceKind} - {SourceKind.CSV.value}
    plain = label.replace("-", "").isalnum() and label.isascii()
    if kind not in known or len(name) > 50 or (colon and not plain):  # noqa: PLR2004
        raise given.NotUnderstood(text=name, example=_KINDS)
    return SourceKind(kind)


def answer(view: SourceView) -> dict[str, Any]:
    """Return a source as JSON knows it; it holds no secret, so none can be shown."""
    return {
        "name": view.name,
        "kind": view.kind,
        "options": view.options,
        "every_s": int(view.every.total_seconds()) if view.every else None,
        "due_at": view.due_at,
        "tried_at": view.tried_at,
        "succeeded_at": view.succeeded_at,
        "failed_in_a_row": view.failed_in_a_row,
        "last_error": view.last_error,
        "progress": view.progress,
        "held": view.held,
    }


def _show(console: Console, name: str, ran: Ran) -> None:
    if ran.report is not None:
        import_devices.show_devices(console, ran.report)
        return
    line = _("{name}: {count} devices were asked; their answers come through the hook.")
    output.say(console, line, name=name, count=ran.asked)


def _show_all(console: Console, views: tuple[SourceView, ...], held: list[dict[str, Any]]) -> None:
    if not views:
        output.say(console, _("No source is asked by itself yet."))
    else:
        _show_table(console, views)
    held_inventories.draw(console, held)


def _show_table(console: Console, views: tuple[SourceView, ...]) -> None:
    columns = (
        _("Source"),
        _("Every"),
        _("Devices read"),
        _("Last success"),
        _("Next run"),
        _("Last fault"),
    )
    rows = [
        (
            view.name,
            _period(view.every),
            view.progress,
            instant(view.succeeded_at),
            instant(view.due_at),
            f"{view.last_error} ×{view.failed_in_a_row}" if view.last_error else "",
        )
        for view in views
    ]
    console.print(output.table("", columns, rows))


def _period(every: timedelta | None) -> str:
    return str(every) if every else _("when told")


def _actor_id(opened: Session) -> int | None:
    actor = opened.actor_if_any()
    return actor.person_id if actor is not None else None
