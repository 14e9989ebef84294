"""The addresses that the web answers."""

from __future__ import annotations

from django.urls import include, path

from countermand.project import hooks, web_pages

urlpatterns = [
    path("healthz", web_pages.healthz, name="healthz"),
    path("readyz", web_pages.readyz, name="readyz"),
    path("check", web_pages.check, name="check"),
    path("answer", web_pages.answer, name="answer"),
    path("scim/v2/", include("countermand.scim.urls")),
    path("hooks/<str:name>", hooks.take, name="hook"),
    path("", web_pages.lookup, name="lookup"),
    path("<path:path>", web_pages.lookup, name="lookup-file"),
]
