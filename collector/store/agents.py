"""The tables of agents: what was received of whom, what is missing, and which start of an agent is the newest.

Every function works inside the caller's transaction. Sequence ranges are half-open: [first, next).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SCHEMA = """
CREATE TABLE IF NOT EXISTS agents (
    agent TEXT PRIMARY KEY,
    seen_at INTEGER NOT NULL,
    epoch INTEGER,
    offset_ms INTEGER,
    conflict_at INTEGER,
    records INTEGER NOT NULL DEFAULT 0,
    clamped INTEGER NOT NULL DEFAULT 0,
    silent INTEGER NOT NULL DEFAULT 0,
    blind INTEGER NOT NULL DEFAULT 0,
    blind_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS epochs (
    agent TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    began_at INTEGER,
    ends INTEGER,
    PRIMARY KEY (agent, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS received (
    agent TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    PRIMARY KEY (agent, epoch, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gaps (
    agent TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    next INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    filled_at INTEGER,
    PRIMARY KEY (agent, epoch, first, next)
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class AgentRow:
    """What is known of one agent. `offset_ms` is its clock minus ours, as far as ahead of us as it was seen."""

    agent: str
    seen_at: int
    epoch: int | None = None
    offset_ms: int | None = None
    conflict_at: int | None = None
    records: int = 0
    clamped: int = 0  # records whose time lay in our future
    silent: int = 0  # 1 once it was not heard for too long, until it is heard again
    blind: int = 0  # 1 while it says that it reaches nothing itself
    blind_at: int = 0  # event time of its newest word about that


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One start of an agent: when its first batch was made, and its next unused number if the following start named it."""

    agent: str
    epoch: int
    began_at: int | None = None
    ends: int | None = None


@dataclass(frozen=True, slots=True)
class GapRow:
    """Records [first, next) of an agent's epoch that did not come; `missing` of them are still out."""

    agent: str
    epoch: int
    first: int
    next: int
    missing: int
    seen_at: int
    filled_at: int | None = None


def load_agents(connection: sqlite3.Connection) -> list[AgentRow]:
    """Return every agent ever heard of."""
    rows = connection.execute(
        "SELECT agent, seen_at, epoch, offset_ms, conflict_at, records, clamped, silent, blind, blind_at "
        "FROM agents ORDER BY agent"
    )
    return [AgentRow(*row) for row in rows]


def load_epochs(connection: sqlite3.Connection) -> list[EpochRow]:
    """Return every start of every agent."""
    return [EpochRow(*row) for row in connection.execute("SELECT agent, epoch, began_at, ends FROM epochs")]


def load_received(connection: sqlite3.Connection) -> Iterable[tuple[str, int, int, int]]:
    """Yield (agent, epoch, first, next) of every received range, ascending."""
    yield from connection.execute("SELECT agent, epoch, first, next FROM received ORDER BY agent, epoch, first")


def load_gaps(connection: sqlite3.Connection, open_only: bool = False, limit: int = -1) -> list[GapRow]:
    """Return gap records, newest first."""
    sql = "SELECT agent, epoch, first, next, missing, seen_at, filled_at FROM gaps WHERE filled_at IS NULL OR NOT ? "
    return [GapRow(*row) for row in connection.execute(sql + "ORDER BY seen_at DESC, first LIMIT ?", (open_only, limit))]


def store_agents(connection: sqlite3.Connection, rows: Iterable[AgentRow]) -> None:
    """Write agents, replacing what was known."""
    connection.executemany(
        "INSERT OR REPLACE INTO agents (agent, seen_at, epoch, offset_ms, conflict_at, records, clamped, silent, "
        "blind, blind_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (r.agent, r.seen_at, r.epoch, r.offset_ms, r.conflict_at, r.records, r.clamped, r.silent, r.blind, r.blind_at)
            for r in rows
        ],
    )


def store_epochs(connection: sqlite3.Connection, rows: Iterable[EpochRow]) -> None:
    """Write epochs, replacing what was known."""
    connection.executemany(
        "INSERT OR REPLACE INTO epochs (agent, epoch, began_at, ends) VALUES (?, ?, ?, ?)",
        [(r.agent, r.epoch, r.began_at, r.ends) for r in rows],
    )


def store_received(connection: sqlite3.Connection, agent: str, epoch: int, ranges: Sequence[tuple[int, int]]) -> None:
    """Write the merged ranges of one epoch in place of those they touch."""
    for first, after in ranges:
        connection.execute(
            "DELETE FROM received WHERE agent = ? AND epoch = ? AND first >= ? AND first < ?", (agent, epoch, first, after)
        )
        connection.execute("INSERT INTO received (agent, epoch, first, next) VALUES (?, ?, ?, ?)", (agent, epoch, first, after))


def store_gaps(connection: sqlite3.Connection, rows: Iterable[GapRow]) -> None:
    """Write gap records, replacing those of the same numbers."""
    connection.executemany(
        "INSERT OR REPLACE INTO gaps (agent, epoch, first, next, missing, seen_at, filled_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(r.agent, r.epoch, r.first, r.next, r.missing, r.seen_at, r.filled_at) for r in rows],
    )
