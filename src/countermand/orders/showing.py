"""What an approver opens, and what press and maker are told: the words of an order, filled."""

from __future__ import annotations

from datetime import datetime

from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import Variant
from countermand.domain.phases import Phase
from countermand.notices import preview, statement
from countermand.notices import queries as ledger
from countermand.notices.preview import PreviewMail, Signed
from countermand.notices.statement import NobodyWasTold, NothingTakenBack, StatementFigures
from countermand.notices.word_store import Sentence
from countermand.orders import corrections, documents, telling
from countermand.orders.documents import document_of
from countermand.orders.models import Order, Revision
from countermand.orders.planning import PlanContext
from countermand.orders.refusals import not_known
from countermand.people import queries as people


def mails(number: str, *, context: PlanContext, now: datetime) -> list[PreviewMail]:
    """Return every mail that an order may ever send, filled for an invented person."""
    order, revision = _newest(number)
    document = document_of(revision)
    author = people.by_ids([order.author_id]).get(order.author_id)
    return preview.previews(
        revision.content,
        number,
        house=context.house,
        app_names=documents.app_names(document),
        signed=Signed(issued_by=telling.signatory(author)),
        now=now,
    )


def notices_of(found: list[PreviewMail]) -> list[PreviewMail]:
    """Return what is sent while an order stands: the notice and what follows it."""
    return [mail for mail in found if mail.kind is not NoticeKind.CORRECTION]


def corrections_of(found: list[PreviewMail]) -> list[PreviewMail]:
    """Return what is sent when it is taken back."""
    return [mail for mail in found if mail.kind is NoticeKind.CORRECTION]


def statement_of(number: str, *, language: str, context: PlanContext) -> Sentence:
    """Return the statement with its figures. Raises StatementNotReleased before staff were told.

    Raises NobodyWasTold or NothingTakenBack where no correction will ever leave. Staff are being
    told from the first correction on that a server has taken: one mailbox that is full does not
    keep the press waiting.
    """
    order, revision = _newest(number)
    if order.phase == Phase.WITHDRAWN:
        raise NobodyWasTold(number=number)
    if order.taken_back_at is None:
        raise NothingTakenBack(number=number)
    reach = ledger.reach(number)
    return statement.fill(
        revision.content,
        number,
        variant=Variant(order.variant or Variant.MISTAKE.value),
        figures=StatementFigures(
            certain=reach.got_it,
            possible=reach.may_have,
            corrected=ledger.corrections(number).sent,
            first_notice_at=ledger.first_accepted_at(number),
            taken_back_at=order.taken_back_at,
            corrections_began_at=order.statement_at
            or ledger.first_accepted_at(number, kind=NoticeKind.CORRECTION),
        ),
        house=context.house,
        language=language,
        replaced_by=corrections.replacement_of(order),
    )


def _newest(number: str) -> tuple[Order, Revision]:
    order = Order.objects.filter(number=number).first()
    if order is None:
        raise not_known(number, Order.objects.values_list("number", flat=True))
    return order, Revision.objects.get(order=order, number=order.revision_number)
