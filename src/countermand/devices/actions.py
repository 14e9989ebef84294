"""Taking over what a source says; one transaction each.

A load is all or nothing: a faulty file is refused whole with all its faults, and a run that would
turn over too much is held until a person confirms it. Both directions of a wrong run hurt: mail
opened for everybody, and mail closed for everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final

from django.db import connection, transaction

from countermand.audit import actions as audit
from countermand.devices import turnover
from countermand.devices.loading import SMALL_PART, Loader, SpokenOf, Tally, as_of_last_load
from countermand.devices.models import Device, HeldDevice, ImportRun
from countermand.devices.turnover import MassChange
from countermand.domain.app_id import WantedApp
from countermand.domain.errors import CountermandError, Fault, FaultsFound, gettext_noop
from countermand.domain.inventory import RejectedRow
from countermand.ports import InventorySource

CLOCKS_DIFFER_BY: Final = timedelta(hours=2)  # another machine's clock, at most


class LoadState(StrEnum):
    """What became of a run."""

    LOADED = "loaded"
    HELD = "held"
    REFUSED = "refused"
    TRIED = "tried"  # a dry run: nothing was kept


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What a person decided about a load."""

    accept_rejects: bool = False
    confirm_mass_change: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a run did or would do; `rows_ok` counts the devices that were read."""

    source: str
    as_of: datetime
    state: LoadState
    rows_ok: int
    new: int
    changed: int
    unchanged: int
    gone: int
    without_owner: int
    apps: Mapping[str, Mapping[str, int]]
    rejected: tuple[RejectedRow, ...]
    mass_changes: tuple[MassChange, ...] = ()
    is_whole: bool = True


@dataclass(eq=False)
class OlderThanLoaded(CountermandError):
    """An export from before the newest one that was loaded."""

    source: str
    as_of: str
    newest: str

    code: ClassVar[str] = "devices.older_than_loaded"
    sentence: ClassVar[str] = gettext_noop(
        "This export of {source} is of {as_of}, but one of {newest} is loaded already."
    )
    remedy: ClassVar[str] = gettext_noop("Export anew, or mend --as-of.")


@dataclass(eq=False)
class ExportAhead(CountermandError):
    """An export that claims to have been made in times to come."""

    source: str
    as_of: str

    code: ClassVar[str] = "devices.export_ahead"
    sentence: ClassVar[str] = gettext_noop("This export of {source} is of {as_of}: not yet.")
    remedy: ClassVar[str] = gettext_noop("Mend --as-of; mostly its zone is missing or wrong.")


class _Undo(Exception):
    """Rolls a load back; the report or error to show is kept beside it."""


@dataclass(slots=True)
class _Load:
    """One load on its way."""

    source: InventorySource
    as_of: datetime
    now: datetime
    actor_id: int | None
    options: LoadOptions
    refusal: FaultsFound | None = None
    report: LoadReport | None = None
    is_whole: bool = False
    is_confirmed: bool = False
    apps: Sequence[WantedApp] = field(default_factory=tuple)
    spoken_of: tuple[SpokenOf, ...] = ()
    counted: Mapping[str, int] = field(default_factory=dict)


def load_inventory(
    source: InventorySource,
    *,
    apps: Sequence[WantedApp],
    owners: Mapping[str, int],
    as_of: datetime,
    now: datetime,
    actor_id: int | None,
    options: LoadOptions,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> LoadReport:
    """Replace all that is known from a source by a new run of it, or leave everything as it is.

    `apps` are the ordered ones; nothing about any other is stored. Raises FaultsFound (nothing
    loaded), OlderThanLoaded and ExportAhead. A report with state `held` left everything as it was.
    """
    load = _Load(source=source, as_of=as_of, now=now, actor_id=actor_id, options=options, apps=apps)
    try:
        with transaction.atomic():
            _lock(source.kind)
            _load(load, owners, on_progress)
    except _Undo:
        _record_undone(load)
    if load.refusal is not None:
        raise load.refusal
    if load.report is None:
        raise AssertionError("a load ends with a report or a refusal")
    return load.report


def _lock(source: str) -> None:
    """Let loads of one source come one after the other."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"import:{source}"])


def _load(load: _Load, owners: Mapping[str, int], on_progress: Callable[[int], None]) -> None:
    source = load.source
    # Evidence from the future would count against everything that people say until then.
    if load.as_of > load.now + CLOCKS_DIFFER_BY:
        raise ExportAhead(source=source.kind, as_of=load.as_of.isoformat())
    newest = as_of_last_load(source.kind)
    run = ImportRun.objects.create(
        source=source.kind, as_of=load.as_of, started_at=load.now, state=LoadState.LOADED
    )
    loader = Loader(
        run, apps=load.apps, owners=owners, counted_from=turnover.counted_from(load.now)
    )
    for done in loader.load(source.reports()):
        on_progress(done)
    if source.faults.faults or (source.rejected and not load.options.accept_rejects):
        load.refusal = FaultsFound.of(source.kind, _all_faults(source))
        raise _Undo
    _end(load, loader, newest)
    changes, load.counted = turnover.weigh(
        source.kind, loader.tally, is_whole=load.is_whole, now=load.now
    )
    held = bool(changes) and not (load.is_confirmed or load.options.confirm_mass_change)
    state = LoadState.HELD if held else LoadState.LOADED
    if load.options.dry_run:
        state = LoadState.TRIED
    load.report = _report(load, state, loader.tally, changes)
    if state is not LoadState.LOADED:
        raise _Undo
    run.report = _stored(load.report)
    run.complete = load.is_whole
    run.save(update_fields=["report", "complete"])
    _go_on_counting(load, loader.tally)
    if load.is_whole or loader.tally.devices > SMALL_PART:
        _tell_planner()
    _record(load, load.report)


