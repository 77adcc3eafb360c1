"""When probes in flight run out of time: a wheel of ticks, cheaper than a timer for each probe. Reads no clock itself."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

TICK_S = 0.01


class Wheel(Generic[T]):
    """Items by deadline, in ticks of 10 ms; an item comes out at most one tick late, never early.

    Cost for each item: one append. Items that were answered stay until their tick and are sorted out by the owner.
    """

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, list[T]] = {}

    def bucket(self, deadline: float) -> list[T]:
        """Return the list that holds the items of this deadline (seconds, monotonic); append to it."""
        tick = int(deadline / TICK_S) + 1
        found = self._buckets.get(tick)
        if found is None:
            found = self._buckets[tick] = []
        return found

    def next_due(self) -> float | None:
        """Return the deadline of the earliest tick, None if there is none."""
        return min(self._buckets) * TICK_S if self._buckets else None

    def take_due(self, now: float) -> list[T]:
        """Remove and return the items whose tick has passed."""
        due = sorted(tick for tick in self._buckets if tick * TICK_S <= now)
        return [item for tick in due for item in self._buckets.pop(tick)]

    def take_all(self) -> list[T]:
        """Remove and return all items."""
        items = [item for bucket in self._buckets.values() for item in bucket]
        self._buckets.clear()
        return items
