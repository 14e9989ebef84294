"""Settings for the type checker alone: which apps there are, and nothing else.

mypy's Django plugin loads them to learn the models; the project's own settings are not needed
for that, and are checked by `make check STEP=deploy`.
"""

INSTALLED_APPS = [
    "django.contrib.postgres",
    "procrastinate.contrib.django",
    "countermand.audit",
    "countermand.people",
    "countermand.catalogue",
    "countermand.devices",
    "countermand.notices",
    "countermand.enforcement",
    "countermand.orders",
]
SECRET_KEY = "for the type checker"  # noqa: S105  (nothing is signed with it)
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
