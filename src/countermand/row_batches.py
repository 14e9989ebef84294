"""Rows are deleted some at a time, so that no transaction holds a large table up."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet


def delete_some(rows: QuerySet[Any], most: int) -> int:
    """Delete the first of these rows by their keys, `most` at most; returns how many."""
    ids = list(rows.order_by("pk").values_list("pk", flat=True)[:most])
    if ids:
        rows.model._default_manager.filter(pk__in=ids).delete()  # noqa: SLF001
    return len(ids)
