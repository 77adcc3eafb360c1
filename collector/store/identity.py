"""The table of what devices said of themselves: vendor, model, serial, firmware and so on. Works inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (device, name)
) STRICT, WITHOUT ROWID;
"""


def store_facts(connection: sqlite3.Connection, rows: Iterable[tuple[str, str, str, int]]) -> None:
    """Write (device, name, value, at in ms); an older fact does not replace a newer one."""
    connection.executemany(
        "INSERT INTO facts (device, name, value, at) VALUES (?, ?, ?, ?) ON CONFLICT (device, name) "
        "DO UPDATE SET value = excluded.value, at = excluded.at WHERE excluded.at >= at",
        rows,
    )


def load_facts(connection: sqlite3.Connection) -> list[tuple[str, str, str, int]]:
    """Return (device, name, value, at in ms) of everything known."""
    return connection.execute("SELECT device, name, value, at FROM facts ORDER BY device, name").fetchall()
