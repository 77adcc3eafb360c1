"""The garbage collector's manners in a process that holds millions of objects for weeks. Changes when it looks, never whether.

Python looks at every object again and again as their number grows; with 10,000 devices that took a quarter of all CPU, and
stopped the event loop for half a second each time. What has lived for long is therefore set aside (`gc.freeze`) and not looked
at again, unless so much gathers there that something must be leaking.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import sys
from typing import Self

from config.clock import Clock

log = logging.getLogger(__name__)

YOUNG = 20_000  # new objects before the youngest are looked at: about 1 ms
MIDDLE = 10  # such looks before what survived them is looked at once more: about 10 ms
NEVER = 1 << 30  # looks at everything come from here alone
STARTING_S = 600.0  # everything is learned by then; nothing much is garbage before
START_EVERY_S = 5.0
EVERY_S = 60.0
WEIGH_EVERY_S = 600.0
LEAK = 1.5  # so many times the objects there were


class Heap:
    """Keeps the collector's work small between entering and leaving; `tend` runs beside the service."""

    def __init__(self, clock: Clock) -> None:
        """Change nothing yet."""
        self._clock = clock
        self._before = gc.get_threshold()
        self._expected = 0  # objects set aside when the start was over
        self._malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None  # glibc's

    def __enter__(self) -> Self:
        gc.set_threshold(YOUNG, MIDDLE, NEVER)
        gc.freeze()
        return self

    def __exit__(self, *_: object) -> None:
        gc.set_threshold(*self._before)
        gc.unfreeze()

    async def tend(self) -> None:
        """Set aside what has become old, for ever."""
        began = weighed = self._clock.monotonic()
        while True:
            gc.freeze()
            now = self._clock.monotonic()
            starting = now - began < STARTING_S
            if not starting and now - weighed >= WEIGH_EVERY_S:
                weighed = now
                self.weigh()
            await asyncio.sleep(START_EVERY_S if starting else EVERY_S)
            if not starting:
                gc.collect()  # sees the last minute's objects only
            await asyncio.to_thread(self._trim)

    def _trim(self) -> None:
        """Give back to the machine what a start or a compaction needed for a moment."""
        if self._malloc_trim is not None:
            self._malloc_trim(0)

    def weigh(self) -> bool:
        """Look at everything if much more has gathered than there was; returns whether it was necessary."""
        count = gc.get_freeze_count()
        grown = bool(self._expected) and count > LEAK * self._expected
        if grown:
            gc.unfreeze()
            found = gc.collect()
            gc.freeze()
            log.info("memory was tidied: %d objects were kept, %d of them for nothing", count, found)
            count = gc.get_freeze_count()
        if grown or not self._expected:
            self._expected = count
        return grown
