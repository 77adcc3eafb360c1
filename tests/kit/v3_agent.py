"""An SNMPv3 engine that is honest unless a test sets one of its knobs. Built on our codec; snmpd is the honest peer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from config.secret import Secret
from config.site import SnmpCredentials
from probes.snmp import ber, message, secured, usm

STATS = "1.3.6.1.6.3.15.1.1"


def credentials(auth: str = "sha", priv: str = "aes128", phrase: str = "authentication-phrase") -> SnmpCredentials:
    """A user's credentials; `phrase` is that of authentication."""
    secret, other = Secret(phrase, "file:/test"), Secret("privacy-phrase", "file:/test")
    return SnmpCredentials("3", None, "noc", auth, secret if auth else None, priv, other if priv else None)


class V3Agent:
    """Answers "ok" to every object. A behaviour for `kit.hostile_snmp.hostile`."""

    def __init__(self, user: SnmpCredentials | None = None) -> None:
        self.user = user or credentials()
        self.engine_id = b"\x80\x00\x00\x00\x04first"
        self.boots = 3
        self.ahead_s = 0  # of the time since this agent was made
        self.began = time.monotonic() - 1000
        self.asked: list[int] = []  # flags of each request
        self.discoveries = 0
        self.discovery_id: bytes | None = None  # another engine id in reports of discovery
        self.wrong_digest = False
        self.plain_answers = False  # answer without security
        self.no_privacy = False  # answer authenticated, but in the clear
        self.garbage = False  # ciphertext that decrypts to nothing
        self.always_out_of_time = False
        self.unauthentic_times = False
        self.stale_s = 0  # answers made so long ago
        self.refuse = 0  # send this report instead of an answer

    @property
    def time_s(self) -> int:
        return int(time.monotonic() - self.began) + self.ahead_s

    def __call__(self, request: Any, data: bytes, count: int) -> Sequence[bytes]:
        seen = message.peek(data)
        envelope = secured.open_envelope(data, seen.at, seen.stop)
        self.asked.append(envelope.flags & 3)
        number = envelope.message_id.to_bytes(4, "big")
        if envelope.engine_id != self.engine_id:
            self.discoveries += not envelope.engine_id
            return [self._report(number, secured.UNKNOWN_ENGINE, 0, self.discovery_id or self.engine_id)]
        if self.refuse:
            return [self._report(number, self.refuse, 0, self.engine_id)]
        late = envelope.boots != self.boots or abs(envelope.time_s - self.time_s) > 150
        if self.always_out_of_time or (envelope.flags & 1 and late):
            return [self._report(number, secured.NOT_IN_TIME, 0 if self.unauthentic_times else 1, self.engine_id)]
        return [self._answer(number, envelope, data)]

    def _keys(self) -> usm.Keys:
        return usm.KeyRing().keys(self.user, self.engine_id)

    def _answer(self, number: bytes, envelope: secured.Envelope, data: bytes) -> bytes:
        begin, end, plain = envelope.begin, envelope.end, data
        if envelope.flags & secured.PRIV_FLAG:
            cipher = data[begin:end]
            found = usm.decrypt(
                self.user.priv_protocol, self._keys().priv, cipher, envelope.boots, envelope.time_s, envelope.salt
            )
            plain = found or b""
            begin, end = ber.expect(plain, 0, len(plain), ber.SEQUENCE)
        pdu = message.decode_pdu(plain, secured.open_scoped(plain, begin, end), end)
        varbinds = [(name, ber.OCTET_STRING, b"ok") for name, __, __ in pdu.varbinds]
        answer = message.encode_pdu(message.RESPONSE, pdu.request_id, 0, 0, varbinds)
        flags = 0 if self.plain_answers else envelope.flags & (1 if self.no_privacy else 3)
        return self._wrap(number, flags, answer, self.engine_id, self.time_s - self.stale_s)

    def _report(self, number: bytes, kind: int, flags: int, engine_id: bytes) -> bytes:
        varbind = (ber.encode_oid(f"{STATS}.{kind}.0"), ber.COUNTER32, b"\x01")
        pdu = message.encode_pdu(message.REPORT, int.from_bytes(number, "big"), 0, 0, [varbind])
        return self._wrap(number, flags, pdu, engine_id, self.time_s)

    def _wrap(self, number: bytes, flags: int, pdu: bytes, engine_id: bytes, time_s: int) -> bytes:
        data, salt, size = secured.scoped(engine_id, b"", pdu), b"", 0
        if flags & secured.PRIV_FLAG:
            cipher, salt = usm.encrypt(self.user.priv_protocol, self._keys().priv, data, self.boots, time_s, 77)
            data = ber.tlv(ber.OCTET_STRING, bytes(len(cipher)) if self.garbage else cipher)
        if flags & secured.AUTH_FLAG:
            size = usm.AUTH_PROTOCOLS[self.user.auth_protocol].digest_bytes
        name = self.user.user.encode() if flags else b""
        whole, at = secured.encode(number, flags, engine_id, self.boots, time_s, name, size, salt, data)
        if not flags & secured.AUTH_FLAG:
            return whole
        digest = usm.sign(self.user.auth_protocol, self._keys().auth, whole)
        return whole[:at] + (bytes(size) if self.wrong_digest else digest) + whole[at + size :]
