"""Doubles of Jamf Pro, Fleet and NanoMDM: enough of each to be asked over HTTP.

Public, for authors of connectors. Foreign clients are run against them in our own tests, so that
a double cannot drift away from what it plays.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import plistlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from countermand.testing.http_double import Answer, Asked, Reply

Routes = list[tuple[str, str, Answer]]
_ID_FILTER: Final = re.compile(r"(?:mobileDeviceId|id)==\"?(\d+)\"?")


@dataclass(slots=True)
class JamfDouble:
    """Jamf Pro with mobile devices and computers in the form of its own answers."""

    mobile: Sequence[Mapping[str, Any]] = ()
    computers: Sequence[Mapping[str, Any]] = ()
    client_id: str = "countermand"
    secret: str = "invented"  # noqa: S105  (of a double)
    token: str = "jamf-token"  # noqa: S105

    def routes(self) -> Routes:
        """Return what it answers."""
        return [
            ("POST", r"/api/v1/oauth/token", self._token),
            ("POST", r"/api/oauth/token", self._token),
            ("GET", r"/api/v2/mobile-devices/detail", lambda a: self._list(a, self.mobile)),
            ("GET", r"/api/v[123]/computers-inventory", lambda a: self._list(a, self.computers)),
        ]

    def _token(self, asked: Asked) -> Reply:
        form = asked.body.decode()
        if self.client_id not in form or self.secret not in form:
            return Reply.json({"error": "invalid_client"}, 401)
        return Reply.json(
            {"access_token": self.token, "token_type": "Bearer", "scope": "x", "expires_in": 1199}
        )

    def _list(self, asked: Asked, devices: Sequence[Mapping[str, Any]]) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return Reply.json({"httpStatus": 401, "errors": [{"code": "INVALID_TOKEN"}]}, 401)
        wanted = _ID_FILTER.fullmatch(asked.one("filter"))
        rows = [
            row
            for row in devices
            if wanted is None or wanted[1] in {row.get("mobileDeviceId"), row.get("id")}
        ]
        size, number = int(asked.one("page-size", "100")), int(asked.one("page", "0"))
        page = rows[number * size : (number + 1) * size]
        return Reply.json({"totalCount": len(rows), "results": page})


@dataclass(slots=True)
class FleetDouble:
    """Fleet with hosts in the form of its own answers; software is given only when asked for."""

    hosts: Sequence[Mapping[str, Any]] = ()
    token: str = "fleet-token"  # noqa: S105
    refetched: list[str] = field(default_factory=list)

    def routes(self) -> Routes:
        """Return what it answers."""
        api = "/api/v1/fleet"
        return [
            ("GET", rf"{api}/hosts", self._hosts),
            ("GET", rf"{api}/hosts/(\d+)", self._host),
            ("GET", rf"{api}/software/titles", self._titles),
            ("POST", rf"{api}/hosts/(\d+)/refetch", self._refetch),
        ]

    def _titles_by_id(self) -> dict[int, Mapping[str, Any]]:
        titles: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        for host in self.hosts:
            for row in host.get("software", ()):
                key = row.get("bundle_identifier") or row.get("application_id") or ""
                titles.setdefault((row["source"], row["name"], key), row)
        return {500 + number: row for number, row in enumerate(titles.values(), 1)}

    def _titles(self, asked: Asked) -> Reply:
        return self._paged(
            asked,
            "software_titles",
            [
                {k: v for k, v in row.items() if k != "version"} | {"id": number}
                for number, row in self._titles_by_id().items()
            ],
        )

    def _hosts(self, asked: Asked) -> Reply:
        title = asked.one("software_title_id")
        meant = self._titles_by_id().get(int(title)) if title else None
        rows = []
        for host in self.hosts:
            if title and not any(_same_title(row, meant) for row in host.get("software", ())):
                continue
            word = asked.one("query")
            if word and word not in {host.get(k) for k in ("uuid", "hardware_serial", "hostname")}:
                continue
            hidden = {"device_mapping"}
            if asked.one("populate_software") != "true":
                hidden.add("software")
            row = {k: v for k, v in host.items() if k not in hidden}
            if asked.one("device_mapping") == "true":
                row["device_mapping"] = host.get("device_mapping")  # null for a host of nobody
            rows.append(row)
        return self._paged(asked, "hosts", rows)

    def _host(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return Reply.json({"message": "Authentication required"}, 401)
        for host in self.hosts:
            if str(host["id"]) == asked.found[0]:
                hidden = {"device_mapping"}  # in lists alone; here it is called `end_users`
                if asked.one("exclude_software") == "true":
                    hidden.add("software")
                shown = {k: v for k, v in host.items() if k not in hidden}
                return Reply.json({"host": shown | {"end_users": _end_users(host)}})
        return Reply.json({"message": "Resource Not Found"}, 404)

    def _paged(self, asked: Asked, key: str, rows: list[dict[str, Any]]) -> Reply:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return Reply.json({"message": "Authentication required"}, 401)
        size, number = int(asked.one("per_page", "100")), int(asked.one("page", "0"))
        page = rows[number * size : (number + 1) * size]
        more = len(rows) > (number + 1) * size
        return Reply.json({key: page, "meta": {"has_next_results": more}})

    def _refetch(self, asked: Asked) -> Reply:
        self.refetched.append(asked.found[0])
        return Reply.json({})


def _end_users(host: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return who uses a host, as Fleet says it of a single one."""
    mapped = host.get("device_mapping") or ()
    signed_in = [row["email"] for row in mapped if row["source"] == "mdm_idp_accounts"]
    others = [row for row in mapped if row["source"] != "mdm_idp_accounts"]
    return [{"idp_username": next(iter(signed_in), ""), "other_emails": others}] if mapped else []


