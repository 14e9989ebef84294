"""Getting a token that a server accepts: kept until shortly before it expires, in memory alone."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msal
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from countermand.domain.errors import gettext_noop
from countermand.wire.http import AnswerNotUnderstood, Http, SourceRefused
from countermand.wire.json_documents import Record

_EARLY_S: Final = 60.0
_MSAL_WAITS_S: Final = 20.0
_LONGEST_LIFE_S: Final = 24 * 3600.0
Token = Callable[[], str]


@dataclass(slots=True)
class Kept:
    """Asks for a token when there is none that lasts for another minute."""

    ask: Callable[[], tuple[str, float]]  # the token, and how many seconds it lasts
    monotonic: Callable[[], float]
    _token: str = field(default="", repr=False)
    _until: float = 0.0

    def __call__(self) -> str:
        """Return a token that is good for now."""
        if not self._token or self.monotonic() >= self._until:
            token, lasts_s = self.ask()
            self._token = token
            self._until = self.monotonic() + min(lasts_s, _LONGEST_LIFE_S) - _EARLY_S
        return self._token


def told(answer: Record, host: str) -> tuple[str, float]:
    """Read the answer of a token address. Raises AnswerNotUnderstood."""
    token, lasts = answer.value.get("access_token"), answer.value.get("expires_in", 300)
    if not isinstance(token, str) or not token or not token.isascii():
        raise AnswerNotUnderstood(host=host, why=gettext_noop("no token"))
    seconds = float(lasts) if isinstance(lasts, int | str) and str(lasts).isdigit() else 300.0
    return token, seconds


def client_credentials(http: Http, url: str, *, client_id: str, secret: str) -> Token:
    """Return tokens of an OAuth client, as Jamf Pro gives them."""
    body = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return Kept(
        ask=lambda: told(http.json("POST", url, data=body), url.split("/")[2]),
        monotonic=http.waiting.monotonic,
    )


def google_service_account(
    http: Http, key: str, *, scope: str, subject: str, now: Callable[[], float]
) -> Token:
    """Return tokens for a Google service account; `key` is its JSON file.

    `subject` is the administrator in whose name it acts, empty for none; `now` is epoch seconds.
    Raises SourceRefused when the key is none.
    """
    try:
        account: Mapping[str, Any] = json.loads(key)
        private = serialization.load_pem_private_key(account["private_key"].encode(), None)
        email, url = str(account["client_email"]), str(account["token_uri"])
    except (ValueError, TypeError, LookupError, AttributeError, UnsupportedAlgorithm):
        raise SourceRefused(host="oauth2.googleapis.com", status=0) from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise SourceRefused(host="oauth2.googleapis.com", status=0)

    def ask() -> tuple[str, float]:
        at = int(now())
        claims: dict[str, Any] = {
            "iss": email,
            "scope": scope,
            "aud": url,
            "iat": at,
            "exp": at + 3600,
        }
        if subject:
            claims["sub"] = subject
        signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
        proof = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        assertion = f"{signed}.{base64.urlsafe_b64encode(proof).rstrip(b'=').decode()}"
        body = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return told(http.json("POST", url, data=body), url.split("/")[2])

    return Kept(ask=ask, monotonic=http.waiting.monotonic)


def _part(value: Mapping[str, Any]) -> str:
    raw = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def entra(http: Http | None, *, authority: str, client_id: str, secret: str, scope: str) -> Token:
    """Return tokens of an Entra application; msal keeps them until they expire.

    Without `http` msal asks by itself, through whatever proxy the machine has. Asking may raise
    AnswerNotUnderstood, SourceRefused, or OSError.
    """
    through = _MsalHttp(http) if http is not None else None
    application: list[Any] = []

    def ask() -> str:
        if not application:  # its maker asks the network, so it is made when it is needed
            application.append(
                msal.ConfidentialClientApplication(
                    client_id,
                    authority=authority,
                    client_credential=secret,
                    http_client=through,
                    timeout=None if through else _MSAL_WAITS_S,
                    instance_discovery=False,
                )
            )
        host = authority.split("/")[2]
        try:
            answer = application[0].acquire_token_for_client(scopes=[scope])
        except ValueError:  # msal's word for an answer that it cannot use
            raise AnswerNotUnderstood(host=host, why=gettext_noop("sign-in")) from None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str):
            raise SourceRefused(host=host, status=401)
        return token

    return ask


@dataclass(frozen=True, slots=True)
class _MsalAnswer:
    status_code: int
    text: str
    headers: Mapping[str, str]

    def raise_for_status(self) -> None:
        """Our own policy has raised already."""


@dataclass(frozen=True, slots=True)
class _MsalHttp:
    """Lets msal ask through our own policy: its time-outs, its hosts, its bounds."""

    http: Http

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> _MsalAnswer:
        """Ask."""
        return self._ask("GET", url, params=params, headers=headers)

    def post(
        self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any
    ) -> _MsalAnswer:
        """Send a form."""
        return self._ask("POST", url, params=params, data=data, headers=headers)

    def close(self) -> None:
        """Its connections are not msal's to close."""

    def _ask(self, method: str, url: str, *, headers: Any, **body: Any) -> _MsalAnswer:
        given = {name: value for name, value in body.items() if value is not None}
        raw = self.http.raw(method, url, headers=headers, most=1024 * 1024, **given)
        return _MsalAnswer(200, raw.decode("utf-8", "replace"), {})
