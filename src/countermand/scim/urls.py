"""The addresses of the service."""

from __future__ import annotations

from django.urls import path

from countermand.scim import pages

urlpatterns = [
    path("ServiceProviderConfig", pages.service_provider_config),
    path("Schemas", pages.schemas),
    path("Schemas/<str:key>", pages.schemas),
    path("ResourceTypes", pages.resource_types),
    path("ResourceTypes/<str:key>", pages.resource_types),
    path(".search", pages.search),
    path("Users", pages.users),
    path("Users/.search", pages.search_users),
    path("Users/<str:key>", pages.user),
    path("Groups", pages.groups),
    path("Groups/.search", pages.search_groups),
    path("Groups/<str:key>", pages.group),
    path("<path:rest>", pages.nothing),
]
