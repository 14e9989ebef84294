"""What is stopped is read before anything could send, and a stop nobody can read keeps mail in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from countermand.domain.errors import CountermandError
from countermand.i18n import gettext as _
from countermand.i18n import language_in_use, told
from countermand.stop import fence


class StopsRead:
    """Looks at the folder of stops, and says once what is wrong with it."""

    def __init__(self, fences: Path, *, say: Callable[[str], None]) -> None:
        """`say` is told whole sentences for a person."""
        self._fences = fences
        self._say = say
        self._said = ""

    def let_senders_run(self) -> bool:
        """Read what is stopped; tell whether a sender may run at all."""
        try:
            fence.read_all(self._fences)
        except CountermandError as error:
            said = in_words(error)
            if said != self._said:
                self._say(said)
                self._say(_("No mail is sent until this is mended."))
            self._said = said
            return False
        return True


def in_words(error: CountermandError) -> str:
    """Return what is wrong and what helps, for the terminal."""
    return " ".join(told(error, language_in_use()))
