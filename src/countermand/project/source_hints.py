"""What sources post by themselves, and the looks that follow it: at the devices it names, no more.

A post is proven before anything of it is read, and answered only after its hint is durable. What
it says about apps is not believed: each device is asked for with our own key, soon afterwards.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db import transaction

from countermand.connectors import servers, webhooks
from countermand.connectors.names import SourceKind
from countermand.connectors.servers import OpenServer
from countermand.connectors.webhooks import Post, PostRefused
from countermand.devices import hints, sources
from countermand.devices.actions import LoadOptions, LoadState
from countermand.devices.hints import FEED, Due
from countermand.devices.sources import SourceView
from countermand.domain.app_id import WantedApp
from countermand.domain.errors import CountermandError, FaultsFound, gettext_noop
from countermand.project import apple_questions, source_runs
from countermand.project.side_by_side import Begin
from countermand.project.source_runs import Runner
from countermand.wire import google_identity
from countermand.wire.google_identity import PublishedKeys
from countermand.wire.http import Http
from countermand.wire.json_documents import Faulty, Record
from countermand.wire.paged import PagedSource
from countermand.wire.secrets import SecretReference

_LOG: Final = logging.getLogger("countermand.sources")
LOOK_AFTER_REFRESH: Final = timedelta(minutes=3)
READ_FEED_EVERY: Final = timedelta(minutes=15)
FEED_IS_LATE_BY: Final = timedelta(hours=6)  # events come late and out of order
AFTER_A_FAILURE: Final = timedelta(minutes=10)
_KEYS: Final = PublishedKeys(time.monotonic)


def take(runner: Runner, name: str, post: Post, *, now: datetime) -> int:
    """Keep what a post hints at, durably; return how many devices are new among those that wait.

    Raises SourceNotKnown, PostRefused, NotFromGoogle, SecretNotReadable, FaultsFound; and
    SourceUnavailable when it cannot be proven for now.
    """
    view = sources.view(name)
    kind = SourceKind(view.kind)
    _prove(runner, view, post)
    try:
        found = webhooks.read(
            kind, post, options=view.options, apps=source_runs.wanted_apps(), now=now
        )
    except Faulty as faulty:
        raise FaultsFound.of(name, [faulty.fault]) from None
    with transaction.atomic():
        if not sources.is_new_event(name, found.number, now=now):
            return 0
        return hints.note(name, found.devices, due_at=now)


def _prove(runner: Runner, view: SourceView, post: Post) -> None:
    """Raise unless the post shows our key, or an identity that Google has signed for us."""
    options = view.options
    if account := str(options.get("push_account") or ""):
        google_identity.check(
            post.headers.get("authorization", ""),
            audience=str(options.get("push_audience") or ""),
            account=account,
            key=_published(runner, view),
            now_s=time.time(),  # noqa: TID251  (a claim of others is about real time)
        )
        return
    told = str(options.get("hook_secret") or "")
    if not told:
        raise PostRefused(why=gettext_noop("no key is set for posts of this source"))
    reference = SecretReference.parse(told, option="--hook-secret")
    webhooks.check_key(post, reference.read(runner.environ))


def _published(runner: Runner, view: SourceView) -> Callable[[str], Any]:
    def find(number: str) -> Any:
        allowed = servers.allowed_hosts(SourceKind(view.kind), view.options)
        ca_file = str(view.options.get("ca_file") or "")
        with Http(allowed, ca_file=ca_file, waiting=runner.waiting, tries=1) as http:
            url = str(view.options.get("certificates") or google_identity.CERTIFICATES)
            return _KEYS.find(number, http, url)

    return find


def begin_due(runner: Runner, begin: Begin, *, now: Callable[[], datetime]) -> None:
    """Begin to look at every device that was hinted at; no source waits for another's server."""
    _read_feeds_from_now_on(now())
    for due in hints.due(now()):
        begin(due.source, partial(_follow_if_due, runner, due.source, now))


