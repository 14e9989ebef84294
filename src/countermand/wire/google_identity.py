"""Proves that a post was sent by Google for us: the signed identity that Pub/Sub sends along.

As Google describes it for push subscriptions with authentication: a JSON Web Token, signed with
one of the keys that Google publishes, for the audience and in the name of the service account that
were set at the subscription. A token lives an hour, so what was overheard is soon worth nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import jwt

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.wire.http import Http

CERTIFICATES: Final = "https://www.googleapis.com/oauth2/v3/certs"
_ISSUERS: Final = ("https://accounts.google.com", "accounts.google.com")
_LONGEST_TOKEN: Final = 8_192
_CLOCKS_DIFFER_BY_S: Final = 300
_LONGEST_LIFE_S: Final = 3_600 + _CLOCKS_DIFFER_BY_S
_KEYS_ARE_FRESH_S: Final = 3_600.0
_ASK_AT_MOST_EVERY_S: Final = 60.0


@dataclass(eq=False)
class NotFromGoogle(CountermandError):
    """A post does not carry the identity that was agreed on."""

    why: str

    code: ClassVar[str] = "source.not_from_google"
    sentence: ClassVar[str] = gettext_noop("A post does not prove that Google sent it: {why}.")
    remedy: ClassVar[str] = gettext_noop(
        "Compare audience and service account of the push subscription with those of the source."
    )


@dataclass(slots=True)
class PublishedKeys:
    """The keys that Google publishes; asked for rarely, whatever strangers send."""

    monotonic: Callable[[], float]
    _keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    _asked_at: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, number: str, http: Http, url: str) -> jwt.PyJWK | None:
        """Return a key by its number; asks anew for an unknown one, at most once a minute."""
        with self._lock:
            age = self.monotonic() - self._asked_at
            known = number in self._keys and age < _KEYS_ARE_FRESH_S
            if not known and age >= _ASK_AT_MOST_EVERY_S:
                self._asked_at = self.monotonic()
                self._keys = _read(http.json("GET", url).value)
            return self._keys.get(number)


def _read(answer: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    listed = answer.get("keys")
    found = {}
    for each in listed if isinstance(listed, list) else ():
        number = each.get("kid") if isinstance(each, dict) else None
        if not isinstance(number, str) or each.get("kty") != "RSA":
            continue
        try:
            found[number] = jwt.PyJWK(each, algorithm="RS256")
        except jwt.PyJWTError:
            continue
    return found


def check(
    authorization: str,
    *,
    audience: str,
    account: str,
    key: Callable[[str], jwt.PyJWK | None],
    now_s: float,
) -> None:
    """Raise NotFromGoogle unless the header carries a token for this audience and account.

    `key` finds a published key by its number; `now_s` is epoch seconds of the real clock.
    """
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
        raise NotFromGoogle(why=gettext_noop("no token"))
    try:
        number = jwt.get_unverified_header(token).get("kid", "")
        published = key(number) if isinstance(number, str) and number else None
        if published is None:
            raise NotFromGoogle(why=gettext_noop("unknown key"))
        claims = jwt.decode(
            token,
            published,
            algorithms=["RS256"],
            audience=audience,
            issuer=list(_ISSUERS),
            # Times are held against the clock that was given.
            options={
                "require": ["exp", "iat", "aud", "iss"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError) as error:
        raise NotFromGoogle(why=type(error).__name__) from None
    _check_claims(claims, account, now_s)


def _check_claims(claims: Mapping[str, Any], account: str, now_s: float) -> None:
    made_at, ends_at = claims["iat"], claims["exp"]
    if not all(isinstance(each, int | float) for each in (made_at, ends_at)):
        raise NotFromGoogle(why=gettext_noop("no times"))
    if not now_s - _LONGEST_LIFE_S <= made_at <= now_s + _CLOCKS_DIFFER_BY_S:
        raise NotFromGoogle(why=gettext_noop("too old, or from a clock that is ahead"))
    if ends_at + _CLOCKS_DIFFER_BY_S < now_s:
        raise NotFromGoogle(why=gettext_noop("expired"))
    if claims.get("email") != account or claims.get("email_verified") is not True:
        raise NotFromGoogle(why=gettext_noop("another account"))
