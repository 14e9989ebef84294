"""The address to which a source posts what it has to say: answered 200 only after it is durable.

Whoever asks learns nothing: a wrong key, an unknown source and a body that is too large are
refused alike, and nothing of a body is ever logged, nor is a key that stands in the address.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

from django.http import HttpRequest, HttpResponse, RawPostDataException
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from countermand import clock, environment
from countermand.connectors.names import SourceKind
from countermand.domain.errors import CountermandError, FaultsFound

if TYPE_CHECKING:
    from countermand.project.source_runs import Runner

_LOG: Final = logging.getLogger("countermand.hooks")


@csrf_exempt  # what is posted proves itself; there is no session that could be misused
@require_POST
def take(request: HttpRequest, name: str) -> HttpResponse:
    """Take in one post of a source."""
    # What asks sources is loaded by the first post: most web processes never get one.
    from countermand.project import source_runs  # noqa: PLC0415
    from countermand.wire.http import AnswerNotUnderstood, SourceUnavailable  # noqa: PLC0415

    runner = source_runs.Runner(environment.load(os.environ), os.environ)
    try:
        _take(runner, request, name)
    except FaultsFound as faulty:
        # It came from the source, and cannot be read: sent again it would be no better.
        _LOG.warning("hook.not_read source=%s code=%s", name[:50], faulty.faults[0].code)
    except (SourceUnavailable, AnswerNotUnderstood) as error:
        # Whether it is genuine cannot be told for now; it may be sent again.
        _LOG.warning("hook.not_proven source=%s code=%s", name[:50], error.code)
        return HttpResponse(status=503)
    except CountermandError as error:
        _LOG.warning("hook.refused source=%s code=%s", name[:50], error.code)
        return HttpResponse(status=403)
    return HttpResponse(status=200)


def _take(runner: Runner, request: HttpRequest, name: str) -> None:
    from countermand.connectors import webhooks  # noqa: PLC0415
    from countermand.connectors.nanomdm import hook  # noqa: PLC0415
    from countermand.project import source_hints  # noqa: PLC0415

    now = clock.for_data(runner.settings.folder).now()
    if name.partition(":")[0] == SourceKind.NANOMDM:
        signature = request.headers.get("X-Hmac-Signature", "")
        runner.take_in(name, _body(request, hook.MOST_BYTES), signature, now=now)
        return
    post = webhooks.Post(
        body=_body(request, webhooks.MOST_BYTES),
        headers={key.lower(): value for key, value in request.headers.items()},
        key=request.GET.get("key", ""),
    )
    source_hints.take(runner, name, post, now=now)


def _body(request: HttpRequest, most: int) -> bytes:
    """Return the body, nothing of one that is too large or was cut off."""
    try:
        size = int(request.headers.get("Content-Length") or 0)
        return request.read(most + 1) if 0 < size <= most else b""
    except (ValueError, OSError, RawPostDataException):
        return b""
