"""The addresses below /scim/v2: who asks is proven by a directory's token, never by a cookie."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, TypeVar

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from pydantic import ValidationError
from scim2_models import (
    Context,
    Error,
    ForbiddenException,
    ListResponse,
    MutabilityException,
    NotFoundException,
    PatchOp,
    Resource,
    ResourceType,
    ResponseParameters,
    Schema,
    SCIMException,
    UnauthorizedException,
    UniquenessException,
)

from countermand import clock, environment
from countermand.people import directory_groups, directory_tokens, provisioning
from countermand.people.directory_tokens import DirectoryTokenNotKnown
from countermand.people.provisioning import AlreadyThere, NotThere
from countermand.scim import mapping, sought
from countermand.scim.bodies import body_of, changes_of
from countermand.scim.service import CONFIG, PERSON, PROVIDER, Group, User

_TYPE: Final = "application/scim+json"
_BEARER: Final = re.compile(r"[Bb]earer +([A-Za-z0-9_]{10,200})")
_CHANGES: Final = ("PUT", "PATCH", "DELETE")
Answer = Callable[..., HttpResponse]
ResourceT = TypeVar("ResourceT", bound="Resource[Any]")


def _service(answer: Answer) -> Answer:
    """Let in who has a directory's token, and turn what goes wrong into errors of SCIM."""

    @csrf_exempt
    @wraps(answer)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with PROVIDER:
                _check_token(request)
                return answer(request, *args, **kwargs)
        except SCIMException as error:
            return _error(error.to_error())
        except ValidationError as error:
            first = Error.from_validation_errors(error)[0]
            return _error(first)
        except AlreadyThere as error:
            return _error(UniquenessException(detail=str(error)).to_error())
        except NotThere as error:
            return _error(NotFoundException(detail=str(error)).to_error())

    return guarded


def _check_token(request: HttpRequest) -> None:
    given = _BEARER.fullmatch(request.headers.get("Authorization", "").strip())
    try:
        directory_tokens.check(given[1] if given else "")
    except DirectoryTokenNotKnown as error:
        raise UnauthorizedException(detail=str(error)) from error


def _error(error: Error) -> HttpResponse:
    response = _json(error.model_dump(), HTTPStatus(int(error.status or 500)))
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="scim"'
    return response


