"""SNMPv3 for the fleet's agents: the authoritative side of the user-based security model (RFC 3414 section 3.2).

Every device is an engine of its own, with one user at one security level. What does not fit gets the Report that the RFC names.
"""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from config.secret import Secret
from config.site import SnmpCredentials
from probes.snmp import ber, message, secured, usm
from probes.snmp.secured import AUTH_FLAG, PRIV_FLAG
from simulator.endpoint import Endpoint
from simulator.spec import SnmpSpec

ENTERPRISE = bytes.fromhex("80001f8804")  # RFC 3411 SnmpEngineID: net-snmp's enterprise number, text follows
TIME_WINDOW_S = 150
VERSION_3 = 3
STATS = (1, 3, 6, 1, 6, 3, 15, 1, 1)

Respond = Callable[[Endpoint, int, bytes, float], bytes]


@dataclass(frozen=True, slots=True)
class Engine:
    """One device as an SNMP engine, at the moment it is asked."""

    engine_id: bytes
    boots: int
    time_s: int
    credentials: SnmpCredentials
    flags: int  # the level its user has, and must use
    keys: usm.Keys


class V3Agent:
    """Answers version 3 for every endpoint. Digest and cipher cost some 30 microseconds a message."""

    def __init__(self, respond: Respond) -> None:
        """Prepare; `respond` turns a request PDU into a response PDU."""
        self._respond = respond
        self._ring = usm.KeyRing()
        self._credentials: dict[SnmpSpec, SnmpCredentials] = {}
        self._salts = itertools.count(1)

    def answer(self, endpoint: Endpoint, data: bytes, now: float) -> bytes | None:
        """Return the response or report to one message; None where there is nothing to say.

        Raises:
            Malformed: no message of version 3.
        """
        spec = endpoint.credentials.snmp
        if spec is None or spec.version != "3":
            return None
        begin, stop = ber.expect(data, 0, len(data), ber.SEQUENCE)
        envelope = secured.open_envelope(data, begin, stop)
        engine = self._engine(endpoint, spec, now)
        refused = _refusal(engine, envelope, data[:stop])
        if refused:
            flags = AUTH_FLAG if refused == secured.NOT_IN_TIME else 0
            return self._encode(engine, envelope, _report(refused), flags)
        plain = self._plain(engine, envelope, data)
        if plain is None:
            return self._encode(engine, envelope, _report(secured.DECRYPTION_ERROR), 0)
        at = secured.open_scoped(plain, 0, len(plain))
        return self._encode(engine, envelope, self._respond(endpoint, VERSION_3, plain[at:], now), engine.flags)

    def _engine(self, endpoint: Endpoint, spec: SnmpSpec, now: float) -> Engine:
        credentials = self._credentials.get(spec)
        if credentials is None:
            credentials = self._credentials[spec] = _credentials(spec)
        engine_id = ENTERPRISE + endpoint.model.name.encode()[:27]
        flags = (AUTH_FLAG if spec.auth else 0) | (PRIV_FLAG if spec.priv else 0)
        time_s = int(now - endpoint.model.booted)
        return Engine(engine_id, endpoint.model.boots, time_s, credentials, flags, self._ring.keys(credentials, engine_id))

    def _plain(self, engine: Engine, envelope: secured.Envelope, data: bytes) -> bytes | None:
        """Return the content of the scoped PDU; None where it cannot be deciphered."""
        held = data[envelope.begin : envelope.end]
        if not engine.flags & PRIV_FLAG:
            return held if envelope.data_tag == ber.SEQUENCE else None
        protocol = engine.credentials.priv_protocol
        plain = usm.decrypt(protocol, engine.keys.priv, held, envelope.boots, envelope.time_s, envelope.salt)
        if plain is None or envelope.data_tag != ber.OCTET_STRING:
            return None
        try:
            begin, end = ber.expect(plain, 0, len(plain), ber.SEQUENCE)
        except ber.Malformed:
            return None
        return plain[begin:end]

    def _encode(self, engine: Engine, envelope: secured.Envelope, pdu: bytes, flags: int) -> bytes:
        body, salt = secured.scoped(engine.engine_id, b"", pdu), b""
        if flags & PRIV_FLAG:
            cipher, salt = usm.encrypt(
                engine.credentials.priv_protocol, engine.keys.priv, body, engine.boots, engine.time_s, next(self._salts)
            )
            body = ber.tlv(ber.OCTET_STRING, cipher)
        digest_bytes = usm.AUTH_PROTOCOLS[engine.credentials.auth_protocol].digest_bytes if flags & AUTH_FLAG else 0
        message_id = (envelope.message_id & 0x7FFFFFFF).to_bytes(4, "big")
        whole, at = secured.encode(
            message_id, flags, engine.engine_id, engine.boots, engine.time_s, envelope.user, digest_bytes, salt, body
        )
        if not flags & AUTH_FLAG:
            return whole
        digest = usm.sign(engine.credentials.auth_protocol, engine.keys.auth, whole)
        return whole[:at] + digest + whole[at + digest_bytes :]


def _credentials(spec: SnmpSpec) -> SnmpCredentials:
    auth, priv = spec.auth or ("", ""), spec.priv or ("", "")
    return SnmpCredentials(
        version="3",
        user=spec.user,
        auth_protocol=auth[0],
        auth_secret=Secret(auth[1], "scenario") if auth[0] else None,
        priv_protocol=priv[0],
        priv_secret=Secret(priv[1], "scenario") if priv[0] else None,
    )


def _refusal(engine: Engine, envelope: secured.Envelope, data: bytes) -> int:
    """Return which of usmStats counts this message, in the order of RFC 3414 section 3.2; 0 where it is admitted."""
    if envelope.engine_id != engine.engine_id:
        return secured.UNKNOWN_ENGINE
    if envelope.user != engine.credentials.user.encode():
        return secured.UNKNOWN_USER
    if envelope.flags & (AUTH_FLAG | PRIV_FLAG) != engine.flags:
        return secured.UNSUPPORTED_LEVEL
    if not engine.flags & AUTH_FLAG:
        return 0
    at, size = envelope.digest_at, len(envelope.digest)
    expected = usm.sign(engine.credentials.auth_protocol, engine.keys.auth, data[:at] + bytes(size) + data[at + size :])
    if not hmac.compare_digest(expected, envelope.digest):
        return secured.WRONG_DIGEST
    if envelope.boots != engine.boots or abs(envelope.time_s - engine.time_s) > TIME_WINDOW_S:
        return secured.NOT_IN_TIME
    return 0


def _report(kind: int) -> bytes:
    name = ber.encode_oid((*STATS, kind, 0))
    return message.encode_pdu(message.REPORT, 0, 0, 0, [(name, ber.COUNTER32, ber.integer(1))])
