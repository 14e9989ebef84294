"""What each exit code means, and which one an error ends with.

0 done · 1 refused, or faults found · 2 not understood as a command · 3 not found · 4 not allowed ·
5 not reachable · 6 done, but not yet proven everywhere · 7 the disk refused the stop · 130 broken
off. Once published, a number keeps its meaning.
"""

from __future__ import annotations

from enum import IntEnum
from types import MappingProxyType
from typing import Final

from countermand.domain.errors import gettext_noop


class ExitCode(IntEnum):
    """The codes that a script may rely on."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_ALLOWED = 4
    NOT_REACHABLE = 5
    NOT_PROVEN_YET = 6
    NOT_ON_DISK = 7
    BROKEN_OFF = 130


MEANINGS: Final = MappingProxyType(
    {
        ExitCode.DONE: gettext_noop("done"),
        ExitCode.REFUSED: gettext_noop("refused, or faults found"),
        ExitCode.USAGE: gettext_noop("the command was not understood"),
        ExitCode.NOT_FOUND: gettext_noop("not found"),
        ExitCode.NOT_ALLOWED: gettext_noop("not allowed"),
        ExitCode.NOT_REACHABLE: gettext_noop("not reachable"),
        ExitCode.NOT_PROVEN_YET: gettext_noop("done, but not yet proven everywhere"),
        ExitCode.NOT_ON_DISK: gettext_noop(
            "the disk refused: stopped only where it says so; stop it again"
        ),
        ExitCode.BROKEN_OFF: gettext_noop("broken off with Ctrl-C"),
    }
)
# How an error's code ends, where that says what kind of error it is; single codes below.
_BY_ENDING: Final = MappingProxyType(
    {
        "unknown": ExitCode.NOT_FOUND,
        "not_known": ExitCode.NOT_FOUND,
        "not_found": ExitCode.NOT_FOUND,
        "not_allowed": ExitCode.NOT_ALLOWED,
        "not_reachable": ExitCode.NOT_REACHABLE,
        "unavailable": ExitCode.NOT_REACHABLE,
    }
)
_BY_CODE: Final = MappingProxyType(
    {
        "cli.missing": ExitCode.USAGE,
        "cli.no_such_option": ExitCode.USAGE,
        "cli.no_such_verb": ExitCode.USAGE,
        "cli.not_understood": ExitCode.USAGE,
        "cli.not_taken": ExitCode.USAGE,
        "cli.not_among": ExitCode.USAGE,
        "notice.no_such_mail": ExitCode.NOT_FOUND,
        "copy.mail_not_readable": ExitCode.NOT_FOUND,  # as a file that cannot be opened
        "session.no_token": ExitCode.NOT_ALLOWED,
        "gate.other_token": ExitCode.NOT_ALLOWED,
        "people.token_not_known": ExitCode.NOT_ALLOWED,
        "session.not_running": ExitCode.NOT_REACHABLE,
        "session.database_not_reachable": ExitCode.NOT_REACHABLE,
        "session.tables_of_another_version": ExitCode.NOT_REACHABLE,
        "stop.no_such_order": ExitCode.NOT_FOUND,
        "stop.who_is_acting": ExitCode.NOT_ALLOWED,
        "stop.not_for_your_role": ExitCode.NOT_ALLOWED,
        "order_number.check_character": ExitCode.NOT_FOUND,
        "order_number.not_understood": ExitCode.USAGE,
        "approval.fingerprint_not_understood": ExitCode.USAGE,
        "order.not_yours": ExitCode.NOT_ALLOWED,
        "approval.own": ExitCode.NOT_ALLOWED,
        "approval.same_hand": ExitCode.NOT_ALLOWED,
        # Not allowed by the state of things, whoever asks.
        "order.step_not_allowed": ExitCode.REFUSED,
        "notice.step_not_allowed": ExitCode.REFUSED,
        "source.host_not_allowed": ExitCode.REFUSED,
        "order.lookup_page_not_live": ExitCode.NOT_REACHABLE,
        "order.relay_not_healthy": ExitCode.NOT_REACHABLE,
    }
)


def exit_code_of(code: str) -> ExitCode:
    """Return the exit code of an error by its `code`; what is not listed was refused."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    endings = (known for ending, known in _BY_ENDING.items() if code.endswith(ending))
    return next(endings, ExitCode.REFUSED)
