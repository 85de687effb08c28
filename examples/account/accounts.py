"""Users, sessions and tickets, in one SQLite file. Of a session or ticket only the hash is kept."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from account.passwords import hash_password, matches
from common.database import Database

SESSION_SECONDS = 30 * 86400
TICKET_SECONDS = 60

SAMPLE_PASSWORD = "open-sesame"  # it stands on the sign-in page: these are samples
SAMPLE_USERS = (
    ("alice", "Alice Arai", "alice@example.com", "harbour-books"),
    ("bob", "Bob Baker", "bob@example.com", "north-bakery"),
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (login TEXT PRIMARY KEY, name TEXT, email TEXT, organization TEXT, password TEXT);
CREATE TABLE IF NOT EXISTS sessions (hash TEXT PRIMARY KEY, login TEXT REFERENCES users, ends REAL);
CREATE TABLE IF NOT EXISTS tickets (hash TEXT PRIMARY KEY, session TEXT, ends REAL);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value TEXT)
"""


@dataclass(frozen=True)
class User:
    login: str
    name: str
    email: str
    organization: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


class Accounts:
    def __init__(self, data_dir: Path) -> None:
        self._db = Database(data_dir / "account.sqlite3", SCHEMA)
        with self._db.transaction() as db:
            if not db.execute("SELECT 1 FROM users").fetchone():
                users = [(*user, hash_password(SAMPLE_PASSWORD)) for user in SAMPLE_USERS]
                db.executemany("INSERT INTO users VALUES (?, ?, ?, ?, ?)", users)
            db.execute("INSERT OR IGNORE INTO secrets VALUES ('csrf', ?)", (secrets.token_hex(32),))
        self.csrf_secret = bytes.fromhex(self._db.rows("SELECT value FROM secrets WHERE name = 'csrf'")[0]["value"])

    def sign_in(self, login: str, password: str) -> str | None:
        """A new session's token; None when name and password do not belong together."""
        row = self._db.row("SELECT login, password FROM users WHERE login = ?", login.strip().lower())
        if not matches(password, row["password"] if row else None):
            return None
        token = secrets.token_urlsafe(32)
        with self._db.transaction() as db:
            db.execute("DELETE FROM sessions WHERE ends < ?", (time.time(),))
            db.execute(
                "INSERT INTO sessions VALUES (?, ?, ?)", (_hash(token), row["login"], time.time() + SESSION_SECONDS)
            )
        return token

    def user(self, session: str) -> User | None:
        row = self._db.row(
            "SELECT login, name, email, organization FROM users JOIN sessions USING (login)"
            " WHERE hash = ? AND ends > ?",
            _hash(session),
            time.time(),
        )
        return User(**row) if row else None

    def sign_out(self, session: str) -> None:
        with self._db.transaction() as db:
            db.execute("DELETE FROM sessions WHERE hash = ?", (_hash(session),))

    def issue_ticket(self, session: str) -> str:
        """Something that gives the session once, within a minute, to the service that shows it."""
        ticket = secrets.token_urlsafe(32)
        with self._db.transaction() as db:
            db.execute("DELETE FROM tickets WHERE ends < ?", (time.time(),))
            db.execute("INSERT INTO tickets VALUES (?, ?, ?)", (_hash(ticket), session, time.time() + TICKET_SECONDS))
        return ticket

    def take_ticket(self, ticket: str) -> str | None:
        with self._db.transaction() as db:
            row = db.execute(
                "DELETE FROM tickets WHERE hash = ? AND ends > ? RETURNING session", (_hash(ticket), time.time())
            ).fetchone()
        return row["session"] if row else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
