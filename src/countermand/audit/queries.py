"""Reading the log: references to people, what stands in it, and its signed heads."""

from __future__ import annotations

import hashlib
import secrets

from countermand.audit.models import PersonSalt

_SALT_BYTES = 16


def person_ref(person_id: int) -> str:
    """Return the salted reference to a person, the same for as long as the salt is kept.

    A first reference makes the salt, in the caller's transaction.
    """
    row, _ = PersonSalt.objects.get_or_create(
        person_id=person_id, defaults={"salt": secrets.token_bytes(_SALT_BYTES)}
    )
    return hashlib.sha256(bytes(row.salt) + b":" + str(person_id).encode()).hexdigest()
