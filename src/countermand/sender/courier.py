"""Connections come and go; the mails on them are accounted for, whatever ended the connection."""

from __future__ import annotations

import asyncio
from typing import Final

from countermand.domain.errors import CountermandError
from countermand.sender.committer import Committer
from countermand.sender.journal import note
from countermand.sender.link import Link, LinkLost
from countermand.sender.relay import Relay, opened
from countermand.sender.session import PERMIT_HOLDS_S, Session, SessionOver
from countermand.sender.supply import Supply
from countermand.stop.fence import FenceView

_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0


class Courier:
    """Brings mails to the relay over one connection at a time, and a new one when that is lost."""

    def __init__(
        self,
        *,
        name: str,
        relay: Relay,
        supply: Supply,
        committer: Committer,
        fence: FenceView,
        window: int,
        permit_holds_s: float = PERMIT_HOLDS_S,
    ) -> None:
        """Let at most `window` + 1 mails wait between their permit and the relay's answer."""
        self._permit_holds_s = permit_holds_s
        self._name = name
        self._relay = relay
        self._supply = supply
        self._committer = committer
        self._fence = fence
        self._window = window

    async def run(self) -> None:
        """Work until the supply ends. Raises FenceUnreadable."""
        wait_s = _FIRST_WAIT_S
        while await self._supply.has_come():
            try:
                link, extensions = await opened(self._relay, self._name)
                wait_s = _FIRST_WAIT_S
                await self._work_through(link, extensions)
            except LinkLost as lost:
                note("link.lost", why=str(lost))
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    async def _work_through(self, link: Link, extensions: frozenset[str]) -> None:
        """Work over one connection until it ends, and account for its mails. Raises LinkLost.

        A fault that nobody expected ends this connection and is blamed on the mail at hand; one
        without any mail at hand is raised.
        """
        session = Session(
            link,
            extensions,
            supply=self._supply,
            committer=self._committer,
            fence=self._fence,
            window=self._window,
            permit_holds_s=self._permit_holds_s,
        )
        try:
            await session.run()
        except LinkLost as lost:
            session.blame(str(lost))
            raise
        except SessionOver:
            return
        except (CountermandError, OSError):
            raise
        except Exception as fault:
            if not session.blame_fault(fault):
                raise
            raise LinkLost("something failed here") from fault
        finally:
            session.close("the sender ended")
            link.abort()
