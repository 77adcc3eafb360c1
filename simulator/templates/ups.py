"""A UPS (UPS-MIB, RFC 1628): a battery that runs down while the mains are out, and what it feeds goes dark with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.mib import Entry, counter32, gauge32, integer, octets
from simulator.model import Act, Model
from simulator.spec import DeviceSpec, StepSpec

UPS = (1, 3, 6, 1, 2, 1, 33, 1)
SOURCE_NONE, SOURCE_NORMAL, SOURCE_BATTERY = 2, 3, 5
BATTERY_NORMAL, BATTERY_LOW, BATTERY_DEPLETED = 2, 3, 4
LOW_S = 300.0  # upsConfigLowBattTime
RECHARGE_TIMES = 0.1  # charging takes ten times as long as discharging


class Ups(Model):
    """Charge falls by 1/runtime each second on battery, `faster` times as quickly where a scenario says so."""

    product: ClassVar[str] = "line-interactive UPS 1500 VA"

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        """Make a UPS on mains with a full battery that lasts `spec.runtime_s` seconds."""
        super().__init__(spec, seed)
        self.runtime_s = spec.runtime_s
        self.mains = True
        self.charge = 1.0
        self.faster = 1.0
        self.failed_at = 0.0  # when the mains failed last
        self.outages = 0
        self.load = self.random.uniform(0.2, 0.6)
        self._moved_to = 0.0

    def advance(self, now: float) -> None:
        """Charge or discharge up to `now`."""
        step_s, self._moved_to = now - self._moved_to, now
        pace = self.faster / self.runtime_s * (RECHARGE_TIMES if self.mains else -1.0)
        self.charge = min(1.0, max(0.0, self.charge + pace * step_s))

    @property
    def powering(self) -> bool:
        """Return whether the output has current."""
        return self.mains or self.charge > 0

    @property
    def source(self) -> int:
        """Return upsOutputSource."""
        return SOURCE_NORMAL if self.mains else SOURCE_BATTERY if self.charge > 0 else SOURCE_NONE

    @property
    def remaining_s(self) -> float:
        """Return the runtime that the card estimates, in seconds."""
        return self.charge * self.runtime_s

    def battery_status(self) -> int:
        """Return upsBatteryStatus."""
        if self.charge <= 0:
            return BATTERY_DEPLETED
        return BATTERY_LOW if not self.mains and self.remaining_s < LOW_S else BATTERY_NORMAL

    def seconds_on_battery(self, now: float) -> int:
        """Return upsSecondsOnBattery, 0 on mains."""
        return 0 if self.mains else max(1, int((now - self.failed_at) * self.faster))

    def alarms(self) -> int:
        """Return upsAlarmsPresent: on battery, and battery low."""
        return 0 if self.mains else 1 + (self.battery_status() != BATTERY_NORMAL)

    def entries(self) -> list[Entry]:
        """Return the MIB objects."""
        return [*super().entries(), *_ident(), *_battery(), *_lines()]

    def _mains_fail(self, step: StepSpec, now: float) -> None:
        if self.mains:
            self.mains, self.failed_at, self.faster = False, now, step.faster
            self.outages += 1

    def _mains_return(self, step: StepSpec, now: float) -> None:
        self.mains = True

    def _runtime(self, step: StepSpec, now: float) -> None:
        self.charge = min(1.0, step.value / self.runtime_s)

    actions: ClassVar[Mapping[str, Act]] = {
        "mains-fails": _mains_fail,
        "mains-returns": _mains_return,
        "ups-runtime": _runtime,
    }


def _ident() -> list[Entry]:
    return [
        Entry((*UPS, 1, 1, 0), lambda m, now: octets(m.vendor)),
        Entry((*UPS, 1, 2, 0), lambda m, now: octets(m.product)),
        Entry((*UPS, 1, 3, 0), lambda m, now: octets(m.firmware)),
        Entry((*UPS, 1, 4, 0), lambda m, now: octets(m.firmware)),
        Entry((*UPS, 1, 5, 0), lambda m, now: octets(m.name)),
        Entry((*UPS, 6, 1, 0), lambda m, now: gauge32(m.alarms())),
    ]


def _battery() -> list[Entry]:
    return [
        Entry((*UPS, 2, 1, 0), lambda m, now: integer(m.battery_status())),
        Entry((*UPS, 2, 2, 0), lambda m, now: integer(m.seconds_on_battery(now))),
        Entry((*UPS, 2, 3, 0), lambda m, now: integer(int(m.remaining_s / 60))),
        Entry((*UPS, 2, 4, 0), lambda m, now: integer(round(m.charge * 100))),
        Entry((*UPS, 2, 5, 0), lambda m, now: integer(round(220 + m.charge * 54))),
        Entry((*UPS, 2, 6, 0), lambda m, now: integer(0 if m.mains else 180)),
        Entry((*UPS, 2, 7, 0), lambda m, now: integer(24)),
    ]


def _lines() -> list[Entry]:
    return [
        Entry((*UPS, 3, 1, 0), lambda m, now: counter32(m.outages)),
        Entry((*UPS, 3, 2, 0), lambda m, now: integer(1)),
        Entry((*UPS, 3, 3, 1, 2, 1), lambda m, now: integer(500 if m.mains else 0)),
        Entry((*UPS, 3, 3, 1, 3, 1), lambda m, now: integer(229 if m.mains else 0)),
        Entry((*UPS, 4, 1, 0), lambda m, now: integer(m.source)),
        Entry((*UPS, 4, 2, 0), lambda m, now: integer(500 if m.powering else 0)),
        Entry((*UPS, 4, 3, 0), lambda m, now: integer(1)),
        Entry((*UPS, 4, 4, 1, 2, 1), lambda m, now: integer(230 if m.powering else 0)),
        Entry((*UPS, 4, 4, 1, 4, 1), lambda m, now: integer(round(900 * m.load) if m.powering else 0)),
        Entry((*UPS, 4, 4, 1, 5, 1), lambda m, now: integer(round(100 * m.load) if m.powering else 0)),
        Entry((*UPS, 7, 3, 0), lambda m, now: integer(1)),
        Entry((*UPS, 9, 7, 0), lambda m, now: integer(int(LOW_S / 60))),
    ]
