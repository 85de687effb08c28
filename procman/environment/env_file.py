"""``.env`` files: read by python-dotenv's parser, and refused where it would skip a line.

python-dotenv logs a warning for what it cannot parse and goes on without it, so its parser is used and not its loader.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from procman import text_file
from procman.mistake import Mistake, MistakesError, refuse, unreadable
from procman.service import Service

#: What is read from a service's folder unless its file says otherwise; the second one is a person's own.
DEFAULT = (".env", ".env.local")

_QUOTED = 'A value with spaces at its end, quotes or several lines stands in quotes: NAME="…"'

#: A program that reads a pipe by itself (some keepers of secrets make one) needs nobody to read it before.
_UNREADABLE = (
    "It must be a text file in UTF-8. Where only the program is to read it: env_file = [] in the service's file."
)


def parse(text: str, shown: str, known: Mapping[str, str]) -> dict[str, str]:
    """The variables in the text of one file, in its order; a name that stands twice has its last value.

    ``${NAME}`` and ``${NAME:-default}`` are replaced, except in single quotes (as in sh): first by what is `known`,
    then by what the file said before. Raises `MistakesError` with every line that is no variable.
    """
    from dotenv.parser import parse_stream  # noqa: PLC0415 (2 MB that only a workspace with such files needs)

    values: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for binding in parse_stream(io.StringIO(text.removeprefix("\ufeff"), newline="")):
        original = binding.original.string
        blank = len(original) - len(original.lstrip())
        line = binding.original.line + original[:blank].count("\n")
        if binding.error:
            mistakes.append(Mistake(shown, line, _hidden(original), "not a line of a .env file", _QUOTED))
        elif binding.key is not None:
            value = binding.value
            if value is None:  # `export NAME`, as in a shell: it hands on what there is
                value = known.get(binding.key, values.get(binding.key))
            elif not _is_literal(original):
                value = _interpolate(value, {**values, **known})
            if value is None:
                mend = f"For an empty value write: {binding.key}="
                mistakes.append(Mistake(shown, line, _hidden(original), f"{binding.key} has no value", mend))
            elif "=" in binding.key:
                mend = "The name ends before the first =: NAME=value"
                mistakes.append(Mistake(shown, line, "", "a name of a variable with = in it", mend))
            elif "\0" in value or "\0" in binding.key:
                mistakes.append(Mistake(shown, line, "", "a NUL, which no variable can hold", "Take it out."))
            else:
                values[binding.key] = value
    if mistakes:
        raise MistakesError(*mistakes)
    return values


def _interpolate(value: str, known: Mapping[str, str]) -> str:
    if "${" not in value:
        return value
    from dotenv.variables import parse_variables  # noqa: PLC0415 (as above)

    return "".join(atom.resolve(known) for atom in parse_variables(value))


def _is_literal(original: str) -> bool:
    return original.partition("=")[2].lstrip().startswith("'")


def _hidden(original: str) -> str:
    """The line without its value, which may be a password: messages end up in logs and on pages."""
    line = original.strip().partition("\n")[0]
    name, equals, value = line.partition("=")
    return f"{name}{equals}…" if equals and value else line[:40]


def paths(service: Service) -> tuple[Path, ...]:
    """The files of a service, whether they are there or not."""
    return tuple(
        service.dir / Path(name).expanduser() for name in (DEFAULT if service.env_file is None else service.env_file)
    )


def load(service: Service, known: Mapping[str, str]) -> dict[str, str]:
    """What a service's files say, a later one over an earlier one.

    Raises `StoresError` for a mistake in one, and for one that its file names and that is not there.
    """
    values, wrong = _read(service, known)
    if wrong:
        raise refuse(wrong)
    return values


def mistakes(services: Iterable[Service], known: Mapping[str, str]) -> list[Mistake]:
    """All that is wrong in the files of services that are here, for ``stores check``."""
    return [mistake for service in services if service.dir.is_dir() for mistake in _read(service, known)[1]]


def _read(service: Service, known: Mapping[str, str]) -> tuple[dict[str, str], list[Mistake]]:
    values: dict[str, str] = {}
    wrong: list[Mistake] = []
    for path in paths(service):
        try:
            values |= parse(text_file.read(path), str(path), {**values, **known})
        except FileNotFoundError:
            if service.env_file is not None:
                mend = f"Make it, or take it out of env_file in {service.file.parent.name}/{service.name}."
                wrong.append(Mistake(str(path), 0, "", f"{service.name} wants it, and there is no such file", mend))
        except MistakesError as error:
            wrong += error.mistakes
        except (OSError, UnicodeDecodeError) as error:
            wrong.append(unreadable(str(path), error, _UNREADABLE))
    return values, wrong


def fingerprint(service: Service) -> str:
    """Another one after a change of any of the files; empty where there is none."""
    digest, found = hashlib.sha256(), False
    for path in paths(service):
        try:
            data = text_file.read_bytes(path)
        except OSError:
            continue
        found = True
        digest.update(b"%s\0%d\0" % (os.fsencode(path), len(data)))
        digest.update(data)
    return digest.hexdigest()[:16] if found else ""
