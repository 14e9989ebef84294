"""Reading the settings of this process from its environment, and never guessing one.

Standard library only, so that gate, sender and stop path read the same settings as the web.
A setting `relay` is given as COUNTERMAND_RELAY, or as COUNTERMAND_RELAY_FILE that names a file
holding the value; a file that is named and cannot be read is an error, never a default.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from countermand import setting_values
from countermand.config import OTHER_NAMES, PREFIX, Settings
from countermand.data_folder import DataFolder
from countermand.domain.errors import CountermandError, gettext_noop

# Read by the command line alone, or by the test and build tools; not settings of the programs.
_NOT_SETTINGS: Final = frozenset({"TOKEN", "TOKEN_FILE", "LANG"})

# Left empty, mails must not name somebody else's address or house; a plan refuses them.
_NEVER_FROM_THE_DEFAULT: Final = frozenset({"reply_to", "organisation"})


@dataclass(eq=False)
class SettingNotUnderstood(CountermandError):
    """A setting has a value that cannot be read."""

    name: str
    value: str
    expected: str

    code: ClassVar[str] = "config.setting_not_understood"
    sentence: ClassVar[str] = gettext_noop(
        "The setting {name} is “{value}”, which is not {expected}."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Set {name} to {expected}, or leave it out for the default."
    )


@dataclass(eq=False)
class SettingFileMissing(CountermandError):
    """A setting names a file that cannot be read."""

    name: str
    path: str

    code: ClassVar[str] = "config.setting_file_missing"
    sentence: ClassVar[str] = gettext_noop("{name} names the file {path}, which cannot be read.")
    remedy: ClassVar[str] = gettext_noop("Create the file or mend the setting {name}.")


def default_data() -> Path:
    """Return where data lies unless told: the system's place for root, else the user's own."""
    if os.geteuid() == 0:
        return Path("/var/lib/countermand")
    return Path.home() / ".local" / "share" / "countermand"


def load(
    environ: Mapping[str, str] | None = None,
    *,
    data: Path | None = None,
    left_out: list[CountermandError] | None = None,
) -> Settings:
    """Read all settings; `data` (as given on the command line) wins over the environment.

    What `up` wrote to run/up.json fills in the addresses of the embedded database and of the
    gates where the environment names none. Raises SettingNotUnderstood or SettingFileMissing;
    with `left_out` these are put there, and the setting has its default, but for the folder.
    """
    environ = os.environ if environ is None else environ
    given = _all_given(environ, left_out)
    given["data"] = data.expanduser().absolute() if data else given.get("data") or default_data()
    folder = DataFolder(given["data"])
    running = folder.running()
    for name in ("database_url", "sender_database_url", "gate_database_url"):
        if not given.get(name):
            given[name] = str(running.get(name, ""))
    if not given.get("gates"):
        given["gates"] = tuple(str(url) for url in running.get("gates", ()))
    if not given.get("gate_token"):
        given["gate_token"] = folder.secret("gate-token")
    return Settings(**given)


def _all_given(
    environ: Mapping[str, str], left_out: list[CountermandError] | None
) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for each in dataclasses.fields(Settings):
        try:
            text = _given(each.name, environ)
            if text is not None:
                given[each.name] = _read(each, text)
        except (SettingNotUnderstood, SettingFileMissing) as error:
            if left_out is None or each.name == "data":
                raise
            left_out.append(error)
    return given


def unknown_names(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return variables that look like settings and are none: misspelt ones, mostly."""
    known = {each.name.upper() for each in dataclasses.fields(Settings)}
    return tuple(
        sorted(
            name
            for name in environ
            if name.startswith(PREFIX)
            and (rest := name.removeprefix(PREFIX)) not in _NOT_SETTINGS
            and rest.removesuffix("_FILE") not in known
        )
    )


def _given(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the text that the environment gives to one setting, if any."""
    for variable in (PREFIX + name.upper(), OTHER_NAMES.get(name)):
        if variable is None:
            continue
        if path := environ.get(f"{variable}_FILE"):
            try:
                return Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise SettingFileMissing(name=f"{variable}_FILE", path=path) from None
        text = environ.get(variable)
        if text is not None and (text.strip() or name in _NEVER_FROM_THE_DEFAULT):
            return text.strip()
    return None


def _read(each: dataclasses.Field[Any], text: str) -> Any:
    read = each.metadata["read"]
    try:
        return read(text)
    except ValueError:
        raise SettingNotUnderstood(
            name=PREFIX + each.name.upper(), value=text, expected=setting_values.EXPECTED[read]
        ) from None
