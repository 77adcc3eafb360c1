"""SNMP messages (RFC 1157, RFC 3416): requests encoded once, answers decoded within bounds. Knows nothing of sockets.

A request is kept as two pieces around its request id, which is always four bytes: agents re-encode ids in the fewest
bytes, so ids are drawn from 0x10000000 up and an answer's layout is known before it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from probes.snmp import ber
from probes.snmp.ber import Malformed

GET, GET_NEXT, RESPONSE, SET = 0xA0, 0xA1, 0xA2, 0xA3
TRAP_V1, GET_BULK, INFORM, TRAP_V2, REPORT = 0xA4, 0xA5, 0xA6, 0xA7, 0xA8
VERSION_NUMBERS = {"1": 0, "2c": 1, "3": 3}
MAX_DATAGRAM = 65507
MAX_VARBINDS = 1000  # decoded from one datagram; keeps the worst one under a millisecond

TOO_BIG, NO_SUCH_NAME, GEN_ERR = 1, 2, 5
ERROR_NAMES = (
    *("noError", "tooBig", "noSuchName", "badValue", "readOnly", "genErr", "noAccess", "wrongType", "wrongLength"),
    *("wrongEncoding", "wrongValue", "noCreation", "inconsistentValue", "resourceUnavailable", "commitFailed"),
    *("undoFailed", "authorizationError", "notWritable", "inconsistentName"),
)

Varbind = tuple[bytes, int, bytes]  # content of the name, tag and content of the value


class Frame(NamedTuple):
    """A PDU around its request id: `head`, four bytes of id, `tail`."""

    head: bytes
    tail: bytes


@dataclass(frozen=True, slots=True)
class Pdu:
    """A decoded PDU. For GETBULK, `error_status` is non-repeaters and `error_index` max-repetitions."""

    tag: int
    request_id: int
    error_status: int
    error_index: int
    varbinds: list[Varbind]


@dataclass(frozen=True, slots=True)
class Message:
    """A decoded v1 or v2c message."""

    version: int
    community: bytes
    pdu: Pdu


class Peek(NamedTuple):
    """What every datagram says first: the id it answers, and where version and message lie."""

    message_id: int
    at: int
    stop: int


def error_name(status: int) -> str:
    """Return the name of an error-status."""
    return ERROR_NAMES[status] if 0 <= status < len(ERROR_NAMES) else f"error {status}"


def frame(tag: int, names: Sequence[bytes], first: int = 0, second: int = 0) -> Frame:
    """Return a request for these names (OID contents); `first` and `second` are GETBULK's two numbers, else 0."""
    null = b"\x05\x00"
    listed = b"".join(ber.tlv(ber.SEQUENCE, ber.tlv(ber.OID, name) + null) for name in names)
    numbers = ber.tlv(ber.INTEGER, ber.integer(first)) + ber.tlv(ber.INTEGER, ber.integer(second))
    tail = numbers + ber.tlv(ber.SEQUENCE, listed)
    return Frame(bytes((tag,)) + ber.encode_length(6 + len(tail)) + b"\x02\x04", tail)


def community_header(version: str, community: bytes) -> bytes:
    """Return the fields of a v1 or v2c message before its PDU."""
    return ber.tlv(ber.INTEGER, bytes((VERSION_NUMBERS[version],))) + ber.tlv(ber.OCTET_STRING, community)


def in_community(fields: bytes, pdu: Frame) -> Frame:
    """Return a whole message around its request id, from the fields of `community_header` and a PDU."""
    length = len(fields) + len(pdu.head) + 4 + len(pdu.tail)
    return Frame(b"\x30" + ber.encode_length(length) + fields + pdu.head, pdu.tail)


def encode_pdu(tag: int, request_id: int, first: int, second: int, varbinds: Iterable[Varbind]) -> bytes:
    """Return any PDU with values, as an agent answers."""
    listed = b"".join(ber.tlv(ber.SEQUENCE, ber.tlv(ber.OID, name) + ber.tlv(kind, raw)) for name, kind, raw in varbinds)
    numbers = b"".join(ber.tlv(ber.INTEGER, ber.integer(number)) for number in (request_id, first, second))
    return ber.tlv(tag, numbers + ber.tlv(ber.SEQUENCE, listed))


