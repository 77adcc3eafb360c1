"""The table of alert instances that are pending or firing, so that a restart goes on where it was.

Every function works inside the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace

import msgspec

from rules.alert import AlertState
from rules.source import Labels

SCHEMA = """
CREATE TABLE IF NOT EXISTS alerts (
    rule_key TEXT NOT NULL,
    labels TEXT NOT NULL,
    record TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (rule_key, labels)
) STRICT, WITHOUT ROWID;
"""

AlertId = tuple[str, Labels]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AlertState).decode


def alert_id(state: AlertState) -> AlertId:
    """Return what one alert instance is known by."""
    return state.rule_key, state.labels


def store_alerts(connection: sqlite3.Connection, changed: Iterable[AlertState], gone: Iterable[AlertId]) -> None:
    """Write the instances that changed and delete those that are no more. JSON has no NaN: the value has its own column."""
    connection.executemany(
        "DELETE FROM alerts WHERE rule_key = ? AND labels = ?", [(key, _encode(labels).decode()) for key, labels in gone]
    )
    connection.executemany(
        "INSERT OR REPLACE INTO alerts (rule_key, labels, record, value) VALUES (?, ?, ?, ?)",
        [
            (state.rule_key, _encode(state.labels).decode(), _encode(replace(state, value=0.0)).decode(), repr(state.value))
            for state in changed
        ],
    )


def load_alerts(connection: sqlite3.Connection) -> list[AlertState]:
    """Return all active instances."""
    rows = connection.execute("SELECT record, value FROM alerts ORDER BY rule_key, labels")
    return [replace(_decode(record), value=float(value)) for record, value in rows]
