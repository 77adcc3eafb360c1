"""How much may be asked at once: of one device, of all healthy ones, of the sick ones. And when a lane of a device is sick.

Pure bookkeeping and semaphores; asks nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

SICK_AFTER = 3  # failed rounds in a row
FIRST_RETRY_S = 15.0
LONGEST_RETRY_S = 300.0
SICK_IN_FLIGHT = 64


@dataclass(slots=True)
class Health:
    """How one lane of one device fares. A sick one is asked by the sick lane only, ever more rarely."""

    failures: int = 0
    sick: bool = False
    retries: int = 0
    due: float = 0.0  # when the sick lane asks next, monotonic

    def ended(self, answered: bool, interval_s: float, now: float) -> None:
        """Take the end of a round. `answered`: at least one question got an answer."""
        if answered:
            self.failures, self.sick, self.retries = 0, False, 0
            return
        self.failures += 1
        if self.failures >= SICK_AFTER or self.sick:
            self.fall_sick(interval_s, now)

    def fall_sick(self, interval_s: float, now: float) -> None:
        """Go to the sick lane; each failure there doubles the wait, from two intervals up to five minutes."""
        longest_s = max(LONGEST_RETRY_S, interval_s)
        self.sick = True
        self.due = now + min(longest_s, max(FIRST_RETRY_S, 2 * interval_s) * 2.0 ** min(self.retries, 10))
        self.retries += 1

    def recovered(self, now: float) -> None:
        """The device is reached again: as good as any until it fails anew."""
        self.failures, self.retries, self.sick = 0, 0, False
        self.due = now


class DeviceBudget:
    """How many conversations one device takes part in at once. SNMP lanes share one, every other protocol has its own."""

    def __init__(self, limit: int = 1) -> None:
        self._limit = limit
        self._seats: dict[str, asyncio.Semaphore] = {}

    def seat(self, protocol: str) -> asyncio.Semaphore:
        """Return the semaphore of a protocol."""
        if protocol not in self._seats:
            self._seats[protocol] = asyncio.Semaphore(self._limit)
        return self._seats[protocol]


class Floor:
    """The slots of all rounds under way: the sick have their own, so that they never take the healthy ones'."""

    def __init__(self, most: int, most_sick: int = SICK_IN_FLIGHT) -> None:
        self._healthy = asyncio.Semaphore(most)
        self._sick = asyncio.Semaphore(most_sick)
        self.in_flight = 0

    @asynccontextmanager
    async def slot(self, device: DeviceBudget, protocol: str, *, sick: bool) -> AsyncIterator[None]:
        """Wait for the device first and then for a slot, so that waiting for a device holds nothing."""
        async with device.seat(protocol), self._sick if sick else self._healthy:
            self.in_flight += 1
            try:
                yield
            finally:
                self.in_flight -= 1
