"""A collector on a small site with a clock moved by hand, and batches to give it."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from collector.app import Collector
from collector.store.database import FILE
from config.secret import Secret
from config.site import (
    AgentAccess,
    AgentSettings,
    CollectorSettings,
    Device,
    LaneSettings,
    Place,
    Site,
    SpoolSettings,
    Upstream,
)
from kit.hand_clock import HandClock
from probes import wire
from probes.reason import Reason
from probes.sample import Batch, ReachState, Run, Transition, series_key

START = 1_795_312_800_000  # 2026-11-22T02:00:00Z
AGENT = "crossing-agent"
LANES = {"reach": 5, "state": 30, "table": 60, "inventory": 21_600, "picture": 60, "shell": 3600}


def site_of(folder: Path, **collector: Any) -> Site:
    """A core switch with an access switch and two cameras behind it, and one device of another agent."""
    devices = (
        Device("core", "127.0.0.1", "switch", role="core", place="x17", agent=AGENT),
        Device("access", "127.0.0.2", "switch", place="x17", agent=AGENT, upstream=(Upstream("core"),)),
        Device("cam-1", "127.0.0.3", "camera", place="x17", agent=AGENT, upstream=(Upstream("access"),)),
        Device("cam-2", "127.0.0.4", "camera", place="x17", agent=AGENT, upstream=(Upstream("access"),)),
        Device("other", "127.0.0.5", "switch", agent="other-agent"),
    )
    agents = {
        name: AgentAccess(name, tuple(Secret(token, "env:X") for token in tokens))
        for name, tokens in {AGENT: ("token-new", "token-old"), "other-agent": ("token-other",)}.items()
    }
    spool = SpoolSettings(folder / "spool")
    lanes = {lane: LaneSettings(float(every), 5.0) for lane, every in LANES.items()}
    settings = CollectorSettings(folder / "data", **{"listen": "127.0.0.1:0", "agents": agents, **collector})
    return Site(
        name="north",
        contract="campus-network",
        path=folder / "site.yaml",
        devices={device.name: device for device in devices},
        agent=AgentSettings(AGENT, spool, lanes),
        collector=settings,
        places={"x17": Place("x17")},
    )


def key(metric: str, device: str, **labels: str) -> bytes:
    base = {"site": "north", "device": device, "class": "camera" if device.startswith("cam") else "switch"}
    return series_key(metric, base | ({"place": "x17"} if device != "other" else {}) | labels)


def run(device: str = "core", at: int = START, lane: str = "state", reason: Reason = Reason.OK, **samples: float) -> Run:
    """A run with these metrics; none given: the probe's own and a temperature."""
    found = samples or {"temperature_celsius": 40.0}
    found = {**found, "probe_success": float(reason is Reason.OK)}
    keys = b"\n".join(key(m, device, **({"lane": lane} if m.startswith("probe_") else {})) for m in found)
    return Run(device, lane, at, 0.01, reason, keys, array("d", found.values()))


def down(device: str, at: int, via: str = "") -> Transition:
    return Transition(device, ReachState.DOWN, "behind" if via else "icmp", at - 2000, at, via)


def up(device: str, at: int) -> Transition:
    return Transition(device, ReachState.UP, "recovered", at, at)


class AgentSide:
    """Numbers batches as an agent does."""

    def __init__(self, name: str = AGENT, epoch: int = 1, previous: tuple[int, int] | None = None) -> None:
        self.name, self.epoch, self.seq, self.previous = name, epoch, 0, previous

    def batch(self, runs: Iterable[Run] = (), changes: Iterable[Transition] = (), at: int = START) -> Batch:
        made = Batch(self.name, self.epoch, self.seq, at, tuple(runs), tuple(changes), self.previous)
        self.seq += made.count
        return made

    def frame(self, runs: Iterable[Run] = (), changes: Iterable[Transition] = (), at: int = START) -> bytes:
        return wire.encode(self.batch(runs, changes, at))


@asynccontextmanager
async def collecting(folder: Path, clock: HandClock | None = None, **options: Any) -> AsyncIterator[Collector]:
    """A started collector; its timers run on real time, its wall clock is the given one."""
    site = options.pop("site", None) or site_of(folder)
    options.setdefault("listen", False)
    options.setdefault("reserve_bytes", 1 << 16)
    collector = Collector(site, clock or HandClock(START), **options)
    await collector.start()
    try:
        yield collector
    finally:
        await collector.stop()


@asynccontextmanager
async def client(collector: Collector, token: str = "") -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client of a listening collector, with a bearer token if one is given."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with aiohttp.ClientSession(f"http://127.0.0.1:{collector.port}", headers=headers) as session:
        yield session


def operator(collector: Collector) -> str:
    return (collector.site.collector.data / "operator.token").read_text().strip()


_RECEIPT_TIMES = {"received_at", "seen_at", "id"}  # differ with when and in which order, not with what


def dump(folder: Path, without: Iterable[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, sorted; what says only when or in which order something came is left out."""
    connection = sqlite3.connect(folder / "data" / FILE)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_xinfo({table})") if row[1] not in _RECEIPT_TIMES]
        rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()
        if not table.startswith("sqlite_") and table not in set(without):
            found[table] = sorted(rows, key=repr)
    connection.close()
    return found


def with_devices(site: Site, *devices: Device, without: Iterable[str] = ()) -> Site:
    kept = {name: device for name, device in site.devices.items() if name not in set(without)}
    return replace(site, devices=kept | {device.name: device for device in devices})


def numbers(batch: Batch) -> Iterator[int]:
    yield from range(batch.seq, batch.seq + batch.count)
