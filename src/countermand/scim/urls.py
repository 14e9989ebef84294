"""The addresses of the service, which is loaded by the first question to it.

Most web processes never get one, and the schemas take longer to load than all the rest of the web.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def _page(name: str) -> Callable[..., HttpResponseBase]:
    @csrf_exempt  # a directory shows a token in every request; there is no session to misuse
    def page(request: HttpRequest, **parts: str) -> HttpResponseBase:
        from countermand.scim import pages  # noqa: PLC0415  (see above)

        answer: HttpResponseBase = getattr(pages, name)(request, **parts)
        return answer

    return page


urlpatterns = [
    path("ServiceProviderConfig", _page("service_provider_config")),
    path("Schemas", _page("schemas")),
    path("Schemas/<str:key>", _page("schemas")),
    path("ResourceTypes", _page("resource_types")),
    path("ResourceTypes/<str:key>", _page("resource_types")),
    path(".search", _page("search")),
    path("Users", _page("users")),
    path("Users/.search", _page("search_users")),
    path("Users/<str:key>", _page("user")),
    path("Groups", _page("groups")),
    path("Groups/.search", _page("search_groups")),
    path("Groups/<str:key>", _page("group")),
    path("<path:rest>", _page("nothing")),
]
