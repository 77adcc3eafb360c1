"""The tables of alarms, faults, their history and what is to be delivered. All SQL about them is here; decides nothing.

A row keeps its record as JSON, and the columns that people and queries want are generated from it, so that any SQLite tool
reads the tables and no column disagrees with the record. Every function works inside the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from collector.alarm import Alarm, AlarmKey
from collector.decisions import Decisions, Delivery, DeviceReach, EngineState
from collector.fault import Fault, FaultView, HistoryEntry

SCHEMA = """
CREATE TABLE IF NOT EXISTS faults (
    id TEXT PRIMARY KEY,
    record TEXT NOT NULL,
    site TEXT GENERATED ALWAYS AS (json_extract(record, '$.site')) VIRTUAL,
    device TEXT GENERATED ALWAYS AS (json_extract(record, '$.device')) VIRTUAL,
    component TEXT GENERATED ALWAYS AS (json_extract(record, '$.component')) VIRTUAL,
    problem TEXT GENERATED ALWAYS AS (json_extract(record, '$.problem')) VIRTUAL,
    level TEXT GENERATED ALWAYS AS (json_extract(record, '$.level')) VIRTUAL,
    state TEXT GENERATED ALWAYS AS (json_extract(record, '$.state')) VIRTUAL,
    began_at INTEGER GENERATED ALWAYS AS (json_extract(record, '$.began_at')) VIRTUAL,
    opened_at INTEGER GENERATED ALWAYS AS (json_extract(record, '$.opened_at')) VIRTUAL,
    restored_at INTEGER GENERATED ALWAYS AS (json_extract(record, '$.restored_at')) VIRTUAL,
    closed_at INTEGER GENERATED ALWAYS AS (json_extract(record, '$.closed_at')) VIRTUAL,
    live INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS faults_live ON faults (live) WHERE live = 1;
CREATE INDEX IF NOT EXISTS faults_opened ON faults (opened_at);
CREATE TABLE IF NOT EXISTS fault_affected (
    fault TEXT NOT NULL,
    device TEXT NOT NULL,
    recovered INTEGER NOT NULL,
    PRIMARY KEY (fault, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fault_history (
    fault TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    step TEXT NOT NULL,
    person TEXT NOT NULL,
    note TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (fault, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarms (
    site TEXT NOT NULL,
    device TEXT NOT NULL,
    component TEXT NOT NULL,
    rule TEXT NOT NULL,
    record TEXT NOT NULL,
    condition TEXT GENERATED ALWAYS AS (json_extract(record, '$.condition')) VIRTUAL,
    operator TEXT GENERATED ALWAYS AS (json_extract(record, '$.operator')) VIRTUAL,
    suppression TEXT GENERATED ALWAYS AS (json_extract(record, '$.suppression')) VIRTUAL,
    severity TEXT GENERATED ALWAYS AS (json_extract(record, '$.severity')) VIRTUAL,
    PRIMARY KEY (site, device, component, rule)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fault_alarms (
    fault TEXT NOT NULL,
    site TEXT NOT NULL,
    device TEXT NOT NULL,
    component TEXT NOT NULL,
    rule TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (fault, site, device, component, rule)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS alarm_history (
    site TEXT NOT NULL,
    device TEXT NOT NULL,
    component TEXT NOT NULL,
    rule TEXT NOT NULL,
    axis TEXT NOT NULL,
    value TEXT NOT NULL,
    at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    reason TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS alarm_history_key ON alarm_history (device, rule, received_at);
CREATE TABLE IF NOT EXISTS outbox (
    key TEXT PRIMARY KEY,
    fault TEXT NOT NULL,
    kind TEXT NOT NULL,
    at INTEGER NOT NULL,
    payload TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS device_reach (
    device TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    at INTEGER NOT NULL,
    via TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fault_counter (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    day TEXT NOT NULL,
    number INTEGER NOT NULL
) STRICT;
"""

_encode = msgspec.json.Encoder().encode
_alarm = msgspec.json.Decoder(Alarm).decode
_fault = msgspec.json.Decoder(Fault).decode
_CHUNK = 500  # names in one IN (...) list


def store_decisions(connection: sqlite3.Connection, decisions: Decisions) -> None:
    """Write what the engine decided, in the caller's transaction. About 15 us for each alarm, 100 us for each fault."""
    _store_alarms(connection, decisions)
    _store_faults(connection, decisions.faults)
    connection.executemany(
        "INSERT INTO fault_history VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (h.fault, h.number, h.at, h.received_at, h.step, h.person, h.note, _encode(dict(h.fields)).decode())
            for h in decisions.history
        ],
    )
    connection.executemany(
        "INSERT INTO outbox (key, fault, kind, at, payload) VALUES (?, ?, ?, ?, ?)",
        [(d.key, d.fault, d.kind, d.at, _encode(dict(d.payload)).decode()) for d in decisions.deliveries],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO device_reach VALUES (?, ?, ?, ?, ?, ?)",
        [(r.device, r.state, r.reason, r.since, r.at, r.via) for r in decisions.reach],
    )
    if decisions.counter is not None:
        connection.execute("INSERT OR REPLACE INTO fault_counter VALUES (1, ?, ?)", decisions.counter)


def _store_alarms(connection: sqlite3.Connection, decisions: Decisions) -> None:
    rows = [(*_key(alarm.key), _encode(alarm).decode()) for alarm in decisions.alarms]
    connection.executemany("INSERT OR REPLACE INTO alarms VALUES (?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "INSERT OR REPLACE INTO fault_alarms VALUES (?, ?, ?, ?, ?, ?)",
        [
            (fault, *row)
            for alarm, row in zip(decisions.alarms, rows, strict=True)
            for fault in (alarm.fault, *alarm.also)
            if fault
        ],
    )
    connection.executemany(
        "DELETE FROM fault_alarms WHERE fault = ? AND site = ? AND device = ? AND component = ? AND rule = ?",
        [(fault, *_key(key)) for fault, key in decisions.departed],
    )
    connection.executemany(
        "DELETE FROM alarms WHERE site = ? AND device = ? AND component = ? AND rule = ?",
        [_key(key) for key in decisions.forgotten],
    )
    connection.executemany(
        "INSERT INTO alarm_history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*_key(c.key), c.axis, c.value, c.at, c.received_at, c.reason) for c in decisions.alarm_changes],
    )


def _key(key: AlarmKey) -> tuple[str, str, str, str]:
    return key.site, key.device, key.component, key.rule


def _store_faults(connection: sqlite3.Connection, faults: Iterable[Fault]) -> None:
    for fault in faults:
        live = 0 if fault.closed_at is not None and fault.due_at is None else 1
        record = _encode(replace(fault, affected=(), recovered=())).decode()
        connection.execute("INSERT OR REPLACE INTO faults (id, record, live) VALUES (?, ?, ?)", (fault.id, record, live))
        sql = "SELECT device, recovered FROM fault_affected WHERE fault = ?"
        before = dict(connection.execute(sql, (fault.id,)).fetchall())
        now = dict.fromkeys(fault.recovered, 1) | dict.fromkeys(fault.affected, 0)
        connection.executemany(
            "INSERT OR REPLACE INTO fault_affected VALUES (?, ?, ?)",
            [(fault.id, name, gone) for name, gone in now.items() if before.get(name) != gone],
        )
        connection.executemany(
            "DELETE FROM fault_affected WHERE fault = ? AND device = ?",
            [(fault.id, name) for name in before.keys() - now.keys()],
        )


def load_state(connection: sqlite3.Connection) -> EngineState:
    """Return what `FaultEngine.load` needs: all alarms still kept, faults still live, what is known of reachability."""
    faults = tuple(_faults(connection, connection.execute("SELECT record FROM faults WHERE live = 1 ORDER BY id")))
    alarms = tuple(_alarm(row[0]) for row in connection.execute("SELECT record FROM alarms"))
    reach = tuple(DeviceReach(*row) for row in connection.execute("SELECT * FROM device_reach"))
    counter = connection.execute("SELECT day, number FROM fault_counter").fetchone()
    return EngineState(alarms, faults, reach, counter)


def _faults(connection: sqlite3.Connection, rows: Iterable[Sequence[str]]) -> Iterator[Fault]:
    faults = [_fault(row[0]) for row in rows]
    names: dict[tuple[str, int], list[str]] = defaultdict(list)
    sql = "SELECT fault, recovered, device FROM fault_affected WHERE fault IN ({}) ORDER BY device"
    for fault_id, recovered, device in _chunked(connection, sql, [fault.id for fault in faults]):
        names[fault_id, int(recovered)].append(device)
    for fault in faults:
        yield replace(fault, affected=tuple(names[fault.id, 0]), recovered=tuple(names[fault.id, 1]))


def _chunked(connection: sqlite3.Connection, sql: str, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        yield from connection.execute(sql.format(",".join("?" * len(chunk))), chunk)


def list_faults(connection: sqlite3.Connection, state: str = "open", level: str = "", limit: int = 1000) -> list[FaultView]:
    """Return faults with their alarms and history, newest opening first.

    Args:
        connection: to the database; read-only will do.
        state: ``open`` (not closed and not merged), ``closed`` (closed or merged), ``all``, or one fault state.
        level: only this level of the contract; empty for every one.
        limit: at most so many.
    """
    wanted = {
        "open": "state NOT IN ('closed', 'merged')",
        "closed": "state IN ('closed', 'merged')",
        "all": "1",
    }.get(state, "state = :state")
    rows = connection.execute(
        f"SELECT record FROM faults WHERE {wanted} AND (:level = '' OR level = :level) "  # noqa: S608 - fixed texts above
        "ORDER BY opened_at DESC, id DESC LIMIT :limit",
        {"state": state, "level": level, "limit": limit},
    ).fetchall()
    return _views(connection, list(_faults(connection, rows)))


def get_fault(connection: sqlite3.Connection, fault_id: str) -> FaultView | None:
    """Return one fault with its alarms and history, or None if there is none of this id."""
    rows = connection.execute("SELECT record FROM faults WHERE id = ?", (fault_id,)).fetchall()
    views = _views(connection, list(_faults(connection, rows)))
    return views[0] if views else None


def _views(connection: sqlite3.Connection, faults: Sequence[Fault]) -> list[FaultView]:
    names = [fault.id for fault in faults]
    alarms: dict[str, list[Alarm]] = defaultdict(list)
    sql = "SELECT fault, record FROM fault_alarms WHERE fault IN ({}) ORDER BY device, component, rule"
    for fault, record in _chunked(connection, sql, names):
        alarms[fault].append(_alarm(record))
    history: dict[str, list[HistoryEntry]] = defaultdict(list)
    sql = "SELECT * FROM fault_history WHERE fault IN ({}) ORDER BY fault, number"
    for row in _chunked(connection, sql, names):
        fault_id, number, at, received_at, step, person, note, fields = row
        named = msgspec.json.decode(fields, type=dict[str, str])
        history[fault_id].append(HistoryEntry(fault_id, number, at, received_at, step, person, note, named))
    return [FaultView(fault, tuple(alarms[fault.id]), tuple(history[fault.id])) for fault in faults]


def open_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many faults are open on each level, for the metrics."""
    sql = "SELECT level, count(*) FROM faults WHERE live = 1 AND state NOT IN ('closed', 'merged') GROUP BY level"
    return dict(connection.execute(sql).fetchall())


def pending_deliveries(connection: sqlite3.Connection, limit: int = 1000) -> list[Delivery]:
    """Return what the outbox holds, oldest first."""
    rows = connection.execute("SELECT key, fault, kind, at, payload FROM outbox ORDER BY rowid LIMIT ?", (limit,))
    return [Delivery(key, fault, kind, at, msgspec.json.decode(payload)) for key, fault, kind, at, payload in rows]
