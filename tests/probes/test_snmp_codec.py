"""The codec: round trips, what it shares with pysnmp, and a million ways to break a packet."""

from __future__ import annotations

import contextlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyasn1.codec.ber import decoder as reference_decoder
from pysnmp.proto import api

from probes.reason import Reason
from probes.snmp import ber, message, secured
from probes.snmp.ber import Malformed, WrongType
from probes.snmp.exchange import Rejected
from probes.snmp.page import Page
from probes.snmp.plan import GetPlan
from probes.snmp.walk import Ask

OIDS = st.lists(st.one_of(st.integers(0, 200), st.integers(0, 2**32 - 1)), min_size=0, max_size=126).map(
    lambda arcs: (1, 3, *arcs)
)
VALUES = st.one_of(
    st.tuples(st.just(ber.INTEGER), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.sampled_from([ber.COUNTER32, ber.GAUGE32, ber.TIMETICKS]), st.integers(0, 2**32 - 1)),
    st.tuples(st.just(ber.COUNTER64), st.integers(0, 2**64 - 1)),
    st.tuples(st.sampled_from([ber.OCTET_STRING, ber.OPAQUE]), st.binary(max_size=300)),
    st.tuples(st.just(ber.OID), OIDS.map(lambda arcs: ".".join(map(str, arcs)))),
    st.tuples(st.just(ber.IP_ADDRESS), st.binary(min_size=4, max_size=4).map(lambda raw: ".".join(map(str, raw)))),
    st.tuples(st.sampled_from([ber.NULL, ber.NO_SUCH_OBJECT, ber.NO_SUCH_INSTANCE, ber.END_OF_MIB_VIEW]), st.none()),
)


def encode(tag: int, value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, int):
        return ber.integer(value)
    if tag == ber.OID:
        return ber.encode_oid(value)
    return bytes(map(int, value.split("."))) if tag == ber.IP_ADDRESS else value


@given(VALUES)
def test_every_value_comes_back(pair: tuple[int, Any]) -> None:
    assert ber.decode_value(pair[0], encode(*pair)) == pair[1]


@pytest.mark.parametrize("value", [0, 127, 128, 255, 256, 2**31 - 1, -(2**31), -1, -128, -129])
def test_integers_at_their_edges(value: int) -> None:
    assert ber.decode_value(ber.INTEGER, ber.integer(value)) == value


@pytest.mark.parametrize(("tag", "value"), [(ber.COUNTER32, 2**32 - 1), (ber.COUNTER64, 2**63), (ber.COUNTER64, 2**64 - 1)])
def test_counters_with_and_without_their_leading_zero(tag: int, value: int) -> None:
    raw = ber.integer(value)
    assert raw[0] == 0
    assert ber.decode_value(tag, raw) == ber.decode_value(tag, raw[1:]) == value


@pytest.mark.parametrize(
    ("tag", "raw"),
    [
        *((ber.INTEGER, b""), (ber.INTEGER, bytes(6)), (ber.COUNTER32, b"\x01\0\0\0\0"), (ber.COUNTER64, b"\x01" + bytes(8))),
        *((ber.COUNTER64, bytes(20)), (ber.IP_ADDRESS, b"\x7f\0\0"), (ber.NULL, b"x"), (ber.OID, b""), (ber.OID, b"\x2b\x81")),
        *((ber.OID, b"\x2b\x80\x01"), (ber.OID, b"\x2b\x9f\xff\xff\xff\x7f"), (0x4F, b"\x01"), (ber.SEQUENCE, b"")),
    ],
)  # fmt: skip
def test_contents_that_cannot_be(tag: int, raw: bytes) -> None:
    with pytest.raises(WrongType):
        ber.decode_value(tag, raw)


@given(OIDS)
def test_oids_come_back(arcs: tuple[int, ...]) -> None:
    dotted = ".".join(map(str, arcs))
    assert ber.decode_oid(ber.encode_oid(dotted)) == dotted
    assert ber.is_oid(ber.encode_oid(arcs))


