"""The ICMP engine: picks the best way this machine allows for each family, resolves names, paces. Judges nothing.

Ways, best first: one raw socket (root or CAP_NET_RAW); one unprivileged ping socket (net.ipv4.ping_group_range); ping3 where
the platform or its event loop has neither. Where none is allowed every probe ends as NO_PERMISSION: never as a miss.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

from config.clock import Clock
from probes.icmp.channel import NOISE, PADDING, Channel, Done
from probes.icmp.echo import Echo
from probes.icmp.fallback import Ping3Fallback
from probes.icmp.sockets import open_ping, open_raw
from probes.icmp.target import Target, parse_target
from probes.reason import Reason
from probes.resolver import Resolver

log = logging.getLogger(__name__)

CHUNK = 64  # sent without reading in between: an answer waits at most half a millisecond to be read
BURST = 256  # sent without a pause
RATE_PER_S = 100_000.0
WAIT_FOR_ROOM_S = 0.002
MOST_TARGETS_KEPT = 100_000
NAME = Target(0, b"", ("", 0))
FAMILIES = (socket.AF_INET, socket.AF_INET6)


class IcmpEngine:
    """Echo probes for the whole process. An async context manager: sockets are open between entering and leaving."""

    def __init__(
        self,
        clock: Clock,
        *,
        resolver: Resolver | None = None,
        ways: Sequence[str] = ("raw", "ping", "ping3"),
        rate_per_s: float = RATE_PER_S,
    ) -> None:
        """Prepare. `ways` limits what is tried, `rate_per_s` is the pace of a sweep."""
        self._clock = clock
        self._resolver = resolver or Resolver(clock)
        self._ways = tuple(ways)
        self._pause_s = BURST / rate_per_s
        self._channels: dict[int, Channel] = {}
        self._blocked: dict[int, Reason] = {}  # family -> why it cannot be used
        self._fallback: Ping3Fallback | None = None
        self._targets: dict[str, Target] = {}

    async def __aenter__(self) -> Self:
        for family in FAMILIES:
            self._open(family)
        if self._blocked.get(socket.AF_INET) is Reason.NO_PERMISSION:
            log.warning(
                "no ICMP: this process may open neither raw sockets (CAP_NET_RAW) nor ping sockets (net.ipv4.ping_group_range)"
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()
        if self._fallback is not None:
            self._fallback.close()

    @property
    def ways(self) -> dict[str, str]:
        """How each family is asked: ``{"ipv4": "raw"|"ping"|"ping3"|<a reason>, "ipv6": ...}``, for `doctor` and /metrics."""
        return {name: self._way(family) for name, family in zip(("ipv4", "ipv6"), FAMILIES, strict=True)}

    @property
    def rejected(self) -> Counter[str]:
        """Datagrams that answered no probe, by why: ``unasked`` (late, twice, never asked), ``payload``, ``source``; and
        ``no_buffers``, the times this machine could not send at once."""
        return sum((channel.rejected for channel in self._channels.values()), Counter())

    @property
    def in_flight(self) -> int:
        """Probes sent and not yet answered or expired."""
        return sum(channel.in_flight for channel in self._channels.values())

    async def ping(self, address: str, timeout_s: float, payload: bytes = PADDING) -> Echo:
        """Send one probe to a numeric address or a name and return its echo within `timeout_s` in all.

        `payload` is added behind the engine's tag and the probe's token. Raises only CancelledError.
        """
        ends = self._clock.monotonic() + timeout_s
        target = self._target(address)
        if target is None:
            found = await self._resolver.addresses(address, timeout_s)
            target = self._target(found[0]) if found else None
            if target is None:
                return Echo(Reason.RESOLVE)
        channel = self._channels.get(target.family)
        if channel is None:
            return await self._without_channel(target, ends - self._clock.monotonic())
        return await self._one(channel, target, ends, payload + payload[:1] * (len(payload) % 2))

    async def sweep(self, addresses: Sequence[str], timeout_s: float, on_done: Done) -> None:
        """Probe many addresses once each; `on_done(index, reason, rtt_s)` is called as each ends, once, in any order.

        Each probe has `timeout_s` from its own sending; a sweep is paced (100,000 probes/s at most) and returns when all ended.
        Cost: no coroutine, future or timer for a numeric address. `on_done` must not block. After a cancellation it is not
        called any more. Raises only CancelledError.
        """
        sweep = _Sweep(on_done, len(addresses))
        slow: list[asyncio.Task[None]] = []
        try:
            for start in range(0, len(addresses), CHUNK):
                for family, (indexes, targets) in self._sorted(addresses, start).items():
                    channel = self._channels.get(family)
                    if channel is not None:
                        await self._send_all(channel, indexes, targets, timeout_s, sweep.done)
                    else:
                        slow += [asyncio.create_task(self._slow(addresses[i], timeout_s, sweep.done, i)) for i in indexes]
                if (start + CHUNK) % BURST == 0:
                    await asyncio.sleep(self._pause_s)
            await sweep.wait()
        finally:
            sweep.close()
            for task in slow:
                task.cancel()

    async def _one(self, channel: Channel, target: Target, ends: float, payload: bytes) -> Echo:
        future: asyncio.Future[Echo] = asyncio.get_running_loop().create_future()

        def done(_index: int, reason: Reason, rtt_s: float) -> None:
            if not future.done():
                future.set_result(Echo(reason, rtt_s))

        while not channel.send(target, os.urandom(NOISE), max(0.0, ends - self._clock.monotonic()), done, 0, payload):
            if self._clock.monotonic() >= ends:
                return Echo(Reason.TIMEOUT)
            await asyncio.sleep(WAIT_FOR_ROOM_S)
        return await future

    def _sorted(self, addresses: Sequence[str], start: int) -> dict[int, tuple[list[int], list[Target]]]:
        """Return indexes and targets of the chunk from `start` on, by family; family 0 holds the names."""
        known = self._targets
        batches: dict[int, tuple[list[int], list[Target]]] = {}
        for index, address in enumerate(addresses[start : start + CHUNK], start):
            target = known.get(address) or self._target(address) or NAME
            batch = batches.get(target[0])
            if batch is None:
                batch = batches[target[0]] = ([], [])
            batch[0].append(index)
            batch[1].append(target)
        return batches

    async def _send_all(
        self, channel: Channel, indexes: list[int], targets: list[Target], timeout_s: float, done: Done
    ) -> None:
        """Send a chunk; while buffers are full, read and try again; what cannot be sent within the timeout is a miss."""
        sent = channel.send_many(indexes, targets, os.urandom(NOISE * len(targets)), timeout_s, done)
        channel.drain()
        ends = self._clock.monotonic() + timeout_s
        while sent < len(targets) and self._clock.monotonic() < ends:
            await asyncio.sleep(WAIT_FOR_ROOM_S)
            noise = os.urandom(NOISE * (len(targets) - sent))
            sent += channel.send_many(indexes[sent:], targets[sent:], noise, timeout_s, done)
            channel.drain()
        for index in indexes[sent:]:
            done(index, Reason.TIMEOUT, 0.0)

    async def _slow(self, address: str, timeout_s: float, done: Done, index: int) -> None:
        done(index, *await self.ping(address, timeout_s))

    async def _without_channel(self, target: Target, timeout_s: float) -> Echo:
        if self._fallback is not None and timeout_s > 0:
            return await self._fallback.ping(target.sockaddr[0], timeout_s)
        return Echo(self._blocked.get(target.family, Reason.UNREACHABLE))

    def _target(self, address: str) -> Target | None:
        target = self._targets.get(address)
        if target is None:
            target = parse_target(address)
            if target is not None:
                if len(self._targets) >= MOST_TARGETS_KEPT:
                    self._targets.clear()
                self._targets[address] = target
        return target

    def _open(self, family: int) -> None:
        tag = os.urandom(4)
        openers: dict[str, Callable[[], socket.socket]] = {
            "raw": lambda: open_raw(family, tag),
            "ping": lambda: open_ping(family),
        }
        for way in ("raw", "ping"):
            if way not in self._ways:
                continue
            try:
                sock = openers[way]()
            except OSError as error:
                denied = error.errno in (errno.EPERM, errno.EACCES)
                self._blocked[family] = Reason.NO_PERMISSION if denied else Reason.UNREACHABLE
                continue
            try:
                self._channels[family] = Channel(sock, tag, self._clock)
            except NotImplementedError:  # an event loop that cannot watch sockets
                sock.close()
                break
            self._blocked.pop(family, None)
            return
        self._fall_back(family)

    def _fall_back(self, family: int) -> None:
        """Use ping3, except where it would ask for the very sockets that were just denied."""
        if "ping3" in self._ways and (sys.platform != "linux" or family not in self._blocked):
            self._fallback = self._fallback or Ping3Fallback(self._clock)
            self._blocked.pop(family, None)

    def _way(self, family: int) -> str:
        channel = self._channels.get(family)
        if channel is not None:
            return "raw" if channel.raw else "ping"
        return self._blocked[family].value if family in self._blocked else "ping3"


class _Sweep:
    """How many probes of one sweep are still out, and whom to tell."""

    __slots__ = ("_finished", "_left", "_on_done")

    def __init__(self, on_done: Done, count: int) -> None:
        self._on_done: Done | None = on_done
        self._left = count
        self._finished = asyncio.get_running_loop().create_future()

    def done(self, index: int, reason: Reason, rtt_s: float) -> None:
        """Pass one result on; the count goes down even if the receiver fails."""
        self._left -= 1
        if self._left == 0 and not self._finished.done():
            self._finished.set_result(None)
        if self._on_done is not None:
            self._on_done(index, reason, rtt_s)

    async def wait(self) -> None:
        """Wait until no probe is out."""
        if self._left:
            await self._finished

    def close(self) -> None:
        """Tell nobody any more."""
        self._on_done = None
