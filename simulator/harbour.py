"""The sockets of a fleet: one UDP socket for each datagram protocol, a listener for each device and stream protocol."""

from __future__ import annotations

import contextlib
import errno
import resource
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence

from config.language import _
from simulator.banner import BannerDialogue
from simulator.certificate import tls_context
from simulator.dialogue import Dialogue
from simulator.endpoint import Endpoint
from simulator.http import HttpDialogue
from simulator.pjlink import PjlinkDialogue
from simulator.rtsp import RtspDialogue
from simulator.sip import SipDialogue, answer_sip
from simulator.snmp_agent import SnmpAgent
from simulator.tcp import Listener
from simulator.udp import Answer, UdpPort

USUAL_PORTS = {"snmp": 10161, "sip": 15060, "http": 18080, "https": 18443, "rtsp": 15540, "pjlink": 14352, "banner": 12525}
DIALOGUES: Mapping[str, type[Dialogue]] = {
    "http": HttpDialogue,
    "https": HttpDialogue,
    "rtsp": RtspDialogue,
    "pjlink": PjlinkDialogue,
    "banner": BannerDialogue,
    "sip": SipDialogue,
}
TRIES = 20
SPARE_FILES = 256


class FleetError(RuntimeError):
    """The fleet cannot be served on this machine; the text says why and what to do."""


class Harbour:
    """Opens what the endpoints speak, and lets single devices fall silent."""

    def __init__(self, endpoints: Mapping[str, Endpoint], clock: Callable[[], float], agent: SnmpAgent, days: float) -> None:
        """Prepare; `days` is how long the certificate of HTTPS holds."""
        self._endpoints = endpoints
        self._clock = clock
        self._answers: dict[str, Answer] = {"snmp": agent.answer, "sip": answer_sip}
        self._days = days
        self._udp: list[UdpPort] = []
        self._listeners: dict[str, list[Listener]] = {}
        self.ports: dict[str, int] = {}

    @property
    def answered(self) -> int:
        """Return how many datagrams have been answered."""
        return sum(port.answered for port in self._udp)

    def open(self, wanted: Mapping[str, int]) -> None:
        """Open every protocol on the port that is wanted, on a free one where that is taken or 0.

        Raises:
            FleetError: no port, or not enough files.
        """
        spoken: dict[str, list[Endpoint]] = {}
        for endpoint in self._endpoints.values():
            for protocol in endpoint.model.protocols:
                spoken.setdefault(protocol, []).append(endpoint)
        _admit_files(sum(len(speakers) for protocol, speakers in spoken.items() if protocol in DIALOGUES))
        for protocol, speakers in sorted(spoken.items()):
            self.ports[protocol] = self._on_some_port(protocol, wanted.get(protocol, USUAL_PORTS[protocol]), speakers)

    async def close(self) -> None:
        """Close every socket."""
        for port in self._udp:
            port.close()
        for listeners in self._listeners.values():
            for listener in listeners:
                await listener.close()

    def silence(self, name: str) -> None:
        """Let the device's stream protocols fall silent; datagrams ask the endpoint."""
        for listener in self._listeners.get(name, ()):
            listener.silence()

    def speak(self, name: str) -> None:
        """Let the device's stream protocols answer again."""
        for listener in self._listeners.get(name, ()):
            listener.speak()

    def _on_some_port(self, protocol: str, wanted: int, speakers: Sequence[Endpoint]) -> int:
        for port in (wanted, *[0] * TRIES):
            try:
                return self._open(protocol, port, speakers)
            except OSError as error:
                if error.errno == errno.EMFILE:
                    raise FleetError(_("too many open files: raise the limit (ulimit -n), or take fewer devices")) from None
                if error.errno == errno.EADDRNOTAVAIL:
                    raise FleetError(_("this machine does not answer for all of 127.0.0.0/8; the fleet needs Linux")) from None
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise FleetError(f"{protocol}: {error}") from error
        raise FleetError(_("{protocol}: found no free port").format(protocol=protocol))

    def _open(self, protocol: str, port: int, speakers: Sequence[Endpoint]) -> int:
        """Open a protocol on one port, over UDP, TCP or both, as it is spoken."""
        if protocol not in self._answers:
            return self._open_tcp(protocol, port, speakers)
        found = self._open_udp(protocol, port, speakers)
        if protocol in DIALOGUES:
            try:
                return self._open_tcp(protocol, found, speakers)
            except OSError:
                self._udp.pop().close()
                raise
        return found

    def _open_udp(self, protocol: str, port: int, speakers: Sequence[Endpoint]) -> int:
        packed = {socket.inet_aton(endpoint.model.address): endpoint for endpoint in speakers}
        server = UdpPort(packed, self._answers[protocol], self._clock)
        found = server.open(port)
        self._udp.append(server)
        return found

    def _open_tcp(self, protocol: str, port: int, speakers: Sequence[Endpoint]) -> int:
        tls: ssl.SSLContext | None = tls_context("fleet.invalid", self._days) if protocol == "https" else None
        opened: list[Listener] = []
        try:
            for endpoint in speakers:
                listener = Listener(endpoint, DIALOGUES[protocol], self._clock, tls)
                port = listener.open(port)
                opened.append(listener)
        except OSError:
            for listener in opened:
                listener.close_now()
            raise
        for listener in opened:
            self._listeners.setdefault(listener.endpoint.model.name, []).append(listener)
        return port


def _admit_files(listeners: int) -> None:
    """Raise this process's own limit of open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * listeners + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        top = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (top, hard))
