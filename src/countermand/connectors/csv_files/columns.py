"""Which columns are read, and the headers under which other programs write them."""

from __future__ import annotations

from typing import Final

from countermand.delimited import Column, header_key

DEVICES: Final = (
    Column(
        "device_id",
        ("deviceid", "id", "intune device id", "jss computer id", "jss mobile device id", "uuid"),
        required=True,
    ),
    Column(
        "owner_email",
        (
            "owner",
            "user email",
            "useremail",
            "email address",
            "email",
            "primary user email address",
            "primary user upn",
            "userprincipalname",
            "upn",
            "username",
        ),
    ),
    Column("platform", ("os", "operating system", "operatingsystem", "device type"), required=True),
    Column("os_version", ("osversion", "version", "operating system version")),
    Column("ownership", ("owner type", "ownertype", "device ownership type", "managed by")),
    Column("last_seen", ("last check-in", "last contact", "lastcontact", "seen_time", "last sync")),
    Column("eas_device_id", ("easid", "eas activation id", "exchange device id", "easdeviceid")),
    Column("device_password_id", ("device password", "app password id")),
    Column("serial", ("serial number", "serialnumber", "hardware_serial")),
    Column("device_name", ("devicename", "display name", "computer name", "hostname", "name")),
    Column("inventory_at", ("last inventory update", "software_updated_at", "report date")),
    Column("coverage"),
    Column("asked", ("asked for",)),
    Column("reads_mail", ("mail",)),
)
APPS: Final = (
    Column("device_id", ("deviceid", "id", "uuid"), required=True),
    Column("app_id", ("identifier", "bundle id", "bundle_identifier", "package", "packagename")),
    Column("app_name", ("applicationname", "name", "app", "title")),
    Column("publisher", ("applicationpublisher", "vendor", "developer")),
    Column("version", ("applicationversion", "short version")),
    Column("seen_at", ("last seen", "seen")),
)
_ONLY_IN_APPS: Final = frozenset(
    header_key(name)
    for column in APPS
    if column.name in {"app_id", "app_name"}
    for name in (column.name, *column.aliases)
) - frozenset(header_key(name) for column in DEVICES for name in (column.name, *column.aliases))


def lists_apps(headers: frozenset[str]) -> bool:
    """Tell by its headers whether a file lists apps and not devices."""
    return bool(headers & _ONLY_IN_APPS)


_IDENTIFIERS: Final = frozenset(
    header_key(name)
    for column in APPS
    if column.name == "app_id"
    for name in (column.name, *column.aliases)
)


def names_identifiers(headers: frozenset[str]) -> bool:
    """Tell by its headers whether a file of apps gives their identifiers."""
    return bool(headers & _IDENTIFIERS)
