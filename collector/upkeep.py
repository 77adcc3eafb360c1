"""Jobs that keep the collector in shape: room on the disk, history packed, old series forgotten, the loop watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from collector import history
from collector.ingest import IngestRefused
from collector.store import samples
from collector.store.database import StoreError, StoreFullError

if TYPE_CHECKING:
    from collector.app import Collector

log = logging.getLogger(__name__)

ROOM_S = 5.0
RETAIN_S = 60.0
COMPACT_S = 30.0
BLOCK_MS = 300_000  # raw batches wait until the oldest is this old, so that a block holds several samples of a series
SWEEP_S = 3600.0
FORGET_MS = 24 * 3_600_000  # a series without a sample for so long is forgotten
_LOOP_S = 0.25
_BLOCKS_AT_ONCE = 4


async def forever(collector: Collector, name: str, work: Callable[[Collector], Awaitable[None]], every_s: float) -> None:
    """Do some work again and again; a failure is counted and logged, and the next round comes."""
    while True:
        try:
            await work(collector)
        except IngestRefused as refused:
            log.debug("%s waits: %s", name, refused)
        except Exception:
            collector.metrics.restarts.labels(name).inc()
            log.exception("%s failed and is tried again", name)
        await asyncio.sleep(every_s)


async def keep_room(collector: Collector) -> None:
    """When the disk is full, delete oldest history until there is room again."""
    writer = collector.writer
    if writer.full:
        try:
            await writer.alone(lambda: _rescue(collector))
        except StoreError as error:
            log.error("the disk is full, and making room failed: %s", error)
    collector.metrics.disk_full.set(writer.full)


async def retain(collector: Collector) -> None:
    """Delete the history that is older than the site wants, or more than it allows."""
    writer, store, retention = collector.writer, collector.store, collector.site.collector.retention
    if writer.full:
        return
    try:
        await writer.alone(lambda: history.retain(store, retention, collector.clock.now()))
    except StoreFullError:
        writer.full = True
    collector.metrics.database_bytes.set(await asyncio.to_thread(store.used_bytes))


def _rescue(collector: Collector) -> None:
    """Free room with the help of the reserve: oldest blocks, then oldest raw batches, until the reserve fits again.

    Room made by somebody else is enough too.
    """
    store = collector.store
    store.release_reserve()
    for _ in range(1000):
        if store.shrink():
            collector.writer.room_made()
            return
        store.release_reserve()
        with store.transaction() as connection:
            gone = samples.delete_oldest(connection, _BLOCKS_AT_ONCE) or samples.delete_oldest_raw(connection, 50)
        if not gone:
            log.error("the disk is full, and nothing of the history is left to delete")
            return


async def compact(collector: Collector) -> None:
    """Pack the raw batches into blocks once the oldest has waited for five minutes."""
    store, now = collector.store, collector.clock.now()
    if collector.writer.full or not await asyncio.to_thread(history.waiting, store, now - BLOCK_MS):
        return
    try:
        while True:
            done = await asyncio.to_thread(history.compact, collector.store)
            collector.metrics.compacted.inc(done.samples)
            if done.samples < history.BLOCK_SAMPLES:
                return
    except StoreFullError:
        collector.writer.full = True
    except StoreError as error:
        log.error("the history could not be packed: %s", error)


async def sweep(collector: Collector) -> None:
    """Forget series that had no sample for a day."""
    async with collector.writer.turn() as turn:
        memory = turn.memory
        turn.touched = True
        memory.series.sweep(turn.now - FORGET_MS)
        memory.admission.forget()
        memory.recount()


async def watch_loop(collector: Collector) -> None:
    """Measure how late the event loop runs, for ever."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _LOOP_S
        await asyncio.sleep(_LOOP_S)
        collector.metrics.stall_s.observe(max(0.0, loop.time() - due))


async def check_integrity(collector: Collector) -> None:
    """Read the whole database once, in a thread; what is wrong with it is logged and shown."""
    found = await asyncio.to_thread(collector.store.check_integrity)
    collector.sound = not found
    collector.metrics.integrity.set(not found)
    for problem in found:
        log.error("the database is damaged: %s", problem)
