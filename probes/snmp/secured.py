"""The SNMPv3 message (RFC 3412 section 6, RFC 3414 section 2.4): encoding and bounded decoding. No keys, no decisions."""

from __future__ import annotations

from typing import NamedTuple

from probes.snmp import ber, message
from probes.snmp.ber import Malformed

AUTH_FLAG, PRIV_FLAG, REPORTABLE = 1, 2, 4
USM = 3
_VERSION = b"\x02\x01\x03"
_MAX_SIZE = ber.tlv(ber.INTEGER, ber.integer(message.MAX_DATAGRAM))
_MODEL = ber.tlv(ber.INTEGER, bytes((USM,)))
_STATS = ber.encode_oid("1.3.6.1.6.3.15.1.1")
UNSUPPORTED_LEVEL, NOT_IN_TIME, UNKNOWN_USER, UNKNOWN_ENGINE, WRONG_DIGEST, DECRYPTION_ERROR = range(1, 7)
REPORT_NAMES = ("", "unsupportedSecLevels", "notInTimeWindows", "unknownUserNames", "unknownEngineIDs", "wrongDigests",
                "decryptionErrors")  # fmt: skip


class Envelope(NamedTuple):
    """The outside of a v3 message; `digest_at` is where the digest stands in the datagram, `data` is what it carries."""

    message_id: int
    flags: int
    engine_id: bytes
    boots: int
    time_s: int
    user: bytes
    digest: bytes
    digest_at: int
    salt: bytes
    data_tag: int
    begin: int
    end: int


def encode(
    message_id: bytes,
    flags: int,
    engine_id: bytes,
    boots: int,
    time_s: int,
    user: bytes,
    digest_bytes: int,
    salt: bytes,
    data: bytes,
) -> tuple[bytes, int]:
    """Return a message with a digest of zeros, and where that digest stands."""
    header = b"\x02\x04" + message_id + _MAX_SIZE + b"\x04\x01" + bytes((flags,)) + _MODEL
    salted = ber.tlv(ber.OCTET_STRING, salt)
    numbers = ber.tlv(ber.INTEGER, ber.integer(boots)) + ber.tlv(ber.INTEGER, ber.integer(time_s))
    names = ber.tlv(ber.OCTET_STRING, engine_id), numbers, ber.tlv(ber.OCTET_STRING, user)
    security = b"".join((*names, ber.tlv(ber.OCTET_STRING, bytes(digest_bytes)), salted))
    security = ber.tlv(ber.OCTET_STRING, ber.tlv(ber.SEQUENCE, security))
    whole = ber.tlv(ber.SEQUENCE, _VERSION + ber.tlv(ber.SEQUENCE, header) + security + data)
    return whole, len(whole) - len(data) - len(salted) - digest_bytes


def scoped(engine_id: bytes, context: bytes, pdu: bytes) -> bytes:
    """Return a scoped PDU."""
    return ber.tlv(ber.SEQUENCE, ber.tlv(ber.OCTET_STRING, engine_id) + ber.tlv(ber.OCTET_STRING, context) + pdu)


def open_envelope(data: bytes, at: int, stop: int) -> Envelope:
    """Return the outside of the v3 message whose version stands at `at`. Raises Malformed."""
    at, end = ber.expect(data, at + 3, stop, ber.SEQUENCE)
    message_id, at = ber.small_integer(data, at, end)
    __, at = ber.small_integer(data, at, end)
    begin, at = ber.expect(data, at, end, ber.OCTET_STRING)
    model, __ = ber.small_integer(data, at, end)
    if at - begin != 1 or model != USM:
        raise Malformed("header")
    flags = data[begin]
    begin, after = ber.expect(data, end, stop, ber.OCTET_STRING)
    fields = _security(data, begin, after)
    tag, begin, end = ber.header(data, after, stop)
    return Envelope(message_id, flags, *fields, tag, begin, end)


def _security(data: bytes, at: int, stop: int) -> tuple[bytes, int, int, bytes, bytes, int, bytes]:
    at, stop = ber.expect(data, at, stop, ber.SEQUENCE)
    begin, end = ber.expect(data, at, stop, ber.OCTET_STRING)
    engine_id = data[begin:end]
    boots, at = ber.small_integer(data, end, stop)
    time_s, at = ber.small_integer(data, at, stop)
    begin, end = ber.expect(data, at, stop, ber.OCTET_STRING)
    user = data[begin:end]
    digest_at, end = ber.expect(data, end, stop, ber.OCTET_STRING)
    digest = data[digest_at:end]
    begin, end = ber.expect(data, end, stop, ber.OCTET_STRING)
    if len(engine_id) > 32 or not (0 <= boots < 1 << 31 and 0 <= time_s < 1 << 31):
        raise Malformed("security parameters")
    return engine_id, boots, time_s, user, digest, digest_at, data[begin:end]


def open_scoped(data: bytes, begin: int, end: int) -> int:
    """Return where the PDU begins in the content of a scoped PDU. Raises Malformed."""
    __, at = ber.expect(data, begin, end, ber.OCTET_STRING)
    __, at = ber.expect(data, at, end, ber.OCTET_STRING)
    return at


def report_kind(data: bytes, at: int, stop: int) -> int:
    """Return which of usmStats a Report PDU tells of (0 for any other). Raises Malformed."""
    pdu = message.decode_pdu(data, at, stop, 1)
    if pdu.tag != message.REPORT or not pdu.varbinds:
        raise Malformed("not a report")
    name = pdu.varbinds[0][0]
    if not name.startswith(_STATS) or len(name) != len(_STATS) + 2 or name[-1] != 0:
        return 0
    return name[-2] if UNSUPPORTED_LEVEL <= name[-2] <= DECRYPTION_ERROR else 0
