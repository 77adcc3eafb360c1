"""The typed records of a maintenance contract: levels, clocks, calendars. Loading is in `config.contract_load`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

CLOCKS = ("respond", "remote", "arrive", "restore", "report")
EFFECTS = ("outage", "protection", "degraded")
SEVERITIES = ("critical", "major", "minor", "warning", "indeterminate")
STARTS = ("opened", "arrived", "restored")
ALWAYS = "24x7"

Names = Mapping[str, str]  # language (en, zh) -> text


@dataclass(frozen=True, slots=True)
class Calendar:
    """When a clock counts: days of the week (0 is Monday) and spans of each such day, in minutes from midnight, local time."""

    name: str
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)
    spans: tuple[tuple[int, int], ...] = ((0, 1440),)

    @property
    def day_seconds(self) -> int:
        """Seconds that count in one of its days."""
        return sum(end - start for start, end in self.spans) * 60


@dataclass(frozen=True, slots=True)
class Allowance:
    """How long a clock may run: seconds of its calendar; or, with `end_of_day`, to the end of that many working days on."""

    seconds: float = 0.0
    days: int = 0  # working days of the calendar
    end_of_day: bool = False  # "next working day": the end of it
    calendar: str = ALWAYS


@dataclass(frozen=True, slots=True)
class DeviceFilter:
    """Which devices a condition speaks of. An empty tuple admits every one."""

    classes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    region: str = ""


@dataclass(frozen=True, slots=True)
class RootCondition:
    """What must be so of the root's device."""

    which: DeviceFilter = field(default_factory=DeviceFilter)
    lost: bool | None = None  # its own main function is gone, not only a port or its mains
    dependants: bool | None = None  # other devices are behind it or powered by it
    all_behind: bool = False  # there are some, and every one of them is affected


@dataclass(frozen=True, slots=True)
class CountCondition:
    """At least `count` devices of the filter are affected, and at least `share` of all such devices of the site."""

    which: DeviceFilter = field(default_factory=DeviceFilter)
    count: int = 1
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class PlaceCondition:
    """At least `count` places are hit: all devices of the filter in it affected (`whole`), or any (`touched`).

    By `place` devices without one form one place, the site; by `node` each of them is a place of its own.
    """

    which: DeviceFilter = field(default_factory=DeviceFilter)
    count: int = 1
    whole: bool = True
    by: str = "place"


@dataclass(frozen=True, slots=True)
class Condition:
    """One way for a fault to be of a level: everything that is stated must hold. Words may hold ``*`` (fnmatch)."""

    effects: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    root: RootCondition | None = None
    affected: CountCondition | None = None
    places: PlaceCondition | None = None
    ring_ends: tuple[str, ...] = ()  # roles: both ends of the lost link have one of them
    during: str = ""  # a calendar in force at the time
    text: str = ""  # the condition as written, for the reason shown


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the contract. `clocks` gives each clock's allowances by region, by complexity or under ``""`` for any."""

    id: str
    name: Names
    when: tuple[Condition, ...]
    clocks: Mapping[str, Mapping[str, Allowance]]


@dataclass(frozen=True, slots=True)
class WarningRule:
    """Whether an alarm of severity *warning* opens a record (of the lowest level), and for which problems it does not."""

    opens: bool = True
    never: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contract:
    """One maintenance contract. `levels` run from the highest to the lowest; the first that matches is a fault's level."""

    name: str
    title: Names
    levels: tuple[Level, ...]
    calendars: Mapping[str, Calendar]
    starts: Mapping[str, str] = field(default_factory=dict)  # clock -> opened, arrived, restored
    warnings: WarningRule = field(default_factory=WarningRule)
    complex_when: tuple[Condition, ...] = ()

    def rank(self, level: str) -> int:
        """Return 0 for the highest level.

        Raises:
            KeyError: the contract has no such level.
        """
        for at, candidate in enumerate(self.levels):
            if candidate.id == level:
                return at
        raise KeyError(level)

    def allowance(self, level: str, clock: str, region: str, complexity: str) -> Allowance | None:
        """Return how long the clock may run, or None where the contract has no such clock at this level."""
        choices = self.levels[self.rank(level)].clocks.get(clock, {})
        for key in (region, complexity, ""):
            if key in choices:
                return choices[key]
        return None


def load_contract(name: str | Path) -> Contract:
    """Return a shipped contract by its name, or an operator's own by the path of its YAML file.

    Raises:
        ConfigErrors: there is no such contract, or its file is wrong; every error with its line.
    """
    from config.contract_load import read_contract  # the loader needs these records

    return read_contract(name)
