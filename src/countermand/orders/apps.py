"""Django's name for this app."""

from django.apps import AppConfig


class OrdersConfig(AppConfig):
    """Register the app."""

    name = "countermand.orders"
    default_auto_field = "django.db.models.BigAutoField"
