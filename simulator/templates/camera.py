"""A fixed camera: RTSP with a stream that may stop, a web page, SNMP system group and one interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.model import Act, Model
from simulator.spec import DeviceSpec, StepSpec


class Camera(Model):
    """Answers RTSP on any path; the encoder is either streaming or not."""

    protocols: ClassVar[tuple[str, ...]] = ("snmp", "http", "rtsp")
    product: ClassVar[str] = "dome camera 4 MP"

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        """Make a camera that streams."""
        super().__init__(spec, seed)
        self.streaming = True

    def _stop(self, step: StepSpec, now: float) -> None:
        self.streaming = False

    def _start(self, step: StepSpec, now: float) -> None:
        self.streaming = True

    actions: ClassVar[Mapping[str, Act]] = {"stream-stops": _stop, "stream-returns": _start}
