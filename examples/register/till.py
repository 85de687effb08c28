"""Sales: items are summed up, paid, and counted into the day's total. All money is whole yen."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from common.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS sales (
    number INTEGER PRIMARY KEY AUTOINCREMENT, till TEXT, paid_at TEXT, method TEXT, tendered INTEGER, total INTEGER);
CREATE UNIQUE INDEX IF NOT EXISTS one_open_sale ON sales (till) WHERE paid_at IS NULL;
CREATE TABLE IF NOT EXISTS lines (id INTEGER PRIMARY KEY, number INTEGER REFERENCES sales, item TEXT, price INTEGER)
"""

TAX_PERCENT = 8  # Japan's reduced rate for food to take away; prices include it


class NotEnoughError(Exception):
    """The customer gave `missing` yen too little."""

    def __init__(self, missing: int) -> None:
        super().__init__(missing)
        self.missing = missing


class NothingSoldError(Exception):
    """There is no line on the sale."""


@dataclass(frozen=True)
class Line:
    item: str
    price: int
    count: int

    @property
    def total(self) -> int:
        return self.price * self.count


@dataclass(frozen=True)
class Receipt:
    number: int
    paid_at: datetime
    method: str
    tendered: int
    total: int

    @property
    def change(self) -> int:
        return self.tendered - self.total

    @property
    def tax(self) -> int:
        """The tax within the total, rounded down as tills do."""
        return self.total * TAX_PERCENT // (100 + TAX_PERCENT)


class Register:
    def __init__(self, data_dir: Path) -> None:
        self._db = Database(data_dir / "register.sqlite3", SCHEMA)

    def add(self, till: str, item: str, price: int) -> None:
        with self._db.transaction() as db:
            db.execute(  # not INSERT OR IGNORE: that would use up a receipt's number each time
                "INSERT INTO sales (till) SELECT ?1"
                " WHERE NOT EXISTS (SELECT 1 FROM sales WHERE till = ?1 AND paid_at IS NULL)",
                (till,),
            )
            db.execute(
                "INSERT INTO lines (number, item, price)"
                " SELECT number, ?, ? FROM sales WHERE till = ? AND paid_at IS NULL",
                (item, price, till),
            )

    def remove(self, till: str, item: str) -> None:
        """One of it less."""
        with self._db.transaction() as db:
            db.execute(
                "DELETE FROM lines WHERE id = (SELECT max(id) FROM lines JOIN sales USING (number)"
                " WHERE till = ? AND paid_at IS NULL AND item = ?)",
                (till, item),
            )

    def open_lines(self, till: str) -> list[Line]:
        return self._lines("till = ? AND paid_at IS NULL", till)

    def paid_lines(self, receipt: Receipt) -> list[Line]:
        return self._lines("number = ?", receipt.number)

    def _lines(self, condition: str, value: object) -> list[Line]:
        rows = self._db.rows(
            "SELECT item, price, count(*) AS count FROM lines JOIN sales USING (number)"
            f" WHERE {condition} GROUP BY item, price ORDER BY min(id)",
            value,
        )
        return [Line(**row) for row in rows]

    def pay(self, till: str, method: str, tendered: int | None) -> int:
        """Closes the sale; its number. `tendered` of None is the exact sum. `NotEnoughError`, `NothingSoldError`."""
        total = sum(line.total for line in self.open_lines(till))
        if not total:
            raise NothingSoldError
        tendered = total if tendered is None else tendered
        if tendered < total:
            raise NotEnoughError(total - tendered)
        now = datetime.now().astimezone().replace(tzinfo=None).isoformat(timespec="seconds")  # the day of the shop
        with self._db.transaction() as db:
            row = db.execute(
                "UPDATE sales SET paid_at = ?, method = ?, tendered = ?, total = ?"
                " WHERE till = ? AND paid_at IS NULL RETURNING number",
                (now, method, tendered, total, till),
            ).fetchone()
        if row is None:
            raise NothingSoldError
        return row["number"]

    def receipt(self, number: int) -> Receipt | None:
        row = self._db.row(
            "SELECT number, paid_at, method, tendered, total FROM sales WHERE number = ? AND paid_at IS NOT NULL",
            number,
        )
        if row is None:
            return None
        return Receipt(**{**row, "paid_at": datetime.fromisoformat(row["paid_at"])})

    def day_total(self, day: date) -> tuple[int, int]:
        """How many sales, and how much, on that day."""
        row = self._db.rows(
            "SELECT count(*) AS count, coalesce(sum(total), 0) AS total FROM sales WHERE date(paid_at) = ?",
            day.isoformat(),
        )[0]
        return row["count"], row["total"]


def new_till() -> str:
    return secrets.token_urlsafe(12)
