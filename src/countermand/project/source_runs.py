"""Runs of configured sources: open, load, and keep how it went.

A run that fails for whatever reason changes nothing about devices; it is tried again after ever
longer pauses. Sources are asked side by side, apart from the sweep: neither an order nor another
source waits for somebody else's server. What they said is loaded one after the other.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Final

from django.db import transaction

from countermand.catalogue.queries import catalogue
from countermand.config import Settings
from countermand.connectors import servers
from countermand.connectors.names import SourceKind
from countermand.connectors.nanomdm import hook
from countermand.connectors.nanomdm.questions import Question
from countermand.connectors.nanomdm.source import NanoMdmReader
from countermand.connectors.servers import OpenServer
from countermand.connectors.wrapped import Wrapped
from countermand.devices import actions, queries, questions, sources, turnover
from countermand.devices.actions import LoadOptions, LoadReport, LoadState
from countermand.devices.sources import SourceView
from countermand.domain.app_id import Platform, WantedApp
from countermand.domain.canonical_json import digest
from countermand.domain.errors import CountermandError, FaultsFound
from countermand.domain.inventory import DeviceReport, told_late
from countermand.orders import queries as orders
from countermand.people import queries as people
from countermand.ports import InventorySource
from countermand.project import apple_questions
from countermand.project.side_by_side import Begin
from countermand.project.spooled import Spooled
from countermand.wire.http import Waiting
from countermand.wire.json_documents import Faulty, Record
from countermand.wire.paged import PagedSource
from countermand.wire.secrets import SecretReference

_LOG = logging.getLogger("countermand.sources")
MOST_PULLS: Final = 1_000
_ONE_LOAD: Final = threading.Lock()  # each keeps a machine of two processors busy


@dataclass(frozen=True, slots=True)
class Ran:
    """How one run ended: what it loaded, or how many devices were asked."""

    report: LoadReport | None = None
    asked: int = 0
    again_at: datetime | None = None  # when something is to be asked before the next regular run
    about: str = ""  # stands for the apps that were asked about


def wanted_apps() -> tuple[WantedApp, ...]:
    """Return the apps that orders name, drafts included: all that is ever looked for."""
    return catalogue().wanted(orders.named_apps(), orders.signed_identifiers())


def asked_about(apps: Sequence[WantedApp] | None = None) -> str:
    """Return a text that changes with what apps are known by, None: those that orders name now."""
    named = {
        app.app_id: sorted({*app.names, *(each.value for each in app.identifiers)})
        + sorted(each.key.value for each in app.signed)
        for app in (wanted_apps() if apps is None else apps)
    }
    return digest(named)


@dataclass(frozen=True, slots=True)
class Runner:
    """Asks sources; time and surroundings are given, so that a test needs no other machine."""

    settings: Settings
    environ: Mapping[str, str]
    waiting: Waiting = field(default_factory=Waiting)

    @contextmanager
    def opened(self, view: SourceView, folder: Path, now: datetime) -> Iterator[OpenServer]:
        """Open a source for one run, with a folder of its own. Raises what `servers` raises."""
        around = servers.Surroundings(
            environ=self.environ,
            folder=folder,
            jobs=sources.DurableJobs(view.name, now=now),
            epoch_s=time.time,  # noqa: TID251  (a claim to others is about real time)
            waiting=self.waiting,
        )
        with servers.opened(view.name, SourceKind(view.kind), view.options, around) as server:
            yield server

    def probe(self, name: str, *, now: datetime) -> None:
        """Ask a source for next to nothing, to see that it lets us in."""
        with own_folder() as folder, self.opened(sources.view(name), folder, now) as server:
            server.probe()

    def run(
        self,
        name: str,
        *,
        now: datetime,
        actor_id: int | None = None,
        options: LoadOptions | None = None,
        on_progress: Callable[[int], None] = lambda _done: None,
    ) -> Ran:
        """Run a source once and keep how it went. Raises what keeps it from running."""
        chosen = options or LoadOptions(accept_rejects=True)
        view = sources.view(name)
        if not chosen.dry_run:
            sources.began(name, now=now)
        try:
            with own_folder() as folder, self.opened(view, folder, now) as server:
                ran = self._run(view, server, now, _Load(actor_id, chosen, on_progress, folder))
        except (CountermandError, Faulty) as error:
            told = in_words(name, error)
            if not chosen.dry_run:
                sources.failed(name, told.code, now=now)
            raise told from None
        if not chosen.dry_run:
            self._keep(name, ran, now)
        return ran

    def _keep(self, name: str, ran: Ran, now: datetime) -> None:
        if ran.report is not None and ran.report.state is LoadState.HELD:
            sources.failed(name, "devices.held", now=now)
            return
        sources.succeeded(name, now=now, about=ran.about, earlier=ran.again_at)

    def _run(self, view: SourceView, server: OpenServer, now: datetime, load: _Load) -> Ran:
        apps = wanted_apps()  # of any that an order names from now on this run says nothing
        about = asked_about(apps)
        if server.nanomdm is not None:
            dry_run = load.options.dry_run
            again: tuple[str, ...] = ()
            if load.options.confirm_mass_change and not dry_run:
                again = actions.confirm_held(view.name, actor_id=load.actor_id, now=now)
                apple_questions.ask_now(view.name, server.nanomdm, apps, again, now=now)
            asked = apple_questions.ask(view.name, server.nanomdm, apps, now=now, dry_run=dry_run)
            again_at = apple_questions.next_due(view.name, apps)
            return Ran(asked=asked + len(again), again_at=again_at, about=about)
        if server.pull is not None and not load.options.dry_run:
            self._drain(view, server, now, load)
        source = server.source(apps, now)
        report = load.take(source, apps, now, as_of=server.as_of(now))
        return Ran(report=report, about=about)

    def _drain(self, view: SourceView, server: OpenServer, now: datetime, load: _Load) -> None:
        """Take in the messages that wait; each is acknowledged after what it said is durable."""
        if server.pull is None or server.acknowledge is None or server.reader is None:
            return
        for _ in range(MOST_PULLS):
            answer = server.pull()
            if not answer.records("receivedMessages"):
                return
            apps = wanted_apps()
            source = PagedSource(server.reader(), [answer], apps, now, source=view.name)
            if load.take(source, apps, now).state is LoadState.HELD:
                return
            server.acknowledge(answer)

    def begin_due(self, begin: Begin, *, now: Callable[[], datetime]) -> None:
        """Begin to run every source whose time has come; none waits for another's server."""
        for view in sources.due(now(), about=asked_about()):
            begin(view.name, partial(self._run_if_due, view.name, now))
        sources.forget(now())
        turnover.forget(now())

    def _run_if_due(self, name: str, now: Callable[[], datetime]) -> None:
        """Run a source, unless it was run meanwhile; a fault is kept with it."""
        if name not in {view.name for view in sources.due(now(), about=asked_about())}:
            return
        try:
            self.run(name, now=now())
        except CountermandError as error:
            _LOG.warning("source.failed source=%s code=%s", name, error.code)
        except Exception as error:  # noqa: BLE001  (its text may hold what must not be kept)
            _LOG.error("source.broke source=%s error=%s", name, type(error).__name__)
            sources.failed(name, f"broke.{type(error).__name__}", now=now())

    def take_in(self, name: str, body: bytes, signature: str, *, now: datetime) -> bool:
        """Take in one post of a hook, durably; False when it came before.

        Raises SourceNotKnown, EventRefused, SecretNotReadable.
        """
        view = sources.view(name)
        told = str(view.options.get("hook_secret", ""))
        key = SecretReference.parse(told, option="--hook-secret").read(self.environ)
        event = hook.taken_in(body, signature, key=key.encode(), now=now)
        with transaction.atomic():
            if not sources.is_new_event(name, event.text("event_id"), now=now):
                return False
            reader = NanoMdmReader(_Questions(name))
            apps = wanted_apps()
            told_of = Few(PagedSource(reader, [event], apps, now, source=name))
            taken = load(
                _InOrder(told_of),
                apps,
                LoadOptions(accept_rejects=True),
                actor_id=None,
                now=now,
                owners=told_of.owners(),
            )
            if taken.state is LoadState.HELD:  # its question stays open
                _LOG.warning("source.held source=%s", name)
                return True
            _note_answer(name, reader, event, now)
        return True


