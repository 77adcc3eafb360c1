"""What all questions share: the engines, one HTTP session, a bounded pool of threads for libraries that block. No decisions.

One `Net` for each process, opened and closed as an async context manager on the event loop that asks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self, TypeVar

from config.clock import Clock, SystemClock
from probes.backoff import LoginBackoff
from probes.resolver import Resolver

if TYPE_CHECKING:
    import aiohttp

    from probes.icmp import IcmpEngine
    from probes.snmp.engine import SnmpEngine

T = TypeVar("T")

THREADS = 16


class Net:
    """The shared ends of every protocol.

    `icmp` and `snmp` are there between entering and leaving. Engines are async context managers made from the clock alone:
    ``IcmpEngine(clock)``, ``SnmpEngine(clock)``. `backoff` remembers refused logins for as long as the process lives.
    """

    icmp: IcmpEngine
    snmp: SnmpEngine

    def __init__(self, clock: Clock | None = None, *, threads: int = THREADS) -> None:
        """Prepare; nothing is opened yet. `threads` bounds the sessions of blocking libraries that run at the same time."""
        self.clock = clock or SystemClock()
        self.internal_errors: Counter[str] = Counter()  # questions that raised, by step
        self.resolver = Resolver(self.clock)
        self.backoff = LoginBackoff(self.clock)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="probe")
        self._http: aiohttp.ClientSession | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        from probes.icmp import IcmpEngine
        from probes.snmp.engine import SnmpEngine

        try:
            self.icmp = await self._stack.enter_async_context(IcmpEngine(self.clock, resolver=self.resolver))
            self.snmp = await self._stack.enter_async_context(SnmpEngine(self.clock))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None
        self._threads.shutdown(wait=False, cancel_futures=True)
        await self._stack.aclose()

    @property
    def http(self) -> aiohttp.ClientSession:
        """The shared session: no cookies, no proxies from the environment, no connection kept between questions."""
        if self._http is None:
            from probes.http import open_session

            self._http = open_session(self.resolver)
        return self._http

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run blocking work in the bounded pool. The work itself keeps its deadline: a thread cannot be stopped."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
