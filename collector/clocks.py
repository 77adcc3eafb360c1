"""The contract's clocks of one fault: start, deadline, warnings, met or missed. Pure: records in, records out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from zoneinfo import ZoneInfo

from collector.calendar import deadline
from collector.fault import ClockRecord, ClockState
from config.contract import CLOCKS, Contract

WARNINGS = (50, 80, 100)  # percent of the time allowed
Clocks = Mapping[str, ClockRecord]
_GOING = (ClockState.RUNNING, ClockState.MISSED)


class Clockwork:
    """Computes clocks for one contract in one time zone."""

    def __init__(self, contract: Contract, zone: ZoneInfo) -> None:
        """Use the contract's allowances and calendars, in the site's time zone."""
        self.contract, self.zone = contract, zone

    def due(self, name: str, level: str, region: str, complexity: str, start: int) -> int | None:
        """Return the deadline of a clock that starts at `start` (ms), None where the contract has no such clock."""
        allowance = self.contract.allowance(level, name, region, complexity)
        if allowance is None:
            return None
        return deadline(start, allowance, self.contract.calendars[allowance.calendar], self.zone)

    def started(self, level: str, region: str, complexity: str, opened_at: int) -> dict[str, ClockRecord]:
        """Return all clocks of a fault just opened. One that starts later (on arrival, on restoring) waits as paused."""
        clocks: dict[str, ClockRecord] = {}
        for name in CLOCKS:
            due = self.due(name, level, region, complexity, opened_at)
            begins = self.contract.starts.get(name, "opened")
            if due is None:
                clocks[name] = ClockRecord(name, ClockState.NOT_APPLICABLE)
            elif begins != "opened":
                clocks[name] = ClockRecord(name, ClockState.PAUSED, reason=f"starts when {begins}")
            else:
                clocks[name] = ClockRecord(name, ClockState.RUNNING, opened_at, due, due)
        return clocks

    def raised(self, clocks: Clocks, level: str, region: str, complexity: str, at: int) -> dict[str, ClockRecord]:
        """Return the clocks after the level rose (or the region's or complexity's allowance changed) at `at`.

        A running clock's deadline becomes the earlier of the old one and `at` plus the new allowance; none starts again.
        """
        changed = dict(clocks)
        for name, clock in clocks.items():
            due = self.due(name, level, region, complexity, at)
            if due is None:
                continue
            if clock.state is ClockState.RUNNING and clock.due_at is not None and due < clock.due_at:
                changed[name] = replace(clock, due_at=due, reason="level")
            elif clock.state is ClockState.NOT_APPLICABLE and not clock.reason:
                changed[name] = self._begun(name, due, at)
        return changed

    def _begun(self, name: str, due: int, at: int) -> ClockRecord:
        begins = self.contract.starts.get(name, "opened")
        if begins != "opened":
            return ClockRecord(name, ClockState.PAUSED, reason=f"starts when {begins}")
        return ClockRecord(name, ClockState.RUNNING, at, due, due, reason="level")

    def began(self, clocks: Clocks, event: str, level: str, region: str, complexity: str, at: int) -> dict[str, ClockRecord]:
        """Return the clocks after `event` (arrived, restored), which starts those that waited for it."""
        changed = dict(clocks)
        for name, clock in clocks.items():
            if clock.state is ClockState.PAUSED and self.contract.starts.get(name) == event:
                due = self.due(name, level, region, complexity, at)
                changed[name] = ClockRecord(name, ClockState.RUNNING, at, due, due)
        return changed

    def reopened(self, clocks: Clocks, level: str, region: str, complexity: str, at: int) -> dict[str, ClockRecord]:
        """Return the clocks of a fault reopened at `at`: restore gets a new deadline beside its first, the others stay."""
        changed = dict(clocks)
        due = self.due("restore", level, region, complexity, at)
        old = clocks.get("restore")
        if due is not None and old is not None:
            changed["restore"] = ClockRecord("restore", ClockState.RUNNING, at, due, old.first_due_at, reason="reopened")
        return changed


def met(clocks: Clocks, name: str, at: int) -> dict[str, ClockRecord]:
    """Return the clocks after what `name` measures was done at event time `at`. Missed stays missed unless it was in time."""
    clock = clocks.get(name)
    if clock is None or clock.state not in _GOING or clock.due_at is None or clock.ended_at is not None:
        return dict(clocks)
    state = ClockState.MET if at <= clock.due_at else ClockState.MISSED
    return {**clocks, name: replace(clock, state=state, ended_at=at)}


def dropped(clocks: Clocks, names: tuple[str, ...], reason: str) -> dict[str, ClockRecord]:
    """Return the clocks after those named became pointless before they were due; what was met or missed stays so."""
    changed = dict(clocks)
    for name in names:
        clock = clocks.get(name)
        if clock is not None and clock.state is ClockState.RUNNING:
            changed[name] = replace(clock, state=ClockState.NOT_APPLICABLE, reason=reason)
    return changed


def warning_at(clock: ClockRecord) -> tuple[int, int] | None:
    """Return (percent, time) of the next warning a clock owes, None if it owes none."""
    if clock.state is not ClockState.RUNNING or clock.due_at is None or clock.started_at is None:
        return None
    for percent in WARNINGS:
        if percent > clock.warned:
            return percent, clock.started_at + (clock.due_at - clock.started_at) * percent // 100
    return None


def advanced(clock: ClockRecord, now: int) -> tuple[ClockRecord, int]:
    """Return the clock at `now` and the highest warning that has come due since (0 for none). At 100 it is missed."""
    warned = 0
    while (owed := warning_at(clock)) is not None and owed[1] <= now:
        warned = owed[0]
        clock = replace(clock, warned=warned, state=ClockState.MISSED if warned == 100 else clock.state)
    return clock, warned


def next_due(clocks: Clocks) -> int | None:
    """Return when the next warning of any of the clocks is due (ms), None for never."""
    return min((owed[1] for clock in clocks.values() if (owed := warning_at(clock))), default=None)
