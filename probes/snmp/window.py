"""How many requests may be young at the same time, so that their answers fit into the receive buffer. First come, first served.

Only young requests count: a hundred dead devices, each waited for, must not keep a living one from being asked.
"""

from __future__ import annotations

import asyncio
from collections import deque

from probes.snmp.exchange import Exchange

ANSWER_BYTES = 4096  # what the kernel charges for one answer of some 1,400 bytes, with room to spare
LEAST = 32


class Window:
    """Counts young exchanges; `wait` when it is `full`."""

    def __init__(self, most: int) -> None:
        self._limit = most
        self._young = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def fit(self, buffer_bytes: int) -> None:
        """Never have more in flight than a receive buffer of this size can take at once."""
        self._limit = max(LEAST, min(self._limit, buffer_bytes // ANSWER_BYTES))

    def enter(self, exchange: Exchange) -> bool:
        """Count a request that is about to be sent; False if it has to `wait` instead."""
        if self._young >= self._limit or self._waiting:
            return False
        exchange.young = True
        self._young += 1
        return True

    def leave(self, exchange: Exchange) -> None:
        """Count it no longer, because it was answered or has grown old; whoever waits longest may go."""
        if exchange.young:
            exchange.young = False
            self._give_back()

    async def wait(self, exchange: Exchange, loop: asyncio.AbstractEventLoop, timeout_s: float) -> bool:
        """Enter when there is room; False if there was none in time."""
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(timeout_s):
                await turn
        except BaseException as error:
            self._leave_queue(turn)
            if isinstance(error, TimeoutError):
                return False
            raise
        exchange.young = True
        return True

    def _leave_queue(self, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():
            self._give_back()
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _give_back(self) -> None:
        self._young -= 1
        while self._waiting and self._young < self._limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._young += 1
                turn.set_result(None)
