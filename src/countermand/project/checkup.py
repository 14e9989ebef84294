"""What `doctor` looks at: each check says what it saw, and what to do when that is bad.

Nothing is changed by a check, and none waits longer than a few seconds.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from countermand import clock, environment
from countermand.config import Settings
from countermand.domain.errors import CountermandError
from countermand.gate import keys as gate_keys
from countermand.i18n import gettext as _
from countermand.i18n import language_in_use, told, told_fault
from countermand.orders import house_settings
from countermand.project import installation, ports, postgres_home, sweep_note
from countermand.project.findings import Finding, State
from countermand.project.folder_lock import is_held
from countermand.project.gate_checkup import examine_gates
from countermand.project.login_checkup import examine_logins
from countermand.project.mail_checkup import examine_limits, examine_returned
from countermand.project.order_checkup import examine_orders
from countermand.project.people_checkup import examine_people
from countermand.project.report_checkup import examine_reports
from countermand.project.sender_checkup import examine_sender_hosts
from countermand.project.session_checkup import examine_sessions
from countermand.stop import fence

_PATIENCE_S: Final = 3.0
_FARTHEST_CLOCK_S: Final = 60.0  # beyond it a gate believes no deadline
_LONGEST_SWEEP_S: Final = 120.0
_OPEN_TO_OTHERS: Final = 0o077


def examine(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what every check finds; a check that breaks is a finding too."""
    checks: dict[str, Callable[[], Finding]] = {
        "folder": lambda: _folder(settings),
        "keys": lambda: _keys(settings),
        "settings": lambda: _settings(settings, environ),
        "programs": _programs,
        "running": lambda: _running(settings),
        "database": lambda: _database(settings),
        "worker": lambda: _worker(settings),
        "inventories": lambda: _inventories(settings),
        "people": lambda: examine_people(settings),
        "logins": lambda: examine_logins(settings),
        "orders": lambda: examine_orders(settings, now=clock.for_data(settings.folder).now()),
        "reports": lambda: examine_reports(settings, now=clock.for_data(settings.folder).now()),
        "clock": lambda: _clock(settings),
        "stops": lambda: _stops(settings),
        "relay": lambda: _relay(settings),
        "returned": lambda: examine_returned(settings),
        "limits": lambda: examine_limits(settings),
        "gates": lambda: examine_gates(settings),
        "sender-hosts": lambda: examine_sender_hosts(settings),
        "sessions": lambda: examine_sessions(settings),
        "lookup": lambda: _lookup(settings),
    }
    for name, check in checks.items():
        try:
            found = check()
        except CountermandError as error:
            sentence, remedy = told(error, language_in_use())
            found = Finding(name, State.BAD, sentence, remedy)
        except (OSError, psycopg.Error) as error:
            found = Finding(name, State.BAD, f"{type(error).__name__}: {error}".strip())
        yield found


def _folder(settings: Settings) -> Finding:
    folder = settings.folder
    if not folder.exists:
        return Finding(
            "folder",
            State.BAD,
            _("There is no data folder at {data}.").format(data=folder.path),
            _("Run countermand up or countermand init, or name the folder with --data."),
        )
    private = (*folder.folders, folder.instance)
    if wrong := [path.name for path in private if _is_open(path)]:
        return _open_to_others("folder", wrong)
    kind = _("a demonstration") if folder.is_demonstration else _("an installation for real orders")
    return Finding("folder", State.GOOD, f"{folder.path}: {kind}")


def _is_open(path: Path) -> bool:
    status = path.lstat()
    foreign = status.st_uid not in {os.geteuid(), 0}
    return foreign or bool(stat.S_IMODE(status.st_mode) & _OPEN_TO_OTHERS)


def _open_to_others(name: str, paths: list[str]) -> Finding:
    return Finding(
        name,
        State.BAD,
        _("Others may read or change: {paths}.").format(paths=", ".join(paths)),
        _("Take their rights away: chmod go= on each."),
    )


def _keys(settings: Settings) -> Finding:
    files = installation.secret_files(settings.folder)
    if missing := [path.name for path in files if not path.exists()]:
        return Finding(
            "keys",
            State.BAD,
            _("Keys are missing: {names}.").format(names=", ".join(missing)),
            _("Restore them from a backup; countermand init makes new ones."),
        )
    if wrong := [path.name for path in files if _is_open(path)]:
        return _open_to_others("keys", wrong)
    signer = installation.log_signer(settings.folder)
    if signer.verifier.encode() != installation.log_verifier(settings.folder).encode():
        return Finding("keys", State.BAD, _("The two keys of the log do not belong together."))
    gate_keys.GateKeys.load(settings.folder.keys)
    gate_keys.PublisherKey.load(settings.folder.keys)
    return Finding("keys", State.GOOD, _("All keys are there, and only for you to read."))


def _settings(settings: Settings, environ: Mapping[str, str]) -> Finding:
    if unknown := environment.unknown_names(environ):
        return Finding(
            "settings",
            State.BAD,
            _("There are no such settings: {names}.").format(names=", ".join(unknown)),
            _("Look for the right spelling in docs/reference/settings.md."),
        )
    if faults := house_settings.faults_of(settings):
        said = [told_fault(fault, language_in_use()) for fault in faults]
        sentences, remedies = (" ".join(each) for each in zip(*said, strict=True))
        return Finding("settings", State.BAD, sentences, remedies)
    return Finding("settings", State.GOOD, _("Every setting is known."))


def _programs() -> Finding:
    place = postgres_home.wheel()
    return Finding("programs", State.GOOD, f"PostgreSQL {postgres_home.MAJOR}: {place}")


