"""The broker's SQLite file: opened or made, checked, locked, and brought to the newest schema."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import sqlite3
import uuid
from pathlib import Path

from procman.errors import StoresError

#: "evnt" in ASCII, in the file's header: so that no other program's file is ever taken for ours.
_APPLICATION = 0x65766E74

#: Seconds that a foreign lock (somebody looks with sqlite3) is waited for.
_BUSY = 2.0
#: The log beside the database shrinks to this size again after a burst, in bytes.
_WAL_KEPT = 16 * 1024 * 1024

#: Each step brings the schema from its index to the next; a step that was published is never changed.
MIGRATIONS = (
    """
    CREATE TABLE broker (id TEXT NOT NULL);
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY, identity BLOB NOT NULL UNIQUE, at REAL NOT NULL, origin TEXT NOT NULL,
        type TEXT NOT NULL, attributes TEXT NOT NULL, data BLOB
    );
    CREATE TABLE subscriptions (
        name TEXT PRIMARY KEY, cursor INTEGER NOT NULL, paused INTEGER NOT NULL DEFAULT 0,
        ended TEXT NOT NULL DEFAULT '', definition TEXT NOT NULL DEFAULT '', absent REAL
    ) WITHOUT ROWID;
    CREATE TABLE parked (
        subscription TEXT NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, due REAL NOT NULL,
        reason TEXT NOT NULL, event BLOB NOT NULL, PRIMARY KEY (subscription, seq)
    ) WITHOUT ROWID;
    CREATE TABLE dead (
        number INTEGER PRIMARY KEY AUTOINCREMENT, subscription TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL,
        attempts INTEGER NOT NULL, status INTEGER, reason TEXT NOT NULL, event BLOB NOT NULL
    );
    CREATE INDEX dead_of_subscription ON dead (subscription, number);
    CREATE TABLE remotes (name TEXT PRIMARY KEY, cursor INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE known (identity BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX known_by_seq ON known (seq);
    """,
    # which log on a server the cursors are about; empty: the events table of this file
    "ALTER TABLE broker ADD COLUMN log TEXT NOT NULL DEFAULT ''",
    # a place in the log of each remote; of the one that was kept before, it is not known whose it is
    """
    ALTER TABLE remotes RENAME TO remotes_before;
    CREATE TABLE remotes (log TEXT PRIMARY KEY, url TEXT NOT NULL, cursor INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO remotes SELECT '', '', cursor FROM remotes_before;
    DROP TABLE remotes_before
    """,
)


#: What is wrong with where the file lies, and not with the file.
_OF_THE_DISK = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
    }
)


class Database:
    """The file, held by this process alone. `connect` opens a connection; only one of them may ever write.

    Two writing connections can corrupt a WAL in SQLite before 3.51.3 (sqlite.org/wal.html, "The WAL-Reset Bug").
    """

    def __init__(self, path: Path) -> None:
        """Opens it. Raises `StoresError` with what is wrong with the file; it is never overwritten."""
        path = self.path = path.resolve()  # by whichever link it is reached, the lock is the same one
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _take_lock(path)
        except OSError as error:
            raise StoresError(*_unusable(path, error.strerror or str(error))) from error
        try:
            _refuse_without_its_begin(path)
            version = self._looked_through() if path.exists() else 0
            self.writer = self.connect()
            try:
                _prepare(self.writer, version)
            except BaseException:
                self.writer.close()
                raise
        except sqlite3.DatabaseError as error:
            self._release()
            raise StoresError(*_explained(path, error)) from error
        except BaseException:
            self._release()
            raise

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        """A connection that any thread may use, one at a time. In autocommit: transactions are begun where they are."""
        connection = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    def close(self) -> None:
        """Closes the writing connection and gives the file to the next process."""
        self.writer.close()
        self._release()

    def _release(self) -> None:
        os.close(self._lock)

    def _looked_through(self) -> int:
        """The schema's version, by a connection that writes nothing: others, when they end, empty the journal."""
        undone = self.path.with_name(self.path.name + "-journal").exists()  # killed while it was made: it has to be
        address = self.path.as_uri() + ("" if undone else "?mode=ro")
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_BUSY)) as connection:
            version = _value(connection, "PRAGMA user_version")
            application = _value(connection, "PRAGMA application_id")
            ours = application == _APPLICATION
            if not ours and (application or _value(connection, "SELECT count(*) FROM sqlite_schema")):
                raise StoresError(
                    f"{self.path} is another program's database, and is left as it is",
                    f"Move it away, and events begin anew: {_moved_away(self.path)}",
                )
            if version > len(MIGRATIONS):
                raise StoresError(
                    f"{self.path} was written by a newer version of stores: "
                    f"schema {version}, known here {len(MIGRATIONS)}",
                    f"Use that version. To begin anew without its events: {_moved_away(self.path)}",
                )
            problem = _value(connection, "PRAGMA quick_check(1)") if version else "ok"
        if problem != "ok":
            raise sqlite3.DatabaseError(problem)
        return version


def _prepare(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT}")
    for step in range(version, len(MIGRATIONS)):
        _migrate(connection, step)


def _migrate(connection: sqlite3.Connection, step: int) -> None:
    """One step, whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in MIGRATIONS[step].split(";"):
            connection.execute(statement)
        if step == 0:
            connection.execute("INSERT INTO broker VALUES (?)", (uuid.uuid4().hex,))
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute(f"PRAGMA user_version = {step + 1}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _take_lock(path: Path) -> int:
    """A lock beside the file, which the kernel drops with the process; in it the PID, for whoever comes second."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "?"
        os.close(lock)
        raise StoresError(f"{path} is in use by another event broker: PID {holder}", "End that one first.") from None
    with contextlib.suppress(OSError):  # on a full disk it is a lock without a name
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _refuse_without_its_begin(path: Path) -> None:
    """SQLite deletes the journal of a database that is empty or not there, and what was acknowledged last is in it."""
    journal = path.with_name(path.name + "-wal")
    if journal.exists() and journal.stat().st_size and not (path.exists() and path.stat().st_size):
        raise StoresError(
            f"{path} is empty or not there, and {journal.name} beside it has events of it",
            f"Put the file back where it was. To begin anew without its events: {_moved_away(path)}",
        )


def _explained(path: Path, error: sqlite3.DatabaseError) -> tuple[str, str]:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return f"{path} is locked by another program: {error}", f"End what has it open: fuser {path}"
    if code in _OF_THE_DISK:
        return _unusable(path, str(error))
    return (
        f"{path} cannot be used as event log: {error}",
        f"It is left as it is. To begin anew without its events: {_moved_away(path)}",
    )


def _unusable(path: Path, why: str) -> tuple[str, str]:
    """Nothing is wrong with the file: to begin anew would lose its events, and mend nothing."""
    return (
        f"{path} cannot be used as event log: {why}",
        f"See whether its folder has room and may be written: df -h {path.parent}; ls -ld {path.parent} {path}*",
    )


def _moved_away(path: Path) -> str:
    """With its journal, in which the newest events may be, and under the same names, by which SQLite finds it."""
    folder = shlex.quote(str(path.parent / "broken"))
    return f"mkdir {folder} && mv {shlex.quote(str(path))}* {folder}"


def _value(connection: sqlite3.Connection, query: str) -> int:
    row: tuple[int] = connection.execute(query).fetchone()
    return row[0]
