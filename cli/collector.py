"""`watchkeeper collector`: the half that judges. Takes what agents send and keeps the fault records."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from cli import service
from config.clock import Clock
from config.language import _
from config.reload import Reloader
from config.site import Site

log = logging.getLogger(__name__)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's arguments."""
    parser = subparsers.add_parser(
        "collector",
        help=_("take what agents send, judge it, keep the fault records"),
        description=_("Listens on `collector.listen` until stopped. SIGHUP reads the site file again."),
    )
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="SITE", help=_("the site file"))


def run(args: argparse.Namespace) -> int:
    """Judge until a signal ends it; 0 after a clean end, 1 where it could not start, 2 for a wrong site file."""
    return service.run(args.config, serve)


async def serve(site: Site, clock: Clock, *, stop: asyncio.Event, reloader: Reloader | None = None) -> None:
    """Run the collector until `stop` is set."""
    from collector.app import Collector  # the whole half: only when it is to run

    collector = Collector(site, clock)
    await collector.start()
    try:
        log.info("collector of %s listens on %s", site.name, site.collector.listen)
        async with service.reloading(reloader, collector):
            await stop.wait()
    finally:
        await collector.stop()
