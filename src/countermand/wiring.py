"""The one place where ports meet their implementations.

Everything here is loaded when it is asked for: who needs the clock does not load Django.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from countermand import clock as clocks
from countermand.config import Settings
from countermand.data_folder import read_json, write_json
from countermand.ports import Clock, CopyRemover, NoticeLedger, RelayQueue

if TYPE_CHECKING:
    from countermand.connectors.returned_mail.mailbox import ReturnedMail
    from countermand.orders.desk import Desk

# Gates trust a set of states for 15 minutes of their own time.
_PUBLISH_EVERY_S: Final = 30.0
_GRAPH_WAITS_S: Final = 20.0
_COUNT_EVERY: Final = timedelta(minutes=1)
_ASK_EVERY_S: Final = 2.0
_LONGEST_NAME: Final = 300


def clock(settings: Settings) -> Clock:
    """Return the clock of this installation."""
    return clocks.for_data(settings.folder)


@dataclass(frozen=True, slots=True)
class SweepStep:
    """One thing that every sweep looks after; a fault in one never keeps the others from theirs."""

    name: str
    run: Callable[[datetime], object]


def number_log(settings: Settings, now: datetime) -> None:
    """Enter in the log what was let out, then number and sign everything that waits."""
    from countermand.audit import jobs as audit  # noqa: PLC0415  (loads Django)
    from countermand.notices import actions as notices  # noqa: PLC0415
    from countermand.project import installation, witness  # noqa: PLC0415

    notices.catch_up()
    while notices.log_permit_batches(now=now):
        pass
    audit.sequence(now, signer=installation.log_signer(settings.folder))
    witness.remember(settings, real=time.time())


def keep_limits(settings: Settings, now: datetime) -> None:
    """Let the ledger know how many mails a minute the settings allow."""
    from countermand.notices import actions as notices  # noqa: PLC0415  (loads Django)

    worker = f"{os.uname().nodename}:{settings.folder.path}"[-_LONGEST_NAME:]
    notices.keep_limits(settings.mails_per_minute, worker=worker, now=now)


def relay_queue(settings: Settings) -> RelayQueue | None:
    """Return the way into the relay's queue, if there is one."""
    if not settings.relay_queue_command:
        return None
    from countermand.connectors.postfix.queue import PostfixQueue  # noqa: PLC0415

    return PostfixQueue(settings.relay_queue_command, Path(settings.relay_log or "/dev/null"))


def returned_mail(settings: Settings) -> ReturnedMail:
    """Return the reader of mails that came back. Raises ReturnedMailNotUnderstood."""
    from countermand.connectors.returned_mail import mailbox  # noqa: PLC0415

    token = settings.returned_mail_token_path
    return mailbox.opened(
        settings.returned_mail, settings.returned_mail_password, Path(token) if token else None
    )


def take_evidence(settings: Settings, now: datetime) -> None:
    """Hear from mails that came back, and from the relay's log, what became of ours."""
    from countermand.domain.errors import CountermandError  # noqa: PLC0415
    from countermand.notices import hearing  # noqa: PLC0415  (loads Django)
    from countermand.sender.postgres_ledger import PostgresLedger  # noqa: PLC0415

    ways = [_take_log] * bool(settings.relay_log) + [_take_mails] * bool(settings.returned_mail)
    if not ways:
        hearing.nobody_listens()
        return
    faults: list[Exception] = []
    is_all = True
    with closing(PostgresLedger(settings.database_url)) as ledger:
        for take in ways:
            try:
                is_all &= take(settings, ledger, now)
            except (OSError, CountermandError) as fault:  # the other way is heard all the same
                faults.append(fault)
    if faults:
        hearing.note_unheard(now)
        raise faults[0]
    if is_all:
        hearing.note_heard(now)
    else:  # it stays at what was heard before, until the rest is read
        hearing.note_begun(now)


def _take_log(settings: Settings, ledger: NoticeLedger, now: datetime) -> bool:
    """Read on in the log, and say whether its end was reached. Raises OSError."""
    from countermand.connectors.postfix import log  # noqa: PLC0415
    from countermand.notices import evidence, hearing  # noqa: PLC0415  (loads Django)

    kept = settings.folder.run / "relay-log.json"
    place = log.LogPlace.from_json(read_json(kept))
    is_forgotten = not place.inode and hearing.has_heard()  # how far it was read is not known
    evidence.take(log.read_on(Path(settings.relay_log), place), ledger=ledger, now=now)
    has_mailbox = bool(settings.returned_mail)
    if place.has_missed or (is_forgotten and not has_mailbox):
        hearing.note_missed(now, is_heard_elsewhere=has_mailbox)
    write_json(kept, place.as_json())  # only now: read twice is better than never
    return place.is_read_to_end


