"""Django's name for this app."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """Register the app."""

    name = "countermand.audit"
    default_auto_field = "django.db.models.BigAutoField"
