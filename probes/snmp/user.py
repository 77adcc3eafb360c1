"""The session of SNMPv3: who the user is at which engine, and at what time there (RFC 3414 section 3). One resync at most.

What arrives unauthenticated is never kept: an engine id is remembered once an authenticated answer has confirmed it, and
a changed one is a reason for five minutes before the new one may prove that it knows the user. A refusal never leads to
a lower security level.
"""

from __future__ import annotations

import hmac
import logging
import secrets
from dataclasses import dataclass, replace

from config.language import _
from config.site import SnmpCredentials
from probes.reason import Reason
from probes.snmp import ber, message, secured, usm
from probes.snmp.belief import Belief
from probes.snmp.ber import OCTET_STRING, SEQUENCE, Malformed
from probes.snmp.engine import SnmpEngine
from probes.snmp.exchange import Address, Exchange, Reader, Rejected
from probes.snmp.message import Frame
from probes.snmp.secured import AUTH_FLAG, PRIV_FLAG, REPORTABLE, Envelope
from probes.step import OptionError

log = logging.getLogger(__name__)

TIME_WINDOW_S = 150
RELEARN_S = 300.0  # how long a changed engine is a failure before a replaced device may prove itself
_DISCOVERY = message.frame(message.GET, ())
_REFUSALS = (secured.UNSUPPORTED_LEVEL, secured.UNKNOWN_USER, secured.WRONG_DIGEST, secured.DECRYPTION_ERROR)


