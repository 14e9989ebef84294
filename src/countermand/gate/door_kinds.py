"""Through which door a question came: what is counted from the first question on.

    knows the device   ActiveSync with a known id, device password
    does not           ActiveSync with an unknown id, device password that nothing is known of,
                       main password, webmail, POP3, OAuth

The share of the first kind says what a deadline is worth. A login that our own webmail makes for
somebody is no further door, and sending is not reading: both have counts of their own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

# The device name that the shipped configurations give to logins which the webmail host makes.
WEBMAIL_DEVICE: Final = "webmail"
_SENDING: Final = frozenset({"smtp", "submission"})
_OAUTH: Final = frozenset({"XOAUTH2", "OAUTHBEARER"})
_READING: Final = frozenset({"imap", "pop3"})


class DoorKind(StrEnum):
    """A way to read mail, as counts and `GET /doors` name it."""

    ACTIVESYNC_KNOWN = "activesync_known"
    ACTIVESYNC_UNKNOWN = "activesync_unknown"
    DEVICE_PASSWORD = "device_password"  # noqa: S105 - the name of a door
    DEVICE_PASSWORD_UNKNOWN = "device_password_unknown"  # noqa: S105 - the name of a door
    MAIN_PASSWORD = "main_password"  # noqa: S105 - the name of a door
    WEBMAIL = "webmail"
    POP3 = "pop3"
    OAUTH = "oauth"
    BEHIND_WEBMAIL = "behind_webmail"
    SENDING = "sending"
    OTHER = "other"


def of_login(protocol: str, device: str, mechanism: str) -> DoorKind:
    """Return the door of a login at the mail server; `device` is in normal form."""
    if protocol in _SENDING:
        return DoorKind.SENDING
    if protocol not in _READING:
        return DoorKind.OTHER
    if device == WEBMAIL_DEVICE:
        return DoorKind.BEHIND_WEBMAIL
    if device:
        return DoorKind.DEVICE_PASSWORD
    if mechanism.upper() in _OAUTH:
        return DoorKind.OAUTH
    return DoorKind.POP3 if protocol == "pop3" else DoorKind.MAIN_PASSWORD
