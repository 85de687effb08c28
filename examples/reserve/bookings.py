"""The calendar: an hour is a slot, a slot has one booking."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from common.database import Database

OPEN, CLOSED = 10, 18  # o'clock
DAYS = 7
HOUR = timedelta(hours=1)

SCHEMA = """
CREATE TABLE IF NOT EXISTS bookings (slot TEXT PRIMARY KEY, id TEXT UNIQUE, name TEXT, visitor TEXT);
CREATE TABLE IF NOT EXISTS seeded (day TEXT PRIMARY KEY)
"""


class TakenError(Exception):
    """Somebody else was faster."""


@dataclass(frozen=True)
class Booking:
    id: str
    slot: str
    name: str
    visitor: str


@dataclass(frozen=True)
class Slot:
    """`id` is its start, as 2026-11-24T10:00."""

    start: datetime
    booking: Booking | None
    past: bool

    @property
    def id(self) -> str:
        return self.start.isoformat(timespec="minutes")

    @property
    def free(self) -> bool:
        return self.booking is None and not self.past

    def as_json(self) -> dict[str, object]:
        end = (self.start + HOUR).isoformat(timespec="minutes")
        return {"id": self.id, "start": self.id, "end": end, "free": self.free}


class Calendar:
    """The week that begins today."""

    def __init__(self, data_dir: Path) -> None:
        self._db = Database(data_dir / "reserve.sqlite3", SCHEMA)
        self._seed()

    def _seed(self) -> None:
        """A week that others use too, so that there is something to see: the same hours every time, once."""
        with self._db.transaction() as db:
            if db.execute("SELECT 1 FROM seeded").fetchone():
                return
            for number, slot in enumerate(_week(_now())):
                if number % 7 in {2, 5} or number % 11 == 0:
                    values = (slot.isoformat(timespec="minutes"), secrets.token_hex(8), "—", "")
                    db.execute("INSERT OR IGNORE INTO bookings VALUES (?, ?, ?, ?)", values)
            db.execute("INSERT INTO seeded VALUES (date('now'))")

    def slots(self) -> list[Slot]:
        now = _now()
        rows = self._db.rows("SELECT id, slot, name, visitor FROM bookings WHERE slot >= ?", now.date().isoformat())
        booked = {row["slot"]: Booking(**row) for row in rows}
        return [Slot(start, booked.get(start.isoformat(timespec="minutes")), start <= now) for start in _week(now)]

    def slot(self, slot: str) -> Slot | None:
        return next((one for one in self.slots() if one.id == slot), None)

    def has_visitor(self, visitor: str) -> bool:
        return self._db.row("SELECT 1 FROM bookings WHERE visitor = ?", visitor) is not None

    def book(self, slot: str, name: str, visitor: str = "") -> Booking:
        """Raises `TakenError`; the slot must be one of this week's (`slot` finds it)."""
        booking = Booking(secrets.token_hex(8), slot, name, visitor)
        try:
            with self._db.transaction() as db:
                values = (booking.slot, booking.id, booking.name, booking.visitor)
                db.execute("INSERT INTO bookings (slot, id, name, visitor) VALUES (?, ?, ?, ?)", values)
        except sqlite3.IntegrityError as error:
            raise TakenError(slot) from error
        return booking

    def cancel(self, booking: str) -> str | None:
        """The slot that is free again; None when there was no such booking."""
        with self._db.transaction() as db:
            row = db.execute("DELETE FROM bookings WHERE id = ? RETURNING slot", (booking,)).fetchone()
        return row["slot"] if row else None

    def state(self, slot: str, visitor: str) -> str:
        """What a visitor sees: "free", "taken", "mine" or "past"."""
        found = self.slot(slot)
        return state(found, visitor) if found else "past"


def state(slot: Slot, visitor: str) -> str:
    if slot.booking:
        return "mine" if visitor and slot.booking.visitor == visitor else "taken"
    return "past" if slot.past else "free"


def _now() -> datetime:
    return datetime.now().astimezone().replace(tzinfo=None)  # opening hours are local time, everywhere


def _week(now: datetime) -> list[datetime]:
    first = now.replace(hour=OPEN, minute=0, second=0, microsecond=0)
    return [first + timedelta(days=day, hours=hour) for day in range(DAYS) for hour in range(CLOSED - OPEN)]
