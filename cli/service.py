"""Runs a half, or both, until a signal ends it: loads the site file, reloads it at SIGHUP, turns failures into sentences."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Protocol

from cli.heap import Heap
from config.clock import Clock, SystemClock
from config.errors import ConfigErrors
from config.load import load_site
from config.reload import Reloader
from config.site import Site
from rules.load import RuleErrors

log = logging.getLogger(__name__)


class StartError(Exception):
    """A half cannot start; the text says why and what to do."""


class Reloadable(Protocol):
    """What takes a new site while it runs."""

    async def reload(self, site: Site) -> bool | None:
        """Go on with the new site; False where that cannot be, and nothing was changed."""
        ...


class _Early:
    """Remembers a SIGHUP that comes before anyone can act on it."""

    asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


class Serve(Protocol):
    """A coroutine function that runs until `stop` is set."""

    def __call__(self, site: Site, clock: Clock, *, stop: asyncio.Event, reloader: Reloader | None) -> Awaitable[None]:
        """Run."""
        ...


def run(path: Path, serve: Serve) -> int:
    """Serve the site until SIGINT or SIGTERM.

    Returns 0 after a clean end, 1 where it could not start (port taken, folder in use), 2 for a wrong site or rule file.
    """
    clock = SystemClock()
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, _Early())
    with Heap(clock) as heap:
        return _run(path, serve, clock, heap)


def _run(path: Path, serve: Serve, clock: Clock, heap: Heap) -> int:
    try:
        site = load_site(path)
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return 2
    for warning in site.warnings:
        log.warning("%s", warning)
    try:
        asyncio.run(until_signal(site, path, serve, clock, heap))
    except (OSError, StartError) as error:
        log.debug("could not go on", exc_info=True)
        print(error, file=sys.stderr)
        return 2 if isinstance(error.__cause__, (ConfigErrors, RuleErrors)) else 1
    return 0


async def until_signal(site: Site, path: Path, serve: Serve, clock: Clock, heap: Heap) -> None:
    """Serve until SIGINT or SIGTERM; a second one does not wait for a clean end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    tending = loop.create_task(heap.tend(), name="heap")
    try:
        await serve(site, clock, stop=stop, reloader=Reloader(path, site))
    finally:
        tending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tending


@contextlib.asynccontextmanager
async def reloading(
    reloader: Reloader | None, *halves: Reloadable, keep: Callable[[Site], Site] = lambda site: site
) -> AsyncIterator[None]:
    """Read the site file again at each SIGHUP, and give it to the halves if it is right.

    `keep` puts back into the new site what cannot change while it runs.
    """
    if reloader is None or not hasattr(signal, "SIGHUP"):
        yield
        return
    wanted = asyncio.Event()
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGHUP)
    loop.add_signal_handler(signal.SIGHUP, wanted.set)
    if isinstance(before, _Early) and before.asked:
        wanted.set()
    task = loop.create_task(_reload_when(wanted, reloader, halves, keep))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN if isinstance(before, _Early) else before or signal.SIG_DFL)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _reload_when(
    wanted: asyncio.Event, reloader: Reloader, halves: Sequence[Reloadable], keep: Callable[[Site], Site]
) -> None:
    while True:
        await wanted.wait()
        wanted.clear()
        running = reloader.site
        result = await asyncio.to_thread(reloader.try_reload)
        if result.site is None:
            for error in result.errors:
                log.error("site file refused, the running configuration stays: %s", error)
        elif await _given(keep(result.site), halves):
            changes = result.changes
            counts = {"added": len(changes.added), "removed": len(changes.removed), "changed": len(changes.changed)}
            log.info("site file read again", extra={**counts, "parts": ",".join(changes.parts)})
        else:
            reloader.site = running


async def _given(site: Site, halves: Sequence[Reloadable]) -> bool:
    """Give a site to each half in turn, the one that may refuse it first; returns whether all took it."""
    try:
        for half in halves:
            if await half.reload(site) is False:
                return False
    except Exception:
        log.exception("the new site file could not be taken")
        return False
    return True


def same_agent(running: Site) -> Callable[[Site], Site]:
    """Return what keeps the running agent's name, spool and own address in a new site: they take effect at the next start."""

    def keep(site: Site) -> Site:
        was, now = running.agent, site.agent
        if (was.name, was.spool.path, was.listen) == (now.name, now.spool.path, now.listen):
            return site
        log.warning("agent.name, agent.spool.path and agent.listen take effect at the next start")
        spool = replace(now.spool, path=was.spool.path)
        return replace(site, agent=replace(now, name=was.name, spool=spool, listen=was.listen))

    return keep
