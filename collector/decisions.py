"""What the fault engine decided: plain records, to be stored in one transaction with the batch that caused them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from collector.alarm import Alarm, AlarmChange, AlarmKey
from collector.fault import Fault, HistoryEntry


@dataclass(frozen=True, slots=True)
class DeviceReach:
    """What was last said about reaching a device, kept so that a restart decides the same."""

    device: str
    state: str  # a probes.sample.ReachState value
    reason: str
    since: int
    at: int
    via: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to tell the world. `key` makes it idempotent: it is written once and never again with another meaning."""

    key: str  # fault id and history number
    fault: str
    kind: str  # opened, raised, restored, reopened, merged, clock-warning, clock-missed, accepted ...
    at: int
    payload: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decisions:
    """What to store. Alarms and faults are full records that replace what was stored; the rest is appended."""

    alarms: tuple[Alarm, ...] = ()
    forgotten: tuple[AlarmKey, ...] = ()  # alarms of no further interest: cleared, in no fault
    departed: tuple[tuple[str, AlarmKey], ...] = ()  # (fault, alarm): it turned out not to belong there
    alarm_changes: tuple[AlarmChange, ...] = ()
    faults: tuple[Fault, ...] = ()
    history: tuple[HistoryEntry, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    reach: tuple[DeviceReach, ...] = ()
    counter: tuple[str, int] | None = None  # day and the last number given to a fault on it

    def __bool__(self) -> bool:
        return bool(self.alarms or self.forgotten or self.faults or self.history or self.deliveries or self.reach)


@dataclass(frozen=True, slots=True)
class EngineState:
    """Everything `FaultEngine.load` needs to go on after a restart as if there had been none."""

    alarms: tuple[Alarm, ...] = ()
    faults: tuple[Fault, ...] = ()
    reach: tuple[DeviceReach, ...] = ()
    counter: tuple[str, int] | None = None
