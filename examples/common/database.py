"""A small SQLite file that several threads and processes share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Database:
    def __init__(self, path: Path, schema: str) -> None:
        """Opens the file, makes it when it is missing. `schema` must be repeatable (CREATE … IF NOT EXISTS)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        with self.transaction() as db:
            for statement in schema.split(";"):
                db.execute(statement)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, one at a time. A connection each: they are cheap, and none is shared between threads.

        The default journal, not WAL: two processes write here, and SQLite before 3.51.3 can corrupt a WAL then.
        """
        db = sqlite3.connect(self._path, timeout=5, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        finally:
            db.close()

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """For reading. Readers wait for a writer only while it commits."""
        db = sqlite3.connect(self._path, timeout=5, isolation_level=None)
        try:
            db.row_factory = sqlite3.Row
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        return next(iter(self.rows(sql, *values)), None)