@dataclass(frozen=True, slots=True)
class Report:
    """What a remote engine answers instead of a response, and what it says of itself."""

    kind: int
    belief: Belief
    authentic: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request as it was sent: to which engine, with which keys."""

    engine: SnmpEngine
    belief: Belief | None  # None: discovery, which has no security
    keys: usm.Keys


class UserSession:
    """Asks as one user. All questions of a process share what it learns of an engine (`SnmpEngine.beliefs`)."""

    def __init__(self, credentials: SnmpCredentials) -> None:
        """Check what can be checked before asking.

        Raises:
            OptionError: an unknown protocol, or a protocol without its passphrase.
        """
        _check(credentials)
        self._credentials = credentials
        self._user = credentials.user.encode()
        self._context = credentials.context.encode()
        self._flags = (AUTH_FLAG if credentials.auth_protocol else 0) | (PRIV_FLAG if credentials.priv_protocol else 0)
        auth = usm.AUTH_PROTOCOLS.get(credentials.auth_protocol)
        self._digest_bytes = auth.digest_bytes if auth else 0
        self._counter = secrets.randbits(63)

    def prepare(self, pdu: Frame) -> Frame:
        """Return the PDU itself: engine, time and digest are different each time."""
        return pdu

    async def ask(
        self, engine: SnmpEngine, address: Address, prepared: Frame, read: Reader, timeout_s: float, resends: int = 2
    ) -> Exchange:
        """Ask, with discovery and one resynchronisation where needed, within `timeout_s` seconds in all."""
        deadline = engine.loop.time() + timeout_s
        known = engine.beliefs.get((address, self._credentials))
        belief, resynced = known, False
        if belief is None:
            exchange = await self._send(engine, address, None, _DISCOVERY, read, timeout_s, resends)
            if not isinstance(exchange.answer, Report):
                return exchange
            belief = exchange.answer.belief
        while True:
            left = max(deadline - engine.loop.time(), 0.001)
            exchange = await self._send(engine, address, belief, prepared, read, left, resends)
            report = exchange.answer
            if not isinstance(report, Report):
                return exchange
            if resynced or not _may_resync(report, known):
                _refuse(exchange, report, known)
                if exchange.reason is Reason.ENGINE_CHANGED:
                    self._meet(engine, address, report.belief.engine_id)
                return exchange
            belief, resynced = report.belief, True

    def _meet(self, engine: SnmpEngine, address: Address, engine_id: bytes) -> None:
        """Note a changed engine id; once it has been reported for long enough, the next question discovers anew."""
        key, now = (address, self._credentials), engine.loop.time()
        stranger, since = engine.strangers.get(key, (b"", now))
        if stranger != engine_id:
            since = now
        engine.strangers[key] = (engine_id, since)
        if now - since >= RELEARN_S:
            log.warning("SNMPv3 engine of %s changed for good, to %s", address[0], engine_id.hex())
            engine.beliefs.pop(key, None)
            del engine.strangers[key]

    async def _send(
        self,
        engine: SnmpEngine,
        address: Address,
        belief: Belief | None,
        pdu: Frame,
        read: Reader,
        timeout_s: float,
        resends: int,
    ) -> Exchange:
        request_id = engine.next_id()
        keys = engine.keys.keys(self._credentials, belief.engine_id) if belief else usm.Keys()
        request = self._encode(request_id.to_bytes(4, "big"), pdu, belief, keys, engine.loop.time())
        attempt = Attempt(engine, belief, keys)
        return await engine.exchange(address, request, request_id, self, read, timeout_s, resends=resends, context=attempt)

    def _encode(self, request_id: bytes, pdu: Frame, belief: Belief | None, keys: usm.Keys, now: float) -> bytes:
        plain = pdu.head + request_id + pdu.tail
        if belief is None:
            return secured.encode(request_id, REPORTABLE, b"", 0, 0, b"", 0, b"", secured.scoped(b"", b"", plain))[0]
        boots, time_s, salt = belief.boots, belief.time_s(now), b""
        data = secured.scoped(belief.engine_id, self._context, plain)
        if self._flags & PRIV_FLAG:
            self._counter += 1
            cipher, salt = usm.encrypt(self._credentials.priv_protocol, keys.priv, data, boots, time_s, self._counter)
            data = ber.tlv(OCTET_STRING, cipher)
        whole, at = secured.encode(
            request_id, self._flags | REPORTABLE, belief.engine_id, boots, time_s, self._user, self._digest_bytes, salt, data
        )
        if not self._flags & AUTH_FLAG:
            return whole
        digest = usm.sign(self._credentials.auth_protocol, keys.auth, whole)
        return whole[:at] + digest + whole[at + len(digest) :]

    def accept(self, exchange: Exchange, data: bytes, at: int, stop: int) -> object:
        """Return what the question reads, or a `Report`.

        Raises:
            Malformed: no message.
            Rejected: not authentic, not for us, or outside the time window.
        """
        attempt = exchange.context
        assert isinstance(attempt, Attempt)
        envelope = secured.open_envelope(data, at, stop)
        if envelope.message_id != int.from_bytes(exchange.id, "big"):
            raise Rejected(Reason.MISMATCH)
        authentic = bool(envelope.flags & AUTH_FLAG)
        if attempt.belief is None or (self._flags & AUTH_FLAG and not authentic):
            return self._unauthenticated(attempt, envelope, data)
        if envelope.engine_id != attempt.belief.engine_id or envelope.user != self._user:
            return self._unauthenticated(attempt, envelope, data)
        if authentic:
            self._verify(attempt, envelope, data, stop)
        plain, begin, end = self._plain(attempt, envelope, data)
        pdu_at = secured.open_scoped(plain, begin, end)
        if plain[pdu_at] == message.REPORT:
            return self._report(attempt, envelope, secured.report_kind(plain, pdu_at, end), authentic)
        if envelope.flags & self._flags != self._flags:
            raise Rejected(Reason.AUTH)
        self._in_time(exchange, attempt, envelope)
        answer = exchange.read(exchange.id, plain, pdu_at, end)
        self._confirm(exchange, attempt, envelope)
        return answer

    def _verify(self, attempt: Attempt, envelope: Envelope, data: bytes, stop: int) -> None:
        at, size = envelope.digest_at, len(envelope.digest)
        zeroed = b"".join((data[:at], bytes(size), data[at + size : stop]))
        expected = usm.sign(self._credentials.auth_protocol, attempt.keys.auth, zeroed) if self._flags & AUTH_FLAG else b""
        if not expected or not hmac.compare_digest(expected, envelope.digest):
            raise Rejected(Reason.AUTH)

    def _plain(self, attempt: Attempt, envelope: Envelope, data: bytes) -> tuple[bytes, int, int]:
        """Return the bytes that hold the scoped PDU's content, and where. Raises Malformed, Rejected."""
        if not envelope.flags & PRIV_FLAG:
            if envelope.data_tag != SEQUENCE:
                raise Malformed("scoped PDU")
            return data, envelope.begin, envelope.end
        if envelope.data_tag != OCTET_STRING or not self._flags & PRIV_FLAG:
            raise Malformed("encrypted PDU")
        cipher = data[envelope.begin : envelope.end]
        plain = usm.decrypt(
            self._credentials.priv_protocol, attempt.keys.priv, cipher, envelope.boots, envelope.time_s, envelope.salt
        )
        if plain is None:
            raise Malformed("encrypted PDU")
        begin, end = ber.expect(plain, 0, len(plain), SEQUENCE)
        return plain, begin, end

    def _unauthenticated(self, attempt: Attempt, envelope: Envelope, data: bytes) -> Report:
        """Read what has no proof of origin: only a report may be so, and of time it may not."""
        if envelope.flags & (AUTH_FLAG | PRIV_FLAG) or envelope.data_tag != SEQUENCE:
            raise Rejected(Reason.AUTH if envelope.flags & AUTH_FLAG else Reason.MISMATCH)
        at = secured.open_scoped(data, envelope.begin, envelope.end)
        if data[at] != message.REPORT:
            raise Rejected(Reason.AUTH)
        kind = secured.report_kind(data, at, envelope.end)
        if not envelope.engine_id or (attempt.belief is None and kind != secured.UNKNOWN_ENGINE):
            raise Rejected(Reason.MISMATCH)
        return self._report(attempt, envelope, kind, authentic=False)

    def _report(self, attempt: Attempt, envelope: Envelope, kind: int, authentic: bool) -> Report:
        if kind == secured.NOT_IN_TIME and not authentic:
            raise Rejected(Reason.NOT_IN_TIME_WINDOW)
        belief = Belief(envelope.engine_id, envelope.boots, envelope.time_s - attempt.engine.loop.time())
        return Report(kind, belief, authentic)

    def _in_time(self, exchange: Exchange, attempt: Attempt, envelope: Envelope) -> None:
        """Refuse an authentic answer that was made too long ago (RFC 3414 section 3.2 step 7b)."""
        belief = attempt.belief
        if not self._flags & AUTH_FLAG or belief is None:
            return
        late = belief.time_s(attempt.engine.loop.time()) - envelope.time_s > TIME_WINDOW_S
        if envelope.boots < belief.boots or (envelope.boots == belief.boots and late):
            raise Rejected(Reason.NOT_IN_TIME_WINDOW)

    def _confirm(self, exchange: Exchange, attempt: Attempt, envelope: Envelope) -> None:
        """Keep what an authentic answer says of its engine's time."""
        engine, key = attempt.engine, (exchange.address, self._credentials)
        known = engine.beliefs.get(key)
        offset = envelope.time_s - engine.loop.time()
        belief = attempt.belief
        engine.strangers.pop(key, None)
        if belief is None or (known and known.boots == envelope.boots and abs(known.offset_s - offset) < 1.5):
            return
        engine.beliefs[key] = replace(belief, boots=envelope.boots, offset_s=offset)


