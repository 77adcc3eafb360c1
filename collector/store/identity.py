"""The tables of who devices are (vendor, model, serial, ...) and whose they were. Works inside a transaction."""

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
CREATE TABLE IF NOT EXISTS owners (
    device TEXT NOT NULL,
    agent TEXT NOT NULL,
    PRIMARY KEY (device, agent)
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


def store_owners(connection: sqlite3.Connection, pairs: Iterable[tuple[str, str]]) -> None:
    """Note (device, agent) pairs as having been in a site file."""
    connection.executemany("INSERT OR IGNORE INTO owners (device, agent) VALUES (?, ?)", pairs)


def load_owners(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return every (device, agent) pair there ever was."""
    return connection.execute("SELECT device, agent FROM owners").fetchall()
