"""Who may write people here: a directory with a token, of which no more than a hash is kept."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.db import transaction

from countermand.audit import actions as audit
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.people.models import DirectoryToken
from countermand.people.queries import token_hash

_TOKEN_BYTES = 20


@dataclass(eq=False)
class DirectoryTokenNotKnown(CountermandError):
    """A token that lets nobody write people here."""

    code: ClassVar[str] = "people.directory_token_not_known"
    sentence: ClassVar[str] = gettext_noop("This directory's token is not known, or was revoked.")
    remedy: ClassVar[str] = gettext_noop("Make a new one: countermand staff directory-token NAME.")


@transaction.atomic
def issue(label: str, *, actor_id: int | None, now: datetime) -> str:
    """Make a token for a directory and return its text: the only moment it can be read."""
    token = "cmd_" + base64.b32encode(secrets.token_bytes(_TOKEN_BYTES)).decode().rstrip("=")
    DirectoryToken.objects.create(label=label[:100], sha256=token_hash(token), created_at=now)
    audit.record("directory.token_issued", actor_id=actor_id, facts={"label": label[:100]}, now=now)
    return token


@transaction.atomic
def revoke(label: str, *, actor_id: int | None, now: datetime) -> int:
    """Make all tokens of this name void; return how many there were."""
    live = DirectoryToken.objects.filter(label=label[:100], revoked_at__isnull=True)
    count = live.update(revoked_at=now)
    if count:
        facts = {"label": label[:100], "count": count}
        audit.record("directory.tokens_revoked", actor_id=actor_id, facts=facts, now=now)
    return count


def check(token: str) -> None:
    """Raise DirectoryTokenNotKnown unless this token lets a directory write here."""
    live = DirectoryToken.objects.filter(sha256=token_hash(token), revoked_at__isnull=True)
    if not live.exists():
        raise DirectoryTokenNotKnown
