"""Opens a configured source over HTTP: its address, its keys, the hosts that it may lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from countermand.connectors.android_management import fetch as android
from countermand.connectors.android_management.source import AndroidManagementReader
from countermand.connectors.fleet.fetch import FleetServer
from countermand.connectors.fleet.source import FleetReader
from countermand.connectors.intune_export import graph
from countermand.connectors.intune_export.source import IntuneExport
from countermand.connectors.jamf.fetch import JamfServer
from countermand.connectors.jamf.source import JamfReader
from countermand.connectors.names import SourceKind
from countermand.connectors.nanomdm.commands import NanoMdmServer
from countermand.connectors.workspace import fetch as workspace
from countermand.connectors.workspace.source import WorkspaceReader
from countermand.domain.app_id import WantedApp
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.ports import InventorySource
from countermand.wire import tokens
from countermand.wire.hosts import AllowedHosts
from countermand.wire.http import Http, Waiting
from countermand.wire.json_documents import Record
from countermand.wire.paged import DocumentReader, PagedSource
from countermand.wire.secrets import SecretReference

# What each kind must be told, and where it lives when nothing else is said.
NEEDED: Final[Mapping[SourceKind, tuple[str, ...]]] = MappingProxyType(
    {
        SourceKind.INTUNE: ("tenant", "client_id", "secret"),
        SourceKind.JAMF: ("url", "client_id", "secret"),
        SourceKind.FLEET: ("url", "secret"),
        SourceKind.NANOMDM: ("url", "secret", "hook_secret"),
        SourceKind.ANDROID_MANAGEMENT: ("enterprise", "secret"),
        SourceKind.WORKSPACE: ("secret", "subject"),
    }
)
SECRETS: Final = ("secret", "hook_secret")
_HOSTS: Final[Mapping[SourceKind, tuple[str, ...]]] = MappingProxyType(
    {
        SourceKind.INTUNE: (
            "graph.microsoft.com",
            "login.microsoftonline.com",
            *graph.REPORT_HOSTS,
        ),
        SourceKind.ANDROID_MANAGEMENT: (
            "androidmanagement.googleapis.com",
            "pubsub.googleapis.com",
            "oauth2.googleapis.com",
            "www.googleapis.com",  # the keys with which Google signs what it posts
        ),
        SourceKind.WORKSPACE: ("admin.googleapis.com", "oauth2.googleapis.com"),
    }
)


@dataclass(eq=False)
class OptionMissing(CountermandError):
    """A source cannot be asked without this."""

    kind: str
    option: str

    code: ClassVar[str] = "source.option_missing"
    sentence: ClassVar[str] = gettext_noop("A source of the kind {kind} needs {option}.")
    remedy: ClassVar[str] = gettext_noop("The page on this source says where to find it.")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run has at hand: secrets, time, a folder of its own, and what is durable."""

    environ: Mapping[str, str]
    folder: Path
    jobs: graph.Jobs
    epoch_s: Callable[[], float]
    waiting: Waiting = field(default_factory=Waiting)


@dataclass(frozen=True, slots=True)
class OpenServer:
    """One server that can be asked."""

    probe: Callable[[], None]
    source: Callable[[Sequence[WantedApp], datetime], InventorySource]
    # Single devices, by the ids that the source gives them; None where it cannot be asked so.
    again: Callable[[Sequence[str], Sequence[WantedApp]], Iterator[Record]] | None = None
    # Makes the source itself look anew, where it must be told to.
    refresh: Callable[[Sequence[str]], None] | None = None
    # What was installed or removed since an instant, as events.
    feed: Callable[[Sequence[WantedApp], datetime], Iterator[Record]] | None = None
    nanomdm: NanoMdmServer | None = None
    # Messages that wait, and how to say that they were taken in.
    pull: Callable[[], Record] | None = None
    acknowledge: Callable[[Record], None] | None = None
    reader: Callable[[], DocumentReader] | None = None
    # As of when the list speaks that `source` gave, which may be from before a run's beginning.
    as_of: Callable[[datetime], datetime] = lambda begun_at: begun_at


def check_options(kind: SourceKind, options: Mapping[str, Any]) -> None:
    """Raise OptionMissing, NoReference or HostNotAllowed for options that cannot work."""
    for option in NEEDED.get(kind, ()):
        if not options.get(option):
            raise OptionMissing(kind=kind.value, option=f"--{option.replace('_', '-')}")
    for option, other in (
        ("push_account", "push_audience"),
        ("push_audience", "push_account"),
    ):
        if options.get(option) and not options.get(other):
            raise OptionMissing(kind=kind.value, option=f"--{other.replace('_', '-')}")
    for option in SECRETS:
        if options.get(option):
            SecretReference.parse(str(options[option]), option=f"--{option.replace('_', '-')}")
    if url := options.get("url"):
        allowed_hosts(kind, options).check(str(url))


def allowed_hosts(kind: SourceKind, options: Mapping[str, Any]) -> AllowedHosts:
    """Return the hosts of a source: its own address, its maker's, and those that were named."""
    own = (urlsplit(str(options.get(key, ""))).hostname or "" for key in ("url", "login_url"))
    named = options.get("hosts") or ()
    hosts = [each for each in (*own, *_HOSTS.get(kind, ()), *named) if each]
    return AllowedHosts.of(hosts, private=bool(options.get("private_network")))


