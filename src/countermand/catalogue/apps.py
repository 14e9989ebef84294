"""Django's name for this app."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    """Register the app."""

    name = "countermand.catalogue"
    default_auto_field = "django.db.models.BigAutoField"
