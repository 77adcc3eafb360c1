"""Opening ICMP sockets: raw where this process may, unprivileged ping sockets where the kernel admits them. Reads no packets.

Linux admits unprivileged ping sockets to the groups in net.ipv4.ping_group_range (it rules both families).
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys

RECEIVE_BUFFER_BYTES = 8 << 20
SO_RCVBUFFORCE = 33
SO_ATTACH_FILTER = 26
IP_RECVERR, IPV6_RECVERR = 11, 25
ICMP6_FILTER = 1

_LDX_MSH, _LDB_IND, _LD_IND, _JEQ, _RET = 0xB1, 0x50, 0x40, 0x15, 0x06


def open_raw(family: int, tag: bytes) -> socket.socket:
    """Return a raw ICMP socket that wakes only for echo replies carrying our 4-byte tag, and for ICMP errors.

    Raises:
        PermissionError: neither root nor CAP_NET_RAW.
        OSError: the family is not available.
    """
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    sock = socket.socket(family, socket.SOCK_RAW, protocol)
    _prepare(sock)
    if sys.platform == "linux":
        if family == socket.AF_INET:
            _attach(sock, filter_v4(tag))
        else:
            sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, _only_v6(1, 3, 129))
    return sock


def open_ping(family: int) -> socket.socket:
    """Return an unprivileged ping socket; ICMP errors come over its error queue.

    Raises:
        PermissionError: the group is outside net.ipv4.ping_group_range.
        OSError: the family is not available.
    """
    protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    sock = socket.socket(family, socket.SOCK_DGRAM, protocol)
    _prepare(sock)
    if sys.platform == "linux":
        level, option = (socket.IPPROTO_IP, IP_RECVERR) if family == socket.AF_INET else (socket.IPPROTO_IPV6, IPV6_RECVERR)
        sock.setsockopt(level, option, 1)
    sock.bind(("", 0) if family == socket.AF_INET else ("", 0, 0, 0))
    return sock


def filter_v4(tag: bytes) -> list[tuple[int, int, int, int]]:
    """Return the classic BPF program: echo reply with our tag, or an ICMP error that quotes an ICMP packet.

    X is the length of the IP header; the tag is the first word of the payload; the quoted protocol is byte 9 of the quoted
    IP header, which begins 8 bytes into the error.
    """
    return [
        (_LDX_MSH, 0, 0, 0),
        (_LDB_IND, 0, 0, 0),  # ICMP type
        (_JEQ, 0, 2, 0),
        (_LD_IND, 0, 0, 8),
        (_JEQ, 4, 5, int.from_bytes(tag, "big")),
        (_JEQ, 1, 0, 3),
        (_JEQ, 0, 3, 11),
        (_LDB_IND, 0, 0, 17),
        (_JEQ, 0, 1, 1),
        (_RET, 0, 0, 0xFFFF),
        (_RET, 0, 0, 0),
    ]


def _attach(sock: socket.socket, program: list[tuple[int, int, int, int]]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))


def _only_v6(*types: int) -> bytes:
    """Return the ICMP6_FILTER that passes only these types (a set bit blocks; RFC 3542 section 3.2)."""
    words = [0xFFFFFFFF] * 8
    for kind in types:
        words[kind >> 5] &= ~(1 << (kind & 31)) & 0xFFFFFFFF
    return struct.pack("8I", *words)


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
