"""Whom a directory seeks: which people and groups a filter means, and which page of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from django.db.models import QuerySet
from scim2_models import InvalidFilterException, InvalidSyntaxException, Resource, ScimFilter

from countermand.people import directory_groups, provisioning
from countermand.scim.bodies import checked_text
from countermand.scim.service import MOST_RESULTS

_BY_KEY: Final = re.compile(
    r'(?P<name>userName|externalId|id|displayName|emails(\[type eq "work"\])?(\.value)?)'
    r' +eq +"(?P<value>[^"\\]{1,320})"',
    re.IGNORECASE,
)
# As Entra asks whether somebody still has the manager that it knows: manager eq "12".
_MANAGER: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value"
_QUOTED_OR_MANAGER: Final = re.compile(
    r'"(?:[^"\\]|\\.)*"'
    r"|(?<![\w.:])(urn:ietf:params:scim:schemas:extension:enterprise:2\.0:User:)?"
    r"manager(\.value)?(?![\w.:\[])",
    re.IGNORECASE,
)
ResourceT = TypeVar("ResourceT", bound="Resource[Any]")


def people(query: Mapping[str, Any]) -> tuple[QuerySet[Any], bool]:
    """Return the rows that can match, and whether they are the answer already."""
    text = _filter(query)
    by_key = _BY_KEY.fullmatch(text)
    if by_key is None:
        return provisioning.entries(), not text
    name, value = by_key["name"].lower(), by_key["value"]
    if name == "username":
        return provisioning.entries(login=value), True
    if name == "externalid":
        return provisioning.entries(external_id=value), True
    if name.startswith("emails"):
        return provisioning.entries(address=value), False
    return provisioning.entries(), False


def groups(query: Mapping[str, Any]) -> QuerySet[Any]:
    by_key = _BY_KEY.fullmatch(_filter(query))
    if by_key is not None and by_key["name"].lower() == "displayname":
        return directory_groups.groups(name=by_key["value"])
    if by_key is not None and by_key["name"].lower() == "externalid":
        return directory_groups.groups(external_id=by_key["value"])
    return directory_groups.groups()


def matching(
    query: Mapping[str, Any], model: type[ResourceT], every: Iterable[ResourceT]
) -> Iterator[ResourceT]:
    """Yield what the filter means, all where there is none. Raises InvalidFilterException."""
    text = _filter(query)
    if not text:
        yield from every
        return
    try:
        meant = ScimFilter[model](_QUOTED_OR_MANAGER.sub(_full_name, text))  # type: ignore[valid-type]
    except InvalidFilterException:
        raise
    except ValueError as error:
        raise InvalidFilterException(filter=text) from error
    yield from (each for each in every if meant.match(each))


def page(query: Mapping[str, Any]) -> tuple[int, int]:
    """Return where a page begins, from 1 on, and how many it holds at most."""
    start, count = query.get("startIndex"), query.get("count")
    try:
        first = int(start) if start is not None else 1
        many = int(count) if count is not None else MOST_RESULTS
    except (TypeError, ValueError) as error:
        raise InvalidSyntaxException from error
    return min(max(1, first), 10**9), min(max(0, many), MOST_RESULTS)


def _filter(query: Mapping[str, Any]) -> str:
    return checked_text(str(query.get("filter") or "").strip())


def _full_name(found: re.Match[str]) -> str:
    """Name a manager by the whole path; what stands in quotation marks stays."""
    return found[0] if found[0].startswith('"') else _MANAGER