def _same_title(row: Mapping[str, Any], meant: Mapping[str, Any] | None) -> bool:
    keys = ("source", "name", "bundle_identifier", "application_id")
    return meant is not None and all(row.get(key) == meant.get(key) for key in keys)


@dataclass(slots=True)
class AppleDevice:
    """An Apple device that answers what it is asked, as a real one would."""

    enrollment_id: str
    apps: Sequence[Mapping[str, Any]] = ()
    kind: str = "Device"
    owner: str = ""
    mail_name: str = ""

    def answer(self, command: Mapping[str, Any], command_uuid: str) -> dict[str, Any]:
        """Return the property list that the device sends back."""
        told: dict[str, Any] = {
            "CommandUUID": command_uuid,
            "Status": "Acknowledged",
            "UDID": self.enrollment_id,
        }
        if command["RequestType"] == "DeviceInformation":
            return told | {"QueryResponses": {"EASDeviceIdentifier": self.mail_name}}
        wanted = command.get("Identifiers")
        apps = [app for app in self.apps if wanted is None or app["Identifier"] in wanted]
        return told | {"InstalledApplicationList": apps}


@dataclass(slots=True)
class NanoMdmDouble:
    """NanoMDM with devices: takes commands, and makes the posts of its webhook."""

    devices: Mapping[str, AppleDevice] = field(default_factory=dict)
    api_key: str = "nano-key"
    hook_key: bytes = b"hook-key"
    queued: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    not_to_be_woken: frozenset[str] = frozenset()
    woken: list[str] = field(default_factory=list)
    _posts: int = 0

    def routes(self) -> Routes:
        """Return what it answers."""
        return [
            ("PUT", r"/v1/enqueue/(.+)", self._enqueue),
            ("GET", r"/v1/push/(.+)", self._push),
            ("GET", r"/version", lambda _: Reply.json({"version": "double"})),
        ]

    def posts(self, at: datetime) -> list[tuple[bytes, str]]:
        """Let every device answer; return each post of the webhook: body and signature."""
        made = []
        for device_id, command_uuid, command in self.queued:
            device = self.devices.get(device_id)
            if device is not None:
                payload = device.answer(command, command_uuid)
                made.append(self.post(device, payload, at, command_uuid=command_uuid))
        self.queued.clear()
        return made

    def post(
        self,
        device: AppleDevice,
        payload: Mapping[str, Any],
        at: datetime,
        *,
        command_uuid: str = "",
        status: str = "Acknowledged",
    ) -> tuple[bytes, str]:
        """Return one post of the webhook: body and signature."""
        self._posts += 1
        event: dict[str, Any] = {
            "ids": {"id": device.enrollment_id, "type": device.kind},
            "udid": device.enrollment_id,
            "status": status,
            "command_uuid": command_uuid,
            "raw_payload": base64.b64encode(plistlib.dumps(dict(payload))).decode(),
        }
        if device.owner:
            event["url_params"] = {"owner": device.owner}
        body = json.dumps(
            {
                "topic": "mdm.Connect",
                "event_id": f"event-{self._posts}",
                "created_at": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "acknowledge_event": event,
            }
        ).encode()
        return body, self.signed(body)

    def signed(self, body: bytes) -> str:
        """Return the header that proves a body."""
        return base64.b64encode(hmac.new(self.hook_key, body, hashlib.sha256).digest()).decode()

    def _is_let_in(self, asked: Asked) -> bool:
        told = base64.b64encode(f"nanomdm:{self.api_key}".encode()).decode()
        return asked.headers.get("authorization") == f"Basic {told}"

    def _push(self, asked: Asked) -> Reply:
        if not self._is_let_in(asked):
            return Reply.json({"error": "Unauthorized"}, 401)
        return self._wake(asked.found[0].split(","), {})

    def _wake(self, ids: list[str], answer: dict[str, Any]) -> Reply:
        """Answer as NanoMDM does: 500 when nobody could be woken, 207 when some could not."""
        failed = [each for each in ids if each in self.not_to_be_woken]
        self.woken += [each for each in ids if each not in failed]
        status = {each: {"push_error": "Unregistered"} if each in failed else {} for each in ids}
        code = 500 if len(failed) == len(ids) else 207 if failed else 200
        return Reply.json(answer | {"status": status}, code)

    def _enqueue(self, asked: Asked) -> Reply:
        if not self._is_let_in(asked):
            return Reply.json({"error": "Unauthorized"}, 401)
        wrapped = plistlib.loads(asked.body)
        ids = asked.found[0].split(",")
        self.queued += [(each, wrapped["CommandUUID"], wrapped["Command"]) for each in ids]
        answer = {"command_uuid": wrapped["CommandUUID"]}
        if asked.one("nopush"):
            return Reply.json(answer | {"no_push": True})
        return self._wake(ids, answer)
