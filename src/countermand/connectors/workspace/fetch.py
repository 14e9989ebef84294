"""Asks Google Workspace for mobile devices, and for what was installed or removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from countermand.domain.app_id import Platform, WantedApp
from countermand.wire.http import Http, NotThere, token_pages
from countermand.wire.json_documents import Record
from countermand.wire.tokens import Token

SCOPE: Final = (
    "https://www.googleapis.com/auth/admin.directory.device.mobile.readonly "
    "https://www.googleapis.com/auth/admin.reports.audit.readonly"
)
PAGE: Final = 100  # the most that the interface gives
_ONE: Final = (
    "resourceId,deviceId,email,model,os,type,lastSync,"
    "serialNumber,managedAccountIsOnOwnerProfile,"
    "applications(packageName,displayName,versionName)"
)
_FIELDS: Final = f"kind,nextPageToken,mobiledevices({_ONE})"


@dataclass(frozen=True, slots=True)
class WorkspaceServer:
    """One customer of Google Workspace."""

    http: Http
    token: Token
    customer: str = "my_customer"
    base: str = "https://admin.googleapis.com"

    def documents(self) -> Iterator[Record]:
        """Yield all pages of devices, with no more fields than are read."""
        url = f"{self.base}/admin/directory/v1/customer/{quote(self.customer)}/devices/mobile"
        params = {
            "projection": "FULL",
            "maxResults": PAGE,
            "orderBy": "lastSync",
            "sortOrder": "DESCENDING",
            "fields": _FIELDS,
        }
        yield from self._pages(url, params)

    def activities(self, apps: Sequence[WantedApp], *, since: datetime) -> Iterator[Record]:
        """Yield what was installed or removed since an instant, of the ordered apps alone."""
        url = f"{self.base}/admin/reports/v1/activity/users/all/applications/mobile"
        packages = {each for app in apps for each in app.asked_for(Platform.ANDROID)}
        for package in sorted(packages):
            params = {
                "eventName": "APPLICATION_EVENT",
                "filters": f"APPLICATION_ID=={package}",
                "startTime": since.isoformat().replace("+00:00", "Z"),
                "maxResults": PAGE,
            }
            yield from self._pages(url, params)

    def again(self, device_ids: Iterable[str]) -> Iterator[Record]:
        """Yield single devices by their resource id, to follow a hint; unknown ones are left out.

        They are given as lists of one, in the form in which all are.
        """
        url = f"{self.base}/admin/directory/v1/customer/{quote(self.customer)}/devices/mobile"
        for device in device_ids:
            params = {"projection": "FULL", "fields": _ONE}
            try:
                found = self._ask(f"{url}/{quote(device, safe='')}", params)
            except NotThere:
                continue
            listed = {"kind": "admin#directory#mobiledevices", "mobiledevices": [found.value]}
            yield Record(found.file, found.place, listed)

    def probe(self) -> None:
        """Ask for one device, to see that key and permissions are right."""
        url = f"{self.base}/admin/directory/v1/customer/{quote(self.customer)}/devices/mobile"
        self._ask(url, {"maxResults": 1, "fields": "kind"})

    def _pages(self, first: str, params: dict[str, Any]) -> Iterator[Record]:
        yield from token_pages(first, ask=lambda which: self._ask(first, params | which))

    def _ask(self, url: str, params: dict[str, Any]) -> Record:
        headers = {"Authorization": f"Bearer {self.token()}"}
        return self.http.json("GET", url, headers=headers, params=params)
