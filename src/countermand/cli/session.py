"""One command's hold on an installation: its settings, its clock, its database, and who acts.

Who acts is proven by a personal token and by nothing else: no option names another person.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from countermand import clock, config, environment, older_objects
from countermand.cli import shown_time
from countermand.domain.errors import CountermandError, gettext_noop

if TYPE_CHECKING:
    from countermand.people.queries import Actor


@dataclass(eq=False)
class NotText(CountermandError):
    """A word holds bytes that are no text."""

    code: ClassVar[str] = "cli.not_text"
    sentence: ClassVar[str] = gettext_noop("A word of this command is not text in UTF-8.")
    remedy: ClassVar[str] = gettext_noop("Set the terminal to UTF-8, then type the command again.")


@dataclass(eq=False)
class NoToken(CountermandError):
    """Nothing proves who is acting."""

    code: ClassVar[str] = "session.no_token"
    sentence: ClassVar[str] = gettext_noop("Nothing proves who you are.")
    remedy: ClassVar[str] = gettext_noop(
        "Put your personal token into COUNTERMAND_TOKEN, or into ~/.config/countermand/token."
    )


@dataclass(eq=False)
class NotRunning(CountermandError):
    """There is no database to work with."""

    data: str

    code: ClassVar[str] = "session.not_running"
    sentence: ClassVar[str] = gettext_noop("No Countermand runs on the data folder {data}.")
    remedy: ClassVar[str] = gettext_noop(
        "Start it with “countermand up”, or name a database in DATABASE_URL."
    )


@dataclass(eq=False)
class DatabaseNotReachable(CountermandError):
    """The database does not answer."""

    code: ClassVar[str] = "session.database_not_reachable"
    sentence: ClassVar[str] = gettext_noop("The database does not answer.")
    remedy: ClassVar[str] = gettext_noop(
        "Look at “countermand doctor”. Pausing and taking back work without it."
    )


@dataclass(eq=False)
class TablesOfAnotherVersion(CountermandError):
    """The program was updated and the tables were not, or the other way round."""

    code: ClassVar[str] = "session.tables_of_another_version"
    sentence: ClassVar[str] = gettext_noop(
        "The tables of the database are of another version than this program; nothing was done."
    )
    remedy: ClassVar[str] = gettext_noop(
        "After an update start “countermand up” anew, or give “countermand db migrate”. Pausing "
        "and taking back work all the same."
    )


# What PostgreSQL says where a table, a column or a function is not there.
_NOT_THERE: Final = frozenset({"42P01", "42703", "42883"})


@dataclass(frozen=True, slots=True)
class Session:
    """What a verb works with."""

    settings: config.Settings
    clock: clock.Clock

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return self.clock.now()

    def actor(self) -> Actor:
        """Return who acts; raise NoToken or TokenNotKnown."""
        from countermand.people import queries as people

        return people.actor_for_token(own_token(os.environ), self.now())

    def actor_if_any(self) -> Actor | None:
        """Return who acts, or None when no token is at hand; a wrong token is still an error."""
        try:
            return self.actor()
        except NoToken:
            return None


def own_token(environ: Mapping[str, str]) -> str:
    """Return the token of the environment, of the file it names, or of the user's own file."""
    if text := environ.get("COUNTERMAND_TOKEN", "").strip():
        return text
    named = environ.get("COUNTERMAND_TOKEN_FILE", "").strip()
    path = Path(named) if named else Path.home() / ".config" / "countermand" / "token"
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError:
        raise NoToken from None
    if not text:
        raise NoToken
    return text


def prepare(settings: config.Settings) -> None:
    """Make the rooms that store things ready to use. Raises NotRunning."""
    if not settings.database_url:
        raise NotRunning(data=str(settings.data))
    os.environ["COUNTERMAND_DATA"] = str(settings.data)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countermand.project.settings")
    with older_objects.loading():
        import django

        django.setup()


@contextmanager
def session(settings: config.Settings | None = None) -> Iterator[Session]:
    """Open an installation: settings, clock, database; close the database at the end.

    Raises NotRunning, DatabaseNotReachable or TablesOfAnotherVersion, and NotText where something
    typed is none: neither the database nor any file of ours takes it.
    """
    settings = settings or environment.load()
    shown_time.use(settings.zone)
    prepare(settings)
    from django.db import InterfaceError, OperationalError, ProgrammingError, connections

    try:
        with older_objects.at_rest():
            yield Session(settings=settings, clock=clock.for_data(settings.folder))
    except (OperationalError, InterfaceError) as error:
        raise DatabaseNotReachable from error
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) not in _NOT_THERE:
            raise
        raise TablesOfAnotherVersion from error
    except UnicodeEncodeError as error:
        if error.encoding != "utf-8":  # what a terminal cannot show is another matter
            raise
        raise NotText from error
    finally:
        connections.close_all()
