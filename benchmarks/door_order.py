"""An order about everybody whose entries are compiled; loads Django."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from django.apps import apps
from django.db import connection
from psycopg import sql
from psycopg.types.json import Jsonb

from countermand.data_folder import DataFolder, write_json
from countermand.domain.order_parts import OrderDocument
from countermand.domain.phases import Enforcement
from countermand.enforcement.actions import Compiled, Publisher
from countermand.gate import keys
from countermand.orders import documents, doors
from countermand.orders.models import Order

_FILE: Final = Path("examples/july-2020/order.yaml")
# The order was written in July 2020: it is read as it was then.
_WRITTEN: Final = datetime(2020, 7, 6, tzinfo=UTC)


def publisher_of(folder: DataFolder) -> Publisher:
    """Make the keys that an installation has, and return who publishes."""
    keys.make(folder.keys)
    write_json(folder.instance, {"instance_id": "of-a-benchmark", "kind": "production"})
    return Publisher.load(folder)


def document() -> OrderDocument:
    """Return an order about one app on every device that reads mail."""
    read = documents.read(_FILE.read_text(encoding="utf-8"), file=None, now=_WRITTEN)
    return replace(read, apps=("tiktok",), enforcement=Enforcement.GATE, exceptions=())


def compiled(number: str, *, publisher: Publisher, now: datetime) -> Compiled:
    """Bring the entries to what is known, the whole way."""
    order = Order.objects.get(number=number)
    return doors.compile_order(order, document(), publisher=publisher, now=now)


def counted(number: str, *, now: datetime) -> int:
    """Count what doors are to be told of an order, and write nothing."""
    claims = doors.claims_of(Order.objects.get(number=number), document(), now=now)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({claims.sql}) AS claim", claims.parameters)  # noqa: S608
        return int(cursor.fetchone()[0])


def give_columns_their_defaults(house: psycopg.Connection[Any]) -> None:
    """Let plain SQL leave out what Django would fill in, whatever columns there are by now."""
    for name in ("people", "devices", "orders", "notices"):
        for model in apps.get_app_config(name).get_models():
            for field in model._meta.concrete_fields:  # noqa: SLF001  (how Django names its columns)
                default = field.get_default()
                if field.null or field.primary_key or field.generated or default is None:
                    continue
                if field.has_db_default():
                    continue
                value = Jsonb(default) if isinstance(default, dict) else default
                house.execute(
                    sql.SQL("ALTER TABLE {} ALTER COLUMN {} SET DEFAULT {}").format(
                        sql.Identifier(model._meta.db_table),  # noqa: SLF001
                        sql.Identifier(str(field.column)),
                        sql.Literal(value),
                    )
                )
