"""Where a device's agent listens and how it is asked: address, port and session, made once. Never asks itself."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from config.language import _
from config.site import Device, SnmpCredentials
from probes.snmp.community import CommunitySession
from probes.snmp.engine import SnmpEngine
from probes.snmp.exchange import Address, Exchange, Reader
from probes.snmp.message import Frame
from probes.snmp.user import UserSession
from probes.step import OptionError

if TYPE_CHECKING:
    from probes.net import Net


class Asker(Protocol):
    """A session as questions see it: prepare a PDU once, ask it often."""

    def __hash__(self) -> int: ...

    def prepare(self, pdu: Frame) -> Frame:
        """Return what can be encoded before asking."""
        ...

    async def ask(
        self, engine: SnmpEngine, address: Address, prepared: Frame, read: Reader, timeout_s: float, resends: int = 2
    ) -> Exchange:
        """Ask, and return within `timeout_s` seconds in all."""
        ...


class Target:
    """One device's SNMP agent."""

    __slots__ = ("_address", "_host", "_port", "session", "version")

    def __init__(self, device: Device) -> None:
        """Read address and credentials of a device.

        Raises:
            OptionError: it has no SNMP credentials.
        """
        credentials = device.credentials.snmp if device.credentials else None
        if credentials is None:
            raise OptionError("", _("{device} has no SNMP credentials").format(device=device.name))
        self._host = device.address
        self._port = device.ports.get("snmp", credentials.port)
        self._address = numeric(self._host, self._port)
        self.version = credentials.version
        self.session = _session(credentials)

    async def address(self, net: Net, timeout_s: float) -> Address | None:
        """Return the socket address; None if the name has none."""
        if self._address is not None:
            return self._address
        found = await net.resolver.addresses(self._host, timeout_s)
        return numeric(found[0], self._port) if found else None


@lru_cache(maxsize=1024)
def numeric(host: str, port: int) -> Address | None:
    """Return the socket address of a numeric host, as recvfrom will show it; None for a name."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4]
    except OSError:
        return None


@lru_cache(maxsize=1024)
def _session(credentials: SnmpCredentials) -> Asker:
    """Return the session of these credentials; devices that share them share it."""
    return UserSession(credentials) if credentials.version == "3" else CommunitySession(credentials)
