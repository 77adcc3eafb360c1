"""What a counter's or an uptime's next value means: went on, wrapped, was reset, or cannot be said. Pure decisions.

Never turns silence into zero: without two readings there is no rate, and an unexplained decrease is no rate either.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TICKS_WRAP_S = (1 << 32) / 100  # TimeTicks: 497.1 days
MIN_TOLERANCE_S = 60.0
TOLERANCE = 0.05  # of the time between two readings
LINE_RATE_MARGIN = 1.1


class Change(StrEnum):
    """What happened between two readings."""

    FIRST = "first"  # there is nothing to compare with
    WENT_ON = "went_on"
    WRAPPED = "wrapped"
    REBOOTED = "rebooted"
    AGENT_RESTARTED = "agent_restarted"  # the SNMP agent started anew, the device did not
    UNKNOWN = "unknown"  # no witness in common


@dataclass(frozen=True, slots=True)
class Uptime:
    """What a device says of its age: sysUpTime, hrSystemUptime, snmpEngineTime in seconds, and snmpEngineBoots."""

    sys: float | None = None
    host: float | None = None
    engine: float | None = None
    boots: int | None = None


def uptime_change(old: Uptime, new: Uptime, elapsed_s: float) -> Change:
    """Return what happened in the `elapsed_s` seconds between two readings.

    The host's own age (hrSystemUptime) is believed first, then snmpEngineBoots, snmpEngineTime (which does not wrap), and
    last sysUpTime, whose decrease is a reboot only if the wrap after 497.1 days does not explain it.
    """
    sys = _ticks_change(old.sys, new.sys, elapsed_s)
    host = _ticks_change(old.host, new.host, elapsed_s)
    if host is not Change.UNKNOWN:
        restarted = host is not Change.REBOOTED and sys is Change.REBOOTED
        return Change.AGENT_RESTARTED if restarted else host
    if old.boots is not None and new.boots is not None and new.boots > old.boots:
        return Change.REBOOTED
    if old.engine is not None and new.engine is not None:
        if new.engine < old.engine:
            return Change.REBOOTED
        return Change.WRAPPED if sys in (Change.WRAPPED, Change.REBOOTED) else Change.WENT_ON
    return sys


def _ticks_change(old: float | None, new: float | None, elapsed_s: float) -> Change:
    if old is None or new is None:
        return Change.UNKNOWN
    tolerance = max(MIN_TOLERANCE_S, TOLERANCE * elapsed_s)
    expected = old + elapsed_s
    off = abs(new - expected % TICKS_WRAP_S)
    as_expected = min(off, TICKS_WRAP_S - off) < tolerance
    if new < old:
        return Change.WRAPPED if as_expected and expected + tolerance >= TICKS_WRAP_S else Change.REBOOTED
    if new + tolerance < elapsed_s and not as_expected:
        return Change.REBOOTED  # older than its own age when last seen
    return Change.WENT_ON


class UptimeTracker:
    """Follows one device's uptime; counts its reboots since this agent started to look."""

    __slots__ = ("_at", "_last", "_wraps", "reboots")

    def __init__(self) -> None:
        self.reboots = 0
        self._last: Uptime | None = None
        self._at = 0.0
        self._wraps = 0

    def observe(self, new: Uptime, at_s: float) -> Change:
        """Take a reading at `at_s` (monotonic seconds) and return what happened since the one before."""
        change = Change.FIRST if self._last is None else uptime_change(self._last, new, at_s - self._at)
        if change is Change.REBOOTED:
            self.reboots += 1
        if change in (Change.REBOOTED, Change.AGENT_RESTARTED):
            self._wraps = 0
        if change is Change.WRAPPED:
            self._wraps += 1
        self._last, self._at = new, at_s
        return change

    def uptime_s(self) -> float | None:
        """Return the device's age in seconds, wraps seen by this agent added; None before the first reading."""
        last = self._last or Uptime()
        if last.engine is not None and last.host is None:
            return last.engine
        ticks = last.host if last.host is not None else last.sys
        return None if ticks is None else ticks + self._wraps * TICKS_WRAP_S


class RateReason(StrEnum):
    """Why there is a rate, or none."""

    OK = "ok"
    FIRST = "first"
    WRAPPED = "wrapped"  # a rate, across one wrap of 32 bits
    CACHED = "cached"  # the device repeated its last answer
    RESET = "reset"
    AMBIGUOUS = "ambiguous"  # it may have wrapped more than once, or no time passed


@dataclass(frozen=True, slots=True)
class Reading:
    """A counter at one moment: value, monotonic seconds, and the device's uptime then (None if not asked)."""

    value: int
    at_s: float
    uptime_s: float | None = None
    discontinuity: int = 0  # ifCounterDiscontinuityTime


@dataclass(frozen=True, slots=True)
class Rate:
    """Units per second, or None, and why."""

    reason: RateReason
    per_second: float | None = None


def rate(old: Reading | None, new: Reading, *, bits: int, line_rate: float | None, rebooted: bool = False) -> Rate:
    """Return the rate between two readings of a counter of 32 or 64 bits.

    `line_rate` is the most that can pass in units per second (ifHighSpeed), None if unknown. Never returns a negative rate,
    nor one above 1.1 times the line rate. A reset that nothing tells of and that looks like traffic cannot be seen.
    """
    if old is None:
        return Rate(RateReason.FIRST)
    elapsed = new.at_s - old.at_s
    if rebooted or new.discontinuity != old.discontinuity:
        return Rate(RateReason.RESET)
    if new.value == old.value and new.uptime_s is not None and new.uptime_s == old.uptime_s:
        return Rate(RateReason.CACHED)
    if elapsed <= 0 or (bits == 32 and line_rate and elapsed > (1 << 32) / line_rate / 2):
        return Rate(RateReason.AMBIGUOUS)
    if new.value >= old.value:
        return _bounded(RateReason.OK, new.value - old.value, elapsed, line_rate)
    if bits == 32 and line_rate:
        return _bounded(RateReason.WRAPPED, new.value - old.value + (1 << 32), elapsed, line_rate)
    return Rate(RateReason.RESET)


def _bounded(reason: RateReason, moved: int, elapsed_s: float, line_rate: float | None) -> Rate:
    per_second = moved / elapsed_s
    if line_rate and per_second > LINE_RATE_MARGIN * line_rate:
        return Rate(RateReason.RESET)
    return Rate(reason, per_second)
