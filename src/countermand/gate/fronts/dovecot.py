"""Dovecot's auth policy question, versions 2.3 and 2.4: asked once for each login that is right.

The device is the name of the device password that matched; what a client says about itself
(`client`, `device_id`) is never believed. Only status 0 and status -1 are ever answered by us.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from countermand.domain.device_key import normal_device, normal_login
from countermand.gate.answerer import Door

GO_ON: Final = b'{"status":0,"msg":""}'
_SENDING: Final = frozenset({"smtp", "submission"})
_PROTOCOLS: Final = frozenset({"imap", "pop3", "smtp", "submission", "sieve", "managesieve"})


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """Who logs in with which device, by which protocol and mechanism.

    `is_early` says that perhaps no password was checked yet: such a question is put for the sake
    of another policy server and names no device. Whether it was a login is told by a report.
    """

    door: Door
    protocol: str
    mechanism: str
    is_early: bool

    @property
    def sends(self) -> bool:
        """Tell whether this login is for sending mail, not for reading it."""
        return sends(self.protocol)


def question(body: bytes) -> PolicyQuestion | None:
    """Read a question, None when it is not one."""
    return _question(_object(body))


def login_in_report(body: bytes) -> PolicyQuestion | None:
    """Return the login that a report tells of, if no question before it could be told to be one.

    So it is with every right password that fills no field, such as that of OAuth.
    """
    raw = _object(body)
    asked = _question(raw)
    return asked if asked and asked.is_early and raw.get("success") is True else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) else {}


def _question(raw: dict[str, Any]) -> PolicyQuestion | None:
    names = ("login", "device", "protocol", "mechanism")
    login, device, protocol, mechanism = texts = [raw.get(name, "") for name in names]
    if not login or not all(isinstance(text, str) for text in texts):
        return None
    return PolicyQuestion(
        door=Door(login=normal_login(login), device=normal_device(device)),
        protocol=protocol_of(protocol),
        mechanism=mechanism,
        # A device is known after a right password alone, whatever else its passdb fills.
        is_early=raw.get("passed") == "" and not device,
    )


def protocol_of(named: str) -> str:
    """Return a protocol that we know of, "other" for any other."""
    return named if named in _PROTOCOLS else "other"


def sends(protocol: str) -> bool:
    """Tell whether a login by this protocol is for sending mail, not for reading it."""
    return protocol in _SENDING


def refused(line: str) -> bytes:
    """Return the answer that refuses, with the line that its person sees."""
    return json.dumps({"status": -1, "msg": line}).encode()
