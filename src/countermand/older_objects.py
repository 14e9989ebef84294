"""Letting Python's collector pass over what was there before a long loop that makes new objects.

Django alone is some hundred thousand objects that never go away; looking through them again and
again took a quarter of the time in which an inventory is read.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def at_rest() -> Iterator[None]:
    """Leave all objects of this moment out of collections until the end; new ones are collected."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
