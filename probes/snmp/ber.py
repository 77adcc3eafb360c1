"""The Basic Encoding Rules that SNMP uses (RFC 3417 section 8, X.690), bounded on every side.

Decoding raises only `Malformed` (the bytes have no structure) or `WrongType` (they have one, but the content cannot be
a value of its type). Nothing here recurses, and nothing is ever longer than the datagram it came in.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

INTEGER = 0x02
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
SEQUENCE = 0x30
IP_ADDRESS = 0x40
COUNTER32 = 0x41
GAUGE32 = 0x42
TIMETICKS = 0x43
OPAQUE = 0x44
COUNTER64 = 0x46
NO_SUCH_OBJECT = 0x80
NO_SUCH_INSTANCE = 0x81
END_OF_MIB_VIEW = 0x82
EXCEPTIONS = frozenset((NO_SUCH_OBJECT, NO_SUCH_INSTANCE, END_OF_MIB_VIEW))

MAX_SUB_IDS = 128
MAX_OID_BYTES = 5 * MAX_SUB_IDS
_UNSIGNED_LIMIT = {COUNTER32: (1 << 32) - 1, GAUGE32: (1 << 32) - 1, TIMETICKS: (1 << 32) - 1, COUNTER64: (1 << 64) - 1}
_FLOAT = b"\x9f\x78\x04"  # net-snmp's Opaque float: context tag 48, 4 bytes of IEEE 754
_DOUBLE = b"\x9f\x79\x08"
_sub_ids = re.compile(rb"(?:[\x00-\x7f]|[\x81-\xff][\x80-\xff]{0,3}[\x00-\x7f])+")

Value = int | float | bytes | str | None


class Malformed(ValueError):
    """Bytes that are no SNMP message of the kind looked for."""


class WrongType(ValueError):
    """A value that cannot be what it says it is, or not what was asked for."""


def encode_length(length: int) -> bytes:
    """Return the shortest definite length."""
    if length < 0x80:
        return bytes((length,))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def tlv(tag: int, content: bytes) -> bytes:
    """Return tag, length and content."""
    return bytes((tag,)) + encode_length(len(content)) + content


def integer(value: int) -> bytes:
    """Return a signed integer's content in the fewest bytes (also right for every unsigned type)."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def encode_oid(oid: str | Iterable[int]) -> bytes:
    """Return an object identifier's content.

    Raises:
        ValueError: not two to 128 sub-identifiers of 32 bits, or first arcs that do not exist.
    """
    arcs = [int(arc) for arc in oid.strip(".").split(".")] if isinstance(oid, str) else list(oid)
    if not 2 <= len(arcs) <= MAX_SUB_IDS or arcs[0] not in (0, 1, 2) or (arcs[0] < 2 and arcs[1] > 39):
        raise ValueError(f"not an object identifier: {oid}")
    return b"".join(map(_sub_id, [arcs[0] * 40 + arcs[1], *arcs[2:]]))


def encode_index(arcs: Iterable[int]) -> bytes:
    """Return sub-identifiers as they stand in the middle or at the end of an OID."""
    return b"".join(map(_sub_id, arcs))


def _sub_id(value: int) -> bytes:
    if not 0 <= value < 1 << 32:
        raise ValueError(f"not a sub-identifier: {value}")
    septets = [value & 0x7F]
    while value := value >> 7:
        septets.append(value & 0x7F | 0x80)
    return bytes(reversed(septets))


def long_length(data: bytes, at: int, first: int) -> tuple[int, int]:
    """Return (length, where the content begins) of a long form whose first byte stands before `at`.

    Raises:
        Malformed: indefinite, cut short, or of more than four bytes.
    """
    count = first & 0x7F
    end = at + count
    if not 0 < count <= 4 or end > len(data):
        raise Malformed("length")
    return int.from_bytes(data[at:end], "big"), end


