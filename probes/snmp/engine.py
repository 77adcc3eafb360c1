"""All SNMP requests of the process over one unconnected socket for each address family.

Owns sending again, deadlines, matching answers to requests and what ICMP says. Never decides what an answer means, and
whatever arrives raises nothing: it is accepted, or dropped and counted while the request waits on until its deadline.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from typing import Self

from config.clock import Clock, SystemClock
from config.site import SnmpCredentials
from probes.reason import Reason
from probes.snmp import message
from probes.snmp.belief import Belief
from probes.snmp.ber import Malformed
from probes.snmp.exchange import Address, Exchange, Reader, Rejected, Session
from probes.snmp.usm import KeyRing
from probes.snmp.wheel import Wheel
from probes.snmp.window import Window

log = logging.getLogger(__name__)

RECEIVE_BUFFER = 8 << 20
BATCH = 64  # datagrams read before the loop may do something else
YOUNG_S = 0.05  # an answer that comes at all mostly comes by then: only so long does a request count as a burst
MIN_ID = 0x10000000
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_SO_RCVBUFFORCE = 33
_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
_LOST = frozenset((errno.EAGAIN, errno.ENOBUFS, errno.EPERM, errno.EINTR))  # as good as lost on the way: sent again later


class SnmpEngine:
    """The shared end of every SNMP question; open it as an async context manager on the loop that asks.

    `dropped` counts datagrams nobody took, by reason. One question costs about 12 us of engine time.
    """

    def __init__(self, clock: Clock | None = None, *, max_in_flight: int = 1000) -> None:
        """Prepare; nothing is opened yet. `max_in_flight` bounds answers that may arrive in one burst."""
        self.clock = clock or SystemClock()
        self.dropped: Counter[str] = Counter()
        self.keys = KeyRing()
        self.beliefs: dict[tuple[Address, SnmpCredentials], Belief] = {}  # confirmed remote engines
        self.strangers: dict[tuple[Address, SnmpCredentials], tuple[bytes, float]] = {}  # engine ids that took their place
        self._max_in_flight = max_in_flight
        self._pending: dict[int, Exchange] = {}
        self._by_peer: dict[Address, Exchange] = {}
        self._sockets: dict[int, socket.socket] = {}
        self._ids: Iterator[int] = iter(())

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        self._wheel: Wheel[Exchange] = Wheel(self.loop, self._due)
        self._window = Window(self._max_in_flight)
        self._open(socket.AF_INET)
        return self

    async def __aexit__(self, *_: object) -> None:
        for opened in self._sockets.values():
            self.loop.remove_reader(opened)
            opened.close()
        self._sockets.clear()
        self._wheel.close()
        for exchange in list(self._pending.values()):
            exchange.finish(Reason.TIMEOUT)

    def next_id(self) -> int:
        """Return a request id of 31 unpredictable bits that no request in flight has, of always four bytes."""
        while True:
            for number in self._ids:
                request_id = number & 0x7FFFFFFF
                if request_id >= MIN_ID and request_id not in self._pending:
                    return request_id
            self._ids = iter(struct.unpack("=1024I", os.urandom(4096)))

    async def exchange(
        self,
        address: Address,
        request: bytes,
        request_id: int,
        session: Session,
        read: Reader,
        timeout_s: float,
        *,
        resends: int = 2,
        context: object = None,
    ) -> Exchange:
        """Send a request, again up to `resends` times at equal steps, and return when it is answered or `timeout_s` is over.

        Late answers to an earlier try are accepted: all tries share one id. Never raises for what the network does.
        """
        exchange = Exchange(address, request, request_id.to_bytes(4, "big"), session, read)
        exchange.context = context
        now = exchange.began = self.loop.time()
        exchange.deadline, exchange.resend = now + timeout_s, timeout_s / (resends + 1)
        exchange.resends_left = resends
        if not self._window.enter(exchange) and not await self._window.wait(exchange, self.loop, timeout_s):
            exchange.finish(Reason.BACKING_OFF)
            return exchange
        self._pending[request_id] = self._by_peer[address] = exchange
        try:
            self._send(exchange)
            if exchange.reason is None:
                exchange.future = self.loop.create_future()
                self._wheel.add(exchange, now + min(YOUNG_S, exchange.resend))
                await exchange.future
        finally:
            self._forget(request_id, exchange)
        return exchange

    def forget_engines(self) -> None:
        """Forget every confirmed SNMPv3 engine and all keys: after a reload, a replaced device is met anew."""
        self.beliefs.clear()
        self.strangers.clear()
        self.keys.forget()

    def _forget(self, request_id: int, exchange: Exchange) -> None:
        self._pending.pop(request_id, None)
        if self._by_peer.get(exchange.address) is exchange:
            del self._by_peer[exchange.address]
        self._window.leave(exchange)
        exchange.finish(Reason.TIMEOUT)  # for the wheel, where a cancelled exchange still stands

    def _due(self, exchange: Exchange, now: float) -> None:
        """Let a request that is still unanswered grow old, send it again, or end it."""
        if exchange.reason is not None:
            return
        self._window.leave(exchange)
        if now >= exchange.deadline:
            exchange.give_up()
            return
        left = exchange.resends_left
        if left and now >= exchange.deadline - left * exchange.resend:
            exchange.resends_left = left = left - 1
            self._send(exchange)
        self._wheel.add(exchange, exchange.deadline - left * exchange.resend)

    def _open(self, family: int) -> socket.socket:
        opened = socket.socket(family, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            level, option = (
                (socket.IPPROTO_IPV6, _IPV6_RECVERR) if family == socket.AF_INET6 else (socket.IPPROTO_IP, _IP_RECVERR)
            )
            opened.setsockopt(level, option, 1)
            try:
                opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
            except OSError:
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            opened.bind(("", 0))
        except OSError:
            opened.close()
            raise
        self._window.fit(opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
        self.loop.add_reader(opened, self._readable, opened)
        self._sockets[family] = opened
        return opened

    def _socket_for(self, address: Address) -> socket.socket:
        family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
        return self._sockets.get(family) or self._open(family)

    def _send(self, exchange: Exchange) -> None:
        for _ in range(4):
            try:
                self._socket_for(exchange.address).sendto(exchange.request, exchange.address)
                return
            except OSError as error:
                if error.errno in _LOST:
                    return
                # an ICMP message about another request is reported to whoever uses the socket next
                if not self._read_errors() and error.errno != errno.ECONNREFUSED:
                    break
        if exchange.reason is None:
            exchange.finish(Reason.UNREACHABLE)

    def _readable(self, ready: socket.socket) -> None:
        receive = ready.recvfrom
        for _ in range(BATCH):
            try:
                data, address = receive(65535)
            except BlockingIOError:
                return
            except OSError:
                self._read_errors()
                continue
            self._datagram(data, address)

    def _datagram(self, data: bytes, address: Address) -> None:
        """Give one datagram to the request it answers, or drop it. Nothing that it holds gets past this function."""
        exchange = self._by_peer.get(address)
        try:
            message_id, at, stop = message.peek(data)
            found = self._pending.get(message_id)
            if found is None or found.reason is not None:
                return self._drop("late", exchange)  # or of nobody's: ids are not kept that long
            if found.address != address:
                return self._drop("wrong_source", found)
            exchange = found
            found.finish(Reason.OK, found.session.accept(found, data, at, stop))
        except Malformed:
            self._drop(Reason.MALFORMED.value, exchange)
        except Rejected as rejected:
            self._drop(rejected.reason.value, exchange)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:
            log.exception("an SNMP answer from %s raised", address)
            self._drop(Reason.INTERNAL.value, exchange)

    def _drop(self, reason: str, exchange: Exchange | None) -> None:
        self.dropped[reason] += 1
        if exchange is not None:
            exchange.reject(reason)

    def _read_errors(self) -> int:
        """Read what ICMP said about requests in flight; return how many messages there were."""
        read = 0
        for opened in self._sockets.values():
            while True:
                try:
                    data, ancillary, __, address = opened.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
                except OSError:
                    break
                read += 1
                for __, __, content in ancillary:
                    self._icmp(data, address, content)
        return read

    def _icmp(self, request: bytes, address: Address, content: bytes) -> None:
        if len(content) < _ERROR.size:
            return
        number, origin = _ERROR.unpack_from(content)[:2]
        try:
            exchange = self._pending.get(message.peek(request).message_id)
        except Malformed:  # routers quote as little as eight bytes of what they refuse
            exchange = self._by_peer.get(address)
        if exchange is None or exchange.address != address or origin not in (_ORIGIN_ICMP, _ORIGIN_ICMP6):
            return
        if number == errno.ECONNREFUSED:
            exchange.finish(Reason.REFUSED)
        else:
            exchange.hint = Reason.UNREACHABLE
