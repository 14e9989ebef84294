"""What the stop is told once people or their roles have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countermand.cli.session import Session


def who_may_stop_changed(opened: Session) -> None:
    """Let the stop know, which must work with the database down."""
    from countermand.project import register

    register.refresh(opened.settings)
