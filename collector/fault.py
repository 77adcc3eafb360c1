"""Fault: one real thing that is wrong, with its level, its clocks and its life. The records only; `collector.faults` decides.

Times are integer milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from collector.alarm import Alarm, Effect, Severity


class FaultState(StrEnum):
    """Where a fault stands in its life."""

    OPENED = "opened"
    ACCEPTED = "accepted"
    ASSIGNED = "assigned"
    ARRIVED = "arrived"
    RESTORED = "restored"
    OBSERVED = "observed"
    CONFIRMED = "confirmed"
    CLOSED = "closed"
    REOPENED = "reopened"
    MERGED = "merged"  # turned out to be part of another fault


OPEN_STATES = frozenset(FaultState) - {FaultState.CLOSED, FaultState.MERGED}
ACTIVE_STATES = frozenset(
    {FaultState.OPENED, FaultState.ACCEPTED, FaultState.ASSIGNED, FaultState.ARRIVED, FaultState.REOPENED}
)  # still wrong


class ClockState(StrEnum):
    """State of one contract clock."""

    RUNNING = "running"
    MET = "met"
    MISSED = "missed"
    PAUSED = "paused"  # has not started, or was stopped for a reason
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True)
class ClockRecord:
    """One clock of one fault. `due_at` is the deadline in force, `first_due_at` the one it began with."""

    name: str  # respond, remote, arrive, restore, report
    state: ClockState
    started_at: int | None = None
    due_at: int | None = None
    first_due_at: int | None = None
    ended_at: int | None = None  # when it was met
    warned: int = 0  # the last warning given, in percent: 0, 50, 80, 100
    reason: str = ""  # why paused, not applicable, or why the deadline moved


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault as it stands now. `affected` holds device names, sorted, the root's device among them where it is lost."""

    id: str
    site: str
    device: str  # the root's device (an agent's name for a blind agent)
    component: str
    problem: str
    effect: Effect
    severity: Severity
    level: str  # the contract's own id
    level_name: Mapping[str, str]  # language -> name
    level_reason: str
    state: FaultState
    reason: str  # why this is the root: first-failed, behind:..., mains:..., agent-blind
    began_at: int
    opened_at: int
    restored_at: int | None = None
    confirmed_at: int | None = None
    closed_at: int | None = None
    affected: tuple[str, ...] = ()  # now; once restored, all that were
    recovered: tuple[str, ...] = ()  # were affected and are no more, sorted
    behind: int = 0  # devices that depend on the root, affected or not
    person: str = ""
    reopened: int = 0
    merged_into: str = ""
    contributing: tuple[str, ...] = ()  # ids of other faults without which this one were none
    flapping: bool = False
    by_hand: bool = False  # a person holds it open: only a person restores it
    place: str = ""
    region: str = ""
    complexity: str = "simple"  # simple, complex: chooses a clock's allowance where the contract names both
    clocks: Mapping[str, ClockRecord] = field(default_factory=dict)
    history_count: int = 0  # entries written so far; numbers the next one
    due_at: int | None = None  # when the engine itself has to look at it again, clocks apart


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing that happened to a fault. Rows are appended and never altered; `number` counts from 1 in each fault."""

    fault: str
    number: int
    at: int  # event time
    received_at: int  # when the collector learned it
    step: str  # opened, level, affected, root, merged, restored, reopened, clock, flapping, accepted, assigned, note ...
    person: str = ""  # empty: the program
    note: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultView:
    """A fault with all that belongs to it, as the API and the command line show it."""

    fault: Fault
    alarms: tuple[Alarm, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
