"""Stock, carts and orders, in one SQLite file that the pages and the worker share."""

from __future__ import annotations

import secrets
import sqlite3
import tomllib
from dataclasses import dataclass
from pathlib import Path

from common.database import Database
from common.doorbell import Doorbell

CATALOGUE = Path(__file__).with_name("products.toml")
LOW, DELIVERY = 2, 10  # the supplier brings 10 as soon as no more than 2 are left, so the sample never runs dry

STATES = ("paid", "packing", "ready")

SCHEMA = """
CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, left INTEGER NOT NULL CHECK (left >= 0));
CREATE TABLE IF NOT EXISTS cart_items (cart TEXT, sku TEXT REFERENCES stock, quantity INTEGER, PRIMARY KEY (cart, sku));
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT, token TEXT UNIQUE, customer TEXT, slot TEXT, total INTEGER, state TEXT);
CREATE TABLE IF NOT EXISTS order_items (number INTEGER REFERENCES orders, sku TEXT, quantity INTEGER, price INTEGER);
CREATE TABLE IF NOT EXISTS unsent (number INTEGER PRIMARY KEY REFERENCES orders)
"""


class SoldOutError(Exception):
    """`sku` has fewer left than the cart holds."""

    def __init__(self, sku: str) -> None:
        super().__init__(sku)
        self.sku = sku


class EmptyCartError(Exception):
    """There is nothing to order."""


@dataclass(frozen=True)
class Product:
    sku: str
    price: int
    texts: dict[str, tuple[str, str]]  # language -> name, description

    def name(self, language: str) -> str:
        return self.texts[language][0]

    def description(self, language: str) -> str:
        return self.texts[language][1]


@dataclass(frozen=True)
class Item:
    sku: str
    quantity: int
    price: int

    @property
    def total(self) -> int:
        return self.quantity * self.price


@dataclass(frozen=True)
class Order:
    """`state` goes through `STATES`."""

    number: int
    token: str
    customer: str
    slot: str
    total: int
    state: str


class Shop:
    def __init__(self, data_dir: Path) -> None:
        catalogue = tomllib.loads(CATALOGUE.read_text("utf-8"))
        self.products = {
            sku: Product(sku, facts["price"], {"en": tuple(facts["en"]), "ja": tuple(facts["ja"])})
            for sku, facts in catalogue.items()
        }
        self._db = Database(data_dir / "netshop.sqlite3", SCHEMA)
        with self._db.transaction() as db:
            stock = [(sku, facts["stock"]) for sku, facts in catalogue.items()]
            db.executemany("INSERT OR IGNORE INTO stock VALUES (?, ?)", stock)
        self.orders_bell = Doorbell(data_dir / "orders.fifo")  # rung by the pages, heard by the worker
        self.changes_bell = Doorbell(data_dir / "changes.fifo")  # rung by whoever changed something, heard by the pages

    def stock(self) -> dict[str, int]:
        rows = self._db.rows("SELECT sku, left FROM stock")
        return {row["sku"]: row["left"] for row in rows if row["sku"] in self.products}

    def cart(self, cart: str) -> list[Item]:
        rows = self._db.rows("SELECT sku, quantity FROM cart_items WHERE cart = ? ORDER BY rowid", cart)
        return self._items(rows)

    def _items(self, rows: list[sqlite3.Row]) -> list[Item]:
        known = [row for row in rows if row["sku"] in self.products]
        return [Item(row["sku"], row["quantity"], self.products[row["sku"]].price) for row in known]

    def put(self, cart: str, sku: str, quantity: int) -> None:
        """So many of it are in the cart from now on; at most what is in stock."""
        with self._db.transaction() as db:
            left = db.execute("SELECT left FROM stock WHERE sku = ?", (sku,)).fetchone()["left"]
            quantity = min(quantity, left)
            if quantity > 0:
                db.execute(
                    "INSERT INTO cart_items VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET quantity = excluded.quantity",
                    (cart, sku, quantity),
                )
            else:
                db.execute("DELETE FROM cart_items WHERE cart = ? AND sku = ?", (cart, sku))

    def order(self, cart: str, customer: str, slot: str) -> Order:
        """Makes the cart an order, and takes its items from the stock. Raises `SoldOutError`, `EmptyCartError`."""
        with self._db.transaction() as db:
            items = self._items(
                db.execute("SELECT sku, quantity FROM cart_items WHERE cart = ? ORDER BY rowid", (cart,)).fetchall()
            )
            if not items:
                raise EmptyCartError
            token, total = secrets.token_urlsafe(12), sum(item.total for item in items)
            number = db.execute(
                "INSERT INTO orders (token, customer, slot, total, state) VALUES (?, ?, ?, ?, 'paid')",
                (token, customer, slot, total),
            ).lastrowid
            for item in items:
                self._sell(db, number, item)
            db.execute("DELETE FROM cart_items WHERE cart = ?", (cart,))
            db.execute("INSERT INTO unsent VALUES (?)", (number,))  # with the order or not at all: see `outbox`
        self.changes_bell.ring()
        self.orders_bell.ring()
        return Order(number, token, customer, slot, total, "paid")

    @staticmethod
    def _sell(db: sqlite3.Connection, number: int, item: Item) -> None:
        try:
            db.execute("UPDATE stock SET left = left - ? WHERE sku = ?", (item.quantity, item.sku))
        except sqlite3.IntegrityError as error:  # the CHECK of the table
            raise SoldOutError(item.sku) from error
        values = (number, item.sku, item.quantity, item.price)
        db.execute("INSERT INTO order_items VALUES (?, ?, ?, ?)", values)

    def find_order(self, token: str) -> Order | None:
        row = self._db.row("SELECT * FROM orders WHERE token = ?", token)
        return Order(**row) if row else None

    def items(self, order: Order) -> list[Item]:
        rows = self._db.rows("SELECT sku, quantity, price FROM order_items WHERE number = ?", order.number)
        return [Item(**row) for row in rows]

    def last_orders(self, count: int) -> list[Order]:
        return [Order(**row) for row in self._db.rows("SELECT * FROM orders ORDER BY number DESC LIMIT ?", count)]

    def unsent(self) -> list[Order]:
        """The orders that nobody was told of yet, the oldest first."""
        rows = self._db.rows("SELECT orders.* FROM orders JOIN unsent USING (number) ORDER BY number")
        return [Order(**row) for row in rows]

    def sent(self, number: int) -> None:
        with self._db.transaction() as db:
            db.execute("DELETE FROM unsent WHERE number = ?", (number,))

    def resume(self) -> None:
        """What a worker that was ended left half packed is to be packed again."""
        with self._db.transaction() as db:
            db.execute("UPDATE orders SET state = 'paid' WHERE state = 'packing'")

    def next_order(self) -> int | None:
        """The oldest paid order, which is being packed from now on."""
        with self._db.transaction() as db:
            row = db.execute("SELECT min(number) AS number FROM orders WHERE state = 'paid'").fetchone()
            db.execute("UPDATE orders SET state = 'packing' WHERE number = ?", (row["number"],))
        if row["number"]:
            self.changes_bell.ring()
        return row["number"]

    def finish(self, number: int) -> None:
        """Packed: ready to be picked up. Looks after the shelves on the way out."""
        with self._db.transaction() as db:
            db.execute("UPDATE orders SET state = 'ready' WHERE number = ?", (number,))
            db.execute("UPDATE stock SET left = left + ? WHERE left <= ?", (DELIVERY, LOW))
        self.changes_bell.ring()
