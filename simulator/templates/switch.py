"""An Ethernet switch: system group, interfaces, one CPU and memory as HOST-RESOURCES."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.host import Load, host_entries
from simulator.mib import Entry
from simulator.model import Act, Model
from simulator.spec import DeviceSpec, StepSpec


class Switch(Model):
    """Ports are named as on the switches of the field: ``GigabitEthernet1/0/1``."""

    product: ClassVar[str] = "access switch S24"

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        """Make a switch with `spec.ports` ports, the last `spec.unused` of them administratively down."""
        super().__init__(spec, seed)
        self.load = Load(cpu=self.random.uniform(0.05, 0.3), memory=self.random.uniform(0.3, 0.6))

    @classmethod
    def port_names(cls, spec: DeviceSpec) -> tuple[str, ...]:
        """Return the names of the ports."""
        return tuple(f"GigabitEthernet1/0/{number}" for number in range(1, spec.ports + 1))

    def entries(self) -> list[Entry]:
        """Return the MIB objects."""
        return [*super().entries(), *host_entries(disks=0)]

    def _cpu_load(self, step: StepSpec, now: float) -> None:
        self.load.cpu = step.value

    def _errors(self, step: StepSpec, now: float) -> None:
        index = self.interfaces.index_of(step.port)
        assert index is not None  # the scenario has been checked
        self.interfaces.set_errors(index, step.value, now)

    actions: ClassVar[Mapping[str, Act]] = {"cpu-load": _cpu_load, "port-errors": _errors}
