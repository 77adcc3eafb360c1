"""Counts the series of each device, agent and metric, so that one device gone wild cannot fill the memory.

A series beyond its cap is left out and counted, never refused: what else the agent has to say must go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from collector.keys import Key
from collector.limits import Limits

NAMED_METRICS = 100  # metrics with a count of their own; what is beyond is counted as `other`


class Quota:
    """Knows which series exist, by device and metric. About 100 bytes a series."""

    def __init__(self, limits: Limits) -> None:
        """Start with no series."""
        self._limits = limits
        self._known: dict[bytes, tuple[str, str, str]] = {}  # key -> (agent, device, metric)
        self._agents: Counter[str] = Counter()
        self._devices: Counter[str] = Counter()
        self._metrics: Counter[str] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self.over: Counter[str] = Counter()  # samples left out, by metric or `other`

    def take(self, agent: str, device: str, keys: Iterable[Key]) -> list[bool]:
        """Return for each key whether it may be kept; a new one that may is counted from now on."""
        return [key.key in self._known or self._add(agent, device, key) for key in keys]

    def _add(self, agent: str, device: str, key: Key) -> bool:
        limits, metric = self._limits, key.metric
        if (
            self._pairs[device, metric] >= limits.series_per_device_metric
            or self._devices[device] >= limits.series_per_device
            or self._agents[agent] >= limits.series_per_agent
            or self._metrics[metric] >= limits.series_per_metric
        ):
            return False
        self._known[key.key] = (agent, device, metric)
        self._count(agent, device, metric, 1)
        return True

    def _count(self, agent: str, device: str, metric: str, by: int) -> None:
        self._agents[agent] += by
        self._devices[device] += by
        self._metrics[metric] += by
        self._pairs[device, metric] += by

    def left_out(self, metric: str, count: int) -> None:
        """Count samples that were left out."""
        self.over[metric if metric in self.over or len(self.over) < NAMED_METRICS else "other"] += count

    def forget(self, keys: Iterable[bytes]) -> None:
        """Take series that exist no more out of the counts."""
        for key in keys:
            found = self._known.pop(key, None)
            if found is not None:
                self._count(*found, -1)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._known)
