"""What the world outside the database is shown of orders, after the commit that changed them.

The register of the stop, the look-up page, and the signed states for gates. Everything is written
from what is stored, so a lost call costs the time until the next sweep and a doubled one nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from countermand.config import Settings
from countermand.domain.phases import Phase
from countermand.enforcement.actions import Publisher
from countermand.notices import lookup, wording
from countermand.notices.public_notice import PublicNotice, PublicState, public_state
from countermand.orders import corrections, doors, telling
from countermand.orders.documents import app_names, document_of
from countermand.orders.models import Approval, Order, Revision
from countermand.people import queries as people
from countermand.project import register
from countermand.stop import fence as fences
from countermand.stop.fence import Fence


def publish(settings: Settings, *, now: datetime) -> None:
    """Show where every order stands: to gates, to the stop, and to staff.

    Gates first: they read it from the database, and a disk that refuses files keeps no door shut.
    """
    publish_states(settings)
    register.refresh(settings, now=now)
    write_lookup(settings, now=now)


def publish_states(settings: Settings) -> int:
    """Sign and publish where every released order stands."""
    standing = fences.read_all(settings.folder.fences)
    return doors.publish_states(standing, publisher=Publisher.load(settings.folder))


def write_lookup(settings: Settings, *, now: datetime) -> None:
    """Write the look-up page of every order that staff may ask for, and the list of them."""
    lookup.write(
        settings.folder.lookup,
        list(_public_notices(fences.read_all(settings.folder.fences))),
        house=wording.house_of(settings),
        now=now,
    )


def _public_notices(standing: Mapping[str, Fence]) -> Iterator[PublicNotice]:
    for order in Order.objects.order_by("-created_at", "number"):
        if notice := _public_notice(order, standing.get(order.number)):
            yield notice


def public_notice(settings: Settings, number: str) -> PublicNotice | None:
    """Return what anybody may know of one notice now; None: nobody was told of it.

    Raises FenceUnreadable.
    """
    order = Order.objects.filter(number=number).first()
    if order is None:
        return None
    return _public_notice(order, fences.read(settings.folder.fences, number))


def _public_notice(order: Order, fence: Fence | None) -> PublicNotice | None:
    state = public_state(Phase(order.phase))
    # The fence is heard before the database knows of it; what nobody was told has no page.
    taken_back_at = fence.at if fence is not None and fence.withdrawn else None
    if state is not None and taken_back_at is not None:
        state = None if state is PublicState.PREPARED else PublicState.WITHDRAWN
    revision = Revision.objects.filter(order=order, number=order.revision_number).first()
    if state is None or revision is None:
        return None
    document = document_of(revision)
    approvers = Approval.objects.filter(revision__order=order, void_at__isnull=True)
    ids = list(dict.fromkeys(approvers.order_by("at").values_list("person_id", flat=True)))
    known = people.by_ids([order.author_id, *ids])
    return PublicNotice(
        number=order.number,
        content=revision.content,
        app_names=tuple(app_names(document).values()),
        state=state,
        issued_by=telling.signatory(known.get(order.author_id)),
        approved_by=tuple(telling.signatory(known.get(each)) for each in ids),
        since=order.in_force_at,
        changed_at=order.ended_at or taken_back_at,
        variant=order.variant,
        replaced_by=corrections.replacement_of(order) or "",
    )
