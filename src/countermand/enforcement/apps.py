"""Django's name for this app."""

from django.apps import AppConfig


class EnforcementConfig(AppConfig):
    """Register the app."""

    name = "countermand.enforcement"
    default_auto_field = "django.db.models.BigAutoField"
