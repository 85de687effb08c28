"""The issuer's keys on disk: one JSON Web Key Set, private members included, in a file and folder of its owner alone.

The file is the truth, also for a gateway that runs: it looks whether it was replaced whenever it needs a key.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import stat
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from certs.folder import replace_file
from procman.authorizer_settings import LONGEST_TTL
from procman.errors import StoresError
from proxy_addons.issuer.key import ALGORITHMS, Key

_FOLDER, _FILE = 0o700, 0o600
_OTHERS = 0o077


class KeyRing:
    """The keys in `folder`, made with their first use. Raises `StoresError` where they are damaged or lay open."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        """`clock`: epoch seconds, which tokens are counted in."""
        self._folder = folder
        self._clock = clock
        self._keys: tuple[Key, ...] = ()
        self._seen: tuple[int, int, int] | None = None
        #: Grows whenever other keys are in force.
        self.changes = 0

    @property
    def file(self) -> Path:
        """Where the keys are."""
        return self._folder / "keys.json"

    @property
    def known(self) -> bool:
        """Whether they were read already: the first time may mean to make them."""
        return self._seen is not None

    def load(self) -> None:
        """Reads them, or makes them, which takes a quarter of a second. For a thread of its own; raises nothing.

        What is wrong is said by the first request that needs a key.
        """
        with contextlib.suppress(StoresError):
            self._current()

    def signing(self, alg: str) -> Key:
        """The key that signs now."""
        return next(key for key in self._current() if key.alg == alg and key.secret is not None)

    def find(self, kid: object) -> Key | None:
        """The key of that name, be it retired, while a token of it can be alive."""
        now = self._clock()
        return next((key for key in self._current() if key.kid == kid and (key.until is None or now < key.until)), None)

    def published(self) -> dict[str, Any]:
        """The JSON Web Key Set for verifiers (RFC 7517, section 5): the keys that sign first."""
        now = self._clock()
        return {"keys": [key.published for key in self._current() if key.until is None or now < key.until]}

    def rotate(self) -> list[Key]:
        """New keys sign from now on; the old ones' private halves are gone. Returns the new ones."""
        with self._exclusive():
            now = self._clock()
            old = [key for key in self._current() if key.until is None or now < key.until]
            retired = [key if key.secret is None else key.retired(now + LONGEST_TTL) for key in old]
            new = [Key.generate(alg, now) for alg in ALGORITHMS]
            try:
                replace_file(self.file, _text([*new, *retired]), _FILE, sync=True)
            except OSError as error:
                raise self._unusable(error) from error
        return new

    def _current(self) -> tuple[Key, ...]:
        try:
            self._look()
        except FileNotFoundError:
            self._make()
            try:
                self._look()
            except OSError as error:
                raise self._unusable(error) from error
        except OSError as error:
            raise self._unusable(error) from error
        return self._keys

    def _look(self) -> None:
        status = self.file.stat()
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return
        self._check(status)
        try:
            keys = _parse(self.file.read_bytes())
        except ValueError as error:
            raise self._damaged(str(error)) from error
        self._keys, self._seen = keys, seen
        self.changes += 1

    def _check(self, status: os.stat_result) -> None:
        """Not mended: a key that others could read may have been copied, and only its owner can tell."""
        for path, found, bits in ((self.file, status, _OTHERS), (self._folder, self._folder.stat(), 0o022)):
            if found.st_uid not in {os.geteuid(), 0}:
                raise StoresError(f"{path} belongs to another user, and so may the tokens' keys", self._removal)
            if stat.S_IMODE(found.st_mode) & bits:
                raise StoresError(f"Others may read or replace the keys of the tokens, {path}", self._removal)

    def _make(self) -> None:
        """Of several processes that make the file at once, one does, and the others use its keys."""
        new = _text([Key.generate(alg, self._clock()) for alg in ALGORITHMS])
        staging = self._folder / f".{os.getpid()}.new"
        try:
            self._folder.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
            replace_file(staging, new, _FILE, sync=True)
            with contextlib.suppress(FileExistsError):
                os.link(staging, self.file)
        except OSError as error:
            raise self._unusable(error) from error
        finally:
            staging.unlink(missing_ok=True)

    @contextmanager
    def _exclusive(self) -> Generator[None]:
        self._current()
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise StoresError(
                "Another command is giving the tokens new keys at this moment",
                "One is enough. Else: stores auth rotate",
            ) from error
        finally:
            os.close(descriptor)

    @property
    def _removal(self) -> str:
        file = shlex.quote(str(self.file))
        return f"Take it away: mv {file} {file}.old (new keys are made; tokens of the old ones count no more)"

    def _damaged(self, why: str) -> StoresError:
        return StoresError(f"The keys of the tokens in {self.file} cannot be used: {why}", self._removal)

    def _unusable(self, error: OSError) -> StoresError:
        folder = shlex.quote(str(self._folder))
        return StoresError(
            f"Cannot keep the keys of the tokens in {self._folder}: {error.strerror}",
            f"See what is the matter with it: ls -ld {folder}; df {folder}",
        )


def _text(keys: list[Key]) -> bytes:
    return json.dumps({"keys": [key.write() for key in keys]}, indent=1).encode() + b"\n"


def _parse(text: bytes) -> tuple[Key, ...]:
    """The keys in a file's text. Raises ``ValueError``."""
    found = json.loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise ValueError("it is no JSON Web Key Set")  # noqa: TRY004 - a mistake in a text, not in a program
    if not all(isinstance(jwk, dict) for jwk in found["keys"]):
        raise ValueError("one of its keys is no JSON object")
    keys = tuple(map(Key.read, found["keys"]))
    for alg in ALGORITHMS:
        if not any(key.alg == alg and key.secret is not None for key in keys):
            raise ValueError(f"it has no private key for {alg}")
    return keys
