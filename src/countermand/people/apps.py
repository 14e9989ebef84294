"""Django's name for this app."""

from django.apps import AppConfig


class PeopleConfig(AppConfig):
    """Register the app."""

    name = "countermand.people"
    default_auto_field = "django.db.models.BigAutoField"
