"""A video-conference codec: SIP over UDP, a web page, SNMP system group and one interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.model import Act, Model
from simulator.spec import DeviceSpec, StepSpec

OK, BUSY, UNAVAILABLE = 200, 486, 503


class Codec(Model):
    """Answers OPTIONS as it would an INVITE (RFC 3261 section 11.2)."""

    protocols: ClassVar[tuple[str, ...]] = ("snmp", "http", "https", "sip")
    product: ClassVar[str] = "room codec"

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        """Make a codec that would take a call."""
        super().__init__(spec, seed)
        self.sip_status = OK

    def _busy(self, step: StepSpec, now: float) -> None:
        self.sip_status = BUSY

    def _fail(self, step: StepSpec, now: float) -> None:
        self.sip_status = UNAVAILABLE

    def _free(self, step: StepSpec, now: float) -> None:
        self.sip_status = OK

    actions: ClassVar[Mapping[str, Act]] = {"call-starts": _busy, "call-ends": _free, "sip-fails": _fail, "sip-returns": _free}