def in_words(name: str, error: CountermandError | Faulty) -> CountermandError:
    """Return an error as a person reads it: a document that is none is a refusal of its source."""
    return FaultsFound.of(name, [error.fault]) if isinstance(error, Faulty) else error


def runner(settings: Settings) -> Runner:
    """Return what runs sources here."""
    return Runner(settings, os.environ)


@dataclass(frozen=True, slots=True)
class _Load:
    """How what a source says is taken over."""

    actor_id: int | None
    options: LoadOptions
    on_progress: Callable[[int], None]
    folder: Path

    def take(
        self,
        source: InventorySource,
        apps: Sequence[WantedApp],
        now: datetime,
        *,
        as_of: datetime | None = None,
    ) -> LoadReport:
        """Read a source to its end, and only then load it."""

        def tell(done: int) -> None:
            self.on_progress(done)
            sources.came_so_far(source.kind, done)

        spooled = Spooled(source, self.folder, on_progress=tell)
        with _ONE_LOAD:
            return load(spooled, apps, self.options, actor_id=self.actor_id, now=now, as_of=as_of)


def load(
    source: InventorySource,
    apps: Sequence[WantedApp],
    options: LoadOptions,
    *,
    actor_id: int | None,
    now: datetime,
    owners: Mapping[str, int] | None = None,
    as_of: datetime | None = None,
) -> LoadReport:
    """Take over what a source says about `apps`, which are those that it was asked about.

    Of one that an order named since, it would say that no device carries it. `owners` are the
    people at its addresses, None: whoever is at any. It speaks as of now, or of an earlier instant.
    """
    return actions.load_inventory(
        source,
        apps=apps,
        owners=people.ids_by_address() if owners is None else owners,
        as_of=as_of or now,
        now=now,
        actor_id=actor_id,
        options=options,
    )


