"""The session of SNMP v1 and v2c: who knows the community may ask (RFC 1157, RFC 1901). No state, no cryptography."""

from __future__ import annotations

from config.site import SnmpCredentials
from probes.reason import Reason
from probes.snmp import ber, message
from probes.snmp.engine import SnmpEngine
from probes.snmp.exchange import Address, Exchange, Reader, Rejected
from probes.snmp.message import Frame


class CommunitySession:
    """Asks with a community, and takes only answers of the same version and community."""

    __slots__ = ("_community", "_fields", "_version")

    def __init__(self, credentials: SnmpCredentials) -> None:
        self._version = credentials.version
        self._community = credentials.community.reveal().encode() if credentials.community else b""
        self._fields = message.community_header(self._version, self._community)

    def prepare(self, pdu: Frame) -> Frame:
        """Return the whole message around the request id: all that is left to do when asking is to put the id in."""
        return message.in_community(self._fields, pdu)

    async def ask(
        self, engine: SnmpEngine, address: Address, prepared: Frame, read: Reader, timeout_s: float, resends: int = 2
    ) -> Exchange:
        """Ask; see `SnmpEngine.exchange`."""
        request_id = engine.next_id()
        request = prepared.head + request_id.to_bytes(4, "big") + prepared.tail
        return await engine.exchange(address, request, request_id, self, read, timeout_s, resends=resends)

    def accept(self, exchange: Exchange, data: bytes, at: int, stop: int) -> object:
        """Return what the question reads out of the PDU.

        Raises:
            Malformed: no message.
            Rejected: of another version or community.
        """
        fields = self._fields
        begin = at + len(fields)
        if not data.startswith(fields, at):
            begin = self._compare(data, at, stop)
        return exchange.read(exchange.id, data, begin, stop)

    def _compare(self, data: bytes, at: int, stop: int) -> int:
        """Compare field by field, for agents that write lengths in their long form."""
        version, at = ber.small_integer(data, at, stop)
        begin, end = ber.expect(data, at, stop, ber.OCTET_STRING)
        if version != message.VERSION_NUMBERS[self._version] or data[begin:end] != self._community:
            raise Rejected(Reason.MISMATCH)
        return end
