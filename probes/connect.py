"""Opening a TCP connection within a deadline, and what the failure of one means. Says nothing on it."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING

from probes.reason import Reason

if TYPE_CHECKING:
    from probes.net import Net

_ERRNO = {
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ENETUNREACH: Reason.UNREACHABLE,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.ENETDOWN: Reason.UNREACHABLE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.EADDRNOTAVAIL: Reason.UNREACHABLE,
    errno.EINVAL: Reason.UNREACHABLE,
    errno.EACCES: Reason.UNREACHABLE,
    errno.EPERM: Reason.TIMEOUT,  # a local packet filter that drops
    errno.ETIMEDOUT: Reason.TIMEOUT,
}


class ConnectFailed(Exception):
    """No connection: why, in which phases the time went, and a text for people."""

    def __init__(self, reason: Reason, phases: dict[str, float]) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.phases = phases


def reason_of_os_error(error: OSError) -> Reason:
    """Return the reason of a socket error; PROTOCOL for a connection that was there and broke."""
    if isinstance(error, socket.gaierror):
        return Reason.RESOLVE
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    return _ERRNO.get(error.errno or 0, Reason.PROTOCOL)


async def connect(net: Net, host: str, port: int, timeout_s: float) -> tuple[socket.socket, dict[str, float]]:
    """Return a connected non-blocking socket and the phases ``resolve`` and ``connect`` in seconds.

    All addresses of a name are tried in turn, each with its share of the time left.

    Raises:
        ConnectFailed: the reason of the last address tried.
    """
    begins = net.clock.monotonic()
    addresses = await net.resolver.addresses(host, timeout_s)
    phases = {"resolve": net.clock.monotonic() - begins}
    failed = Reason.RESOLVE
    for number, address in enumerate(addresses):
        left = timeout_s - (net.clock.monotonic() - begins)
        if left <= 0:
            raise ConnectFailed(Reason.TIMEOUT, phases)
        tried = net.clock.monotonic()
        outcome = await _try(address, port, left / (len(addresses) - number))
        phases["connect"] = net.clock.monotonic() - tried
        if isinstance(outcome, socket.socket):
            return outcome, phases
        failed = outcome
    raise ConnectFailed(failed, phases)


async def _try(address: str, port: int, timeout_s: float) -> socket.socket | Reason:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return reason_of_os_error(error)
    sock.setblocking(False)
    try:
        await asyncio.wait_for(asyncio.get_running_loop().sock_connect(sock, (address, port)), timeout_s)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            return reason_of_os_error(error)
        raise
    return sock
