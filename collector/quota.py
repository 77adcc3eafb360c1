"""Counts the series of each device, agent and metric, so that one device gone wild cannot fill the memory.

A series beyond its cap is left out and counted, never refused: what else the agent has to say must go on. What a request adds
is pending until the request is applied.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from collector.keys import Key
from collector.limits import Limits
from collector.series_table import Table
from rules.source import Strings

NAMED_METRICS = 100  # metrics with a count of their own; what is beyond is counted as `other`


class Quota:
    """How many series there are, by agent, device and metric. Which there are, the series state knows (`exists`)."""

    def __init__(self, limits: Limits, exists: Callable[[bytes], bool]) -> None:
        """Start with no series."""
        self._limits, self._exists = limits, exists
        self._counts: Counter[tuple[str, str]] = Counter()  # of ("device", name), ("agent", name), ("metric", name)
        self._metrics: dict[str, dict[str, int]] = {}  # of each device, by metric
        self._pending: Counter[tuple[str, str]] = Counter()
        self._pending_metrics: Counter[tuple[str, str]] = Counter()  # of (device, metric)
        self._named: set[bytes] = set()  # new in this request
        self.over: Counter[str] = Counter()  # samples left out, by metric or `other`

    def begin(self) -> None:
        """Forget what a request that was not applied would have added."""
        self._pending.clear()
        self._pending_metrics.clear()
        self._named.clear()

    def settle(self) -> None:
        """Count what a request added: it is being applied."""
        self._counts.update(self._pending)
        for (device, metric), count in self._pending_metrics.items():
            counts = self._metrics.setdefault(device, {})
            counts[metric] = counts.get(metric, 0) + count
        self.begin()

    def take(self, agent: str, device: str, keys: Iterable[Key]) -> list[bool]:
        """Return for each key whether it may be kept; a new one that may is counted."""
        return [self._exists(key.key) or key.key in self._named or self._add(agent, device, key) for key in keys]

    def _add(self, agent: str, device: str, key: Key) -> bool:
        limits, metric = self._limits, sys.intern(key.metric)
        of_device = self._metrics.get(device, {}).get(metric, 0) + self._pending_metrics[device, metric]
        if of_device >= limits.series_per_device_metric:
            return False
        places = (
            (("device", device), limits.series_per_device),
            (("agent", agent), limits.series_per_agent),
            (("metric", metric), limits.series_per_metric),
        )
        for name, most in places:
            if self._counts[name] + self._pending[name] >= most:
                return False
        for name, _ in places:
            self._pending[name] += 1
        self._pending_metrics[device, metric] += 1
        self._named.add(key.key)
        return True

    def left_out(self, metric: str, count: int) -> None:
        """Count samples that were left out."""
        self.over[metric if metric in self.over or len(self.over) < NAMED_METRICS else "other"] += count

    def recount(self, tables: Iterable[Table], strings: Strings, owner: Callable[[str], str]) -> None:
        """Count anew the series there are; `owner` names a device's agent. About 0.5 us for each device of each metric."""
        self.begin()
        self._counts.clear()
        self._metrics.clear()
        for table in tables:
            column, metric = table.columns.get("device"), sys.intern(table.metric)
            if column is None:
                continue
            for code, count in zip(*(part.tolist() for part in np.unique(column, return_counts=True)), strict=True):
                if code:
                    self._metrics.setdefault(strings.text(code), {})[metric] = count
                    self._counts["metric", metric] += count
        for device, counts in self._metrics.items():
            count = sum(counts.values())
            self._counts["device", device] += count
            self._counts["agent", owner(device)] += count
