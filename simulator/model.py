"""What every simulated device is and does: identity, uptime, interfaces, actions. Classes add their own in `templates/`.

Time is `now`, float seconds since the fleet started, always an argument. A model never does I/O.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from simulator.interfaces import Interfaces, interface_entries
from simulator.mib import Entry, object_id, octets, ticks
from simulator.spec import DeviceSpec, StepSpec

SYSTEM = (1, 3, 6, 1, 2, 1, 1)
DAY_S = 86_400.0

Act = Callable[[Any, StepSpec, float], None]  # (model of the class that has the action, step, now)


class Model:
    """One simulated device. Subclasses name the protocols they speak, their MIB objects and their actions."""

    protocols: ClassVar[tuple[str, ...]] = ("snmp",)
    vendor: ClassVar[str] = "Example"
    product: ClassVar[str] = "simulated device"
    firmware: ClassVar[str] = "1.0"
    object_id: ClassVar[tuple[int, ...]] = (1, 3, 6, 1, 4, 1, 8072, 3, 2, 10)
    actions: ClassVar[Mapping[str, Act]] = {}

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        """Make the device as its specification says; `seed` decides what the specification leaves open."""
        self.name = spec.name
        self.place = spec.place
        self.address = spec.address
        self.random = random.Random(f"{seed}/{spec.name}")  # noqa: S311 - a simulated fleet, no secret depends on it
        self.serial = f"SIM{self.random.randrange(10**8):08d}"
        self.booted = -DAY_S * self.random.uniform(2, 200)
        self.boots = 1  # snmpEngineBoots
        self.interfaces = Interfaces(self.port_names(spec), self.booted, self.random.randrange(1 << 30), spec.unused)

    @classmethod
    def port_names(cls, spec: DeviceSpec) -> tuple[str, ...]:
        """Return the names of the device's interfaces, in order of their index."""
        return ("eth0",)

    @classmethod
    def parts(cls, spec: DeviceSpec, action: str) -> tuple[str, ...]:
        """Return what an action's `part` may name."""
        return ()

    @property
    def shape(self) -> tuple[object, ...]:
        """Return what decides the device's MIB layout; devices of one shape share one."""
        return (type(self).__name__, self.interfaces.count)

    def entries(self) -> list[Entry]:
        """Return the MIB objects of this shape."""
        return [*system_entries(), *interface_entries(self.interfaces.count)]

    def advance(self, now: float) -> None:
        """Move what changes by itself on to `now`. Most devices have nothing to move: their counters are functions of time."""

    @property
    def powering(self) -> bool:
        """Return whether what the device powers has current; only a UPS ever says no."""
        return True

    def reboot(self, now: float) -> None:
        """Start again: uptime and counters begin at zero."""
        self.booted = now
        self.boots += 1
        self.interfaces.restart(now)

    def act(self, step: StepSpec, now: float) -> None:
        """Do what one step of a timeline says. The scenario has been checked: the class knows the action."""
        self.advance(now)
        self.actions[step.do](self, step, now)

    def uptime_ticks(self, now: float) -> int:
        """Return sysUpTime in hundredths of a second, before it wraps."""
        return int((now - self.booted) * 100)

    def description(self) -> str:
        """Return sysDescr."""
        return f"{self.vendor} {self.product}, firmware {self.firmware}, serial {self.serial} (simulated)"


def system_entries() -> list[Entry]:
    """Return the system group (RFC 3418)."""
    return [
        Entry((*SYSTEM, 1, 0), lambda m, now: octets(m.description())),
        Entry((*SYSTEM, 2, 0), lambda m, now: object_id(m.object_id)),
        Entry((*SYSTEM, 3, 0), lambda m, now: ticks(m.uptime_ticks(now))),
        Entry((*SYSTEM, 4, 0), lambda m, now: octets("duty desk")),
        Entry((*SYSTEM, 5, 0), lambda m, now: octets(m.name)),
        Entry((*SYSTEM, 6, 0), lambda m, now: octets(m.place)),
    ]
