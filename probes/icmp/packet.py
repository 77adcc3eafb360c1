"""Bytes of ICMP echo requests and of the errors that quote them (RFC 792, RFC 4443). Pure: no sockets, no clock."""

from __future__ import annotations

from typing import NamedTuple

ECHO_REPLY_V4, ECHO_REQUEST_V4 = 0, 8
ECHO_REQUEST_V6, ECHO_REPLY_V6 = 128, 129
ERRORS_V4 = frozenset({3, 11})  # destination unreachable, time exceeded
ERRORS_V6 = frozenset({1, 3})
PROTOCOL_ICMP, PROTOCOL_ICMP_V6 = 1, 58
HEADER = 8
_QUOTE_V6 = 40


class Quoted(NamedTuple):
    """What an ICMP error says of the probe it is about: 4 bytes of identifier and sequence, and the probed address."""

    identity: bytes
    destination: bytes


def request_v4(tail: bytes) -> bytes:
    """Return an echo request from its tail (identifier, sequence, payload; an even number of bytes), checksum filled in.

    The sum of 16-bit words in ones' complement (RFC 1071) is the number itself modulo 0xFFFF; the header adds 0x0800.
    """
    return b"\x08\x00" + (0xFFFF - (0x0800 + int.from_bytes(tail, "big")) % 0xFFFF).to_bytes(2, "big") + tail


def request_v6(tail: bytes) -> bytes:
    """Return an ICMPv6 echo request from its tail; the kernel fills in the checksum (RFC 3542 section 3.1)."""
    return b"\x80\x00\x00\x00" + tail


def quoted_v4(message: bytes) -> Quoted | None:
    """Return the probe that an ICMP error (without its IP header) quotes; None if it quotes no echo request of ours."""
    inner = message[HEADER:]
    if len(inner) < 20 or inner[0] >> 4 != 4 or inner[9] != PROTOCOL_ICMP:
        return None
    start = (inner[0] & 0x0F) * 4
    if start < 20 or len(inner) < start + HEADER or inner[start] != ECHO_REQUEST_V4:
        return None
    return Quoted(inner[start + 4 : start + 8], inner[16:20])


def quoted_v6(message: bytes) -> Quoted | None:
    """Return the probe that an ICMPv6 error quotes; None if it quotes no echo request of ours (or hides it in extensions)."""
    inner = message[HEADER:]
    if len(inner) < _QUOTE_V6 + HEADER or inner[0] >> 4 != 6 or inner[6] != PROTOCOL_ICMP_V6:
        return None
    if inner[_QUOTE_V6] != ECHO_REQUEST_V6:
        return None
    return Quoted(inner[_QUOTE_V6 + 4 : _QUOTE_V6 + 8], inner[24:40])


def strip_v4(datagram: bytes) -> tuple[bytes, bytes] | None:
    """Return (ICMP message, source address) of an IPv4 datagram as a raw socket gives it; None if it is cut short."""
    if len(datagram) < 20 + HEADER:
        return None
    start = (datagram[0] & 0x0F) * 4
    if start < 20 or len(datagram) < start + HEADER:
        return None
    return datagram[start:], datagram[12:16]