@contextmanager
def opened(
    name: str, kind: SourceKind, options: Mapping[str, Any], around: Surroundings
) -> Iterator[OpenServer]:
    """Open a source for one run. Raises OptionMissing, SecretNotReadable."""
    check_options(kind, options)
    with Http(
        allowed_hosts(kind, options),
        ca_file=str(options.get("ca_file") or ""),
        waiting=around.waiting,
    ) as http:
        yield _OPENERS[kind](_Opening(name, options, around, http))


@dataclass(frozen=True, slots=True)
class _Opening:
    name: str
    options: Mapping[str, Any]
    around: Surroundings
    http: Http

    def text(self, option: str, default: str = "") -> str:
        return str(self.options.get(option) or default).rstrip("/")

    def secret(self) -> str:
        reference = SecretReference.parse(self.text("secret"), option="--secret")
        return reference.read(self.around.environ)

    def paged(
        self,
        reader: DocumentReader,
        documents: Iterator[Record],
        apps: Sequence[WantedApp],
        as_of: datetime,
    ) -> InventorySource:
        return PagedSource(reader, documents, apps, as_of, source=self.name)


def _jamf(opening: _Opening) -> OpenServer:
    base = opening.text("url")
    token = tokens.client_credentials(
        opening.http,
        f"{base}/api/v1/oauth/token",
        client_id=opening.text("client_id"),
        secret=opening.secret(),
    )
    server = JamfServer(opening.http, base, token)
    return OpenServer(
        probe=server.probe,
        source=lambda apps, as_of: opening.paged(JamfReader(), server.documents(), apps, as_of),
        again=lambda ids, _apps: server.again(ids),
        reader=JamfReader,
    )


def _fleet(opening: _Opening) -> OpenServer:
    server = FleetServer(opening.http, opening.text("url"), opening.secret())
    return OpenServer(
        probe=server.probe,
        source=lambda apps, as_of: opening.paged(
            FleetReader(), server.documents(apps), apps, as_of
        ),
        again=server.again,
        refresh=server.refresh,
        reader=FleetReader,
    )


def _google(opening: _Opening, scope: str) -> tokens.Token:
    return tokens.google_service_account(
        opening.http,
        opening.secret(),
        scope=scope,
        subject=opening.text("subject"),
        now=opening.around.epoch_s,
    )


def _android_management(opening: _Opening) -> OpenServer:
    server = android.AndroidManagementServer(
        opening.http,
        _google(opening, f"{android.SCOPE} {android.PUBSUB_SCOPE}"),
        opening.text("enterprise"),
        base=opening.text("url", "https://androidmanagement.googleapis.com"),
        pubsub=opening.text("url", "https://pubsub.googleapis.com"),
    )
    subscription = opening.text("subscription")
    return OpenServer(
        probe=server.probe,
        source=lambda apps, as_of: opening.paged(
            AndroidManagementReader(), server.documents(), apps, as_of
        ),
        pull=(lambda: server.pull(subscription)) if subscription else None,
        acknowledge=lambda answer: server.acknowledge(subscription, answer),
        again=lambda names, _apps: server.again(names),
        reader=AndroidManagementReader,
    )


def _workspace(opening: _Opening) -> OpenServer:
    server = workspace.WorkspaceServer(
        opening.http,
        _google(opening, workspace.SCOPE),
        customer=opening.text("customer", "my_customer"),
        base=opening.text("url", "https://admin.googleapis.com"),
    )
    return OpenServer(
        probe=server.probe,
        source=lambda apps, as_of: opening.paged(
            WorkspaceReader(), server.documents(), apps, as_of
        ),
        again=lambda ids, _apps: server.again(ids),
        feed=lambda apps, since: server.activities(apps, since=since),
        reader=WorkspaceReader,
    )


def _intune(opening: _Opening) -> OpenServer:
    base = opening.text("url", graph.GRAPH)
    login = opening.text("login_url", graph.LOGIN)
    token = tokens.entra(
        opening.http,
        authority=f"{login}/{opening.text('tenant')}",
        client_id=opening.text("client_id"),
        secret=opening.secret(),
        scope=f"{base}/.default",
    )
    around = opening.around
    server = graph.GraphServer(opening.http, token, around.folder, around.jobs, base=base)
    reads_violations = bool(opening.options.get("violations"))

    def as_of_reports(begun_at: datetime) -> datetime:
        return min(begun_at, around.jobs.taken_up_from() or begun_at)

    def source(apps: Sequence[WantedApp], as_of: datetime) -> InventorySource:
        pages = tuple(server.violations()) if reads_violations else ()
        tables = server.tables(apps)
        return IntuneExport(
            tables,
            apps=apps,
            as_of=as_of_reports(as_of),
            documents=pages,
            source=opening.name,
            goes_on=True,
        )

    return OpenServer(
        probe=lambda: server.probe(violations=reads_violations),
        source=source,
        as_of=as_of_reports,
    )


def _nanomdm(opening: _Opening) -> OpenServer:
    server = NanoMdmServer(opening.http, opening.text("url"), opening.secret())

    def source(apps: Sequence[WantedApp], as_of: datetime) -> InventorySource:
        raise NotImplementedError("NanoMDM is asked; its devices answer through the hook")

    return OpenServer(probe=server.probe, source=source, nanomdm=server)


_OPENERS: Final[Mapping[SourceKind, Callable[[_Opening], OpenServer]]] = MappingProxyType(
    {
        SourceKind.INTUNE: _intune,
        SourceKind.JAMF: _jamf,
        SourceKind.FLEET: _fleet,
        SourceKind.NANOMDM: _nanomdm,
        SourceKind.ANDROID_MANAGEMENT: _android_management,
        SourceKind.WORKSPACE: _workspace,
    }
)
