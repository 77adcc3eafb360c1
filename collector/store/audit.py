"""The table of what concerns security: refusals, conflicts, who did what. Rows are appended, never altered."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

SCHEMA = """
CREATE TABLE IF NOT EXISTS audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    peer TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry: when (ms), who claimed to act, from which address, what, and the particulars."""

    at: int
    who: str
    peer: str
    action: str  # kebab-case: ingest-refused, epoch-conflict, fault-step ...
    detail: str = ""


def add_audit(connection: sqlite3.Connection, entry: AuditEntry) -> None:
    """Append an entry."""
    connection.execute(
        "INSERT INTO audit (at, who, peer, action, detail) VALUES (?, ?, ?, ?, ?)",
        (entry.at, entry.who, entry.peer, entry.action, entry.detail),
    )


def load_audit(connection: sqlite3.Connection, limit: int = 1000) -> list[AuditEntry]:
    """Return entries, newest first."""
    rows = connection.execute("SELECT at, who, peer, action, detail FROM audit ORDER BY id DESC LIMIT ?", (limit,))
    return [AuditEntry(*row) for row in rows]
