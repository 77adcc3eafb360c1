"""Names to addresses, with a memory: while the name service is away, a device keeps the address it last had.

A name server that fails is not a device that fails. Never used for numeric addresses.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from config.clock import Clock

KEEP_S = 300.0
MOST_NAMES = 20_000


class Resolver:
    """Resolves names on the loop's threads, one look-up for each name at a time, answers kept for five minutes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._running: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def addresses(self, host: str, timeout_s: float) -> tuple[str, ...]:
        """Return the numeric addresses of a host, best first; those last known if no answer comes in time; () if none are."""
        if _is_numeric(host):
            return (host,)
        found_at, known = self._known.get(host, (0.0, ()))
        if known and self._clock.monotonic() - found_at < KEEP_S:
            return known
        task = self._running.get(host) or self._start(host)
        await asyncio.wait({task}, timeout=max(0.0, timeout_s))
        return (task.result() if task.done() and not task.cancelled() else ()) or known

    def _start(self, host: str) -> asyncio.Task[tuple[str, ...]]:
        task = asyncio.create_task(self._look_up(host), name=f"resolve {host}")
        self._running[host] = task
        task.add_done_callback(lambda _: self._running.pop(host, None))
        return task

    async def _look_up(self, host: str) -> tuple[str, ...]:
        try:
            infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return ()
        found = tuple(dict.fromkeys(str(info[4][0]) for info in infos))
        if found:
            if len(self._known) >= MOST_NAMES:
                self._known.clear()
            self._known[host] = (self._clock.monotonic(), found)
        return found


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