@pytest.mark.parametrize("wrong", ["", "1", "3.1", "1.40", "1.3.4294967296", "1.3.-1", "1.3.x", "1.3." + "1." * 127 + "1"])
def test_what_is_no_oid(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"not a|invalid literal"):
        ber.encode_oid(wrong)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(OIDS, VALUES), min_size=1, max_size=6),
    st.integers(0x10000000, 2**31 - 1),
    st.integers(0, 18),
    st.integers(0, 6),
)
def test_pysnmp_reads_the_same(pairs: list[Any], request_id: int, status: int, index: int) -> None:
    varbinds = [(ber.encode_oid(name), tag, encode(tag, value)) for name, (tag, value) in pairs]
    data = message.encode_message(1, b"public", message.encode_pdu(message.RESPONSE, request_id, status, index, varbinds))
    ours = message.decode_message(data)
    v2c = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
    theirs, rest = reference_decoder.decode(data, asn1Spec=v2c.Message())
    pdu = v2c.apiMessage.get_pdu(theirs)
    assert not rest
    assert ours.pdu.request_id == int(v2c.apiPDU.get_request_id(pdu)) == request_id
    assert (ours.pdu.error_status, ours.pdu.error_index) == (status, index)
    assert int(v2c.apiPDU.get_error_status(pdu)) == status
    for (name, tag, raw), (their_name, their_value) in zip(ours.pdu.varbinds, v2c.apiPDU.get_varbinds(pdu), strict=True):
        assert ber.decode_oid(name) == str(their_name)
        assert _same(tag, ber.decode_value(tag, raw), their_value)


def _same(tag: int, ours: Any, theirs: Any) -> bool:
    if ours is None:
        return {ber.NULL: "Null", 0x80: "NoSuchObject", 0x81: "NoSuchInstance", 0x82: "EndOfMibView"}[tag] in type(
            theirs
        ).__name__
    if isinstance(ours, int):
        return ours == int(theirs)
    if isinstance(ours, bytes):
        return ours == bytes(theirs)
    return ours == (theirs.prettyPrint() if tag == ber.IP_ADDRESS else str(theirs))


def test_a_request_is_what_pysnmp_makes() -> None:
    names = [ber.encode_oid("1.3.6.1.2.1.1.3.0"), ber.encode_oid("1.3.6.1.2.1.1.5.0")]
    whole = message.in_community(message.community_header("2c", b"public"), message.frame(message.GET, names))
    v2c = api.PROTOCOL_MODULES[api.SNMP_VERSION_2C]
    decoded, __ = reference_decoder.decode(whole.head + b"\x12\x34\x56\x78" + whole.tail, asn1Spec=v2c.Message())
    pdu = v2c.apiMessage.get_pdu(decoded)
    assert int(v2c.apiPDU.get_request_id(pdu)) == 0x12345678
    assert [str(name) for name, __ in v2c.apiPDU.get_varbinds(pdu)] == ["1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.5.0"]


# ---------------------------------------------------------------------------------------------------------- fuzzing

REQUEST_ID = 0x12345678
NAMES = [ber.encode_oid(f"1.3.6.1.2.1.1.{number}.0") for number in (1, 3, 5)]


def _seeds() -> list[bytes]:
    values = [(ber.OCTET_STRING, b"text"), (ber.TIMETICKS, b"\x01\x02"), (ber.COUNTER64, b"\x00" + b"\xff" * 8)]
    varbinds = [(name, *value) for name, value in zip(NAMES, values, strict=True)]
    pdu = message.encode_pdu(message.RESPONSE, REQUEST_ID, 0, 0, varbinds)
    many = message.encode_pdu(message.RESPONSE, REQUEST_ID, 0, 0, varbinds * 20)
    inner = secured.scoped(b"\x80\0\0\0\x01x", b"", pdu)
    v3 = secured.encode(REQUEST_ID.to_bytes(4, "big"), 1, b"\x80\0\0\0\x01x", 3, 400, b"noc", 12, b"", inner)[0]
    return [
        message.encode_message(0, b"public", pdu),
        message.encode_message(1, b"public", pdu),
        message.encode_message(1, b"public", many),
        v3,
    ]


