"""Trusting the local CA in the stores of one user: what is added is written down, and that alone is removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from certs import trust_java, trust_nss
from certs.folder import PRIVATE, replace_file
from certs.trust_java import JavaKeystore
from certs.trust_nss import NssDatabase
from certs.trust_store import Root, Store, ToolError, name_of
from procman.errors import StoresError


@dataclass(frozen=True, slots=True)
class Entry:
    """One certificate that was added to one store. `tool` is the keytool of a Java key store."""

    kind: str
    place: str
    title: str
    domain: str
    fingerprint: str
    tool: str = ""

    def store(self) -> Store:
        """The store, also where it would not be found any more."""
        if self.kind == "java":
            return JavaKeystore(Path(self.place), Path(self.tool), self.title)
        return NssDatabase(Path(self.place), self.title)

    @property
    def name(self) -> str:
        """The certificate's name there."""
        return name_of(self.domain, self.fingerprint)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one store: ``added``, ``already there``, ``removed``, ``gone already``, ``failed``.

    In a dry run ``would be added`` and ``would be removed``. `problem` and `hint` are set for ``failed`` alone.
    """

    title: str
    place: str
    said: str
    problem: str = ""
    hint: str = ""


class UserTrust:
    """The stores of one user, and the record of what we added to them."""

    def __init__(self, record: Path, stores: Iterable[Store]) -> None:
        self._record = record
        self._stores = list(stores)

    @classmethod
    def of(cls, record: Path, environ: Mapping[str, str]) -> UserTrust:
        """The stores that this user has. A key store that only root may edit is not among them."""
        home = Path(environ.get("HOME") or Path.home())
        java = (keystore for keystore in trust_java.find(home, environ) if keystore.writable)
        return cls(record, [*trust_nss.find(home), *java])

    def entries(self) -> list[Entry]:
        """What was added, by the record. Raises `StoresError` where that is damaged."""
        try:
            return [Entry(**value) for value in json.loads(self._record.read_bytes())]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError, OSError) as error:
            raise StoresError(
                f"The record of trusted certificates cannot be read: {error}", f"Look at it: cat {self._record}"
            ) from error

    def add(self, root: Root, *, dry_run: bool = False) -> Iterator[Outcome]:
        """Adds the root to every store, and takes out the one that it has replaced. One failure stops no other."""
        for store in self._stores:
            try:
                yield self._add(store, root, dry_run=dry_run)
            except ToolError as error:
                yield Outcome(store.title, store.place, "failed", str(error), error.hint)
        yield from self.remove(
            [
                entry
                for entry in self.entries()
                if entry.domain == root.domain and entry.fingerprint != root.fingerprint
            ],
            dry_run=dry_run,
        )

    def _add(self, store: Store, root: Root, *, dry_run: bool) -> Outcome:
        if store.has(root):
            return Outcome(store.title, store.place, "already there")
        if dry_run:
            return Outcome(store.title, store.place, "would be added")
        tool = str(store.keytool) if isinstance(store, JavaKeystore) else ""
        entry = Entry(store.kind, store.place, store.title, root.domain, root.fingerprint, tool)
        known = self.entries()
        if entry not in known:
            self._write([*known, entry])  # before the deed: what is interrupted can be undone
        try:
            store.add(root)
        except ToolError:
            self._write(known)
            raise
        return Outcome(store.title, store.place, "added")

    def remove(self, entries: Iterable[Entry] | None = None, *, dry_run: bool = False) -> Iterator[Outcome]:
        """Removes what the record says (or those of it), and nothing that was there without us."""
        for entry in list(self.entries() if entries is None else entries):
            if dry_run:
                yield Outcome(entry.title, entry.place, "would be removed")
                continue
            try:
                gone = entry.store().remove(entry.name)
            except ToolError as error:
                yield Outcome(entry.title, entry.place, "failed", str(error), error.hint)
                continue
            self._write([other for other in self.entries() if other != entry])
            yield Outcome(entry.title, entry.place, "removed" if gone else "gone already")

    def missing(self, root: Root) -> list[Store]:
        """The stores that do not trust the root. Those that cannot be asked are not told."""
        found = []
        for store in self._stores:
            try:
                if not store.has(root):
                    found.append(store)
            except ToolError:
                continue
        return found

    def _write(self, entries: list[Entry]) -> None:
        try:
            if not entries:
                self._record.unlink(missing_ok=True)
                return
            self._record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            text = json.dumps([asdict(entry) for entry in entries], indent=1)
            replace_file(self._record, text.encode(), PRIVATE)
        except OSError as error:
            raise StoresError(
                f"Cannot keep the record of trusted certificates: {error}", f"Look at its folder: {self._record.parent}"
            ) from error