def encode_message(version: int, community: bytes, pdu: bytes) -> bytes:
    """Return a v1 or v2c message around an encoded PDU."""
    fields = ber.tlv(ber.INTEGER, bytes((version,))) + ber.tlv(ber.OCTET_STRING, community)
    return ber.tlv(ber.SEQUENCE, fields + pdu)


def peek(data: bytes) -> Peek:
    """Return whose answer a datagram says it is: request id (v1, v2c) or message id (v3). Costs 0.6 us.

    Raises:
        Malformed: not the beginning of an SNMP message, or of an unknown version.
    """
    try:
        return _peek(data)
    except IndexError:
        raise Malformed("cut short") from None


def _peek(data: bytes) -> Peek:
    if data[0] != ber.SEQUENCE:
        raise Malformed("not a sequence")
    length, at = data[1], 2
    if length > 0x7F:
        length, at = ber.long_length(data, 2, length)
    stop = at + length
    if stop > len(data) or data[at] != ber.INTEGER or data[at + 1] != 1:
        raise Malformed("not a message")
    version, begin = data[at + 2], at + 3
    if version > 1:
        return _peek_v3(data, version, at, stop)
    __, end = ber.expect(data, begin, stop, ber.OCTET_STRING)
    __, begin, end = ber.header(data, end, stop)
    request_id, __ = ber.small_integer(data, begin, end)
    return Peek(request_id, at, stop)


def _peek_v3(data: bytes, version: int, at: int, stop: int) -> Peek:
    if version != 3:
        raise Malformed("version")
    begin, end = ber.expect(data, at + 3, stop, ber.SEQUENCE)
    message_id, __ = ber.small_integer(data, begin, end)
    return Peek(message_id, at, stop)


def decode_message(data: bytes, limit: int = MAX_VARBINDS) -> Message:
    """Return a v1 or v2c message of any PDU but the v1 trap. Raises Malformed."""
    begin, stop = ber.expect(data, 0, len(data), ber.SEQUENCE)
    version, at = ber.small_integer(data, begin, stop)
    if version not in (0, 1):
        raise Malformed("version")
    begin, end = ber.expect(data, at, stop, ber.OCTET_STRING)
    return Message(version, data[begin:end], decode_pdu(data, end, stop, limit))


def decode_pdu(data: bytes, at: int, stop: int, limit: int = MAX_VARBINDS) -> Pdu:
    """Return the PDU at `at`, at most `limit` varbinds of it (what follows them is not looked at).

    Raises:
        Malformed: no PDU of three numbers and a list of name-value pairs.
    """
    tag, at, end = ber.header(data, at, stop)
    if tag & 0xE0 != 0xA0 or tag == TRAP_V1:
        raise Malformed("not a PDU")
    request_id, at = ber.small_integer(data, at, end)
    first, at = ber.small_integer(data, at, end)
    second, at = ber.small_integer(data, at, end)
    begin, end = ber.expect(data, at, end, ber.SEQUENCE)
    return Pdu(tag, request_id, first, second, varbinds(data, begin, end, limit))


def varbinds(data: bytes, at: int, stop: int, limit: int) -> list[Varbind]:
    """Return up to `limit` (name, tag, value) triples of a varbind list, values not looked into. Costs 0.8 us each.

    Raises:
        Malformed: anything that is not a list of pairs of an OID and one value.
    """
    found: list[Varbind] = []
    try:
        while at < stop and len(found) < limit:
            at = _varbind(data, at, stop, found)
    except IndexError:
        raise Malformed("cut short") from None
    return found


def _varbind(data: bytes, at: int, stop: int, found: list[Varbind]) -> int:
    """Append the pair at `at` and return where it ends. Short forms inline: this is the hot path of a first walk."""
    length = data[at + 1]
    begin = at + 2
    if length > 0x7F:
        length, begin = ber.long_length(data, begin, length)
    end = begin + length
    if data[at] != ber.SEQUENCE or end > stop or data[begin] != ber.OID:
        raise Malformed("not a varbind")
    length = data[begin + 1]
    begin += 2
    if length > 0x7F:
        length, begin = ber.long_length(data, begin, length)
    value = begin + length
    name, tag, length = data[begin:value], data[value], data[value + 1]
    value += 2
    if length > 0x7F:
        length, value = ber.long_length(data, value, length)
    if value + length != end or not ber.is_oid(name):
        raise Malformed("not a varbind")
    found.append((name, tag, data[value:end]))
    return end
