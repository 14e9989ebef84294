"""What doors are to be told of an order, as one statement over everybody who was told.

A test holds them to what the domain says of one person after the other.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from countermand.devices import door_names
from countermand.domain.order_parts import OrderDocument
from countermand.enforcement import queries as enforced
from countermand.enforcement.actions import Claims
from countermand.notices import proof_sql
from countermand.orders import cell_sql, telling
from countermand.orders.models import Order
from countermand.people import logins

# A name of a source comes before one of a password; what is told last counts where two are one.
_NAMES: Final = f"""
    SELECT device_id, value, name_id AS place FROM ({door_names.NAMES_OF_SOURCES}) AS named
    UNION ALL
    SELECT device_id, value, 4611686018427387904 + name_id FROM ({enforced.DOOR_NAMES}) AS password
"""  # noqa: S608  (constants of ours)
_CLAIMS: Final = """
    SELECT person.address, name.value, name.place, known.device_id, known.person_id,
           told.own_deadline_at AS closes_at, known.presence, known.evidence_at,
           known.fresh_until, known.may_close, proof.at AS noticed_at,
           lock.at AS lock_accepted_at, known.attested_at, excepted.until AS override_until
    FROM orders_tolddevice AS told
    JOIN ({devices}) AS known
        ON known.device_id = told.device_id AND known.person_id = told.person_id
    JOIN ({logins}) AS person ON person.person_id = known.person_id
    JOIN ({names}) AS name ON name.device_id = known.device_id
    LEFT JOIN ({proofs}) AS proof
        ON proof.person_id = known.person_id AND proof.step = told.step
    LEFT JOIN ({locks}) AS lock ON lock.person_id = known.person_id AND lock.step = told.step
    LEFT JOIN unnest(%(excepted)s::bigint[], %(excepted_until)s::timestamptz[])
        AS excepted (person_id, until) ON excepted.person_id = known.person_id
    WHERE told.order_id = %(order)s AND known.in_scope
      AND NOT EXISTS (SELECT FROM orders_tolddevice AS by_amendment
                      WHERE by_amendment.order_id = ANY(%(amendments)s)
                        AND by_amendment.device_id = told.device_id)
      {some_people}
"""


def claims(
    order: Order,
    document: OrderDocument,
    *,
    amendments: Collection[str],
    steps_a_notice: int,
    now: datetime,
    person_ids: Collection[int] | None = None,
) -> Claims:
    """Return every door of every device that a notice named and no amendment in force covers.

    Of one that was handed on since nobody who has it now was told: it is none of them.

    With `person_ids` only those of devices that these people use.
    """
    devices = cell_sql.known_devices(document, now=now)
    excepted = telling.exceptions_of(order, document)
    some_people = "" if person_ids is None else "AND known.person_id = ANY(%(some_people)s)"
    sql = _CLAIMS.format(
        devices=devices.sql,
        logins=logins.LOGINS,
        names=_NAMES,
        proofs=proof_sql.PROOFS,
        locks=proof_sql.ACCEPTED_LOCKS,
        some_people=some_people,
    )
    given = {
        "excepted": list(excepted),
        "excepted_until": list(excepted.values()),
        "amendments": list(amendments),
        "some_people": list(person_ids or ()),
    }
    told = proof_sql.parameters(order.number, steps_a_notice=steps_a_notice, now=now)
    return Claims(sql, {**devices.parameters, **told, **given})
