"""Django's name for this app."""

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """Register the app."""

    name = "countermand.devices"
    default_auto_field = "django.db.models.BigAutoField"
