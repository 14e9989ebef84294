"""Django's name for this app."""

from django.apps import AppConfig


class NoticesConfig(AppConfig):
    """Register the app."""

    name = "countermand.notices"
    default_auto_field = "django.db.models.BigAutoField"
