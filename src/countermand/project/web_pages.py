"""What the web answers today: whether it lives, whether it can work, and the look-up page.

The look-up page is plain files in the data folder. It is served without asking the database,
without a cookie and without a script, so that it stands when everything else is down.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import MappingProxyType
from typing import Final

from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from countermand import config

_TYPES: Final = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".txt": "text/plain; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".png": "image/png",
        ".woff2": "font/woff2",
    }
)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_TYPED_NUMBER: Final = re.compile(r"[A-Za-z]{2}-[A-Za-z0-9]{1,16}")
_DEEPEST: Final = 3
_LARGEST_BYTES: Final = 5_000_000
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """Say that this process answers; nothing else is asked."""
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@require_safe
def readyz(_request: HttpRequest) -> HttpResponse:
    """Say whether the database answers too."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("database: no\n", status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


@require_safe
def lookup(_request: HttpRequest, path: str = "") -> HttpResponse:
    """Serve one file of the look-up page; of an unknown number say that there is no such notice.

    People type a number as it comes: in small letters too, with a blank at its end.
    """
    folder = config.load().folder.lookup
    name = path.strip()
    typed_number = _TYPED_NUMBER.fullmatch(name) is not None
    status = 200
    try:
        content, kind = _file(folder, name.upper() if typed_number else name or "index.html")
    except Http404:
        if not typed_number:
            raise
        status = 404
        content, kind = _file(folder, "no-such-notice.html")
    response = HttpResponse(content, content_type=kind, status=status)
    response["Content-Security-Policy"] = _POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "no-cache"
    return response


def _file(folder: Path, path: str) -> tuple[bytes, str]:
    """Return content and type of a file below the folder; anything doubtful is not found."""
    parts = path.split("/")
    if len(parts) > _DEEPEST or not all(_NAME.fullmatch(part) for part in parts):
        raise Http404
    wanted = folder.joinpath(*parts)
    if not wanted.suffix:
        wanted = wanted.with_name(f"{wanted.name}.html")
    kind = _TYPES.get(wanted.suffix)
    if kind is None or not wanted.resolve().is_relative_to(folder.resolve()):
        raise Http404
    try:
        with os.fdopen(os.open(wanted, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            return file.read(_LARGEST_BYTES), kind
    except OSError:
        raise Http404 from None
