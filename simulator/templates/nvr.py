"""A network video recorder: channels that record or not, disks that work or not, told over HTTP as ISAPI does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.model import Act, Model
from simulator.spec import DeviceSpec, StepSpec

DISKS = 4


class Nvr(Model):
    """Channels and disks are numbered from 1."""

    protocols: ClassVar[tuple[str, ...]] = ("snmp", "http", "rtsp")
    product: ClassVar[str] = "network video recorder"

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        """Make a recorder with `spec.ports` channels, all recording, and four good disks."""
        super().__init__(spec, seed)
        self.streaming = True
        self.recording = dict.fromkeys(range(1, spec.ports + 1), True)
        self.disks_ok = dict.fromkeys(range(1, DISKS + 1), True)

    @classmethod
    def parts(cls, spec: DeviceSpec, action: str) -> tuple[str, ...]:
        """Return the channels, or the disks."""
        return tuple(str(number) for number in range(1, 1 + (DISKS if action.startswith("disk") else spec.ports)))

    def _stop(self, step: StepSpec, now: float) -> None:
        self.recording[int(step.part)] = False

    def _start(self, step: StepSpec, now: float) -> None:
        self.recording[int(step.part)] = True

    def _fail(self, step: StepSpec, now: float) -> None:
        self.disks_ok[int(step.part)] = False

    def _replace(self, step: StepSpec, now: float) -> None:
        self.disks_ok[int(step.part)] = True

    actions: ClassVar[Mapping[str, Act]] = {
        "recording-stops": _stop,
        "recording-returns": _start,
        "disk-fails": _fail,
        "disk-replaced": _replace,
    }
