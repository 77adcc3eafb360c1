"""The agent's long-running workers: one that fails is restarted alone, logged and counted; the others do not notice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from agent.metrics import AgentMetrics

log = logging.getLogger(__name__)

RESTART_S = 1.0


class Workers:
    """Tasks that run for ever, by name."""

    def __init__(self, metrics: AgentMetrics) -> None:
        self._metrics = metrics
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work()` until `stop`, again and again should it end."""
        self._metrics.restarts.labels(name).inc(0)
        self._tasks[name] = asyncio.create_task(self._run(name, work), name=name)

    async def _run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
                raise
            except BaseException as error:  # a panic of native code is no Exception
                log.error("worker %s failed and is restarted", name, exc_info=error)
            self._metrics.restarts.labels(name).inc()
            await asyncio.sleep(RESTART_S)

    async def stop(self) -> None:
        """Cancel all and wait until they have ended."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()
