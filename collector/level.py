"""Finds a fault's level: the first condition of the contract that its impact meets. Pure; the reason is its text."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from collector.alarm import Effect, Severity
from collector.calendar import counts
from config.contract import Condition, Contract, CountCondition, DeviceFilter, Level, PlaceCondition, RootCondition
from config.site import Device


@dataclass(frozen=True, slots=True)
class Impact:
    """What is known of a fault when its level is looked for. `lost` are the devices without their service."""

    at: int
    effect: Effect
    severity: Severity
    problems: Collection[str]
    root: str
    lost: Collection[str] = ()
    behind: int = 0  # how many depend on the root
    behind_lost: int = 0  # how many of them are lost
    ring_ends: tuple[str, ...] = ()  # roles at both ends of a lost link
    blind: bool = False  # an agent is, and nothing else confirms the loss


@dataclass(frozen=True, slots=True)
class Found:
    """A level and why."""

    level: Level
    reason: str


def _admits(which: DeviceFilter, device: Device) -> bool:
    return (
        (not which.classes or device.device_class in which.classes)
        and (not which.roles or device.role in which.roles)
        and (not which.region or device.region == which.region)
    )


def _matches(words: Iterable[str], patterns: Collection[str]) -> bool:
    return any(fnmatchcase(word, pattern) for word in words for pattern in patterns)


@dataclass(slots=True)
class _Census:
    """How many devices of each filter a site has, in all and by place; counted once for each filter."""

    devices: Mapping[str, Device]
    totals: dict[DeviceFilter, int] = field(default_factory=dict)
    places: dict[tuple[DeviceFilter, str], Counter[str]] = field(default_factory=dict)

    def total(self, which: DeviceFilter) -> int:
        if which not in self.totals:
            self.totals[which] = sum(_admits(which, device) for device in self.devices.values())
        return self.totals[which]

    def by_place(self, which: DeviceFilter, by: str) -> Counter[str]:
        if (which, by) not in self.places:
            admitted = (device for device in self.devices.values() if _admits(which, device))
            self.places[which, by] = Counter(place_of(device, by) for device in admitted)
        return self.places[which, by]


def place_of(device: Device, by: str = "place") -> str:
    """Return the place a device counts for: its own; where it has none, the site (empty), or by node itself."""
    return device.place or (f"\0{device.name}" if by == "node" else "")


class Levels:
    """Judges impacts for one contract and one site's devices. One judgement is linear in the devices lost."""

    def __init__(self, contract: Contract, devices: Mapping[str, Device], zone: ZoneInfo) -> None:
        """Keep the contract, and count beforehand what its conditions will ask for: 10 ms for 10,000 devices."""
        self.contract, self.devices, self.zone = contract, devices, zone
        self._census = _Census(devices)
        for level in contract.levels:
            for condition in level.when:
                if condition.affected is not None:
                    self._census.total(condition.affected.which)
                if condition.places is not None:
                    self._census.by_place(condition.places.which, condition.places.by)

    def find(self, impact: Impact) -> Found:
        """Return the level of an impact and the reason. A warning is of the lowest level, whatever else it says."""
        if impact.severity is Severity.WARNING:
            return Found(self.contract.levels[-1], "severity warning")
        found = self._first(impact)
        if impact.blind and len(self.contract.levels) > 1 and found.level is self.contract.levels[0]:
            return Found(self.contract.levels[1], f"{found.reason}; capped: only the agent says so")
        return found

    def _first(self, impact: Impact) -> Found:
        for level in self.contract.levels:
            for condition in level.when:
                if self._holds(condition, impact):
                    return Found(level, condition.text or "any other fault")
        return Found(self.contract.levels[-1], "any other fault")

    def is_complex(self, impact: Impact) -> bool:
        """Return whether the contract counts the fault as a complex one."""
        return any(self._holds(condition, impact) for condition in self.contract.complex_when)

    def opens(self, severity: Severity, problem: str) -> bool:
        """Return whether an alarm of this severity may open a fault of its own."""
        if severity is Severity.INDETERMINATE:
            return False
        if severity is Severity.WARNING:
            rule = self.contract.warnings
            return rule.opens and not _matches([problem], rule.never)
        return True

    def _holds(self, condition: Condition, impact: Impact) -> bool:
        checks: tuple[tuple[object, Callable[[], bool]], ...] = (
            (condition.effects, lambda: impact.effect in condition.effects),
            (condition.problems, lambda: _matches(impact.problems, condition.problems)),
            (condition.severities, lambda: impact.severity in condition.severities),
            (condition.ring_ends, lambda: _both_ends(condition.ring_ends, impact.ring_ends)),
            (condition.during, lambda: counts(self.contract.calendars[condition.during], impact.at, self.zone)),
            (condition.root, lambda: condition.root is not None and self._root(condition.root, impact)),
            (condition.affected, lambda: condition.affected is not None and self._affected(condition.affected, impact)),
            (condition.places, lambda: condition.places is not None and self._places(condition.places, impact)),
        )
        return all(check() for stated, check in checks if stated)

    def _root(self, wanted: RootCondition, impact: Impact) -> bool:
        device = self.devices.get(impact.root)
        if device is None or not _admits(wanted.which, device):
            return False
        if wanted.lost is not None and wanted.lost != (impact.root in impact.lost):
            return False
        if wanted.dependants is not None and wanted.dependants != (impact.behind > 0):
            return False
        return not wanted.all_behind or 0 < impact.behind <= impact.behind_lost

    def _affected(self, wanted: CountCondition, impact: Impact) -> bool:
        found = sum(1 for name in impact.lost if name in self.devices and _admits(wanted.which, self.devices[name]))
        least = math.ceil(wanted.share * self._census.total(wanted.which) - 1e-9)
        return found >= max(wanted.count, least)

    def _places(self, wanted: PlaceCondition, impact: Impact) -> bool:
        hit: dict[str, int] = defaultdict(int)
        for name in impact.lost:
            device = self.devices.get(name)
            if device is not None and _admits(wanted.which, device):
                hit[place_of(device, wanted.by)] += 1
        if not wanted.whole:
            return len(hit.keys() - {""}) >= wanted.count
        all_of = self._census.by_place(wanted.which, wanted.by)
        return sum(1 for place, lost in hit.items() if lost >= all_of[place]) >= wanted.count


def _both_ends(roles: Collection[str], ends: tuple[str, ...]) -> bool:
    return len(ends) >= 2 and all(end in roles for end in ends)
