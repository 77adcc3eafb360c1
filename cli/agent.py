"""`watchkeeper agent`: the half that asks. Sends what it learns to a collector elsewhere."""

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
        "agent",
        help=_("ask the devices and send to a collector"),
        description=_("Asks its devices and sends to `agent.collector` until stopped. SIGHUP reads the site file again."),
    )
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="SITE", help=_("the site file"))


def run(args: argparse.Namespace) -> int:
    """Ask until a signal ends it; 0 after a clean end, 1 where it could not start, 2 for a wrong site file."""
    return service.run(args.config, serve)


async def serve(site: Site, clock: Clock, *, stop: asyncio.Event, reloader: Reloader | None = None) -> None:
    """Run the agent until `stop` is set."""
    from agent.app import Agent  # the whole half: only when it is to run
    from agent.sink import HttpSink

    if not site.agent.collector:
        raise service.StartError(
            _("{file}: agent.collector: missing. Give the collector's URL, or run: watchkeeper up").format(file=site.path)
        )
    sink = HttpSink(site.agent.collector, site.agent.token, site.agent.ca)
    agent = Agent(site, clock, sink)
    await agent.start()
    try:
        log.info("agent %s asks its devices of %s and sends to %s", site.agent.name, site.name, site.agent.collector)
        async with service.reloading(reloader, agent, keep=service.same_agent(site)):
            await stop.wait()
    finally:
        await agent.stop()
        await sink.close()
