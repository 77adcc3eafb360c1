"""An SNMP agent on a loopback address that answers as a test tells it to: honest, wrong, late, endless, silent.

A behaviour is a function of the request: ``behave(request: Message, data: bytes, count: int) -> list of answers``, each
answer the bytes to send, or (seconds to wait, bytes), or (seconds, bytes, True) to send it from another address.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from config.profile import Step
from config.secret import Secret
from config.site import Credentials, Device, SnmpCredentials
from probes.snmp import ber, message
from probes.snmp.engine import SnmpEngine
from probes.snmp.message import Message, Varbind

Behaviour = Callable[[Message, bytes, int], Sequence[Any]]
SITE: Any = SimpleNamespace(name="north")
SYS_NAME = "1.3.6.1.2.1.1.5.0"
SYS_UPTIME = "1.3.6.1.2.1.1.3.0"


def response(
    request: Message,
    varbinds: Sequence[Varbind] | None = None,
    *,
    status: int = 0,
    index: int = 0,
    request_id: int | None = None,
    version: int | None = None,
    community: bytes | None = None,
) -> bytes:
    """An answer to a request; what is not given is as an honest agent would have it (each object the text "ok")."""
    if varbinds is None:
        varbinds = [(name, ber.OCTET_STRING, b"ok") for name, __, __ in request.pdu.varbinds]
    number = request.pdu.request_id if request_id is None else request_id
    pdu = message.encode_pdu(message.RESPONSE, number, status, index, varbinds)
    return message.encode_message(
        request.version if version is None else version, request.community if community is None else community, pdu
    )


class HostileAgent(asyncio.DatagramProtocol):
    """The agent; `requests` is all it was asked."""

    def __init__(self, behave: Behaviour) -> None:
        self.behave = behave
        self.requests: list[bytes] = []
        self.sent = 0
        self.other: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, peer: Any) -> None:
        self.requests.append(data)
        try:
            request = message.decode_message(data)
        except ber.Malformed:
            request = None  # type: ignore[assignment]  # v3: the behaviour reads the bytes
        for answer in self.behave(request, data, len(self.requests)):
            delay, raw, *elsewhere = answer if isinstance(answer, tuple) else (0.0, answer)
            asyncio.get_running_loop().call_later(delay, self._send, raw, peer, bool(elsewhere))

    def _send(self, raw: bytes, peer: Any, elsewhere: bool) -> None:
        transport = self.other if elsewhere else self.transport
        if transport is not None and not transport.is_closing():
            self.sent += 1
            transport.sendto(raw, peer)


@asynccontextmanager
async def hostile(behave: Behaviour, address: str = "127.0.0.1") -> AsyncIterator[HostileAgent]:
    """Run an agent with this behaviour on a free port."""
    loop = asyncio.get_running_loop()
    transport, agent = await loop.create_datagram_endpoint(lambda: HostileAgent(behave), local_addr=(address, 0))
    other, __ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.9", 0))
    agent.other = other
    try:
        yield agent
    finally:
        transport.close()
        other.close()
        await asyncio.sleep(0)


@asynccontextmanager
async def asking() -> AsyncIterator[Any]:
    """A Net with nothing but an SNMP engine."""
    async with SnmpEngine() as engine:
        yield SimpleNamespace(snmp=engine)


def device(port: int, credentials: SnmpCredentials | None = None, *, version: str = "2c", address: str = "127.0.0.1") -> Device:
    """A device whose agent listens on this port."""
    snmp = credentials or SnmpCredentials(version, Secret("public", "file:/test"), port=port)
    return Device("d", address, "switch", Credentials("c", snmp=snmp), ports={"snmp": port})


def get_step(*objects: dict[str, Any]) -> Step:
    """A GET step; without objects: sysName as a fact."""
    listed = list(objects) or [{"oid": SYS_NAME, "type": "string", "fact": "sys_name"}]
    return Step("snmp_get", "state", "get", {"objects": listed})


def table_step(*columns: dict[str, Any], **options: Any) -> Step:
    """A table step with these columns."""
    return Step("snmp_table", "table", "table", {"columns": list(columns), **options})
