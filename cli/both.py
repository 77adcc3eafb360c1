"""Agent and collector in one process, wired together. Decides nothing; `cli.up` and `cli.demo` run it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.app import Agent
from agent.sink import DeliveryError
from cli import service
from collector.app import Collector, InProcessSink
from collector.engine_settings import EngineSettings
from collector.ingest import IngestRefused
from config.clock import Clock
from config.reload import Reloader
from config.site import Site

log = logging.getLogger(__name__)


class LocalSink:
    """Hands frames to the collector in the same process; its refusals are the agent's delivery errors."""

    def __init__(self, inner: InProcessSink) -> None:
        self._inner = inner

    async def deliver(self, frames: Sequence[bytes]) -> None:
        """Return when the collector has committed.

        Raises:
            DeliveryError: it has not.
        """
        try:
            await self._inner.deliver(frames)
        except IngestRefused as refused:
            raise DeliveryError(refused.reason, refused.retry_after_s, refused.detail) from refused


async def serve(
    site: Site,
    clock: Clock,
    *,
    stop: asyncio.Event,
    reloader: Reloader | None = None,
    on_ready: Callable[[Collector], None] | None = None,
    rules: Sequence[Path] | None = None,
    waits: EngineSettings | None = None,
) -> None:
    """Run both halves until `stop` is set.

    Args:
        site: what is watched.
        clock: wall and monotonic time.
        stop: ends it.
        reloader: reads the site file again at SIGHUP; none: SIGHUP is left alone.
        on_ready: called once both halves run.
        rules: rule files instead of the shipped ones and the site's.
        waits: the fault engine's waits instead of its own.
    """
    collector = Collector(site, clock, rule_paths=rules, waits=waits)
    await collector.start()
    try:
        agent = Agent(site, clock, LocalSink(InProcessSink(collector, site.agent.name)))
        await agent.start()
        try:
            if on_ready is not None:
                on_ready(collector)
            log.info(
                "watching %d devices of %s; faults and /metrics on %s", len(site.devices), site.name, site.collector.listen
            )
            async with service.reloading(reloader, collector, agent, keep=service.same_agent(site)):
                await stop.wait()
        finally:
            await agent.stop()
    finally:
        await collector.stop()
