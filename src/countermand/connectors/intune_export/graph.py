"""Asks Microsoft Graph for Intune's reports: which names there are, who has them, which devices.

A report is prepared by a job whose id is durable before it is asked about, for jobs cannot be
listed. The link to a finished report is followed only to Microsoft's own storage, without our
token. Only rows about names that match an ordered app are asked for.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from countermand.byte_source import ByteSource
from countermand.connectors.intune_export import report_zip
from countermand.delimited import Column, read_rows
from countermand.domain.app_id import IdentifierKind, Matcher, WantedApp
from countermand.domain.errors import Fault, gettext_noop
from countermand.fault_list import FaultList
from countermand.wire.http import (
    AnswerNotUnderstood,
    Http,
    SourceRefused,
    SourceUnavailable,
    next_pages,
)
from countermand.wire.json_documents import Record, refuse_error
from countermand.wire.tokens import Token

GRAPH: Final = "https://graph.microsoft.com"
LOGIN: Final = "https://login.microsoftonline.com"
REPORT_HOSTS: Final = ("*.blob.core.windows.net",)
MOST_BYTES: Final = 4 * 1024**3
POLL_S: Final = 15.0
MOST_POLLS: Final = 240
_VIOLATIONS: Final = "/beta/deviceManagement/deviceConfigurationRestrictedAppsViolations"
_JOB_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_NAMES: Final = (
    Column("name", ("ApplicationName", "Application name"), required=True),
    Column("publisher", ("ApplicationPublisher", "Application publisher")),
)
_SELECT: Final[Mapping[str, tuple[str, ...]]] = {
    "AppInvAggregate": ("ApplicationKey", "ApplicationName", "ApplicationPublisher", "DeviceCount"),
    "AppInvRawData": (
        "ApplicationName",
        "ApplicationPublisher",
        "ApplicationVersion",
        "DeviceId",
        "Platform",
    ),
    "Devices": (
        "DeviceId",
        "DeviceName",
        "Ownership",
        "OS",
        "OSVersion",
        "LastContact",
        "EasID",
        "SerialNumber",
        "UPN",
        "UserEmail",
        "ReferenceId",
    ),
}
_NOBODY: Final = b"DeviceId,ApplicationName\n"  # no name matches: nobody has an ordered app


class Jobs(Protocol):
    """Keeps the ids of export jobs; each call is durable when it returns."""

    def running(self, report: str, condition: str) -> str | None:
        """Return a job that was asked for and is not ended, from an earlier run."""
        ...

    def taken_up_from(self) -> datetime | None:
        """Return when the oldest such job was asked for: a report may be as old as that."""
        ...

    def asked(self, report: str, condition: str, job_id: str) -> None:
        """Keep the id of a new job."""
        ...

    def ended(self, job_id: str, state: str) -> None:
        """Keep how a job ended."""
        ...


@dataclass(slots=True)
class JobsInMemory:
    """Jobs of one run alone."""

    jobs: dict[tuple[str, str], str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    def running(self, report: str, condition: str) -> str | None:
        """Return a job that is not ended."""
        job_id = self.jobs.get((report, condition))
        return job_id if job_id is not None and job_id not in self.states else None

    def taken_up_from(self) -> datetime | None:
        """Return None: a run is short."""
        return None

    def asked(self, report: str, condition: str, job_id: str) -> None:
        """Keep the id of a new job."""
        self.jobs[report, condition] = job_id

    def ended(self, job_id: str, state: str) -> None:
        """Keep how a job ended."""
        self.states[job_id] = state


@dataclass(frozen=True, slots=True)
class GraphServer:
    """One tenant."""

    http: Http
    token: Token
    folder: Path  # for reports while they are read; the caller removes it
    jobs: Jobs = field(default_factory=JobsInMemory)
    base: str = GRAPH

    def tables(self, apps: Sequence[WantedApp]) -> list[ByteSource]:
        """Fetch the reports of one run: who has an ordered app, and all devices."""
        matcher = Matcher(tuple(apps))
        tables = [
            self._report(
                "AppInvRawData", f"(ApplicationName eq '{name.replace(chr(39), chr(39) * 2)}')"
            )
            for name in self.names(matcher)
        ]
        if not tables:
            tables = [ByteSource("AppInvRawData", lambda: io.BytesIO(_NOBODY))]
        return [*tables, self._report("Devices", "")]

    def names(self, matcher: Matcher) -> list[str]:
        """Return the names in the tenant, as it writes them, that match an ordered app."""
        faults, found = FaultList(), set()
        for row in read_rows(self._report("AppInvAggregate", ""), _NAMES, faults):
            kind = IdentifierKind.INTUNE_NAME
            if matcher.by_name(row["name"], row["publisher"], kind=kind):
                found.add(row["name"])
        if faults:
            raise AnswerNotUnderstood(host=self._host, why=faults.faults[0].code)
        return sorted(found)

    def violations(self) -> Iterator[Record]:
        """Yield all pages of violations of a list of restricted apps (beta interface)."""
        yield from self._pages(f"{self.base}{_VIOLATIONS}")

    def managed_devices(self) -> Iterator[Record]:
        """Yield all pages of managed devices."""
        keys = "id,deviceName,userPrincipalName,emailAddress,managedDeviceOwnerType,operatingSystem"
        more = "osVersion,lastSyncDateTime,easDeviceId,serialNumber,udid,azureADDeviceId"
        path = f"/v1.0/deviceManagement/managedDevices?$select={keys},{more}&$top=500"
        yield from self._pages(f"{self.base}{path}")

    def probe(self, *, violations: bool = False) -> None:
        """Ask for one device, to see that key and permissions are right; and one violation."""
        self._ask("GET", f"{self.base}/v1.0/deviceManagement/managedDevices?$select=id&$top=1")
        if violations:
            self._ask("GET", f"{self.base}{_VIOLATIONS}?$top=1")

    def _pages(self, first: str) -> Iterator[Record]:
        def ask(url: str) -> tuple[Record, str]:
            page = self._ask("GET", url)
            refuse_error(page, list_key="value")
            following = page.value.get("@odata.nextLink")
            return page, following if isinstance(following, str) else ""

        yield from next_pages(first, ask=ask)

    def _report(self, report: str, condition: str) -> ByteSource:
        """Let one report be prepared and fetch it; a link that has expired is made anew once."""
        job_id = self.jobs.running(report, condition) or self._start(report, condition)
        try:
            return self._finished(report, job_id)
        except SourceRefused:
            self.jobs.ended(job_id, "expired")
        return self._finished(report, self._start(report, condition))

    def _start(self, report: str, condition: str) -> str:
        body: dict[str, Any] = {
            "reportName": report,
            "select": list(_SELECT[report]),
            "format": "csv",
            "localizationType": "LocalizedValuesAsAdditionalColumn",
        }
        if condition:
            body["filter"] = condition
        answer = self._ask("POST", self._jobs_url, json=body)
        job_id = answer.value.get("id")
        if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
            raise AnswerNotUnderstood(host=self._host, why=gettext_noop("no job id"))
        self.jobs.asked(report, condition, job_id)
        return job_id

    def _finished(self, report: str, job_id: str) -> ByteSource:
        """Wait for a job and open what it made."""
        for _ in range(MOST_POLLS):
            job = self._ask("GET", f"{self._jobs_url}('{job_id}')")
            state = job.value.get("status")
            if state == "completed":
                return self._fetched(report, job_id, job.value.get("url"))
            if state not in {"notStarted", "inProgress", "unknown"}:
                self.jobs.ended(job_id, "failed")
                raise SourceUnavailable(host=self._host, why=f"report {report} failed")
            self.http.waiting.sleep(POLL_S)
        raise SourceUnavailable(host=self._host, why=f"report {report} is not ready")

    def _fetched(self, report: str, job_id: str, link: object) -> ByteSource:
        if not isinstance(link, str) or not link:
            raise AnswerNotUnderstood(host=self._host, why=gettext_noop("no link"))
        path = self.folder / f"{report}-{job_id}.zip"
        self.http.into_file(link, path, most=MOST_BYTES)  # without our token
        opened = report_zip.opened(path)
        self.jobs.ended(job_id, "completed")
        if isinstance(opened, Fault):
            raise AnswerNotUnderstood(host=self._host, why=opened.code)
        return opened

    def _ask(self, method: str, url: str, **body: Any) -> Record:
        headers = {"Authorization": f"Bearer {self.token()}"}
        if url.startswith(f"{self.base}/"):
            return self.http.json(method, url, headers=headers, **body)
        # A next page elsewhere would be handed our token.
        raise AnswerNotUnderstood(host=self._host, why=gettext_noop("pages on another server"))

    @property
    def _jobs_url(self) -> str:
        return f"{self.base}/v1.0/deviceManagement/reports/exportJobs"

    @property
    def _host(self) -> str:
        return self.base.split("/")[2]
