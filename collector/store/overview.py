"""Reads for pages and metrics: reachability, alarms and faults in few columns. Changes nothing."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReachRow:
    """What was last said about reaching a device. Times in ms."""

    device: str
    state: str
    reason: str
    since: int
    at: int
    via: str


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm, as /metrics shows it."""

    site: str
    device: str
    component: str
    rule: str
    problem: str
    severity: str
    condition: str
    suppression: str


def load_reach(connection: sqlite3.Connection) -> dict[str, ReachRow]:
    """Return what is known of reaching each device."""
    rows = connection.execute("SELECT device, state, reason, since, at, via FROM device_reach")
    return {row[0]: ReachRow(*row) for row in rows}


def load_alarms(connection: sqlite3.Connection) -> list[AlarmRow]:
    """Return the alarms whose condition holds (pending or raised)."""
    rows = connection.execute(
        "SELECT site, device, component, rule, json_extract(record, '$.problem'), severity, condition, suppression "
        "FROM alarms WHERE condition != 'cleared' ORDER BY device, component, rule"
    )
    return [AlarmRow(*row) for row in rows]
