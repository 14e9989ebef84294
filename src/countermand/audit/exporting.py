"""The log as lines, out of the database: what `countermand log export` writes."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Subquery, Value
from django.db.models.functions import Coalesce

from countermand.audit.leaves import leaf, leaf_bytes
from countermand.audit.models import Checkpoint, Entry
from countermand.audit.replay import EntryWrong
from countermand.audit.signed_note import Verifier
from countermand.audit.verifying import VERSION, VerifyReport, line_of, verify
from countermand.domain.errors import gettext_noop
from countermand.domain.merkle_log import leaf_hash

_CHUNK = 1000


def lines(verifier: Verifier) -> Iterator[bytes]:
    """Yield every signed entry with the signed heads between them.

    The log only grows, so what is numbered meanwhile is left for the next time. Raises EntryWrong
    where a stored hash does not fit its entry, or an entry is numbered that nobody signed.
    """
    heads = dict(Checkpoint.objects.values_list("size", "note"))
    size = max(heads, default=0)
    yield line_of(
        {
            "kind": "log",
            "version": VERSION,
            "origin": verifier.name,
            "public_key": verifier.encode(),
        }
    )
    rows = Entry.objects.filter(position__lt=size).order_by("position")
    entries = 0
    for row in rows.iterator(chunk_size=_CHUNK):
        if row.position is None or row.leaf_hash is None:
            continue  # the query leaves these out
        entry = leaf(
            position=row.position,
            event=row.event,
            order_number=row.order_number,
            actor_ref=row.actor_ref,
            facts=row.facts,
            at=row.at,
        )
        if leaf_hash(leaf_bytes(entry)) != bytes(row.leaf_hash):
            raise EntryWrong(gettext_noop("the stored hash is not that of the stored entry"))
        yield line_of({"kind": "entry", "entry": entry})
        entries += 1
        if note := heads.pop(entries, None):
            yield line_of({"kind": "head", "note": note})
    for note in heads.values():  # heads over entries that are gone
        yield line_of({"kind": "head", "note": note})
    _refuse_unsigned()
    yield line_of({"kind": "end", "entries": entries})


def _refuse_unsigned() -> None:
    """An entry gets its number and its head in one transaction; in one look, none is ahead."""
    newest = Checkpoint.objects.order_by("-size").values("size")[:1]
    beyond = Entry.objects.filter(position__gte=Coalesce(Subquery(newest), Value(0)))
    if beyond.exists():
        raise EntryWrong(gettext_noop("an entry is numbered that no head covers"))


def verify_database(verifier: Verifier) -> VerifyReport:
    """Check the log where it lies."""
    return verify(lines(verifier), pinned=verifier)


def waiting() -> int:
    """Return how many entries wait for their number."""
    return Entry.objects.filter(position__isnull=True).count()
