"""The kinds of inventory sources by name; loads nothing of theirs."""

from __future__ import annotations

from enum import StrEnum


class SourceKind(StrEnum):
    """Where an inventory comes from."""

    CSV = "csv"
    INTUNE = "intune"
    NANOMDM = "nanomdm"
    ANDROID_MANAGEMENT = "android_management"
    WORKSPACE = "workspace"
    FLEET = "fleet"
    JAMF = "jamf"
