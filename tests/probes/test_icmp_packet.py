"""Echo requests and quoted errors, byte by byte."""

from __future__ import annotations

import os
import struct

from hypothesis import given
from hypothesis import strategies as st

from probes.icmp import packet
from probes.icmp.expiry import TICK_S, Wheel
from probes.icmp.target import parse_target


def internet_checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@given(st.binary(min_size=2, max_size=40).map(lambda half: half + half))
def test_checksum_verifies_as_rfc_1071_says(tail: bytes) -> None:
    request = packet.request_v4(tail)
    assert request[:2] == b"\x08\x00" and request[4:] == tail
    assert internet_checksum(request) == 0


def test_checksum_of_the_edges() -> None:
    for tail in (b"\xf7\xff" + bytes(38), bytes(40), b"\xff" * 40):
        assert internet_checksum(packet.request_v4(tail)) == 0


def quote(request: bytes, destination: bytes, options: bytes = b"") -> bytes:
    header = bytes([0x40 | (20 + len(options)) // 4]) + bytes(8) + b"\x01" + bytes(6) + destination + options
    return b"\x03\x01" + bytes(6) + header + request[:8]


def test_an_error_names_its_probe() -> None:
    request = packet.request_v4(b"\x12\x34\x56\x78" + bytes(36))
    for options in (b"", bytes(4), bytes(40)):
        quoted = packet.quoted_v4(quote(request, b"\x0a\x00\x00\x01", options))
        assert quoted == (b"\x12\x34\x56\x78", b"\x0a\x00\x00\x01")


def test_an_ipv6_error_names_its_probe() -> None:
    request = packet.request_v6(b"\x12\x34\x56\x78" + bytes(36))
    inner = b"\x60" + bytes(5) + b"\x3a\x40" + bytes(16) + b"\xfd" + bytes(15) + request
    assert packet.quoted_v6(b"\x01\x00" + bytes(6) + inner) == (b"\x12\x34\x56\x78", b"\xfd" + bytes(15))


@given(st.binary(max_size=120))
def test_any_bytes_are_read_without_an_exception(data: bytes) -> None:
    packet.quoted_v4(data)
    packet.quoted_v6(data)
    packet.strip_v4(data)
    packet.quoted_v4(b"\x03\x01" + bytes(6) + b"\x4f" + data)


def test_cut_short_at_every_byte_is_no_quote() -> None:
    whole = quote(packet.request_v4(b"\x12\x34\x56\x78" + bytes(36)), b"\x0a\x00\x00\x01")
    assert all(packet.quoted_v4(whole[:length]) is None for length in range(len(whole)))


def test_a_wheel_is_at_most_a_tick_late_and_never_early() -> None:
    wheel: Wheel[float] = Wheel()
    deadlines = [int.from_bytes(os.urandom(2), "big") / 6553.6 for _ in range(500)]
    for deadline in deadlines:
        wheel.bucket(deadline).append(deadline)
    seen: list[float] = []
    while (due := wheel.next_due()) is not None:
        for deadline in wheel.take_due(due):
            assert deadline <= due <= deadline + TICK_S + 1e-9
            seen.append(deadline)
    assert sorted(seen) == sorted(deadlines)


def test_addresses_and_names_are_told_apart() -> None:
    assert parse_target("core-1.example") is None
    assert parse_target("127.1") is None and parse_target("0x7f000001") is None and parse_target("") is None
    assert parse_target("10.0.0.1\n") is None and parse_target("10.0.0.1\x00") is None and parse_target("\udc80") is None
    four, mapped = parse_target("10.0.0.1"), parse_target("::ffff:10.0.0.1")
    assert four is not None and four == mapped
    six = parse_target("fd00::1")
    assert six is not None and six.packed == b"\xfd" + bytes(14) + b"\x01"