def _tell_planner() -> None:
    """Let the database count anew what it has just got: orders are planned right after a load.

    By itself it does so a minute later, and reads a whole table for each device until then.
    """
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE devices_device, devices_devicealias, devices_observation")


def _end(load: _Load, loader: Loader, newest: datetime | None) -> None:
    """End a list, from which whoever is missing is gone, or a part, of which nobody is."""
    source = load.source
    if not source.is_whole or not all(row.device_id for row in source.rejected):
        load.spoken_of = loader.end_part()
        load.is_confirmed = turnover.is_confirmed(source.kind, load.spoken_of)
        return
    # An older list would let devices vanish that came since; parts only add evidence.
    if newest is not None and load.as_of < newest:
        raise OlderThanLoaded(
            source=source.kind, as_of=load.as_of.isoformat(), newest=newest.isoformat()
        )
    loader.close(left_as_they_are=(row.device_id for row in source.rejected))
    load.is_whole = True


def _go_on_counting(load: _Load, tally: Tally) -> None:
    """Count what was taken over; from here on where a person said that it is right."""
    source = load.source.kind
    turnover.release(source, None if load.is_whole else load.spoken_of)
    if load.options.confirm_mass_change:
        turnover.start_anew(source)
        return
    if not load.is_confirmed:
        turnover.add(source, tally, now=load.now)
    turnover.remember(source, load.counted, now=load.now)


def _all_faults(source: InventorySource) -> list[Fault]:
    return [*source.faults.faults, *(fault for row in source.rejected for fault in row.faults)]


def _report(
    load: _Load, state: LoadState, tally: Tally, changes: tuple[MassChange, ...]
) -> LoadReport:
    return LoadReport(
        source=load.source.kind,
        as_of=load.as_of,
        state=state,
        rows_ok=tally.devices,
        new=tally.new,
        changed=tally.changed,
        unchanged=tally.unchanged,
        gone=tally.gone,
        without_owner=tally.without_owner,
        apps={app_id: dict(counts) for app_id, counts in tally.presence.items()},
        rejected=tuple(load.source.rejected),
        mass_changes=changes,
        is_whole=load.is_whole,
    )


def _stored(report: LoadReport) -> dict[str, Any]:
    """Return what is kept of a report: numbers, no device and no person."""
    return {
        "devices": report.rows_ok,
        "new": report.new,
        "changed": report.changed,
        "gone": report.gone,
        "without_owner": report.without_owner,
        "rejected": len(report.rejected),
        "is_whole": report.is_whole,
        "apps": {app_id: dict(counts) for app_id, counts in report.apps.items()},
        "mass_changes": [
            {"what": c.what, "app": c.app_id, "count": c.count, "out_of": c.out_of}
            for c in report.mass_changes
        ],
    }


def _record(load: _Load, report: LoadReport) -> None:
    audit.record(
        f"inventory.{report.state}",
        actor_id=load.actor_id,
        facts={"source": report.source, "as_of": report.as_of.isoformat(), **_stored(report)},
        now=load.now,
    )


def _record_undone(load: _Load) -> None:
    """Keep that a run was held or refused; a dry run leaves no trace.

    Of events that are held one after the other, the log tells once an hour.
    """
    if load.options.dry_run:
        return
    with transaction.atomic():
        if load.report is not None:
            turnover.remember(load.source.kind, load.counted, now=load.now)
            is_news = turnover.hold(load.source.kind, load.spoken_of, now=load.now)
            if load.spoken_of and not is_news:
                return
            stored = _stored(load.report)
            _record(load, load.report)
        else:
            stored = {"faults": len(_all_faults(load.source))}
        ImportRun.objects.create(
            source=load.source.kind,
            as_of=load.as_of,
            started_at=load.now,
            complete=False,
            state=LoadState.HELD if load.report is not None else LoadState.REFUSED,
            report=stored,
        )


@transaction.atomic
def confirm_held(source: str, *, actor_id: int | None, now: datetime) -> tuple[str, ...]:
    """Keep a person's word that what is held of a source is right; return whom to ask again.

    What the source let go is gone; what it said of apps is asked for anew, as that may be long ago,
    and the answers pass the guard.
    """
    _lock(source)
    held = HeldDevice.objects.filter(source=source, is_gone=True, confirmed_at__isnull=True)
    let_go = list(held.values_list("source_device_id", flat=True))
    here = Device.objects.filter(source=source, gone_at__isnull=True)
    here.filter(source_device_id__in=let_go).update(gone_at=now)
    held.delete()
    again = turnover.confirm(source, now=now)
    turnover.start_anew(source)
    audit.record(
        "inventory.held_confirmed",
        actor_id=actor_id,
        facts={"source": source, "gone": len(let_go), "asked_again": len(again)},
        now=now,
    )
    return again
