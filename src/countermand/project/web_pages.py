"""What the web answers today: whether it lives, whether it can work, and the look-up page.

The look-up page is plain files in the data folder. It is served without asking the database,
without a cookie and without a script, so that it stands when everything else is down. Only a check
of a code and an answer ask the database; what is typed there, and what proves the person, comes
in the body of the request, so that neither stands in any log of addresses.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote

from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from countermand import clock, environment
from countermand.config import Settings
from countermand.domain.check_code import Verdict
from countermand.domain.errors import CountermandError
from countermand.domain.order_number import OrderNumber
from countermand.enforcement import openings
from countermand.enforcement.actions import Publisher
from countermand.gate.keys import KeyMissing
from countermand.notices import lookup_answers, wording
from countermand.notices.public_notice import PublicNotice
from countermand.orders import checking, own_answers, publishing
from countermand.orders.own_answers import Reaction
from countermand.orders.planning import context_of
from countermand.project.askers import network_of
from countermand.stop.fence import FenceUnreadable

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
_TYPED_NUMBER: Final = re.compile(
    r"([A-Za-z]{2}-[A-Za-z0-9]{1,16}|[Cc][Mm][\s\u2010-\u2015\u2212_-]{0,3}[A-Za-z0-9]{1,16})"
    r"""([\s/.,:;!?)>"'\u2019\u201d\u0964]{0,9})"""
)
_LONGEST_TYPED: Final = 40
_DEEPEST: Final = 3
_LARGEST_BYTES: Final = 5_000_000
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
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

    People type a number as it comes: in small letters too, with or without its hyphen, with a
    blank or the full stop of the sentence at its end. Whatever else they type is no notice.
    """
    folder = environment.load().folder.lookup
    name = path.strip()
    typed = _TYPED_NUMBER.fullmatch(name)
    if typed and "/" in typed[2]:  # below it no page would find its style and its form
        return _led_on("../" * typed[2].count("/") + quote(_as_written(typed[1])))
    status = 200
    try:
        content, kind = _file(folder, _as_written(typed[1]) if typed else name or "index.html")
    except Http404:
        if typed is None and {"/", "."} & set(name):  # nobody types that for a number
            raise
        status = 404
        content, kind = _file(folder, "no-such-notice.html")
    return _guarded(HttpResponse(content, content_type=kind, status=status), "no-cache")


def _led_on(place: str) -> HttpResponse:
    answer = HttpResponse(status=HTTPStatus.SEE_OTHER, headers={"Location": place})
    return _guarded(answer, "no-store")


def _guarded(response: HttpResponse, cache: str) -> HttpResponse:
    response["Content-Security-Policy"] = _POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = cache
    return response


def _as_written(typed: str) -> str:
    """Return the number that was meant; what cannot be one stays as typed, in capitals."""
    try:
        return OrderNumber.parse(typed).text
    except CountermandError:
        return typed.upper()


_STATUS: Final = MappingProxyType(
    {
        Verdict.TOO_OFTEN: 429,
        Verdict.SLOWED: 429,
        Verdict.REPORTS_SLOWED: 429,
        Verdict.LOOK_WAITS: 429,
        Verdict.CANNOT_SAY: 503,
        Verdict.PROVE_AGAIN: 403,
    }
)


@csrf_exempt  # nobody is signed in here: there is nothing that a foreign page could borrow
@require_http_methods(["GET", "HEAD", "POST"])
def check(request: HttpRequest) -> HttpResponse:
    """Say whether a mail is genuine, or take note that somebody takes it for forged.

    Whoever has a genuine one is asked about their devices on the same page. Whoever comes back to
    this address without the form, from a tab of before, is led to the page that has it.
    """
    if request.method != "POST":
        return _led_on("./")
    settings = environment.load()
    number, address = (request.POST.get(name, "") for name in ("number", "address"))
    key = settings.folder.secret("message-id-key").encode()
    now = clock.for_data(settings.folder).now()
    network = network_of(request, settings.own_proxies)
    asked = notice = None
    try:
        if request.POST.get("do") == "report":
            verdict = checking.report(number, address, key=key, now=now, network=network)
        else:
            code = request.POST.get("code", "")
            checked = checking.check(number, address, code, key=key, now=now, network=network)
            verdict = checked.verdict
            if checked.person_id is not None:
                notice = publishing.public_notice(settings, checking.known_number(number))
                if notice is None or not notice.is_over:
                    asked = own_answers.asked_of(checked.person_id, number, key=key, now=now)
    except (DatabaseError, FenceUnreadable):
        verdict, asked, notice = Verdict.CANNOT_SAY, None, None
    return _answered(settings, request, Reaction(verdict, asked=asked), notice)


@csrf_exempt  # what proves the person comes in the body, and no foreign page has it
@require_http_methods(["GET", "HEAD", "POST"])
def answer(request: HttpRequest) -> HttpResponse:
    """Keep what somebody says of one of their devices, or let it be looked at; say what became."""
    if request.method != "POST":
        return _led_on("./")
    settings = environment.load()
    number, proof, device, said = (
        request.POST.get(name, "") for name in ("number", "proof", "device", "said")
    )
    key = settings.folder.secret("message-id-key").encode()
    now = clock.for_data(settings.folder).now()
    try:
        if request.POST.get("do") == "look":
            reaction = own_answers.look(number, proof, device, key=key, now=now)
        else:
            reaction = own_answers.give(
                number,
                proof,
                device,
                said,
                key=key,
                publisher=Publisher.load(settings.folder),
                context=context_of(settings),
                now=now,
            )
    except (DatabaseError, KeyMissing):
        reaction = Reaction(Verdict.CANNOT_SAY)
    if opened := reaction.opened:
        with suppress(DatabaseError):  # it is kept; gates that follow the database hear it there
            openings.begin(
                opened.device_id, opened.orders, gates=settings.gates, token=settings.gate_token
            )
    return _answered(settings, request, reaction)


def _answered(
    settings: Settings,
    request: HttpRequest,
    reaction: Reaction,
    notice: PublicNotice | None = None,
) -> HttpResponse:
    written = _as_written(request.POST.get("number", "")[:_LONGEST_TYPED])
    known = _NAME.fullmatch(written) and (settings.folder.lookup / f"{written}.html").is_file()
    page = lookup_answers.answer_page(
        reaction.verdict,
        number=written if known else "",
        house=wording.house_of(settings),
        notice=notice,
        asked=reaction.asked,
        noted=reaction.noted,
        language=request.POST.get("language", ""),
    )
    status = _STATUS.get(reaction.verdict, 200)
    return _guarded(HttpResponse(page, status=status), "no-store")


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