def _may_resync(report: Report, known: Belief | None) -> bool:
    """Whether to ask once more with what a report says: an authentic time, or an engine id while none is confirmed yet."""
    if report.kind == secured.NOT_IN_TIME:
        return report.authentic
    return report.kind == secured.UNKNOWN_ENGINE and known is None


def _refuse(exchange: Exchange, report: Report, known: Belief | None) -> None:
    exchange.answer = None
    exchange.detail = secured.REPORT_NAMES[report.kind]
    if report.kind == secured.NOT_IN_TIME:
        exchange.reason = Reason.NOT_IN_TIME_WINDOW
    elif report.kind in _REFUSALS:
        exchange.reason = Reason.AUTH
    elif report.kind == secured.UNKNOWN_ENGINE and known is not None:
        exchange.reason = Reason.ENGINE_CHANGED
        exchange.detail = f"{known.engine_id.hex()} -> {report.belief.engine_id.hex()}"
    else:
        exchange.reason = Reason.PROTOCOL


def _check(credentials: SnmpCredentials) -> None:
    auth, priv = credentials.auth_protocol, credentials.priv_protocol
    if auth and auth not in usm.AUTH_PROTOCOLS:
        raise OptionError("auth", _("must be one of {choices}").format(choices=", ".join(usm.AUTH_PROTOCOLS)))
    if priv and priv not in usm.PRIV_KEY_BYTES:
        raise OptionError("priv", _("must be one of {choices}").format(choices=", ".join(usm.PRIV_KEY_BYTES)))
    if priv and not auth:
        raise OptionError("priv", _("needs an authentication protocol too"))
    for name, protocol, secret in (("auth", auth, credentials.auth_secret), ("priv", priv, credentials.priv_secret)):
        if protocol and (secret is None or not secret.reveal()):
            raise OptionError(name, _("has no passphrase"))