def _take_mails(settings: Settings, ledger: NoticeLedger, now: datetime) -> bool:
    """Read some returned mails, and say whether those were all. Raises ReturnedMailUnavailable."""
    from countermand.connectors.returned_mail import mailbox, report  # noqa: PLC0415
    from countermand.notices import evidence  # noqa: PLC0415  (loads Django)

    taken = 0
    for mail in returned_mail(settings).unread():
        evidence.take(report.findings(mail), ledger=ledger, now=now)
        taken += 1
    return taken < mailbox.AT_ONCE


@contextmanager
def orders_desk(settings: Settings) -> Iterator[Desk]:
    """Open what moves orders on; its connection to the ledger is closed at the end."""
    from countermand.sender.postgres_ledger import PostgresLedger  # noqa: PLC0415

    with closing(PostgresLedger(settings.database_url)) as ledger:
        yield _desk(settings, ledger)


def _desk(settings: Settings, ledger: NoticeLedger) -> Desk:
    from countermand.orders.desk import open_desk  # noqa: PLC0415  (loads Django)

    return open_desk(settings, owing=ledger, queue=relay_queue(settings))


def complete_stops(settings: Settings, now: datetime) -> None:
    """Finish in the database what the files of stopped orders ask for."""
    from countermand.orders import pressing  # noqa: PLC0415  (loads Django)

    with orders_desk(settings) as desk:
        pressing.complete_stops(desk, now=now)


def pause_what_was_restored(settings: Settings, now: datetime) -> None:
    """Pause every order before anything can leave, when this is a copy or an older state."""
    from countermand.orders import pressing  # noqa: PLC0415  (loads Django)
    from countermand.project import witness  # noqa: PLC0415

    because = witness.disagreement(settings, real=time.time())
    if because:
        with orders_desk(settings) as desk:
            pressing.pause_everything(desk, because=because, now=now)
    witness.remember(settings, real=time.time())


def moving_orders(settings: Settings) -> tuple[SweepStep, SweepStep]:
    """Return the steps that finish stops, and that take whatever step of an order is due.

    Both share one connection to the ledger, made when it is needed first and made anew when lost.
    """
    from countermand.orders import jobs, pressing  # noqa: PLC0415  (loads Django)
    from countermand.sender.postgres_ledger import PostgresLedger  # noqa: PLC0415

    ledger = PostgresLedger(settings.database_url)
    return (
        SweepStep(
            "orders.stops", lambda now: pressing.complete_stops(_desk(settings, ledger), now=now)
        ),
        SweepStep("orders.advance", lambda now: jobs.sweep(_desk(settings, ledger), now=now)),
    )


def show_orders(settings: Settings, now: datetime) -> None:
    """Show the stop, and gates in time before their last word expires, where orders stand."""
    from countermand.enforcement import queries as doors  # noqa: PLC0415  (loads Django)
    from countermand.orders import publishing  # noqa: PLC0415
    from countermand.project import register  # noqa: PLC0415

    register.refresh(settings, now=now)
    newest = doors.newest_states()
    if newest is None or time.time() - newest.issued_ms / 1000 >= _PUBLISH_EVERY_S:
        publishing.publish_states(settings)


def show_everything(settings: Settings, now: datetime) -> None:
    """Write all that the world outside the database is shown, the look-up page included."""
    from countermand.orders import publishing  # noqa: PLC0415  (loads Django)

    publishing.publish(settings, now=now)


def end_sessions(settings: Settings, now: datetime) -> None:
    """End the sessions behind doors that have shut, where a mail server can be asked to."""
    from countermand.connectors.doveadm.sessions import Doveadm  # noqa: PLC0415
    from countermand.orders import closings  # noqa: PLC0415  (loads Django)
    from countermand.stop import fence as fences  # noqa: PLC0415

    if settings.doveadm:
        ender = Doveadm(settings.doveadm, settings.doveadm_key)
        closings.end_sessions(ender, fences.read_all(settings.folder.fences), now=now)


def end_revoked_sessions(settings: Settings, now: datetime) -> None:
    """End the sessions that were opened with a password which is revoked by now."""
    from countermand.connectors.doveadm.sessions import Doveadm  # noqa: PLC0415
    from countermand.enforcement import endings  # noqa: PLC0415  (loads Django)

    if settings.doveadm:
        endings.end_revoked(Doveadm(settings.doveadm, settings.doveadm_key), now=now)


def withdraw_copies(settings: Settings, now: datetime) -> None:
    """Move unread copies of what was taken back out of mailboxes, where that is switched on."""
    if settings.withdraw_copies == "off":
        return
    from countermand.orders import withdrawing  # noqa: PLC0415  (loads Django)

    numbers = withdrawing.open_orders(now)
    if not numbers:
        return
    with orders_desk(settings) as desk, copy_remover(settings) as remover:
        for number in numbers:
            withdrawing.withdraw(number, remover=remover, ledger=desk.ledger, now=now)


