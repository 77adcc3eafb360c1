"""Runs a half, or both, until a signal ends it: loads the site file, reloads it at SIGHUP, turns failures into sentences."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Sequence
from pathlib import Path
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

    async def reload(self, site: Site) -> None:
        """Go on with the new site."""
        ...


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
async def reloading(reloader: Reloader | None, *halves: Reloadable) -> AsyncIterator[None]:
    """Read the site file again at each SIGHUP, and give it to the halves if it is right."""
    if reloader is None or not hasattr(signal, "SIGHUP"):
        yield
        return
    wanted = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, wanted.set)
    task = loop.create_task(_reload_when(wanted, reloader, halves))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _reload_when(wanted: asyncio.Event, reloader: Reloader, halves: Sequence[Reloadable]) -> None:
    while True:
        await wanted.wait()
        wanted.clear()
        result = await asyncio.to_thread(reloader.try_reload)
        if result.site is None:
            for error in result.errors:
                log.error("site file refused, the running configuration stays: %s", error)
            continue
        for half in halves:
            await half.reload(result.site)
        changes = result.changes
        counts = {"added": len(changes.added), "removed": len(changes.removed), "changed": len(changes.changed)}
        log.info("site file read again", extra={**counts, "parts": ",".join(changes.parts)})
