"""How the text of a setting is read, and what was expected where it cannot be.

Each function raises ValueError for a text that it does not understand. Standard library only, as
the settings themselves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from countermand.domain.address import ascii_domain
from countermand.domain.errors import gettext_noop
from countermand.domain.retention import BOUNDS, Kind, read_countries


def read_text(value: str) -> str:
    return value


_HOURS: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d")
_FEWEST_DAYS_KEPT: Final = 30
_MOST_DAYS_KEPT: Final = 1825


def read_count(value: str) -> int:
    number = int(value)
    if number < 1:
        raise ValueError(value)
    return number


def read_days_kept(value: str) -> int:
    days = int(value)
    if not _FEWEST_DAYS_KEPT <= days <= _MOST_DAYS_KEPT:
        raise ValueError(value)
    return days


def read_days_of_findings(value: str) -> int:
    days, bounds = int(value), BOUNDS[Kind.FINDINGS]
    if bounds.hold(days) != days:
        raise ValueError(value)
    return days


def read_port(value: str) -> int:
    number = int(value)
    if not 0 <= number <= 65535:  # noqa: PLR2004  (the range of ports)
        raise ValueError(value)
    return number


def read_seconds(value: str) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(value)
    return number


def read_zone(value: str) -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415  (the stop path mostly does without)

    try:
        return ZoneInfo(value).key
    except (KeyError, OSError) as unknown:
        raise ValueError(value) from unknown


def read_host_and_port(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not (colon and host and read_port(port) > 0):
        raise ValueError(value)
    return value


def read_tls(value: str) -> str:
    if value not in {"auto", "none", "starttls", "implicit"}:
        raise ValueError(value)
    return value


def read_path(value: str) -> Path:
    return Path(value).expanduser().absolute()


def read_by_language(value: str) -> Mapping[str, str]:
    words = json.loads(value)
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        raise ValueError(value)
    return MappingProxyType(words)


def read_counts(value: str) -> Mapping[str, int]:
    counts = json.loads(value)
    if not isinstance(counts, dict) or not all(
        isinstance(count, int) and not isinstance(count, bool) and count > 0
        for count in counts.values()
    ):
        raise ValueError(value)
    return MappingProxyType({ascii_domain(name.lower()): count for name, count in counts.items()})


def read_mailboxes(value: str) -> str:
    if value not in {"off", "dovecot", "graph"}:
        raise ValueError(value)
    return value


def read_hours(value: str) -> str:
    if value and not _HOURS.fullmatch(value):
        raise ValueError(value)
    return value


def read_list(value: str) -> tuple[str, ...]:
    return tuple(part for part in value.replace(",", " ").split() if part)


def read_gates(value: str) -> tuple[str, ...]:
    # Refused, it would keep a take-back from every gate; so what is missing is added, and the slash
    # that everybody adds for themselves is taken away.
    whole = (each if "://" in each else f"http://{each}" for each in read_list(value))
    return tuple(each.rstrip("/") for each in whole)


def read_networks(value: str) -> tuple[str, ...]:
    return tuple(str(ip_network(each, strict=False)) for each in read_list(value))


EXPECTED: Final[Mapping[Callable[[str], Any], str]] = MappingProxyType(
    {
        read_text: gettext_noop("a text"),
        read_count: gettext_noop("a whole number from 1 on"),
        read_days_kept: gettext_noop("a number of days from 30 to 1825"),
        read_days_of_findings: gettext_noop("a number of days from 1 to 365"),
        read_countries: gettext_noop(
            'a JSON object of floors and ceilings such as {"DE": {"answers": [30, 90]}}'
        ),
        read_port: gettext_noop("a port number"),
        read_zone: gettext_noop("a time zone such as Asia/Kolkata"),
        read_seconds: gettext_noop("a number of seconds above 0"),
        read_host_and_port: gettext_noop("host:port"),
        read_path: gettext_noop("a path"),
        read_networks: gettext_noop("networks such as 10.1.0.0/16, separated by commas"),
        read_tls: gettext_noop("auto, none, starttls or implicit"),
        read_by_language: gettext_noop(
            'a JSON object of words by language such as {"en": "Notice"}'
        ),
        read_counts: gettext_noop('a JSON object of whole numbers such as {"*": 6000}'),
        read_hours: gettext_noop("hours such as 08:00-20:00"),
        read_mailboxes: gettext_noop("off, dovecot or graph"),
        read_list: gettext_noop("a list, separated by spaces or commas"),
        read_gates: gettext_noop("a list, separated by spaces or commas"),
    }
)
