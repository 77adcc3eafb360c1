"""What the API's pages hold: plain objects made of the site, the memory and the database. Reads only."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from collector import exposition, judging
from collector.exposition import Family, alarm_family, fault_family, per_agent
from collector.fault_json import rfc3339
from collector.ownership import agents_of as names_of_agents
from collector.store import faults as fault_store
from collector.store import identity, overview
from collector.store.agents import GapRow
from collector.store.audit import AuditEntry
from config.site import Site

if TYPE_CHECKING:
    from collector.app import Collector

Page = dict[str, Any]


def devices(site: Site, connection: sqlite3.Connection) -> list[Page]:
    """Return every device of the site with its verdict and what it said of itself."""
    reach = overview.load_reach(connection)
    facts: dict[str, dict[str, str]] = {}
    for owner, fact, value, _at in identity.load_facts(connection):
        facts.setdefault(owner, {})[fact] = value
    found = []
    for name, device in site.devices.items():
        row = reach.get(name)
        page: Page = {
            "device": name,
            "address": device.address,
            "class": device.device_class,
            "role": device.role,
            "place": device.place,
            "agent": device.agent or site.agent.name,
            "upstream": [way.device for way in device.upstream],
            "state": row.state if row else "unknown",
            "reason": row.reason if row else "",
            "since": rfc3339(row.since) if row else None,
            "via": row.via if row else "",
            "facts": facts.get(name, {}),
        }
        found.append(page)
    return found


def agents_of(collector: Collector) -> list[Page]:
    """Return every agent the site names or that was ever heard."""
    memory, now = collector.writer.memory, collector.clock.now()
    ledger = memory.ledger
    found = []
    for name in dict.fromkeys([*names_of_agents(memory.site), *ledger.agents]):
        row = ledger.agents.get(name)
        found.append(
            {
                "agent": name,
                "up": not judging.silent(memory, name, now),
                "seen_at": rfc3339(row.seen_at) if row else None,
                "epoch": row.epoch if row else None,
                "records": row.records if row else 0,
                "missing": ledger.missing_of(name),
                "clock_offset_ms": row.offset_ms if row else None,
                "clamped": row.clamped if row else 0,
                "conflict_at": rfc3339(row.conflict_at) if row else None,
                "devices": len(memory.ownership.devices(name)),
            }
        )
    return found


def gap(row: GapRow) -> Page:
    """Return one gap record: records [from, to) of an agent's epoch."""
    return {
        "agent": row.agent,
        "epoch": row.epoch,
        "from": row.first,
        "to": row.next,
        "missing": row.missing,
        "seen_at": rfc3339(row.seen_at),
        "filled_at": rfc3339(row.filled_at),
    }


def audit_entry(entry: AuditEntry) -> Page:
    """Return one entry of the audit."""
    return {
        "at": rfc3339(entry.at),
        "who": entry.who,
        "peer": entry.peer,
        "action": entry.action,
        "detail": entry.detail,
    }


def rules(collector: Collector) -> list[Page]:
    """Return every rule and how its last evaluation went."""
    return [
        {
            "file": health.file,
            "group": health.group,
            "rule": health.rule,
            "error": health.error,
            "evaluated_at": rfc3339(health.evaluated_at),
            "failures": health.failures,
        }
        for health in collector.writer.memory.rules.health()
    ]


def problems(collector: Collector) -> list[str]:
    """Return what keeps the collector from its work, in fixed words; nothing if all is well."""
    found = []
    if collector.writer.full:
        found.append("disk-full")
    if collector.sound is False:
        found.append("database-damaged")
    return found


async def metrics(collector: Collector, openmetrics: bool) -> AsyncIterator[bytes]:
    """Yield /metrics in pieces."""
    now = collector.clock.now()
    alarms, counts = await asyncio.to_thread(_database_part, collector)
    _refresh(collector)
    levels = [level.id for level in collector.contract.levels]
    families = [alarm_family(alarms), fault_family(collector.site.name, levels, counts), *_agent_families(collector, now)]
    series, registry = collector.writer.memory.series, collector.metrics.registry
    async for piece in exposition.exposition(series, families, registry, now, openmetrics):
        yield piece


def _database_part(collector: Collector) -> tuple[list[overview.AlarmRow], dict[str, int]]:
    with collector.reader.reading() as connection:
        return overview.load_alarms(connection), fault_store.open_counts(connection)


def _refresh(collector: Collector) -> None:
    """Set the gauges that are read off, not counted."""
    memory, own = collector.writer.memory, collector.metrics
    own.series.set(len(memory.series))
    own.late.set(memory.series.late_samples)
    own.rebuilds.set(collector.writer.rebuilds)
    own.rules_failing.set(sum(bool(health.error) for health in memory.rules.health()))
    own.rules_missed.set(memory.rules.missed_slots)
    for metric, count in memory.admission.quota.over.items():
        own.over_cap.labels(metric).set(count)


def _agent_families(collector: Collector, now: int) -> list[Family]:
    ledger = collector.writer.memory.ledger
    rows = ledger.agents
    offsets = {name: row.offset_ms / 1000 for name, row in rows.items() if row.offset_ms is not None}
    return [
        per_agent(
            "watchkeeper_gap_records",
            "Records an agent made that never came.",
            {name: float(ledger.missing_of(name)) for name in rows},
        ),
        per_agent(
            "watchkeeper_agent_seen_seconds",
            "Seconds since an agent was last heard.",
            {name: (now - row.seen_at) / 1000 for name, row in rows.items()},
        ),
        per_agent("watchkeeper_agent_clock_offset_seconds", "How far an agent's clock is ahead of the collector's.", offsets),
        per_agent(
            "watchkeeper_agent_clamped_records_total",
            "Records whose time lay in the future.",
            {name: float(row.clamped) for name, row in rows.items()},
            "counter",
        ),
    ]
