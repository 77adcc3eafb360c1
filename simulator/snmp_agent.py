"""An SNMP agent for a whole fleet (operations of RFC 3416, messages of RFC 1157 and 1901): request bytes in, answer bytes out.

Fleets are asked the same few questions again and again, so what a request means for a MIB is worked out once and kept: a GET of
four values costs a look-up, four values and their joining. Version 3 is handed to `simulator.snmp_v3`.
"""

from __future__ import annotations

from dataclasses import dataclass

from probes.snmp import ber, message
from simulator.endpoint import Endpoint
from simulator.mib import Mib, Value
from simulator.snmp_v3 import V3Agent

V1, V2C, V3 = 0, 1, 3
END_OF_MIB = ber.tlv(ber.END_OF_MIB_VIEW, b"")
NO_SUCH_OBJECT = ber.tlv(ber.NO_SUCH_OBJECT, b"")
NO_SUCH_INSTANCE = ber.tlv(ber.NO_SUCH_INSTANCE, b"")
NOT_WRITABLE = 17
MAX_BULK_BYTES = 1400  # of varbinds: what fits one Ethernet frame
MAX_VARBINDS = 128
MAX_REPETITIONS = 200
MAX_PLANS = 8192
NO_ERROR = b"\x02\x01\x00\x02\x01\x00"

Cell = tuple[bytes, Value | bytes]  # the name's TLV; the value's TLV, or how it is read


@dataclass(frozen=True, slots=True)
class Plan:
    """What one request means for one MIB. The cells from `required` on are left out where the answer grows too long."""

    cells: tuple[Cell, ...]
    required: int


class SnmpAgent:
    """Answers for every endpoint. One for each fleet: the plans it keeps belong to the fleet's MIBs."""

    def __init__(self) -> None:
        self._plans: dict[tuple[int, int, bytes], Plan] = {}
        self._v3 = V3Agent(self.respond)

    def answer(self, endpoint: Endpoint, data: bytes, now: float) -> bytes | None:
        """Return the answer to one datagram, or None where a real agent would say nothing."""
        try:
            begin, stop = ber.expect(data, 0, len(data), ber.SEQUENCE)
            version, at = ber.small_integer(data, begin, stop)
            if version == V3:
                return self._v3.answer(endpoint, data, now)
            begin, end = ber.expect(data, at, stop, ber.OCTET_STRING)
            if not _admits(endpoint, version, data[begin:end]):
                return None
            pdu = self.respond(endpoint, version, data[end:stop], now)
        except ber.Malformed:
            return None
        return message.encode_message(version, data[begin:end], pdu)

    def respond(self, endpoint: Endpoint, version: int, pdu: bytes, now: float) -> bytes:
        """Return the response PDU to a request PDU, as version 1 or as versions 2c and 3 have it.

        Raises:
            Malformed: the bytes are no request.
        """
        kind, at, end = ber.header(pdu, 0, len(pdu))
        if version == V1:
            return _respond_v1(endpoint, pdu, now)
        _begin, after_id = ber.expect(pdu, at, end, ber.INTEGER)
        key = (id(endpoint.mib), kind, pdu[after_id:end])
        plan = self._plans.get(key)
        if plan is None:
            request = message.decode_pdu(pdu, 0, len(pdu), MAX_VARBINDS)
            if kind == message.SET:
                return _refusal(request, NOT_WRITABLE, 1)
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            plan = self._plans[key] = make_plan(endpoint.mib, request)
        return ber.tlv(message.RESPONSE, pdu[at:after_id] + NO_ERROR + _varbinds(plan, endpoint, now))


def _admits(endpoint: Endpoint, version: int, community: bytes) -> bool:
    snmp = endpoint.credentials.snmp
    if snmp is None or version not in (V1, V2C) or snmp.version == "3" or (snmp.version == "1" and version != V1):
        return False
    return snmp.community.encode() == community


def _varbinds(plan: Plan, endpoint: Endpoint, now: float) -> bytes:
    model, parts, size, tlv = endpoint.model, [], 0, ber.tlv
    for position, (name, value) in enumerate(plan.cells):
        part = tlv(ber.SEQUENCE, name + (value if isinstance(value, bytes) else value(model, now)))
        size += len(part)
        if size > MAX_BULK_BYTES and position >= plan.required:
            break
        parts.append(part)
    return tlv(ber.SEQUENCE, b"".join(parts))


