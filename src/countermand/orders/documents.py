"""The file of an order, read against the catalogue; what was read once is not read again."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import lru_cache

from countermand.catalogue import queries as apps
from countermand.domain import order_document
from countermand.domain.order_number import OrderNumber
from countermand.domain.order_parts import OrderDocument
from countermand.orders import document_file
from countermand.orders.models import Revision


def app_names(document: OrderDocument) -> dict[str, str]:
    """Return the name of each ordered app as it stands on people's screens, by catalogue id.

    The same in every mail and language: what a notice calls one thing, no correction calls another.
    """
    known = apps.catalogue()
    return {app: known.app(app).name for app in document.apps}


def read(text: str, *, file: str | None, now: datetime) -> OrderDocument:
    """Read the text of an order file. Raises FaultsFound with every fault, key and line."""
    mapping, lines = document_file.load(text, name=file or "")
    return order_document.read(mapping, lines, file=file, catalogue=apps.catalogue(), now=now)


def numbered(document: OrderDocument, number: str) -> OrderDocument:
    """Return the document with the number that the order got at its first plan."""
    return dataclasses.replace(document, number=OrderNumber.parse(number))


def document_of(revision: Revision) -> OrderDocument:
    """Return the document of a revision, as it was read when it was planned."""
    return _read_again(revision.source_text, revision.order_id, revision.planned_at)


@lru_cache(maxsize=64)
def _read_again(text: str, number: str, planned_at: datetime) -> OrderDocument:
    # Checked against the time of its plan: an order does not become faulty by growing old.
    return numbered(read(text, file=None, now=planned_at), number)