def _json(content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> HttpResponse:
    text = json.dumps(content, ensure_ascii=False, default=str)
    response = HttpResponse(text, content_type=_TYPE, status=status)
    response["Cache-Control"] = "no-store"
    return response


def _base(request: HttpRequest) -> str:
    return request.build_absolute_uri("/scim/v2")


def _key(text: str, read: Callable[[str], int | None]) -> int:
    key = read(text)
    if key is None:
        raise NotThere(key=text[:60])
    return key


def _only(request: HttpRequest, *methods: str) -> None:
    if request.method not in methods:
        error = ForbiddenException(detail=f"{request.method} is not answered here.")
        error.status = HTTPStatus.METHOD_NOT_ALLOWED
        raise error


def _alone_if_it_changes(request: HttpRequest) -> AbstractContextManager[None]:
    """Directories send several changes of one group at once: each builds on the one before.

    The body is read first: who sends it slowly keeps nobody else from writing people.
    """
    if request.method not in _CHANGES:
        return nullcontext()
    _ = request.body  # bounded; kept by the request
    return provisioning.alone()


def _asked(query: Mapping[str, Any], model: type[Resource[Any]]) -> ResponseParameters[Any]:
    names = ("attributes", "excludedAttributes")
    given = {name: query[name] for name in names if name in query}
    return ResponseParameters[model].model_validate(given)  # type: ignore[valid-type]


def _said(
    resource: Resource[Any],
    request: HttpRequest,
    context: Context,
    status: HTTPStatus = HTTPStatus.OK,
) -> HttpResponse:
    asked = _asked(request.GET, type(resource))
    response = _json(resource.model_dump(scim_ctx=context, response_parameters=asked), status)
    if status is HTTPStatus.CREATED and resource.meta is not None:
        response["Location"] = str(resource.meta.location)
    return response


# -- what this service is ----------------------------------------------------------------------


@_service
def service_provider_config(request: HttpRequest) -> HttpResponse:
    """Say what this service can do."""
    _only(request, "GET")
    return _json(CONFIG.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


@_service
def schemas(request: HttpRequest, key: str = "") -> HttpResponse:
    """Say which attributes are kept, of all kinds or of one."""
    _only(request, "GET")
    return _described(request, Schema, PROVIDER.schemas, key, lambda each: str(each.id))


@_service
def resource_types(request: HttpRequest, key: str = "") -> HttpResponse:
    """Say which kinds there are: users and groups."""
    _only(request, "GET")
    return _described(
        request, ResourceType, PROVIDER.resource_types, key, lambda each: str(each.name)
    )


def _described(
    request: HttpRequest,
    model: type[ResourceT],
    every: Sequence[ResourceT],
    key: str,
    name_of: Callable[[ResourceT], str],
) -> HttpResponse:
    if "filter" in request.GET:  # RFC 7644, 4: a description is not searched
        raise ForbiddenException
    if not key:
        return _list(model, list(every), len(every), 1)
    found = next((each for each in every if name_of(each) == key), None)
    if found is None:
        raise NotThere(key=key[:200])
    return _json(found.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE))


def _list(
    model: type[ResourceT],
    page: Sequence[ResourceT],
    total: int,
    start: int,
    asked: ResponseParameters[Any] | None = None,
) -> HttpResponse:
    answer = ListResponse[model](  # type: ignore[valid-type]
        total_results=total, start_index=start, items_per_page=len(page), resources=list(page)
    )
    return _json(
        answer.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked)
    )


def _shown_or_changed(
    request: HttpRequest,
    model: type[ResourceT],
    known: ResourceT,
    *,
    put: Callable[[ResourceT], ResourceT],
    take_away: Callable[[], None],
) -> HttpResponse:
    """Do to one person or group what the method asks, and say what is so then."""
    match request.method:
        case "PUT":
            context = Context.RESOURCE_REPLACEMENT_REQUEST
            given = model.model_validate(body_of(request), scim_ctx=context)
            given.replace(known)
            return _said(put(given), request, Context.RESOURCE_REPLACEMENT_RESPONSE)
        case "PATCH":
            patch = PatchOp[model].model_validate(  # type: ignore[valid-type]
                changes_of(request), scim_ctx=Context.RESOURCE_PATCH_REQUEST
            )
            patch.patch(known)
            return _said(put(known), request, Context.RESOURCE_PATCH_RESPONSE)
        case "DELETE":
            take_away()
            return HttpResponse(status=HTTPStatus.NO_CONTENT)
        case _:
            return _said(known, request, Context.RESOURCE_QUERY_RESPONSE)


# -- people ------------------------------------------------------------------------------------


