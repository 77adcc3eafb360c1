"""The question `tcp`: does a port accept a connection, and how soon. Sends nothing and reads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.language import _
from config.profile import Step
from config.site import Device, Site
from probes.connect import ConnectFailed, connect
from probes.labels import base_labels
from probes.outcome import Outcome
from probes.reason import Reason
from probes.sample import series_key
from probes.step import Options

if TYPE_CHECKING:
    from probes.net import Net


def compile_tcp(site: Site, device: Device, step: Step) -> TcpQuestion:
    """Compile a step. Option: `port` (1 to 65535; else the device's own ``ports: {tcp: ...}``, else 80).

    A device whose ``ports`` has an entry of the step's name (``rtsp``, ``sip``) is asked there, whatever the profile says.

    Raises:
        OptionError: an option is wrong or unknown.
    """
    options = Options(step)
    usual = options.integer("port", device.ports.get("tcp", 80), 1, 65535)
    options.done()
    port = device.ports.get(step.name, usual)
    key = series_key("tcp_connect_seconds", {**base_labels(site, device), "port": str(port)})
    return TcpQuestion(device.address, port, key)


class TcpQuestion:
    """One connection, closed at once. Sample: tcp_connect_seconds{port}."""

    __slots__ = ("_host", "_key", "_port")

    def __init__(self, host: str, port: int, key: bytes) -> None:
        self._host = host
        self._port = port
        self._key = key

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        """Connect within `timeout_s` seconds, name resolution included."""
        try:
            sock, phases = await connect(net, self._host, self._port, timeout_s)
        except ConnectFailed as failure:
            detail = _("port {port}").format(port=self._port)
            return Outcome(failure.reason, net.clock.now(), detail=detail, phases=failure.phases)
        sock.close()
        return Outcome(Reason.OK, net.clock.now(), self._key, (phases["connect"],), phases=phases)
