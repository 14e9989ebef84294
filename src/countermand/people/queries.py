"""What others may know of people: frozen values and ids, never rows."""

from __future__ import annotations