def _running(settings: Settings) -> Finding:
    told_of = settings.folder.running()
    if is_held(settings.folder.lock):
        sentence = _("countermand up runs as process {pid}.").format(pid=told_of.get("pid", "?"))
        return Finding("running", State.GOOD if told_of.get("ready") else State.NOTE, sentence)
    return Finding("running", State.NOTE, _("countermand up does not run here."))


def _database(settings: Settings) -> Finding:
    if not settings.database_url:
        return Finding(
            "database",
            State.BAD,
            _("No database is known."),
            _("Start it with countermand up, or name one in DATABASE_URL."),
        )
    with psycopg.connect(settings.database_url, connect_timeout=int(_PATIENCE_S)) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version'), current_setting('fsync'),"
            " current_setting('full_page_writes')"
        ).fetchone()
    version, *durable = row or ("?",)
    if durable != ["on", "on"]:
        return Finding(
            "database",
            State.BAD,
            _("The database may forget what it confirmed when the power fails."),
            _("Set fsync and full_page_writes to on."),
        )
    if settings.sender_database_url:
        psycopg.connect(settings.sender_database_url, connect_timeout=int(_PATIENCE_S)).close()
    return Finding("database", State.GOOD, f"PostgreSQL {version}")


def _worker(settings: Settings) -> Finding:
    last = sweep_note.read(settings.folder)
    if last is None:
        return Finding("worker", State.NOTE, _("No worker has looked for due work here yet."))
    ago_s = max(0, round(time.time() - last.ended_at))  # noqa: TID251  (when a file was written)
    if ago_s > max(_LONGEST_SWEEP_S, 3 * settings.sweep_every_s):
        return Finding(
            "worker",
            State.BAD,
            _(
                "The worker has not looked for due work for {seconds} s: "
                "no wave begins and no door closes meanwhile."
            ).format(seconds=ago_s),
            _("Start it with countermand up; its log says why it ended or stands still."),
        )
    sentence = _("The worker looked for due work {seconds} s ago.")
    return Finding("worker", State.GOOD, sentence.format(seconds=ago_s))


def _inventories(settings: Settings) -> Finding:
    if not settings.database_url:
        return Finding("inventories", State.NOTE, _("No database is known."))
    with psycopg.connect(settings.database_url, connect_timeout=int(_PATIENCE_S)) as connection:
        rows = connection.execute(
            "SELECT name, count(held.id) FROM devices_source AS one LEFT JOIN devices_helddevice AS"
            " held ON held.source = one.name AND held.confirmed_at IS NULL"
            " GROUP BY name, last_error HAVING last_error = 'devices.held' OR count(held.id) > 0"
            " ORDER BY name"
        ).fetchall()
    if not rows:
        return Finding("inventories", State.GOOD, _("No source waits for a decision."))
    return Finding(
        "inventories",
        State.BAD,
        _("Too much would change at once, so it is held: {sources}.").format(
            sources=", ".join(f"{name} ({devices})" if devices else name for name, devices in rows)
        ),
        _("If it is right: countermand sources sync NAME --confirm-mass-change. Else mend it."),
    )


def _clock(settings: Settings) -> Finding:
    if settings.folder.is_demonstration and settings.folder.clock_file.exists():
        rate = clock.read_told(settings.folder.clock_file).rate
        hurries = _("The clock of this demonstration runs {rate} times as fast as real time.")
        walks = _("The clock of this demonstration is told; it runs as fast as real time.")
        sentence = walks if rate == 1 else hurries
        return Finding("clock", State.NOTE, sentence.format(rate=f"{rate:g}"))
    if not settings.database_url:
        return Finding("clock", State.NOTE, _("There is no second clock to compare with."))
    with psycopg.connect(settings.database_url, connect_timeout=int(_PATIENCE_S)) as connection:
        row = connection.execute("SELECT clock_timestamp()").fetchone()
    here = clock.SystemClock().now()
    apart_s = abs((here - _instant(row)).total_seconds())
    if apart_s > _FARTHEST_CLOCK_S:
        return Finding(
            "clock",
            State.BAD,
            _("The clocks here and in the database are {apart} s apart.").format(
                apart=round(apart_s)
            ),
            _("Let both machines take their time from the same source (NTP)."),
        )
    return Finding("clock", State.GOOD, _("The clocks here and in the database agree."))


def _instant(row: tuple[object, ...] | None) -> datetime:
    at = row[0] if row else None
    return at if isinstance(at, datetime) else datetime.min.replace(tzinfo=UTC)


def _stops(settings: Settings) -> Finding:
    standing = fence.read_all(settings.folder.fences)
    final = sum(1 for each in standing.values() if each.withdrawn)
    sentence = _("Orders that were ever paused or taken back: {all}, taken back: {final}.")
    return Finding("stops", State.GOOD, sentence.format(all=len(standing), final=final))


def _relay(settings: Settings) -> Finding:
    settings.check_relay()
    try:
        socket.create_connection(ports.split(settings.relay), timeout=_PATIENCE_S).close()
    except OSError:
        return Finding(
            "relay",
            State.BAD,
            _("The mail relay {relay} does not answer.").format(relay=settings.relay),
            _("Look whether it runs, or mend the setting COUNTERMAND_RELAY."),
        )
    return Finding("relay", State.GOOD, _("{relay} answers.").format(relay=settings.relay))


def _lookup(settings: Settings) -> Finding:
    if not (settings.folder.lookup / "index.html").is_file():
        return Finding(
            "lookup",
            State.BAD,
            _("The look-up page is not written yet."),
            _("Start countermand up; it writes the page."),
        )
    return Finding("lookup", State.GOOD, _("The look-up page is there."))
