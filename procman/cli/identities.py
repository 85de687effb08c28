"""The identities of ``stores.toml`` by their names, as several verbs want them."""

from __future__ import annotations

from procman.cli.place import here
from procman.errors import StoresError
from procman.identity import Identity
from procman.mistake import nearest
from procman.settings import Settings


def complete(incomplete: str) -> list[str]:
    """For the shell's completion: never an error, only fewer."""
    try:
        known = here().workspace().settings.identities
    except (StoresError, OSError):
        return []
    return [name for name in known if name.startswith(incomplete)]


def find(settings: Settings, name: str) -> Identity:
    """The identity of that name. Raises `StoresError` (exit code 4)."""
    known = settings.identities
    if name in known:
        return known[name]
    if not known:
        hint = f'Write it into stores.toml: [identity.{name}], sub = "{name}", scopes = ["org:read"]'
        raise StoresError("No identity is known here yet", hint, exit_code=4)
    more = f"Another one is a table of stores.toml: [identity.{name}]"
    raise StoresError(f'No identity is called "{name}". {nearest(name, [*known])}', more, exit_code=4)
