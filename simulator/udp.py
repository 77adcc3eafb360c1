"""One UDP socket for a whole fleet: bound to every address of the loopback, it answers from the address that was asked.

A datagram costs two system calls and the answer; an address that is no device's costs one. Nobody but this machine is heard:
the socket takes packets from the loopback interface alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable, Mapping

from simulator.endpoint import Endpoint

log = logging.getLogger(__name__)

IP_PKTINFO = 8  # Linux, <linux/in.h>; the socket module of Python 3.11 does not name it
PKTINFO = struct.Struct("=i4s4s")  # interface, local address, address in the header
ANCILLARY = socket.CMSG_SPACE(PKTINFO.size)
AT_ONCE = 128
BUFFER_BYTES = 8 << 20
MAX_DATAGRAM = 65_535

Answer = Callable[[Endpoint, bytes, float], bytes | None]


def loopback_only(sock: socket.socket) -> None:
    """Take packets from the loopback interface alone, where the kernel lets an ordinary user say so (Linux 5.7 and later)."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")


class UdpPort:
    """Serves one protocol for all endpoints, looked up by the packed address that was asked."""

    def __init__(self, endpoints: Mapping[bytes, Endpoint], answer: Answer, clock: Callable[[], float]) -> None:
        """Prepare; `clock` gives seconds since the fleet started."""
        self._endpoints = endpoints
        self._answer = answer
        self._clock = clock
        self._socket: socket.socket | None = None
        self.answered = 0

    def open(self, port: int) -> int:
        """Bind and serve on the running loop; return the port, which is another one where `port` is 0.

        Raises:
            OSError: the port is taken.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            loopback_only(sock)
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
            sock.bind(("0.0.0.0", port))  # noqa: S104 - loopback_only, and only the fleet's own addresses are answered
        except BaseException:
            sock.close()
            raise
        self._socket = sock
        asyncio.get_running_loop().add_reader(sock, self._read, sock)
        return int(sock.getsockname()[1])

    def close(self) -> None:
        """Stop serving."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _read(self, sock: socket.socket) -> None:
        now = self._clock()
        for _turn in range(AT_ONCE):
            try:
                data, ancillary, _flags, peer = sock.recvmsg(MAX_DATAGRAM, ANCILLARY)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:  # an earlier answer's ICMP error, reported here
                log.debug("receive: %s", error)
                continue
            if ancillary:
                self._serve(sock, data, ancillary[0][2], peer, now)

    def _serve(self, sock: socket.socket, data: bytes, info: bytes, peer: tuple[str, int], now: float) -> None:
        local = info[8:12]
        endpoint = self._endpoints.get(local)
        if endpoint is None or endpoint.drops():
            return
        reply = self._answer(endpoint, data, now)
        if reply is None:
            return
        with contextlib.suppress(OSError):  # the asker is gone, or its buffer is full: UDP loses
            sock.sendmsg((reply,), ((socket.IPPROTO_IP, IP_PKTINFO, PKTINFO.pack(0, local, bytes(4))),), 0, peer)
            self.answered += 1
