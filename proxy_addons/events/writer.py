"""The one thread that writes: what waits while a commit is under way shares the next one (group commit)."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

#: Jobs in one commit, so that the first of them does not wait for ever.
_MOST = 1000


#: What is wrong with the file or the disk, and not with one job.
_OF_THE_FILE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class StorageError(Exception):
    """Nothing was written: the disk is full, or the file cannot be written any more."""


@dataclass(frozen=True, slots=True)
class _Job(Generic[Result]):
    work: Callable[[sqlite3.Connection], Result]
    future: asyncio.Future[Result]
    committed: Callable[[Result], None] | None


class Writer:
    """Runs jobs on the writing connection, in order. Made and used in an event loop; `close` ends the thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="events writer", daemon=True)
        self._thread.start()

    def submit(
        self, work: Callable[[sqlite3.Connection], Result], committed: Callable[[Result], None] | None = None
    ) -> asyncio.Future[Result]:
        """The future of `work`'s result, done once that is on the disk. `work` may be run twice, and must bear it.

        `committed` is called in the loop, in the order of the commits and before the future is done. The future raises
        `StorageError`, or whatever `work` raised.
        """
        future: asyncio.Future[Result] = self._loop.create_future()
        self._jobs.put(_Job(work, future, committed))
        return future

    async def close(self) -> None:
        """Finishes what was submitted, then ends."""
        self._jobs.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _run(self) -> None:
        while True:
            first = self._jobs.get()
            if first is None:
                return
            jobs, ends = self._more(first)
            outcomes = self._commit(jobs)
            try:
                self._loop.call_soon_threadsafe(self._tell, jobs, outcomes)
            except RuntimeError:
                return  # the loop is closed: nobody is left to be told
            if ends:
                return

    def _more(self, first: _Job[Any]) -> tuple[list[_Job[Any]], bool]:
        jobs = [first]
        while len(jobs) < _MOST:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return jobs, False
            if job is None:
                return jobs, True
            jobs.append(job)
        return jobs, False

    def _commit(self, jobs: list[_Job[Any]]) -> list[Any]:
        """A result or an exception for each job. When one of several fails, each is tried by itself."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            results = [job.work(self._connection) for job in jobs]
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whoever waits for the future is told, whatever it is
            self._roll_back()
            failed = _translated(error)
            if len(jobs) == 1 or isinstance(failed, StorageError):
                return [failed] * len(jobs)
            return [self._commit([job])[0] for job in jobs]
        return results

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # SQLite has done so itself after an I/O error
            with contextlib.suppress(sqlite3.Error):  # the thread goes on: the next commit finds out whether it is over
                self._connection.execute("ROLLBACK")

    @staticmethod
    def _tell(jobs: list[_Job[Any]], outcomes: list[Any]) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                if not job.future.done():
                    job.future.set_exception(outcome)
                continue
            if job.committed:
                job.committed(outcome)
            if not job.future.done():
                job.future.set_result(outcome)


def _translated(error: Exception) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    return StorageError(str(error)) if code in _OF_THE_FILE else error
