"""Django's settings, all derived from `countermand.config`; secure unless somebody says otherwise.

Without a known database (nothing runs, no DATABASE_URL) there is none: what needs no database
works, and what needs one says so.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from psycopg.conninfo import conninfo_to_dict

from countermand import environment

_SETTINGS: Final = environment.load()

# The names that Django takes apart from the rest; everything else is an option of the connection.
_DJANGO_NAMES: Final = {
    "dbname": "NAME",
    "user": "USER",
    "password": "PASSWORD",
    "host": "HOST",
    "port": "PORT",
}


def database(url: str) -> dict[str, Any]:
    """Return Django's form of a database address (URL or keyword form of libpq)."""
    given = conninfo_to_dict(url)
    named = {_DJANGO_NAMES[key]: value for key, value in given.items() if key in _DJANGO_NAMES}
    options = {key: value for key, value in given.items() if key not in _DJANGO_NAMES}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "",
        **{key: str(value) for key, value in named.items()},
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 60,
        # A database that neither answers nor refuses must not hold up whoever stops an order.
        "OPTIONS": {"connect_timeout": "5", **options},
    }


DEBUG = False
# A process that only checks or migrates signs nothing; the web's own key is made by `init`.
SECRET_KEY = _SETTINGS.folder.secret("django-secret-key") or secrets.token_urlsafe(64)
ALLOWED_HOSTS = list(_SETTINGS.allowed_hosts)

DATABASES = {"default": database(_SETTINGS.database_url)} if _SETTINGS.database_url else {}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

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

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
PROCRASTINATE_ON_APP_READY = "countermand.project.doorbells.register"

ROOT_URLCONF = "countermand.project.urls"
WSGI_APPLICATION = "countermand.project.wsgi.application"

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = "en"

CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "no-referrer"
SECURE_HSTS_SECONDS = 31_536_000  # a year; sent over HTTPS only
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    # A reverse proxy ends TLS; a redirect from here would cut off health checks on loopback.
    "security.W008",
]

LOGGING_CONFIG = None  # each process sets up its own