def _follow_if_due(runner: Runner, name: str, now: Callable[[], datetime]) -> None:
    """Look at what is hinted at in a source by now; a fault is kept with it."""
    due = next((each for each in hints.due(now()) if each.source == name), None)
    if due is None:
        return
    try:
        _follow(runner, due, now())
    except (CountermandError, Faulty) as error:
        code = source_runs.in_words(name, error).code
        _LOG.warning("source.failed source=%s code=%s", name, code)
        _failed(due, code, now())
    except Exception as error:  # noqa: BLE001  (its text may hold what must not be kept)
        _LOG.error("source.broke source=%s error=%s", name, type(error).__name__)
        _failed(due, f"broke.{type(error).__name__}", now())


def _failed(due: Due, code: str, now: datetime) -> None:
    sources.failed(due.source, code, now=now)
    hints.postpone(due.source, due.looked, until=now + AFTER_A_FAILURE)


def _read_feeds_from_now_on(now: datetime) -> None:
    """Let the feed of every source that has one be read, now and then."""
    for view in sources.every_source():
        if view.kind == SourceKind.WORKSPACE and view.every:
            hints.note(view.name, [FEED], due_at=now + READ_FEED_EVERY)


def _follow(runner: Runner, due: Due, now: datetime) -> None:
    view = sources.view(due.source)
    with source_runs.own_folder() as folder, runner.opened(view, folder, now) as server:
        if FEED in due.looked:
            _read_feed(view.name, server, now)
        ids = _those_worth_a_look(view.name, server, due.looked, now)
        apps = source_runs.wanted_apps()
        if server.nanomdm is not None:  # it answers through its hook
            apple_questions.ask_now(view.name, server.nanomdm, apps, ids, now=now)
        if server.again is None or not ids:
            hints.followed(view.name, [*due.looked], now=now)
            return
        documents = list(server.again(ids, apps)) if apps else []
    state = _load(view.name, server, documents, apps, now)
    # Held: somebody has to decide about this source, and until then nothing more is taken over.
    if state is LoadState.HELD:
        sources.failed(view.name, "devices.held", now=now)
    hints.followed(view.name, ids, now=now)


def _those_worth_a_look(
    name: str, server: OpenServer, looked: Mapping[str, int], now: datetime
) -> list[str]:
    """Return the devices to ask for; where the source must look first, it is told to, and later."""
    devices = [each for each in looked if each != FEED]
    if server.refresh is None:
        return devices
    if new := [each for each in devices if not looked[each]]:
        server.refresh(new)
        hints.again_later(name, new, at=now + LOOK_AFTER_REFRESH)
    return [each for each in devices if looked[each]]


def _read_feed(name: str, server: OpenServer, now: datetime) -> None:
    """Take in the events that are new: what was installed is seen, what was removed is a hint."""
    apps = source_runs.wanted_apps()
    if server.feed is None or not apps:
        return
    pages = list(server.feed(apps, now - FEED_IS_LATE_BY))
    with transaction.atomic():
        new = [page for each in pages if (page := _new_of(name, each, now)) is not None]
        if new and server.reader is not None:
            source = PagedSource(server.reader(), new, apps, now, source=name)
            options = LoadOptions(accept_rejects=True)
            source_runs.load(source, apps, options, actor_id=None, now=now)
            hints.note(name, source.look_again, due_at=now)
    hints.followed(name, [FEED], now=now)


def _new_of(name: str, page: Record, now: datetime) -> Record | None:
    """Return a page with those of its events alone that were not read before."""
    items = [
        item.value
        for item in page.records("items") or ()
        if sources.is_new_event(name, _number_of(item), now=now)
    ]
    return Record(page.file, page.place, {**page.value, "items": items}) if items else None


def _number_of(item: Record) -> str:
    """Return what is the same when an event comes again."""
    return hashlib.sha256(json.dumps(item.value, sort_keys=True).encode()).hexdigest()


def _load(
    name: str,
    server: OpenServer,
    documents: Sequence[Record],
    apps: Sequence[WantedApp],
    now: datetime,
) -> LoadState | None:
    if server.reader is None or not documents:
        return None
    told = PagedSource(server.reader(), documents, apps, now, source=name, is_listing=False)
    few, options = source_runs.Few(told), LoadOptions(accept_rejects=True)
    report = source_runs.load(few, apps, options, actor_id=None, now=now, owners=few.owners())
    return report.state