def _mutated(rng: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, how = rng.randrange(len(data)) if data else 0, rng.randrange(7)
        if how == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del data[at:]
        elif how == 2:
            other = rng.choice(seeds)
            data[at:at] = other[rng.randrange(len(other)) :][: rng.randrange(40)]
        elif how == 3 and data:
            data[at] = rng.choice((0, 0x7F, 0x80, 0x81, 0x82, 0x84, 0x85, 0xFF))
        elif how == 4:
            del data[at : at + rng.randrange(1, 8)]
        elif how == 5:
            data[at:at] = rng.randbytes(rng.randrange(1, 8))
        elif data:
            data[at] = rng.choice((0x02, 0x04, 0x05, 0x06, 0x30, 0x40, 0x41, 0x42, 0x43, 0x44, 0x46, 0xA2, 0xA8, 0x1F, 0x3F))
    return bytes(data)


def _fields(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Every element of a message as (tag at, content at, end), outside in."""
    todo = [(0, len(data))]
    while todo:
        at, stop = todo.pop()
        while at < stop:
            tag, begin, end = ber.header(data, at, stop)
            yield at, begin, end
            if tag & 0x20:
                todo.append((begin, end))
            at = end


def _broken_fields(data: bytes) -> Iterator[bytes]:
    """PROTOS: each field empty, of a huge length, with lengths of 0 to 127 bytes, negative, indefinite, of a wrong tag."""
    for at, begin, end in _fields(data):
        yield data[: at + 1] + b"\x00" + data[end:]
        for count in (0, 1, 2, 3, 4, 5, 8, 126, 127):
            for octet in (b"\x00", b"\x7f", b"\xff"):
                yield data[: at + 1] + bytes((0x80 | count,)) + octet * count + data[begin:]
        yield from (data[:at] + bytes((tag,)) + data[at + 1 :] for tag in range(0, 256, 17))
        yield data[:at] + b"\x1f\x81\x01" + data[at + 1 :]
        yield data[: at + 1] + b"\x01\xff" + data[end:]


class _Asker:
    def prepare(self, pdu: message.Frame) -> message.Frame:
        return pdu


def _readers() -> list[Callable[[bytes], object]]:
    """Everything that touches bytes from the network before they are believed."""
    plan = GetPlan(_Asker(), NAMES, (0, 1, 2))  # type: ignore[arg-type]
    varbinds = [(NAMES[0], 4, b"text"), (NAMES[1], 0x43, b"\x01\x02"), (NAMES[2], 0x46, b"\x00" + b"\xff" * 8)]
    page = Page(Ask((0, 1, 2), tuple(NAMES), 20), message.frame(message.GET, NAMES), varbinds)
    request_id = REQUEST_ID.to_bytes(4, "big")

    def engine_side(reader: Any) -> Callable[[bytes], object]:
        def read(data: bytes) -> object:
            seen = message.peek(data)
            begin, end = ber.expect(data, seen.at + 3, seen.stop, ber.OCTET_STRING)
            assert begin <= end
            return reader.read(request_id, data, end, seen.stop)

        return read

    def v3(data: bytes) -> object:
        seen = message.peek(data)
        envelope = secured.open_envelope(data, seen.at, seen.stop)
        at = secured.open_scoped(data, envelope.begin, envelope.end)
        return secured.report_kind(data, at, envelope.end)

    return [message.decode_message, engine_side(plan), engine_side(page), v3]


def _feed(packets: Iterator[bytes]) -> tuple[int, float]:
    readers, count, slowest = _readers(), 0, 0.0
    for data in packets:
        count += 1
        for read in readers:
            began = time.perf_counter()
            with contextlib.suppress(Malformed, Rejected):
                read(data)
            slowest = max(slowest, time.perf_counter() - began)
    return count, slowest


def _random_packets(count: int) -> Iterator[bytes]:
    rng, seeds = random.Random(20260101), _seeds()
    return (_mutated(rng, seeds) for _ in range(count))


@pytest.fixture
def _little_stack() -> Iterator[None]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("_little_stack")
def test_mutated_packets_raise_nothing_of_their_own() -> None:
    assert _feed(_random_packets(100_000))[0] == 100_000


@pytest.mark.usefixtures("_little_stack")
def test_every_field_broken_in_every_way() -> None:
    assert _feed(packet for seed in _seeds() for packet in _broken_fields(seed))[0] > 3_000


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_little_stack")
def test_a_million_mutated_packets() -> None:
    assert _feed(_random_packets(1_000_000))[0] == 1_000_000


@pytest.mark.parametrize("varbind", [b"\x30\x05\x06\x01\x2b\x05\x00", b"\x30\x82\x00\x08\x06\x82\x00\x02\x2b\x06\x05\x00"])
def test_the_largest_packets_stay_cheap(varbind: bytes) -> None:
    listed = varbind * (65_000 // len(varbind))
    numbers = ber.tlv(2, ber.integer(REQUEST_ID)) + b"\x02\x01\x00\x02\x01\x00"
    data = message.encode_message(1, b"public", ber.tlv(message.RESPONSE, numbers + ber.tlv(0x30, listed)))
    best = min(_feed(iter([data]))[1] for _ in range(20))
    assert best < 0.005  # the aim is 1 ms; the margin is for a busy machine
    assert len(message.decode_message(data).pdu.varbinds) == message.MAX_VARBINDS


def test_nesting_costs_nothing() -> None:
    data = b"\x05\x00"
    for _ in range(2000):
        data = ber.tlv(0x30, data)
    with pytest.raises(Malformed):
        message.peek(data)


def test_reasons_are_told_apart() -> None:
    plan = GetPlan(_Asker(), NAMES, (0,))  # type: ignore[arg-type]
    pdu = message.encode_pdu(message.RESPONSE, REQUEST_ID + 1, 0, 0, [(NAMES[0], 4, b"")])
    with pytest.raises(Rejected) as caught:
        plan.read(REQUEST_ID.to_bytes(4, "big"), pdu, 0, len(pdu))
    assert caught.value.reason is Reason.MISMATCH
