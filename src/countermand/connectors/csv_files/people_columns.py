"""Which columns about people are read, under the headers of Entra, Google and HR programs."""

from __future__ import annotations

from typing import Final

from countermand.delimited import Column

PEOPLE: Final = (
    Column(
        "person_id",
        (
            "employee id",
            "employeeid",
            "employee number",
            "employee #",
            "personnel number",
            "staff id",
            "worker id",
            "user id",
            "object id",
            "objectid",
            "uid",
            "id",
        ),
    ),
    Column(
        "name",
        ("display_name", "displayname", "full name", "employee name", "preferred name", "worker"),
    ),
    Column("first_name", ("given name", "givenname", "forename", "first")),
    Column("last_name", ("surname", "family name", "last")),
    Column(
        "local_name", ("given_name_dev", "native name", "name in local script", "local full name")
    ),
    Column(
        "email",
        (
            "address",
            "mail",
            "email address",
            "e-mail",
            "work email",
            "primary email",
            "primary work email",
            "business email",
            "user principal name",
            "userprincipalname",
            "upn",
        ),
        required=True,
    ),
    Column("upn", ("user principal name", "userprincipalname", "sign-in name", "login")),
    Column(
        "logins",
        (
            "login names",
            "samaccountname",
            "sam account name",
            "on premises sam account name",
            "onpremisessamaccountname",
        ),
    ),
    Column(
        "other_addresses",
        ("other emails", "othermails", "proxy addresses", "proxyaddresses", "aliases", "alias"),
    ),
    Column(
        "language",
        ("preferred_language", "preferredlanguage", "locale", "work language", "correspondence"),
    ),
    Column(
        "country",
        ("country or region", "countryorregion", "usage location", "usagelocation", "work country"),
    ),
    Column("zone", ("time zone", "timezone", "time_zone", "tz", "iana time zone")),
    Column("groups", ("group", "member of", "memberof", "teams")),
    Column(
        "unit",
        ("department", "org unit path", "organizational unit", "cost center", "division", "team"),
    ),
    Column(
        "manager",
        (
            "manager_email",
            "manager email",
            "manager id",
            "manager_uid",
            "manager upn",
            "supervisor email",
            "supervisor",
            "reports to",
            "line manager",
        ),
    ),
    Column("delegates", ("assistant", "assistants", "delegate", "assistant email")),
    Column("absent_until", ("leave until", "leave end", "absence end", "on leave until")),
    Column("active", ("account enabled", "enabled", "is active")),
    Column("status", ("account status", "user status", "employment status", "employee status")),
    Column(
        "left_on", ("termination date", "end date", "leave date", "employeeleavedatetime", "exit")
    ),
)
