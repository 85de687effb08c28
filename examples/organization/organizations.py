"""Organizations and their members, in one SQLite file."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

from common.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS organizations (id TEXT PRIMARY KEY, name TEXT NOT NULL, plan TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS members (organization TEXT REFERENCES organizations, login TEXT, role TEXT,
    PRIMARY KEY (organization, login))
"""
PLANS = ("free", "team", "enterprise")
ROLES = ("owner", "member", "guest")
SAMPLE = Path(__file__).with_name("sample.json")

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
MAX_NAME = 80


class ExistsError(Exception):
    """There is one of that id already."""


class Organizations:
    def __init__(self, data_dir: Path) -> None:
        self._db = Database(data_dir / "organization.sqlite3", SCHEMA)
        with self._db.transaction() as db:
            if not db.execute("SELECT 1 FROM organizations").fetchone():
                for sample in json.loads(SAMPLE.read_text("utf-8")):
                    _insert(db, sample)

    def all(self) -> list[dict[str, Any]]:
        return [dict(row) for row in self._db.rows("SELECT id, name, plan FROM organizations ORDER BY id")]

    def get(self, organization: str) -> dict[str, Any] | None:
        row = self._db.row("SELECT id, name, plan FROM organizations WHERE id = ?", organization)
        return dict(row) if row else None

    def members(self, organization: str) -> list[dict[str, Any]]:
        rows = self._db.rows("SELECT login, role FROM members WHERE organization = ? ORDER BY login", organization)
        return [dict(row) for row in rows]

    def create(self, facts: dict[str, Any]) -> None:
        """From facts that `mistakes` found nothing wrong with. Raises `ExistsError`."""
        try:
            with self._db.transaction() as db:
                _insert(db, facts)
        except sqlite3.IntegrityError as error:
            raise ExistsError(facts["id"]) from error


def _insert(db: sqlite3.Connection, facts: dict[str, Any]) -> None:
    db.execute(
        "INSERT INTO organizations VALUES (?, ?, ?)", (facts["id"], facts["name"].strip(), facts.get("plan", "free"))
    )
    members = [(facts["id"], member["login"], member.get("role", "member")) for member in facts.get("members", [])]
    db.executemany("INSERT INTO members VALUES (?, ?, ?)", members)


def mistakes(facts: Any) -> list[dict[str, str]]:
    """What is wrong with a new organization: each with a JSON Pointer (RFC 6901) to it, all at once."""
    if not isinstance(facts, dict):
        return [_mistake("", "must be an object")]
    found = [_mistake(f"/{key}", "is not known") for key in facts if key not in {"id", "name", "plan", "members"}]
    if not isinstance(facts.get("id"), str) or not _ID.fullmatch(facts["id"]):
        found.append(_mistake("/id", "must be 1 to 40 small letters, digits and hyphens"))
    if not isinstance(facts.get("name"), str) or not 0 < len(facts["name"].strip()) <= MAX_NAME:
        found.append(_mistake("/name", f"must be a text of 1 to {MAX_NAME} characters"))
    if facts.get("plan", "free") not in PLANS:
        found.append(_mistake("/plan", f"must be one of {', '.join(PLANS)}"))
    return found + _member_mistakes(facts.get("members", []))


def _member_mistakes(members: Any) -> list[dict[str, str]]:
    if not isinstance(members, list):
        return [_mistake("/members", "must be a list")]
    found, seen = [], set()
    for index, member in enumerate(members):
        login = member.get("login") if isinstance(member, dict) else None
        if not isinstance(login, str) or not login:
            found.append(_mistake(f"/members/{index}/login", "must be a text"))
        elif login in seen:
            found.append(_mistake(f"/members/{index}/login", "stands twice"))
        elif member.get("role", "member") not in ROLES:
            found.append(_mistake(f"/members/{index}/role", f"must be one of {', '.join(ROLES)}"))
        seen.add(login if isinstance(login, str) else None)
    return found


def _mistake(pointer: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "detail": detail}