def header(data: bytes, at: int, stop: int) -> tuple[int, int, int]:
    """Return (tag, begin, end) of the element at `at`, which ends at or before `stop`.

    Raises:
        Malformed: a long-form tag, a bad length, or an end beyond `stop`.
    """
    if at + 2 > stop:
        raise Malformed("cut short")
    tag, length = data[at], data[at + 1]
    at += 2
    if tag & 0x1F == 0x1F:
        raise Malformed("long-form tag")
    if length > 0x7F:
        length, at = long_length(data, at, length)
    if at + length > stop:
        raise Malformed("longer than what holds it")
    return tag, at, at + length


def expect(data: bytes, at: int, stop: int, tag: int) -> tuple[int, int]:
    """Return (begin, end) of the element at `at`, which must have this tag. Raises Malformed."""
    found, begin, end = header(data, at, stop)
    if found != tag:
        raise Malformed(f"tag {found:#x} where {tag:#x} belongs")
    return begin, end


def small_integer(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """Return (value, end) of an INTEGER of one to five bytes, as the fields of a message are. Raises Malformed."""
    begin, end = expect(data, at, stop, INTEGER)
    if not 1 <= end - begin <= 5:
        raise Malformed("integer width")
    return int.from_bytes(data[begin:end], "big", signed=True), end


def is_oid(content: bytes) -> bool:
    """Whether this is the content of an OID: not empty, every sub-identifier ended and in its shortest form."""
    return len(content) <= MAX_OID_BYTES and _sub_ids.fullmatch(content) is not None


def decode_index(content: bytes) -> tuple[int, ...]:
    """Return the sub-identifiers of a part of an OID (such as a row's index).

    Raises:
        Malformed: an unterminated or overlong sub-identifier, one above 32 bits, or too many.
    """
    if content and not is_oid(content):
        raise Malformed("sub-identifiers")
    arcs, value = [], 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            arcs.append(value)
            value = 0
    if len(arcs) > MAX_SUB_IDS or any(arc >> 32 for arc in arcs):
        raise Malformed("sub-identifiers")
    return tuple(arcs)


def decode_oid(content: bytes) -> str:
    """Return an OID in dotted form. Raises Malformed."""
    arcs = decode_index(content)
    if not arcs:
        raise Malformed("empty object identifier")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def decode_unsigned(tag: int, content: bytes) -> int:
    """Return a Counter32, Gauge32, TimeTicks or Counter64; a missing leading zero byte is forgiven. Raises WrongType."""
    limit = _UNSIGNED_LIMIT[tag]
    if not 0 < len(content) <= 9:
        raise WrongType("width")
    value = int.from_bytes(content, "big")
    if value > limit:
        raise WrongType("width")
    return value


def decode_integer(content: bytes) -> int:
    """Return an INTEGER of 32 bits; up to four bytes, or five where it was padded. Raises WrongType."""
    if not 0 < len(content) <= 5:
        raise WrongType("width")
    value = int.from_bytes(content, "big", signed=True)
    if not -(1 << 31) <= value < 1 << 31:
        raise WrongType("width")
    return value


def decode_float(content: bytes) -> float:
    """Return net-snmp's Opaque float or double. Raises WrongType."""
    if content[:3] == _FLOAT and len(content) == 7:
        return float(struct.unpack(">f", content[3:])[0])
    if content[:3] == _DOUBLE and len(content) == 11:
        return float(struct.unpack(">d", content[3:])[0])
    raise WrongType("opaque")


def decode_value(tag: int, content: bytes) -> Value:
    """Return a value: int, bytes (OCTET STRING, Opaque), dotted text (OID, IpAddress), None (NULL and the exceptions).

    Raises:
        WrongType: the content cannot be a value of this type, or the type is none of SNMP's.
    """
    if tag in _UNSIGNED_LIMIT:
        return decode_unsigned(tag, content)
    if tag == INTEGER:
        return decode_integer(content)
    if tag in (OCTET_STRING, OPAQUE):
        return content
    if tag == OID:
        try:
            return decode_oid(content)
        except Malformed as error:
            raise WrongType(str(error)) from None
    return _fixed(tag, content)


def _fixed(tag: int, content: bytes) -> str | None:
    if tag == IP_ADDRESS and len(content) == 4:
        return ".".join(map(str, content))
    if (tag == NULL or tag in EXCEPTIONS) and not content:
        return None
    raise WrongType(f"tag {tag:#x} of {len(content)} bytes")