def _refusal(request: message.Pdu, status: int, index: int) -> bytes:
    return message.encode_pdu(message.RESPONSE, request.request_id, status, index, request.varbinds)


def make_plan(mib: Mib, request: message.Pdu) -> Plan:
    """Return what a GET, GETNEXT or GETBULK means for a MIB.

    Raises:
        Malformed: another kind of PDU, or a name that is no OID.
    """
    names = [ber.tlv(ber.OID, name) for name, _tag, _raw in request.varbinds]
    if request.tag == message.GET:
        return Plan(tuple(_exact(mib, name) for name in names), len(names))
    if request.tag == message.GET_NEXT:
        return Plan(tuple(_cell(mib, name, _behind(mib, name)) for name in names), len(names))
    if request.tag != message.GET_BULK:
        raise ber.Malformed("no request")
    return _bulk(mib, names, max(0, request.error_status), max(0, min(request.error_index, MAX_REPETITIONS)))


def _arcs(name: bytes) -> tuple[int, ...]:
    begin, end = ber.expect(name, 0, len(name), ber.OID)
    arcs = ber.decode_index(name[begin:end])
    if not arcs:
        raise ber.Malformed("empty object identifier")
    first = min(arcs[0] // 40, 2)
    return (first, arcs[0] - 40 * first, *arcs[1:])


def _behind(mib: Mib, name: bytes) -> int:
    at = mib.index.get(name)
    return mib.after(_arcs(name)) if at is None else at + 1


def _exact(mib: Mib, name: bytes) -> Cell:
    at = mib.index.get(name)
    if at is not None:
        return name, mib.values[at]
    column = _arcs(name)[:-1]
    behind = mib.after(column)
    known = behind < len(mib.oids) and mib.oids[behind][: len(column)] == column
    return name, NO_SUCH_INSTANCE if known else NO_SUCH_OBJECT


def _cell(mib: Mib, name: bytes, at: int) -> Cell:
    return (mib.names[at], mib.values[at]) if at < len(mib.names) else (name, END_OF_MIB)


def _bulk(mib: Mib, names: list[bytes], non_repeaters: int, repetitions: int) -> Plan:
    single, repeated = names[:non_repeaters], names[non_repeaters:]
    cells = [_cell(mib, name, _behind(mib, name)) for name in single]
    starts = [(name, _behind(mib, name)) for name in repeated]
    for turn in range(repetitions if repeated else 0):
        row = [_cell(mib, mib.names[-1] if at < len(mib.names) else name, at + turn) for name, at in starts]
        cells += row
        if all(value is END_OF_MIB for _name, value in row):
            break
    return Plan(tuple(cells), len(single) + 1)


def _respond_v1(endpoint: Endpoint, pdu: bytes, now: float) -> bytes:
    """Return a version 1 response: all or an error, and no Counter64 (RFC 3584 section 4.2.2)."""
    request = message.decode_pdu(pdu, 0, len(pdu), MAX_VARBINDS)
    if request.tag not in (message.GET, message.GET_NEXT):
        if request.tag != message.SET:
            raise ber.Malformed("no request of version 1")
        return _refusal(request, message.NO_SUCH_NAME, 1)
    answered: list[message.Varbind] = []
    for position, (name, _tag, _raw) in enumerate(request.varbinds, 1):
        found = _visible(endpoint, ber.tlv(ber.OID, name), request.tag, now)
        if found is None:
            return _refusal(request, message.NO_SUCH_NAME, position)
        answered.append(found)
    return message.encode_pdu(message.RESPONSE, request.request_id, 0, 0, answered)


def _visible(endpoint: Endpoint, name: bytes, kind: int, now: float) -> message.Varbind | None:
    mib = endpoint.mib
    at = mib.index.get(name, len(mib.names)) if kind == message.GET else _behind(mib, name)
    while at < len(mib.names):
        held = mib.values[at](endpoint.model, now)
        if held[0] != ber.COUNTER64:
            return _content(mib.names[at])[1], *_content(held)
        if kind == message.GET:
            return None
        at += 1
    return None


def _content(element: bytes) -> tuple[int, bytes]:
    tag, begin, end = ber.header(element, 0, len(element))
    return tag, element[begin:end]
