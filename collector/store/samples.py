"""The tables of samples: raw batches as they came, and the blocks they become. Every function works inside a transaction.

A block is all samples of one span of time: its timelines (who was sampled when) and one column of values for each metric.
The bytes are `collector.history`'s; here they are only kept.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

SCHEMA = """
CREATE TABLE IF NOT EXISTS raw (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    frame BLOB NOT NULL,
    extra BLOB
) STRICT;
CREATE TABLE IF NOT EXISTS held (
    device TEXT NOT NULL,
    lane TEXT NOT NULL,
    at INTEGER NOT NULL,
    frame BLOB NOT NULL,
    PRIMARY KEY (device, lane)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    last_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS blocks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    samples INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    timelines BLOB NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS blocks_last ON blocks (last_at);
CREATE TABLE IF NOT EXISTS columns (
    block INTEGER NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
    metric TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (block, metric)
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One accepted batch: its frame (may be empty), and what the collector added to it (`collector.history.Extra`, packed)."""

    agent: str
    received_at: int
    frame: bytes
    extra: bytes | None = None
    id: int = 0


@dataclass(frozen=True, slots=True)
class BlockRow:
    """One block: times in ms (both inclusive), number of samples, packed timelines, and packed columns by metric."""

    first_at: int
    last_at: int
    samples: int
    timelines: bytes
    columns: dict[str, bytes]
    id: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of timelines and columns."""
        return len(self.timelines) + sum(map(len, self.columns.values()))


def add_raw(connection: sqlite3.Connection, rows: Iterable[RawRow]) -> None:
    """Keep batches as they came."""
    connection.executemany(
        "INSERT INTO raw (agent, received_at, frame, extra) VALUES (?, ?, ?, ?)",
        [(row.agent, row.received_at, row.frame, row.extra) for row in rows],
    )


def load_raw(connection: sqlite3.Connection, after: int = 0, until: int | None = None, max_bytes: int = 0) -> list[RawRow]:
    """Return raw batches by rising id from (after, until]; stops once `max_bytes` of frames are reached (0: no limit)."""
    found: list[RawRow] = []
    size = 0
    cursor = connection.execute(
        "SELECT agent, received_at, frame, extra, id FROM raw WHERE id > ? AND id <= ? ORDER BY id",
        (after, (1 << 62) if until is None else until),
    )
    for row in cursor:
        found.append(RawRow(*row))
        size += len(row[2])
        if max_bytes and size >= max_bytes:
            cursor.close()
            break
    return found


def store_held(connection: sqlite3.Connection, rows: Iterable[tuple[str, str, int, bytes]]) -> None:
    """Keep (device, lane, at, frame of one run): the newest good run of a lane so slow that its word is held."""
    connection.executemany("INSERT OR REPLACE INTO held (device, lane, at, frame) VALUES (?, ?, ?, ?)", rows)


def load_held(connection: sqlite3.Connection, since: int) -> list[bytes]:
    """Return the frames of held runs not older than `since` (ms)."""
    return [row[0] for row in connection.execute("SELECT frame FROM held WHERE at >= ? ORDER BY at", (since,))]


def oldest_raw(connection: sqlite3.Connection) -> int | None:
    """Return when the oldest raw batch came, in ms, or None if there is none."""
    row = connection.execute("SELECT received_at FROM raw ORDER BY id LIMIT 1").fetchone()
    return None if row is None else int(row[0])


def series_ids(connection: sqlite3.Connection, keys: Sequence[str], at: int, slack: int) -> list[int]:
    """Return the id of each series key, giving one to the new.

    That they were in use at `at` (ms) is noted only where the last note is older than `slack`: most calls write nothing.
    """
    found: list[int] = []
    for key in keys:
        row = connection.execute("SELECT id, last_at FROM series WHERE key = ?", (key,)).fetchone()
        if row is None:
            cursor = connection.execute("INSERT INTO series (key, last_at) VALUES (?, ?)", (key, at))
            row = (cursor.lastrowid, at)
        elif row[1] < at - slack:
            connection.execute("UPDATE series SET last_at = ? WHERE id = ?", (at, row[0]))
        found.append(int(row[0]))
    return found


def series_keys(connection: sqlite3.Connection, metric: str) -> Iterator[tuple[int, str]]:
    """Yield (id, key) of the series of one metric in the blocks."""
    yield from connection.execute(
        "SELECT id, key FROM series WHERE key = ? OR (key >= ? AND key < ?)", (metric, metric + "{", metric + "|")
    )


def replace_raw(connection: sqlite3.Connection, ids: tuple[int, int], block: BlockRow | None) -> None:
    """Put a block in the place of the raw batches with ids first..last (both inclusive) it was made of."""
    if block is not None:
        cursor = connection.execute(
            "INSERT INTO blocks (first_at, last_at, samples, bytes, timelines) VALUES (?, ?, ?, ?, ?)",
            (block.first_at, block.last_at, block.samples, block.bytes, block.timelines),
        )
        connection.executemany(
            "INSERT INTO columns (block, metric, data) VALUES (?, ?, ?)",
            [(cursor.lastrowid, metric, data) for metric, data in block.columns.items()],
        )
    connection.execute("DELETE FROM raw WHERE id BETWEEN ? AND ?", ids)


def load_blocks(
    connection: sqlite3.Connection, first_at: int, last_at: int, metrics: Sequence[str] | None = None
) -> Iterator[BlockRow]:
    """Yield the blocks that touch [first_at, last_at] ms, oldest first, with the columns of these metrics (None: all)."""
    heads = connection.execute(
        "SELECT id, first_at, last_at, samples, timelines FROM blocks "
        "WHERE last_at >= ? AND first_at <= ? ORDER BY first_at, id",
        (first_at, last_at),
    ).fetchall()
    for number, first, last, samples, timelines in heads:
        if metrics is None:
            columns = dict(connection.execute("SELECT metric, data FROM columns WHERE block = ?", (number,)))
        else:
            sql = "SELECT metric, data FROM columns WHERE block = ? AND metric = ?"
            columns = {m: row[1] for m in metrics if (row := connection.execute(sql, (number, m)).fetchone())}
        if columns:
            yield BlockRow(first, last, samples, timelines, columns, number)


def column_metrics(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all metrics that any block has."""
    return [row[0] for row in connection.execute("SELECT DISTINCT metric FROM columns ORDER BY metric")]


def first_block(connection: sqlite3.Connection) -> int | None:
    """Return when the oldest block begins (ms), None if there is none."""
    row = connection.execute("SELECT min(first_at) FROM blocks").fetchone()
    return None if row[0] is None else int(row[0])


def expire(connection: sqlite3.Connection, before: int) -> int:
    """Delete the blocks that end before this time (ms); returns how many."""
    return connection.execute("DELETE FROM blocks WHERE last_at < ?", (before,)).rowcount


def delete_oldest(connection: sqlite3.Connection, count: int = 1) -> int:
    """Delete the oldest blocks; returns how many there were to delete."""
    sql = "DELETE FROM blocks WHERE id IN (SELECT id FROM blocks ORDER BY last_at LIMIT ?)"
    return connection.execute(sql, (count,)).rowcount


def delete_oldest_raw(connection: sqlite3.Connection, count: int) -> int:
    """Delete the oldest raw batches: the last resort of a full disk once no block is left. Returns how many."""
    return connection.execute("DELETE FROM raw WHERE id IN (SELECT id FROM raw ORDER BY id LIMIT ?)", (count,)).rowcount


def forget_series(connection: sqlite3.Connection, before: int) -> int:
    """Delete the keys of series that no block has had since this time (ms); returns how many."""
    return connection.execute("DELETE FROM series WHERE last_at < ?", (before,)).rowcount


def totals(connection: sqlite3.Connection) -> tuple[int, int, int, int]:
    """Return (samples in blocks, bytes of blocks, raw batches, bytes of raw batches)."""
    samples, size = connection.execute("SELECT coalesce(sum(samples), 0), coalesce(sum(bytes), 0) FROM blocks").fetchone()
    count, raw = connection.execute("SELECT count(*), coalesce(sum(length(frame)), 0) FROM raw").fetchone()
    return int(samples), int(size), int(count), int(raw)
