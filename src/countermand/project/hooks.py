"""The address to which a source posts what it has to say: answered 200 only after it is durable.

Whoever asks learns nothing: a wrong key, an unknown source and a body that is too large are
refused alike, and nothing of a body is ever logged.
"""

from __future__ import annotations

import logging
import os
from typing import Final

from django.http import HttpRequest, HttpResponse, RawPostDataException
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from countermand import clock, config
from countermand.domain.errors import CountermandError, FaultsFound

_LOG: Final = logging.getLogger("countermand.hooks")


@csrf_exempt  # the body is signed; there is no session that could be misused
@require_POST
def take(request: HttpRequest, name: str) -> HttpResponse:
    """Take in one post of NanoMDM's hook."""
    # What asks sources is loaded by the first post: most web processes never get one.
    from countermand.connectors.nanomdm import hook  # noqa: PLC0415
    from countermand.project import source_runs  # noqa: PLC0415

    settings = config.load(os.environ)
    try:
        size = int(request.headers.get("Content-Length") or 0)
        body = request.read(hook.MOST_BYTES + 1) if 0 < size <= hook.MOST_BYTES else b""
    except (ValueError, OSError, RawPostDataException):
        body = b""
    signature = request.headers.get("X-Hmac-Signature", "")
    now = clock.for_data(settings.folder).now()
    runner = source_runs.Runner(settings, os.environ)
    try:
        runner.take_in(name, body, signature, now=now)
    except FaultsFound as faulty:
        # It came from the source, and cannot be read: sent again it would be no better.
        _LOG.warning("hook.not_read source=%s code=%s", name[:50], faulty.faults[0].code)
    except CountermandError as error:
        _LOG.warning("hook.refused source=%s code=%s", name[:50], error.code)
        return HttpResponse(status=403)
    return HttpResponse(status=200)
