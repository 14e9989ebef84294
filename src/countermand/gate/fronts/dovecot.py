"""Dovecot's auth policy question, versions 2.3 and 2.4: asked once for each login that is right.

The device is the name of the device password that matched; what a client says about itself
(`client`, `device_id`) is never believed. Only status 0 and status -1 are ever answered.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from countermand.domain.device_key import normal_device, normal_login
from countermand.gate import door_kinds
from countermand.gate.answerer import Answer, Answerer, Door
from countermand.gate.fronts.words import refusal_line

GO_ON: Final = b'{"status":0,"msg":""}'
_SENDING: Final = frozenset({"smtp", "submission"})
_PROTOCOLS: Final = frozenset({"imap", "pop3", "smtp", "submission", "sieve", "managesieve"})


@dataclass(frozen=True, slots=True)
class PolicyQuestion:
    """Who logs in with which device, by which protocol."""

    door: Door
    protocol: str
    mechanism: str


def question(body: bytes) -> PolicyQuestion | None:
    """Read a question, None when it is not one."""
    try:
        raw: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict):
        return None
    names = ("login", "device", "protocol", "mechanism")
    login, device, protocol, mechanism = texts = [raw.get(name, "") for name in names]
    if not login or not all(isinstance(text, str) for text in texts):
        return None
    return PolicyQuestion(
        door=Door(login=normal_login(login), device=normal_device(device)),
        protocol=protocol if protocol in _PROTOCOLS else "other",
        mechanism=mechanism,
    )


def answer(answerer: Answerer, body: bytes, *, lookup_address: str) -> bytes:
    """Return the JSON answer to the body of a question; in doubt, go on."""
    asked = question(body)
    if asked is None:
        answerer.counts.add("doubts", kind="question_not_understood")
        return GO_ON
    given = answerer.answer([asked.door])
    kind = door_kinds.of_login(asked.protocol, asked.door.device, asked.mechanism)
    answerer.counts.add("questions", door=kind)
    sends = asked.protocol in _SENDING and answerer.sends_while_paused(given.order_number)
    refuses = given.paused and not sends
    answerer.counts.add(
        "answers",
        door=asked.protocol,
        device=given.device_known,
        answer="paused" if refuses else "open",
        reason="sending_allowed" if given.paused and sends else given.reason,
    )
    return _refused(given, lookup_address) if refuses else GO_ON


def _refused(given: Answer, lookup_address: str) -> bytes:
    line = refusal_line(lookup_address, given.order_number or "")
    return json.dumps({"status": -1, "msg": line}).encode()
