"""A command that was not understood: said like every other error, in both languages and as JSON.

The library that reads command lines speaks English only; what it found is taken over as facts and
said in our words.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import ClassVar

from typer._click import exceptions as faults

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.i18n import gettext as _

_AMONG = re.compile(r"(?:Value error, )?'(.*)' is not one of (.+?)\.?", re.DOTALL)
_QUOTED = re.compile(r"'([^']+)'")
# What the library says of a word, and how we say it.
_SAID_OF_A_WORD = (
    (re.compile(r"'(.*)' is not a valid .+\."), gettext_noop("“{word}” cannot be read.")),
    (re.compile(r"(.+) is not in the range .+\."), gettext_noop("{word} is too big or too small.")),
    (
        re.compile(r"Input should be a valid (?:integer|number).*()"),
        gettext_noop("Write a number."),
    ),
    (
        re.compile(r"Input should be greater than or equal to (.+)"),
        gettext_noop("{word} is the smallest that it takes."),
    ),
    (
        re.compile(r"Input should be less than or equal to (.+)"),
        gettext_noop("{word} is the largest that it takes."),
    ),
    (re.compile(r"\w+ '(.*)' is a directory\."), gettext_noop("“{word}” is a folder.")),
    (re.compile(r"\w+ '(.*)' is a file\."), gettext_noop("“{word}” is a file and no folder.")),
    (re.compile(r"\w+ '(.*)' is not readable\."), gettext_noop("“{word}” may not be read.")),
    (re.compile(r"\w+ '(.*)' is not writable\."), gettext_noop("“{word}” may not be written.")),
    (re.compile(r"Option '(.*)' requires .+\."), gettext_noop("A value belongs after {word}.")),
    (re.compile(r"Option '(.*)' does not take a value\."), gettext_noop("{word} takes no value.")),
    (
        re.compile(r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)"),
        gettext_noop("There is no place for “{word}”."),
    ),
)
_NOT_THERE = re.compile(r"\w+ '(.*)' does not exist\.")
_HELP = gettext_noop("The help shows how it is written: {help}")


@dataclass(eq=False)
class WordMissing(CountermandError):
    """Something that must be said was not."""

    name: str
    help: str

    code: ClassVar[str] = "cli.missing"
    sentence: ClassVar[str] = gettext_noop("“{name}” is missing here.")
    remedy: ClassVar[str] = _HELP


@dataclass(eq=False)
class NoSuchOption(CountermandError):
    """An option that this verb does not have."""

    name: str
    help: str

    code: ClassVar[str] = "cli.no_such_option"
    sentence: ClassVar[str] = gettext_noop("There is no option “{name}” here.")
    remedy: ClassVar[str] = _HELP


@dataclass(eq=False)
class NoSuchVerb(CountermandError):
    """A verb that does not exist."""

    name: str
    help: str

    code: ClassVar[str] = "cli.no_such_verb"
    sentence: ClassVar[str] = gettext_noop("There is no command “{name}”.")
    remedy: ClassVar[str] = gettext_noop("The help lists them all: {help}")


@dataclass(eq=False)
class NoSuchVerbButNear(NoSuchVerb):
    """A verb that does not exist, and one that is near."""

    nearest: str

    remedy: ClassVar[str] = gettext_noop("The nearest one is “{nearest}”. All of them: {help}")


@dataclass(eq=False)
class NotTaken(CountermandError):
    """A word in a place where it does not fit."""

    why: str
    help: str

    code: ClassVar[str] = "cli.not_taken"
    sentence: ClassVar[str] = gettext_noop("This command cannot be read: {why}")
    remedy: ClassVar[str] = _HELP


@dataclass(eq=False)
class NotAmong(CountermandError):
    """A word that is none of those that an option takes."""

    name: str
    word: str
    words: str

    code: ClassVar[str] = "cli.not_among"
    sentence: ClassVar[str] = gettext_noop("“{word}” is no word for {name}.")
    remedy: ClassVar[str] = gettext_noop("Take one of these: {words}.")


@dataclass(eq=False)
class FileNotThere(CountermandError):
    """A file or folder that is named and is not there."""

    file: str
    why: str

    code: ClassVar[str] = "cli.file_not_found"
    sentence: ClassVar[str] = gettext_noop("{file} cannot be opened ({why}).")
    remedy: ClassVar[str] = gettext_noop("Look at the name of the file.")


def told(fault: faults.ClickException) -> CountermandError:
    """Return the same fault as an error with a code, a sentence and a way out."""
    context = getattr(fault, "ctx", None)
    path = context.command_path if context is not None else "countermand"
    help_command = f"{path} --help"
    if isinstance(fault, faults.MissingParameter):
        return WordMissing(name=_name(fault), help=help_command)
    if isinstance(fault, faults.NoSuchOption):
        return NoSuchOption(name=fault.option_name, help=help_command)
    said = fault.message
    if said.startswith("No such command"):
        name, *near = _QUOTED.findall(said)
        if near:
            return NoSuchVerbButNear(name=name, nearest=near[0], help=help_command)
        return NoSuchVerb(name=name, help=help_command)
    return _of_a_word(fault, said, help_command)


def _of_a_word(fault: faults.ClickException, said: str, help_command: str) -> CountermandError:
    """Return what is wrong with one word of the command."""
    if not isinstance(fault, faults.BadParameter):
        return NotTaken(why=_in_our_words(said), help=help_command)
    if among := _AMONG.fullmatch(said):
        words = ", ".join(_QUOTED.findall(among[2]))
        return NotAmong(name=_name(fault), word=among[1], words=words)
    if gone := _NOT_THERE.fullmatch(said):
        return FileNotThere(file=gone[1], why=os.strerror(errno.ENOENT))
    said = _in_our_words(said)
    if fault.param is not None:
        said = f"{_name(fault)}: {said}"
    return NotTaken(why=said, help=help_command)


def _in_our_words(said: str) -> str:
    for pattern, words in _SAID_OF_A_WORD:
        if match := pattern.fullmatch(said):
            return _(words).format(word=match[1])
    return said


def _name(fault: faults.BadParameter) -> str:
    parameter = fault.param
    if parameter is None:
        return str(fault.param_hint or "")
    if parameter.param_type_name == "option":
        return max(parameter.opts, key=len)
    return str(parameter.name).upper()
