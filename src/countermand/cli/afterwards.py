"""What other rooms do once people, roles or devices have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countermand.cli.session import Session


def who_may_stop_changed(opened: Session) -> None:
    """Let the stop know, which must work with the database down."""
    from countermand.project import register

    register.refresh(opened.settings)


def inventory_changed(opened: Session) -> None:
    """Ring for those who watch over orders: late joiners, drift, doors to open."""
    from countermand.orders import jobs

    jobs.after_import(opened.settings, now=opened.now())