@contextmanager
def own_folder() -> Iterator[Path]:
    """Give a folder that is private, and gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="countermand-source-") as folder:
        yield Path(folder)


class Few(Wrapped):
    """What a source says of a few devices, read to its end; the people of a house may be many."""

    def __init__(self, source: InventorySource) -> None:
        """Read the source."""
        super().__init__(source)
        self._reports = tuple(source.reports())

    def reports(self) -> Iterator[DeviceReport]:
        """Yield what was read."""
        yield from self._reports

    def owners(self) -> Mapping[str, int]:
        """Return the people at the addresses that it names."""
        return people.ids_at_addresses({each for r in self._reports for each in r.owners})


class _InOrder(Wrapped):
    """Messages of a source in the order of their times, in whatever order they come."""

    def reports(self) -> Iterator[DeviceReport]:
        """Yield what each says beside what was heard of its device before."""
        for report in super().reports():
            known = queries.heard(self.kind, report.source_device_id)
            yield (
                report
                if known is None
                else told_late(report, heard_at=known.last_contact_at, is_gone=known.is_gone)
            )


@dataclass(frozen=True, slots=True)
class _Questions:
    """What was asked of which devices, out of the database."""

    name: str

    def asked(self, enrollment_id: str, command_uuid: str) -> Question | None:
        """Return the question, None when it is not one of ours."""
        found = questions.asked(self.name, enrollment_id, command_uuid)
        if found is None:
            return None
        return Question(found.identifiers, managed_only=found.managed_only)

    def platform(self, enrollment_id: str) -> Platform | None:
        """Return what a device is known to run."""
        known = queries.heard(self.name, enrollment_id)
        return known.platform if known is not None else None


def _note_answer(name: str, reader: NanoMdmReader, event: Record, now: datetime) -> None:
    """Keep that a question was answered; NotNow is no answer, the device will be heard again."""
    if event.text("acknowledge_event", "status") in {"Acknowledged", "Error"}:
        command = event.text("acknowledge_event", "command_uuid")
        questions.answered(name, reader.device_id(event), command, now=now)
