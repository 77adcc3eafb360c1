"""Collects runs and transitions, makes batches of them and has them spooled: transitions at once, runs once a second.

A record counts as taken when its batch is on the disk; only then is it shown to the sender. Never sends and never waits for
the collector.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from agent.disk import Disk
from agent.entry import Entry
from agent.spool import Spool
from config.clock import Clock
from probes.reason import Reason
from probes.sample import Batch, Run, Transition

log = logging.getLogger(__name__)

RUNS_EVERY_S = 1.0
CHANGES_EVERY_S = 0.02  # transitions of the same moment travel together
BATCH_BYTES = 1 << 20  # before compression
BATCH_CHANGES = 1000
RUN_BYTES = 16 << 20  # a run beyond this is an answer gone wild
PENDING_BYTES = 64 << 20  # what may wait in memory while the disk stalls


def size_of(run: Run) -> int:
    """Return the bytes of a run before compression, roughly."""
    return 100 + len(run.keys) + 8 * len(run.values) + len(run.detail)


class Journal:
    """The door through which every record leaves the agent."""

    def __init__(self, agent: str, spool: Spool, disk: Disk, clock: Clock, spooled: Callable[[list[Entry]], None]) -> None:
        """`spooled` is called on the event loop with the entries of each append."""
        self._agent = agent
        self._spool = spool
        self._disk = disk
        self._clock = clock
        self._spooled = spooled
        self._runs: deque[Run] = deque()
        self._runs_bytes = 0
        self._changes: list[Transition] = []
        self._skipped = 0
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    def run(self, run: Run) -> None:
        """Take one run. Never blocks; while the disk stalls for long, the oldest runs are given up and counted."""
        reason = Reason.TOO_BIG if size_of(run) > RUN_BYTES else Reason.INTERNAL
        if reason is Reason.TOO_BIG or len(run.values) != (run.keys.count(b"\n") + 1 if run.keys else 0):
            log.error("a run of %s, lane %s, is left without samples: %s", run.device, run.lane, reason.value)
            run = replace(run, reason=reason, keys=b"", values=(), detail=run.detail[:1000])
        self._runs.append(run)
        self._runs_bytes += size_of(run)
        while self._runs_bytes > PENDING_BYTES:
            self._runs_bytes -= size_of(self._runs.popleft())
            self._skipped += 1
        self._wake.set()
        if self._runs_bytes > BATCH_BYTES:
            self._hurry.set()

    def transition(self, change: Transition) -> None:
        """Take one transition, to be spooled and sent at once."""
        self._changes.append(change)
        self._wake.set()
        self._hurry.set()

    async def work(self) -> None:
        """Spool what comes, for ever."""
        while True:
            await self._wake.wait()
            try:
                async with asyncio.timeout(RUNS_EVERY_S):
                    await self._hurry.wait()
                await asyncio.sleep(CHANGES_EVERY_S)
            except TimeoutError:
                pass
            await self.flush()

    async def flush(self) -> None:
        """Spool everything taken so far and return when that is done."""
        async with self._one_at_a_time:
            self._wake.clear()
            self._hurry.clear()
            batches = list(self._batches())
            skipped, self._skipped = self._skipped, 0
            if batches or skipped:
                await asyncio.shield(asyncio.ensure_future(self._keep(batches, skipped)))

    async def _keep(self, batches: list[Batch], skipped: int) -> None:
        self._spooled(await self._disk.run(self._append, batches, skipped))

    def _append(self, batches: list[Batch], skipped: int) -> list[Entry]:
        if skipped:
            self._spool.skip(skipped)
        return self._spool.append(batches)

    def _batches(self) -> Iterator[Batch]:
        now = self._clock.now()
        changes, self._changes = self._changes, []
        for at in range(0, len(changes), BATCH_CHANGES):
            yield Batch(self._agent, 0, 0, now, transitions=tuple(changes[at : at + BATCH_CHANGES]))
        own = tuple(run for run in self._runs if run.device == self._agent)
        runs: list[Run] = []
        size = 0
        for run in self._runs:
            if run.device != self._agent:
                runs.append(run)
                size += size_of(run)
            if size >= BATCH_BYTES:
                yield Batch(self._agent, 0, 0, now, runs=tuple(runs))
                runs, size = [], 0
        for rest in (tuple(runs), own):  # what the agent says of itself never shares its fate with what it learned
            if rest:
                yield Batch(self._agent, 0, 0, now, runs=rest)
        self._runs.clear()
        self._runs_bytes = 0
