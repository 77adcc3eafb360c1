"""Sends what is spooled until the collector has it: transitions at once, live data next, then the backlog, newest first.

Two requests at most are under way: one with transitions, one with the rest. Never deletes anything; the spool does, when told
of the acknowledgement.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from agent.backoff import Backoff
from agent.disk import Disk
from agent.entry import Entry
from agent.metrics import AgentMetrics
from agent.sink import CONFLICT, REJECTED, STRANGER, UNAUTHORISED, DeliveryError, Sink
from agent.spool import Spool
from config.clock import Clock

log = logging.getLogger(__name__)

REQUEST_BYTES = 1 << 20
REQUEST_FRAMES = 500
LIVE_BYTES = 4 << 20  # what the sender keeps in its hands of each kind; the rest stays on the disk
HEARTBEAT_S = 10.0
LONGEST_BACKOFF_S = 15.0  # a collector that is back is not kept waiting longer for what happened meanwhile
IMPATIENCE_S = 1.0  # a new transition cuts a back-off short, this long after the last attempt

_LOUD = {
    UNAUTHORISED: "the collector refuses this agent's token, name or devices; nothing is delivered until they are right",
    CONFLICT: "the collector says that another agent uses this name, or that this spool was set back to an older state",
    STRANGER: "what answers at the collector's address is no collector; nothing is delivered until the address is right",
    "redirected": "the collector's address answers with a redirect; give the agent the final address",
}


class _Lane:
    """One request at a time: what waits for it, and how it fares."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[Entry] = deque()
        self.backoff = Backoff(longest_s=LONGEST_BACKOFF_S)
        self.wake = asyncio.Event()
        self.recovered = asyncio.Event()  # another lane got through
        self.most = REQUEST_BYTES

    def take(self, most: int) -> list[Entry]:
        """Remove and return the first entries of up to `most` bytes, at least one."""
        taken: list[Entry] = []
        size = 0
        while self.waiting and len(taken) < REQUEST_FRAMES and (not taken or size + len(self.waiting[0].frame) <= most):
            size += len(self.waiting[0].frame)
            taken.append(self.waiting.popleft())
        return taken


