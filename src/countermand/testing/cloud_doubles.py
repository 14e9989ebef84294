"""Doubles of Microsoft Graph with Intune's reports, and of Google's interfaces.

Public, for authors of connectors. Google's own client pages the Google double in our tests.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from countermand.testing.http_double import Answer, Asked, Reply

Routes = list[tuple[str, str, Answer]]


@dataclass(slots=True)
class GoogleDouble:
    """Android Management, Pub/Sub, the Directory and the Reports interface."""

    android: Sequence[Mapping[str, Any]] = ()
    mobile: Sequence[Mapping[str, Any]] = ()
    messages: list[dict[str, Any]] = field(default_factory=list)
    token: str = "google-token"  # noqa: S105  (of a double)
    largest_page: int = 100
    assertions: list[str] = field(default_factory=list)
    activities: Sequence[Mapping[str, Any]] = ()
    signer: rsa.RSAPrivateKey | None = None  # signs what Pub/Sub posts; see `pushed`

    def routes(self) -> Routes:
        """Return what it answers."""
        customer = r"/admin/directory/v1/customer/[^/]+"
        return [
            ("POST", r"/token", self._token),
            ("GET", r"/v1/enterprises/[^/]+/devices", self._android),
            ("GET", r"/v1/(enterprises/[^/]+/devices/[^/]+)", self._android_one),
            ("GET", rf"{customer}/devices/mobile", self._mobile),
            ("GET", rf"{customer}/devices/mobile/([^/]+)", self._mobile_one),
            ("GET", r"/admin/reports/v1/activity/users/all/applications/mobile", self._feed),
            ("GET", r"/oauth2/v3/certs", self._certificates),
            ("POST", r"/v1/projects/[^/]+/subscriptions/[^/:]+:pull", self._pull),
            ("POST", r"/v1/projects/[^/]+/subscriptions/[^/:]+:acknowledge", self._acknowledge),
        ]

    def _token(self, asked: Asked) -> Reply:
        self.assertions.append(asked.body.decode())
        return Reply.json({"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"})

    def _android(self, asked: Asked) -> Reply:
        return self._page(asked, "devices", self.android, "pageSize", {})

    def _mobile(self, asked: Asked) -> Reply:
        told = {"kind": "admin#directory#mobiledevices"}
        return self._page(asked, "mobiledevices", self.mobile, "maxResults", told)

    def _android_one(self, asked: Asked) -> Reply:
        return self._one(asked, self.android, "name")

    def _mobile_one(self, asked: Asked) -> Reply:
        return self._one(asked, self.mobile, "resourceId")

    def _one(self, asked: Asked, rows: Sequence[Mapping[str, Any]], key: str) -> Reply:
        if not self._knows(asked):
            return Reply.json({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, 401)
        found = [row for row in rows if row.get(key) == asked.found[0]]
        if not found:
            return Reply.json({"error": {"code": 404, "status": "NOT_FOUND"}}, 404)
        return Reply.json(found[0])

    def _feed(self, asked: Asked) -> Reply:
        if not self._knows(asked):
            return Reply.json({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, 401)
        wanted = asked.one("filters").removeprefix("APPLICATION_ID==")
        items = [row for row in self.activities if wanted in json.dumps(row)]
        told = {"kind": "admin#reports#activities"}
        return Reply.json(told | ({"items": items} if items else {}))

    def _certificates(self, _asked: Asked) -> Reply:
        if self.signer is None:
            return Reply.json({"keys": []})
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.signer.public_key()))
        return Reply.json({"keys": [key | {"kid": "double", "use": "sig", "alg": "RS256"}]})

    def identity(self, *, audience: str, account: str, at: float, **claims: Any) -> str:
        """Return the token by which Google proves what it posts; `at` is epoch seconds."""
        told = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "email": account,
            "email_verified": True,
            "iat": int(at),
            "exp": int(at) + 3600,
            "sub": "1",
        }
        if self.signer is None:
            raise ValueError("a signer is needed")
        return jwt.encode(told | claims, self.signer, algorithm="RS256", headers={"kid": "double"})

    def _page(
        self,
        asked: Asked,
        key: str,
        rows: Sequence[Mapping[str, Any]],
        size_key: str,
        told: Mapping[str, Any],
    ) -> Reply:
        if not self._knows(asked):
            return Reply.json({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, 401)
        size = min(int(asked.one(size_key, "10")), self.largest_page)
        start = int(base64.urlsafe_b64decode(asked.one("pageToken", "MA==")).decode())
        answer: dict[str, Any] = dict(told)
        if page := list(rows[start : start + size]):
            answer[key] = page
        if start + size < len(rows):
            answer["nextPageToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
        return Reply.json(answer)

    def _pull(self, asked: Asked) -> Reply:
        if not self._knows(asked):
            return Reply.json({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, 401)
        waiting = self.messages[: int(asked.json().get("maxMessages", 1))]
        return Reply.json({"receivedMessages": waiting} if waiting else {})

    def _acknowledge(self, asked: Asked) -> Reply:
        done = set(asked.json()["ackIds"])
        self.messages[:] = [each for each in self.messages if each["ackId"] not in done]
        return Reply.json({})

    def _knows(self, asked: Asked) -> bool:
        return asked.headers.get("authorization") in {f"Bearer {self.token}", None}


def message(device: Mapping[str, Any], number: int, kind: str = "STATUS_REPORT") -> dict[str, Any]:
    """Return a message of Pub/Sub about a device, as a pull gives it."""
    return {
        "ackId": f"ack-{number}",
        "message": {
            "attributes": {"notificationType": kind},
            "data": base64.b64encode(json.dumps(device).encode()).decode(),
            "messageId": str(number),
            "publishTime": "2026-11-23T05:40:02.114Z",
        },
    }


def pushed(device: Mapping[str, Any], number: int, subscription: str) -> bytes:
    """Return the body that Pub/Sub posts about a device."""
    return json.dumps(
        {"message": message(device, number)["message"], "subscription": subscription}
    ).encode()


@dataclass(slots=True)
class GraphDouble:
    """Entra's sign-in, managed devices, violations, and the life of an export job.

    `throttle` is how many of the first questions about jobs are answered with 429, with
    `retry_after` if that is set; `expired` is how many links are dead when they are followed.
    """

    reports: Mapping[str, bytes] = field(default_factory=dict)
    managed: Sequence[Mapping[str, Any]] = ()
    violations: Sequence[Mapping[str, Any]] = ()
    token: str = "graph-token"  # noqa: S105
    steps: Sequence[str] = ("notStarted", "inProgress", "completed")
    throttle: int = 0
    retry_after: str = ""
    expired: int = 0
    base: str = ""
    link_base: str = ""
    page: int = 3
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def routes(self) -> Routes:
        """Return what it answers; `base` is set to its own address afterwards."""
        jobs = "/v1.0/deviceManagement/reports/exportJobs"
        listed = "deviceConfigurationRestrictedAppsViolations"
        return [
            ("GET", r"/(tenant)/v2.0/.well-known/openid-configuration", self._openid),
            ("POST", r"/tenant/oauth2/v2.0/token", self._token),
            ("POST", jobs, self._start),
            ("GET", rf"{jobs}\('(.+)'\)", self._job),
            ("GET", r"/blob/(.+)\.zip", self._blob),
            ("GET", r"/v1.0/deviceManagement/managedDevices", self._managed),
            ("GET", rf"/beta/deviceManagement/{listed}", self._violations),
        ]

    def _openid(self, asked: Asked) -> Reply:
        tenant = f"{self.base}/{asked.found[0]}"
        return Reply.json(
            {
                "token_endpoint": f"{tenant}/oauth2/v2.0/token",
                "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize",
                "issuer": f"{tenant}/v2.0",
            }
        )

    def _token(self, asked: Asked) -> Reply:
        if b"client_secret=invented" not in asked.body:
            return Reply.json({"error": "invalid_client"}, 401)
        return Reply.json({"access_token": self.token, "expires_in": 3599, "token_type": "Bearer"})

    def _refused(self, asked: Asked) -> Reply | None:
        if asked.headers.get("authorization") != f"Bearer {self.token}":
            return Reply.json({"error": {"code": "InvalidAuthenticationToken"}}, 401)
        if self.throttle > 0:
            self.throttle -= 1
            told = {"Retry_After": self.retry_after} if self.retry_after else {}
            return Reply.json({"error": {"code": "TooManyRequests"}}, 429, **told)
        return None

    def _start(self, asked: Asked) -> Reply:
        if refused := self._refused(asked):
            return refused
        job = asked.json()
        job["id"] = f"{job['reportName']}_{len(self.jobs) + 1}"
        job["asked"] = 0
        self.jobs[job["id"]] = job
        return Reply.json(self._shown(job, self.steps[0]), 201)

    def _job(self, asked: Asked) -> Reply:
        if refused := self._refused(asked):
            return refused
        job = self.jobs.get(asked.found[0])
        if job is None:
            return Reply.json({"error": {"code": "NotFound"}}, 404)
        job["asked"] += 1
        return Reply.json(self._shown(job, self.steps[min(job["asked"], len(self.steps) - 1)]))

    def _shown(self, job: Mapping[str, Any], state: str) -> dict[str, Any]:
        link = f"{self.link_base or self.base}/blob/{job['id']}.zip?sig=SECRET"
        return {
            "id": job["id"],
            "reportName": job["reportName"],
            "status": state,
            "url": link if state == "completed" else None,
        }

    def _blob(self, asked: Asked) -> Reply:
        if "authorization" in asked.headers:
            return Reply(b"a token has no business here", 400)
        if self.expired > 0:
            self.expired -= 1
            return Reply(b"<Error>AuthenticationFailed</Error>", 403)
        job = self.jobs[asked.found[0]]
        return Reply(zipped(f"{job['id']}.csv", self._rows(job)), 200)

    def _rows(self, job: Mapping[str, Any]) -> bytes:
        """Return the rows of a report; the only condition that Intune knows is `eq`."""
        content = self.reports[job["reportName"]]
        condition = job.get("filter", "")
        if not condition:
            return content
        name = condition.split("eq '", 1)[1].rsplit("')", 1)[0].replace("''", "'")
        head, *rows = content.splitlines(keepends=True)
        return head + b"".join(row for row in rows if f",{name},".encode() in row)

    def _managed(self, asked: Asked) -> Reply:
        return self._pages(asked, self.managed, "managedDevices")

    def _violations(self, asked: Asked) -> Reply:
        return self._pages(asked, self.violations, "deviceConfigurationRestrictedAppsViolations")

    def _pages(self, asked: Asked, rows: Sequence[Mapping[str, Any]], name: str) -> Reply:
        if refused := self._refused(asked):
            return refused
        start = int(asked.one("$skiptoken", "0"))
        told: dict[str, Any] = {
            "@odata.context": f"{self.base}/v1.0/$metadata#deviceManagement/{name}",
            "value": list(rows[start : start + self.page]),
        }
        if start + self.page < len(rows):
            told["@odata.nextLink"] = f"{self.base}{asked.path}?$skiptoken={start + self.page}"
        return Reply.json(told)


def zipped(name: str, content: bytes) -> bytes:
    """Return a zip with one file."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return raw.getvalue()
