"""An address as the sockets want it, worked out once and asked often. Resolves no names."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple


class Target(NamedTuple):
    """One numeric address: its family, its bytes as they stand in a packet, and its socket address."""

    family: int
    packed: bytes
    sockaddr: tuple[str, int] | tuple[str, int, int, int]


def parse_target(address: str) -> Target | None:
    """Return the target of a numeric address (IPv4, IPv6, with a zone such as ``fe80::1%eth0``), None for a name."""
    try:
        return Target(
            socket.AF_INET, socket.inet_pton(socket.AF_INET, address), (address, 0)
        )  # the usual case, 20 times faster
    except (OSError, ValueError, UnicodeError):
        pass
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is None:
            return Target(socket.AF_INET6, parsed.packed, (str(parsed).partition("%")[0], 0, 0, _scope(parsed.scope_id)))
        parsed = parsed.ipv4_mapped
    return Target(socket.AF_INET, parsed.packed, (str(parsed), 0))


def _scope(zone: str | None) -> int:
    if not zone:
        return 0
    try:
        return int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    except (OSError, OverflowError):
        return 0