@_service
def users(request: HttpRequest) -> HttpResponse:
    """List people, or take on a new one."""
    _only(request, "GET", "POST")
    if request.method == "POST":
        user = PERSON.model_validate(body_of(request), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
        return _said(
            _put(user, request, None), request, Context.RESOURCE_CREATION_RESPONSE,
            HTTPStatus.CREATED,
        )  # fmt: skip
    return _listed_users(request.GET, _base(request))


@_service
def search_users(request: HttpRequest) -> HttpResponse:
    """List people as a request body asks for it."""
    _only(request, "POST")
    return _listed_users(body_of(request), _base(request))


def _listed_users(query: Mapping[str, Any], base: str) -> HttpResponse:
    rows, is_all = sought.people(query)
    if not is_all:
        every = (mapping.user_of(each, base) for each in provisioning.read(rows))
        return _matching(query, PERSON, every)
    start, count = sought.page(query)
    page = provisioning.read(rows[start - 1 : start - 1 + count])
    listed: list[User] = [mapping.user_of(each, base) for each in page]
    return _list(PERSON, listed, rows.count(), start, _asked(query, PERSON))


@_service
def user(request: HttpRequest, key: str) -> HttpResponse:
    """Show, replace, change or take away one person."""
    _only(request, "GET", *_CHANGES)
    person_id = _key(key, mapping.key_of)
    with _alone_if_it_changes(request):
        return _shown_or_changed(
            request,
            PERSON,
            mapping.user_of(provisioning.entry(person_id), _base(request)),
            put=lambda told: _put(told, request, person_id),
            take_away=lambda: provisioning.take_away_person(person_id, now=_now()),
        )


def _put(user: User, request: HttpRequest, person_id: int | None) -> User:
    settings = environment.load()
    told = mapping.told(user, language=settings.default_language, zone=settings.zone)
    entry = provisioning.put_person(told, person_id=person_id, now=_now())
    return mapping.user_of(entry, _base(request))


def _now() -> datetime:
    return clock.for_data(environment.load().folder).now()


# -- groups ------------------------------------------------------------------------------------


@_service
def groups(request: HttpRequest) -> HttpResponse:
    """List groups, or make a new one."""
    _only(request, "GET", "POST")
    base = _base(request)
    if request.method == "POST":
        group = Group.model_validate(body_of(request), scim_ctx=Context.RESOURCE_CREATION_REQUEST)
        made = _put_group(group, base, None)
        return _said(made, request, Context.RESOURCE_CREATION_RESPONSE, HTTPStatus.CREATED)
    return _listed_groups(request.GET, base)


@_service
def search_groups(request: HttpRequest) -> HttpResponse:
    """List groups as a request body asks for it."""
    _only(request, "POST")
    return _listed_groups(body_of(request), _base(request))


def _listed_groups(query: Mapping[str, Any], base: str) -> HttpResponse:
    rows = sought.groups(query)
    every = (mapping.group_of(each, base) for each in directory_groups.read_groups(rows))
    return _matching(query, Group, every)


@_service
def group(request: HttpRequest, key: str) -> HttpResponse:
    """Show, replace, change or take away one group."""
    _only(request, "GET", *_CHANGES)
    number = _key(key, mapping.group_key_of)
    with _alone_if_it_changes(request):
        base = _base(request)
        return _shown_or_changed(
            request,
            Group,
            mapping.group_of(directory_groups.group(number), base),
            put=lambda told: _put_group(told, base, number),
            take_away=lambda: directory_groups.take_away_group(number, now=_now()),
        )


def _put_group(group: Group, base: str, key: int | None) -> Group:
    name = " ".join((group.display_name or "").split())
    if not name or len(name) > 100:  # noqa: PLR2004 - what a scope can name
        raise MutabilityException(detail="displayName is needed, of at most 100 characters.")
    named = (mapping.key_of(each.value or "") for each in group.members or [])
    members = {key for key in named if key is not None}
    entry = directory_groups.put_group(
        name, external_id=mapping.known_by(group.external_id), members=members, key=key, now=_now()
    )
    return mapping.group_of(entry, base)


@_service
def search(request: HttpRequest) -> HttpResponse:
    """List people and groups together, as a request body asks for it."""
    _only(request, "POST")
    query, base = body_of(request), _base(request)
    rows, _ = sought.people(query)
    people = [mapping.user_of(each, base) for each in provisioning.read(rows)]
    named = directory_groups.read_groups(sought.groups(query))
    every: list[Any] = [*people, *(mapping.group_of(each, base) for each in named)]
    return _matching(query, PERSON | Group, every)


def _matching(
    query: Mapping[str, Any], model: type[ResourceT], every: Iterable[ResourceT]
) -> HttpResponse:
    """Show a page of what the filter means."""
    found = list(sought.matching(query, model, every))
    start, count = sought.page(query)
    page = found[start - 1 : start - 1 + count]
    return _list(model, page, len(found), start, _asked(query, model))


@_service
def nothing(_request: HttpRequest, rest: str) -> HttpResponse:
    """Say that there is nothing at this address."""
    raise NotThere(key=rest[:200])