class Sender:
    """Moves entries from the spool to a sink. Its two workers are `send_changes` and `send_rest`."""

    def __init__(self, spool: Spool, disk: Disk, sink: Sink, clock: Clock, metrics: AgentMetrics) -> None:
        """Nothing is sent before the workers run."""
        self._spool = spool
        self._disk = disk
        self._sink = sink
        self._clock = clock
        self._metrics = metrics
        self._changes = _Lane("changes")
        self._rest = _Lane("rest")
        self._backlog: deque[Entry] = deque()
        self._told_old = False  # transitions of earlier starts are in the hands of `send_changes`
        self._last_attempt = clock.monotonic()
        self._said: str | None = None
        self.last_success: float | None = None

    @property
    def healthy(self) -> bool:
        """Return whether the last request got through."""
        return self._rest.backoff.failures == 0 and self._changes.backoff.failures == 0

    def take(self, entries: Iterable[Entry]) -> None:
        """Take entries that were just spooled. What is too much for memory goes back to the disk."""
        for entry in entries:
            lane = self._changes if entry.urgent else self._rest
            lane.waiting.append(entry)
            lane.wake.set()
        for lane in (self._changes, self._rest):
            self._shorten(lane)

    def _shorten(self, lane: _Lane) -> None:
        size = sum(len(entry.frame) for entry in lane.waiting)
        kept: list[Entry] = []
        while lane.waiting and size > LIVE_BYTES:
            entry = lane.waiting.popleft()
            if entry.segment is None:
                kept.append(entry)  # only in memory; the spool bounds these
                continue
            size -= len(entry.frame)
            self._spool.shelf.let_go([entry])
        lane.waiting.extendleft(reversed(kept))

    async def send_changes(self) -> None:
        """Send transitions in the order in which they came, for ever. A new one cuts a back-off short."""
        lane = self._changes
        await self._take_old_changes()
        while True:
            await lane.wake.wait()
            lane.wake.clear()
            while lane.waiting:
                wait_s = await self._deliver(lane, lane.take(lane.most), [])
                if wait_s:
                    await self._pause(lane, wait_s, hurry=True)

    async def _take_old_changes(self) -> None:
        """Take the transitions spooled before this start, oldest first: they tell their story only in order."""
        old: list[Entry] = []
        for segment in self._spool.shelf.waiting():
            found = await self._disk.run(self._spool.shelf.read, segment)
            self._spool.shelf.let_go([entry for entry in found if not entry.urgent])
            old += [entry for entry in found if entry.urgent]
        self._told_old = True
        self._changes.waiting.extendleft(reversed(old))
        if old:
            self._changes.wake.set()
        self._rest.wake.set()

    async def send_rest(self) -> None:
        """Send live data, then backlog, then a sign of life when there was nothing for ten seconds; for ever."""
        lane = self._rest
        while True:
            live = lane.take(lane.most)
            old = await self._from_backlog(lane.most - sum(len(entry.frame) for entry in live), REQUEST_FRAMES - len(live))
            if not live and not old and not await self._heartbeat_due(lane):
                continue
            wait_s = await self._deliver(lane, live, old)
            if wait_s:
                await self._pause(lane, wait_s, hurry=False)

    async def _heartbeat_due(self, lane: _Lane) -> bool:
        """Wait for something to send. Returns True if there was nothing until the next sign of life was due."""
        if lane.waiting:
            return False
        due = self._last_attempt + HEARTBEAT_S - self._clock.monotonic()
        lane.wake.clear()
        try:
            async with asyncio.timeout(max(0.0, due)):
                await lane.wake.wait()
        except TimeoutError:
            return True
        return False

    async def _from_backlog(self, room: int, most: int) -> list[Entry]:
        """Return entries of the newest segment that waits, of up to `room` bytes; at least one where there is no live data."""
        if not self._backlog and room > 0 and most and self._told_old:
            segment = self._spool.shelf.newest_waiting()
            if segment is not None:
                found = await self._disk.run(self._spool.shelf.read, segment)
                self._backlog.extend(sorted(found, key=lambda entry: not entry.urgent))
        taken: list[Entry] = []
        while (
            self._backlog
            and len(taken) < most
            and (room >= len(self._backlog[0].frame) or (not taken and most == REQUEST_FRAMES))
        ):
            room -= len(self._backlog[0].frame)
            taken.append(self._backlog.popleft())
        return taken

    async def _deliver(self, lane: _Lane, live: list[Entry], old: list[Entry]) -> float:
        """Send one request. Returns the seconds to wait before the next, 0 after a success; failed entries go back."""
        claimed = self._spool.shelf.claim(live + old)
        if (live or old) and not claimed:
            return 0.0
        self._last_attempt = self._clock.monotonic()
        try:
            await self._sink.deliver([entry.frame for entry in claimed])
        except DeliveryError as error:
            failure = error
        except Exception as error:
            log.exception("the sink failed")
            failure = DeliveryError("internal", detail=type(error).__name__)
        except BaseException:
            self._put_back(lane, live, old)
            raise
        else:
            await self._delivered(lane, claimed)
            return 0.0
        self._metrics.deliveries.labels(lane.name, failure.reason).inc()
        if failure.reason == REJECTED and len(claimed) == 1:
            await self._refuse(lane, claimed[0], failure)
            return 0.0
        self._put_back(lane, live, old)
        if failure.reason == REJECTED and claimed:
            lane.most = max(1, sum(len(entry.frame) for entry in claimed) // 2)
            return 0.05
        self._tell(failure)
        return lane.backoff.failed(failure.retry_after_s)

    def _put_back(self, lane: _Lane, live: list[Entry], old: list[Entry]) -> None:
        self._spool.shelf.release(live + old)
        lane.waiting.extendleft(reversed(live))
        self._backlog.extendleft(reversed(old))
        self._shorten(lane)

    async def _refuse(self, lane: _Lane, entry: Entry, failure: DeliveryError) -> None:
        """Set aside the one entry that the collector will never take, so that the others go on."""
        log.error("the collector rejects one batch of %d records (%s); it is put into quarantine", entry.count, failure)
        self._spool.shelf.release([entry])
        await self._disk.run(self._spool.shelf.refuse, entry)
        lane.most = REQUEST_BYTES

    async def _delivered(self, lane: _Lane, claimed: list[Entry]) -> None:
        self._metrics.deliveries.labels(lane.name, "ok").inc()
        if self._said is not None:
            log.info("the collector takes deliveries again")
            self._said = None
        lane.backoff.succeeded()
        lane.most = min(REQUEST_BYTES, lane.most * 2)
        self.last_success = self._clock.monotonic()
        for other in (self._changes, self._rest):
            if other is not lane:
                other.recovered.set()
        if claimed:
            await self._disk.run(self._spool.acknowledge, claimed)

    async def _pause(self, lane: _Lane, wait_s: float, *, hurry: bool) -> None:
        """Wait out a back-off; the other lane's success ends it, and, for transitions, a new one."""
        lane.recovered.clear()
        if hurry:
            lane.wake.clear()
        waits = [asyncio.ensure_future(event.wait()) for event in ([lane.recovered, lane.wake] if hurry else [lane.recovered])]
        started = self._clock.monotonic()
        try:
            await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in waits:
                waiting.cancel()
        rest_s = IMPATIENCE_S - (self._clock.monotonic() - started)
        if hurry and lane.wake.is_set() and rest_s > 0:
            await asyncio.sleep(min(rest_s, wait_s))

    def _tell(self, failure: DeliveryError) -> None:
        """Log what a person must mend each time, anything else once."""
        loud = _LOUD.get(failure.reason)
        if loud:
            log.error("delivery failed (%s): %s", failure, loud)
        elif self._said != failure.reason:
            log.warning("delivery failed (%s); trying again", failure)
        self._said = failure.reason
