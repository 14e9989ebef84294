"""Letting Python's collector pass over what stays: a loaded program, what was there before a loop.

Django alone is some hundred thousand objects that never go away; looking through them again and
again took a quarter of the time in which an inventory is read.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# What such a loop makes goes away by itself, nearly all of it: looking for the rest at every
# seven hundredth object, as usual, costs a quarter of the time again.
_OBJECTS_BETWEEN_LOOKS: Final = 100_000


@contextmanager
def loading() -> Iterator[None]:
    """Look for no garbage while a program is loaded: what it is made of never goes away."""
    was_looking = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_looking:
            gc.enable()


@contextmanager
def at_rest() -> Iterator[None]:
    """Leave all objects of this moment out of collections until the end.

    New ones are collected, but looked for seldom.
    """
    usual, *others = gc.get_threshold()
    gc.freeze()
    # Nobody who looks seldom already, or not at all, is made to look more often.
    gc.set_threshold(usual and max(usual, _OBJECTS_BETWEEN_LOOKS), *others)
    try:
        yield
    finally:
        gc.set_threshold(usual, *others)
        gc.unfreeze()
