"""A server: HOST-RESOURCES processor, memory and disks, a web page, a service that greets on TCP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.host import Load, host_entries
from simulator.mib import Entry
from simulator.model import Act, Model
from simulator.spec import DeviceSpec, StepSpec

MOUNTS = ("/", "/var", "/data")


class Server(Model):
    """Three disks by mount point; loads are ratios from 0 to 1."""

    protocols: ClassVar[tuple[str, ...]] = ("snmp", "http", "banner")
    product: ClassVar[str] = "rack server"

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        """Make a server with moderate load."""
        super().__init__(spec, seed)
        disks = {mount: self.random.uniform(0.2, 0.7) for mount in MOUNTS}
        self.load = Load(cpu=self.random.uniform(0.05, 0.4), memory=self.random.uniform(0.3, 0.7), disks=disks)

    @classmethod
    def parts(cls, spec: DeviceSpec, action: str) -> tuple[str, ...]:
        """Return the mount points."""
        return MOUNTS

    def entries(self) -> list[Entry]:
        """Return the MIB objects."""
        return [*super().entries(), *host_entries(disks=len(MOUNTS))]

    def _cpu_load(self, step: StepSpec, now: float) -> None:
        self.load.cpu = step.value

    def _storage(self, step: StepSpec, now: float) -> None:
        self.load.disks[step.part] = step.value

    actions: ClassVar[Mapping[str, Act]] = {"cpu-load": _cpu_load, "storage-used": _storage}