@contextmanager
def copy_remover(settings: Settings) -> Iterator[CopyRemover]:
    """Open what moves copies, as the settings say: Dovecot's administration, or Graph."""
    if settings.withdraw_copies == "dovecot":
        from countermand.connectors.doveadm.copies import DovecotCopies  # noqa: PLC0415

        yield DovecotCopies(settings.doveadm, settings.doveadm_key)
        return
    import httpx  # noqa: PLC0415

    from countermand.connectors.graph_mail.copies import GraphCopies  # noqa: PLC0415

    token = _graph_token(settings.graph_tenant, settings.graph_client, settings.graph_secret)
    with httpx.Client(timeout=_GRAPH_WAITS_S) as http:
        yield GraphCopies(http, token)


@lru_cache(maxsize=1)
def _graph_token(tenant: str, client: str, secret: str) -> Callable[[], str]:
    """Return what gives tokens for Microsoft Graph: one for the process, so that they are kept."""
    from countermand.wire import tokens  # noqa: PLC0415

    return tokens.entra(
        None,
        authority=f"https://login.microsoftonline.com/{tenant}",
        client_id=client,
        secret=secret,
        scope="https://graph.microsoft.com/.default",
    )


def follow_device_passwords(settings: Settings, now: datetime) -> None:
    """Bring the mail server's files to the device passwords that are stored."""
    from countermand.enforcement import device_passwords  # noqa: PLC0415  (loads Django)

    device_passwords.follow(settings.device_password_files, now=now)


def counting_doors(settings: Settings) -> Callable[[datetime], None]:
    """Return the step that counts doors, for a clock that may hurry: gates are real all the same.

    It asks them every two seconds of the machine's own time at most.
    """
    asked_s = -_ASK_EVERY_S

    def count(now: datetime) -> None:
        nonlocal asked_s
        if time.monotonic() - asked_s >= _ASK_EVERY_S:
            asked_s = time.monotonic()
            count_doors(settings, now)

    return count


def count_doors(settings: Settings, now: datetime) -> None:
    """Keep what gates counted, and forget what no gate needs any more; once a minute."""
    from countermand.devices import links  # noqa: PLC0415  (loads Django)
    from countermand.enforcement import door_counts, purging, unknown_clients  # noqa: PLC0415

    last = door_counts.last_read_at()
    if last is not None and now - last < _COUNT_EVERY:
        return
    for said in door_counts.ask(settings.gates, token=settings.gate_token):
        door_counts.keep(said, now=now)
    links.note(unknown_clients.ask(settings.gates, token=settings.gate_token, now=now))
    links.forget(now=now)
    door_counts.forget(now=now)
    purging.purge(settings.gates, now=now)


def known_doors() -> Callable[[datetime], object]:
    """Return a step that tells doors which devices are there, and remembers what it told them."""
    from countermand.enforcement.known_doors import KnownDoors  # noqa: PLC0415  (loads Django)

    known = KnownDoors()
    return lambda _now: known.follow()


def asking_sources(settings: Settings, now: Callable[[], datetime]) -> Callable[[], None]:
    """Return what begins to ask every inventory whose time has come, and waits for none.

    Looks at single devices, at which sources hinted and for which people asked, are begun apart.
    """
    from countermand.project import source_hints, source_runs  # noqa: PLC0415  (loads Django)
    from countermand.project.side_by_side import SideBySide  # noqa: PLC0415

    runner = source_runs.runner(settings)
    runs, looks = SideBySide("sources"), SideBySide("hints")

    def ask() -> None:
        try:
            runner.begin_due(runs.begin, now=now)
        finally:  # what keeps runs from beginning keeps no look from it
            source_hints.begin_due(runner, looks.begin, now=now)

    return ask


def forgetting(settings: Settings) -> Callable[[datetime], object]:
    """Return a step that forgets what names people, when its time is, and looks once an hour."""
    from countermand.orders import retention  # noqa: PLC0415  (loads Django)

    return retention.hourly(settings.retention)


def sweep_steps(settings: Settings) -> tuple[SweepStep, ...]:
    """Return what a sweep does, in order: stops first, and the log last."""
    stops, orders = moving_orders(settings)
    return (
        stops,
        SweepStep("mail.limits", lambda now: keep_limits(settings, now)),
        SweepStep("mail.evidence", lambda now: take_evidence(settings, now)),
        orders,
        SweepStep("orders.show", lambda now: show_orders(settings, now)),
        SweepStep("mail.copies", lambda now: withdraw_copies(settings, now)),
        SweepStep("doors.end_sessions", lambda now: end_sessions(settings, now)),
        SweepStep("doors.passwords", lambda now: follow_device_passwords(settings, now)),
        SweepStep("doors.end_revoked", lambda now: end_revoked_sessions(settings, now)),
        SweepStep("doors.known", known_doors()),
        SweepStep("doors.count", counting_doors(settings)),
        SweepStep("people.forget", forgetting(settings)),
        SweepStep("log.number", lambda now: number_log(settings, now)),
    )
