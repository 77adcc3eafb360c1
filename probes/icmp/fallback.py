"""Echo through ping3, a socket and a thread for each probe: for platforms where the shared sockets cannot be had.

Ours is the time (ping3 takes it from the packet); ping3's are the packet and the waiting. Slow, so bounded.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import ping3
import ping3.errors

from config.clock import Clock
from probes.icmp.echo import Echo
from probes.reason import Reason

THREADS = 32

_REASONS: tuple[tuple[type[BaseException], Reason], ...] = (
    (ping3.errors.Timeout, Reason.TIMEOUT),
    (ping3.errors.HostUnknown, Reason.RESOLVE),
    (ping3.errors.PingError, Reason.UNREACHABLE),
    (PermissionError, Reason.NO_PERMISSION),
    (OSError, Reason.UNREACHABLE),
)

log = logging.getLogger(__name__)


class Ping3Fallback:
    """Single echo probes in a bounded pool of threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ping3")

    async def ping(self, address: str, timeout_s: float) -> Echo:
        """Return the echo of a numeric address; the wait for a free thread counts."""
        ends = self._clock.monotonic() + timeout_s
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._ping, address, ends)
        try:
            return await asyncio.wait_for(work, timeout_s + 0.1)
        except TimeoutError:
            return Echo(Reason.TIMEOUT)

    def close(self) -> None:
        """Take no more probes; those under way end by their own deadlines."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ping(self, address: str, ends: float) -> Echo:
        begins = self._clock.monotonic()
        if begins >= ends:
            return Echo(Reason.TIMEOUT)
        try:
            delay = ping3.ping(address, timeout=ends - begins)
        except (ping3.errors.PingError, OSError, ValueError) as error:
            return Echo(reason_of(error))
        if delay is None:
            return Echo(Reason.TIMEOUT)
        return Echo(Reason.UNREACHABLE) if delay is False else Echo(Reason.OK, self._clock.monotonic() - begins)


def reason_of(error: BaseException) -> Reason:
    """Return the reason of an exception of ping3 or its socket."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), Reason.PROTOCOL)
