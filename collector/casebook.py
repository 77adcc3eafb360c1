"""The working set of the fault engine: alarms, faults, reachability, and what changed since it was last asked. Decides nothing.

Every change goes through `put_*`, which keeps the indexes and remembers what is to be stored. All are O(1) for an alarm.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from collector.alarm import Alarm, AlarmChange, AlarmKey, Condition
from collector.clocks import next_due
from collector.decisions import Decisions, Delivery, DeviceReach, EngineState
from collector.fault import ACTIVE_STATES, Fault, FaultState, HistoryEntry

Due = tuple[int, str, str | AlarmKey]  # (when, alarm|fault|clock, whose)


class Casebook:
    """Alarms by key and by device, faults by id and by root, members of each fault, and a heap of what is due."""

    def __init__(self, site: str) -> None:
        """Start empty."""
        self.site = site
        self.alarms: dict[AlarmKey, Alarm] = {}
        self.faults: dict[str, Fault] = {}
        self.reach: dict[str, DeviceReach] = {}
        self.counter: tuple[str, int] | None = None
        self.by_device: dict[str, set[AlarmKey]] = defaultdict(set)
        self.members: dict[str, set[AlarmKey]] = defaultdict(set)
        self.raised: dict[str, set[AlarmKey]] = defaultdict(set)  # those members that are raised
        self.by_root: dict[str, set[str]] = defaultdict(set)  # faults still wrong
        self.last: dict[tuple[str, str, str], str] = {}  # the youngest fault of a device, component and problem
        self.dirty: set[str] = set()  # faults whose members changed
        self.grown: set[str] = set()  # those that got members
        self._heap: list[Due] = []
        self._clear()

    def _clear(self) -> None:
        self._alarms: dict[AlarmKey, None] = {}
        self._forgotten: dict[AlarmKey, None] = {}
        self._departed: dict[tuple[str, AlarmKey], None] = {}
        self._changes: list[AlarmChange] = []
        self._faults: set[str] = set()
        self._history: list[HistoryEntry] = []
        self._deliveries: list[Delivery] = []
        self._reach: set[str] = set()
        self._counted = False

    def load(self, state: EngineState) -> None:
        """Take over what was stored, and note nothing as changed."""
        self.reach = {reach.device: reach for reach in state.reach}
        self.counter = state.counter
        for fault in state.faults:
            self.put_fault(fault)
        for alarm in state.alarms:
            self.put_alarm(alarm)
        self.dirty.clear()
        self.grown.clear()
        self._clear()

    def take(self) -> Decisions:
        """Return all changes since the last call as records to store."""
        faults = tuple(self.faults[name] for name in sorted(self._faults))
        for fault in faults:
            self.dismiss(fault.id)
        decisions = Decisions(
            alarms=tuple(self.alarms[key] for key in self._alarms),
            forgotten=tuple(key for key in self._forgotten if key not in self.alarms),
            departed=tuple(pair for pair in self._departed if pair[1] not in self.members.get(pair[0], ())),
            alarm_changes=tuple(self._changes),
            faults=faults,
            history=tuple(self._history),
            deliveries=tuple(self._deliveries),
            reach=tuple(self.reach[name] for name in sorted(self._reach)),
            counter=self.counter if self._counted else None,
        )
        self._clear()
        return decisions

    def put_alarm(self, alarm: Alarm) -> None:
        """Keep an alarm as it is now, in place of what it was."""
        key = alarm.key
        old = self.alarms.get(key)
        belongs = {alarm.fault, *alarm.also} - {""}
        for fault in {old.fault, *old.also} - belongs - {""} if old else ():
            self.members[fault].discard(key)
            self.raised[fault].discard(key)
            self.dirty.add(fault)
        for fault in belongs:
            self.members[fault].add(key)
            (self.raised[fault].add if alarm.condition is Condition.RAISED else self.raised[fault].discard)(key)
            self.dirty.add(fault)
            if old is None or fault not in (old.fault, *old.also):
                self.grown.add(fault)
        self.alarms[key] = alarm
        self.by_device[key.device].add(key)
        self._alarms[key] = None
        if alarm.due_at is not None and (old is None or old.due_at != alarm.due_at):
            self._push(alarm.due_at, "alarm", key)

    def depart(self, alarm: Alarm) -> Alarm:
        """Take an alarm out of its faults, as one that did not belong there; return it as it is then."""
        for fault in {alarm.fault, *alarm.also} - {""}:
            self._departed[fault, alarm.key] = None
        free = replace(alarm, fault="", also=())
        self.put_alarm(free)
        return free

    def forget(self, key: AlarmKey) -> None:
        """Drop an alarm that is over and of no further interest."""
        alarm = self.alarms.pop(key)
        self.by_device[key.device].discard(key)
        if not self.by_device[key.device]:
            del self.by_device[key.device]
        for fault in {alarm.fault, *alarm.also} - {""}:
            self.members[fault].discard(key)
            self.raised[fault].discard(key)
        self._alarms.pop(key, None)
        self._forgotten[key] = None

    def change(self, key: AlarmKey, axis: str, value: str, at: int, now: int, reason: str = "") -> None:
        """Append one change of one axis of an alarm."""
        self._changes.append(AlarmChange(key, axis, value, at, now, reason))

    def put_fault(self, fault: Fault) -> None:
        """Keep a fault as it is now, in place of what it was."""
        old = self.faults.get(fault.id)
        if old is not None:
            self.by_root[old.device].discard(old.id)
        if fault.state in ACTIVE_STATES:
            self.by_root[fault.device].add(fault.id)
        self.faults[fault.id] = fault
        self._faults.add(fault.id)
        if fault.state is not FaultState.MERGED:
            what = (fault.device, fault.component, fault.problem)
            self.last[what] = max(self.last.get(what, ""), fault.id)
        if fault.due_at is not None and (old is None or old.due_at != fault.due_at):
            self._push(fault.due_at, "fault", fault.id)
        if old is None or old.clocks != fault.clocks:
            due = next_due(fault.clocks)
            if due is not None:
                self._push(due, "clock", fault.id)

    def dismiss(self, name: str) -> None:
        """Drop a fault that is over for good; one that is not stays."""
        fault = self.faults.get(name)
        if fault is not None and fault.closed_at is not None and fault.due_at is None:
            self._drop_fault(name)

    def _drop_fault(self, name: str) -> None:
        for key in list(self.members.get(name, ())):
            alarm = self.alarms[key]
            if alarm.condition is Condition.CLEARED and alarm.fault == name:
                self.forget(key)
        fault = self.faults.pop(name)
        self.by_root[fault.device].discard(name)
        if self.last.get((fault.device, fault.component, fault.problem)) == name:
            del self.last[fault.device, fault.component, fault.problem]
        for index in (self.members, self.raised):
            index.pop(name, None)
        self.dirty.discard(name)
        self.grown.discard(name)

    def put_reach(self, reach: DeviceReach) -> None:
        """Keep what was last said about reaching a device."""
        self.reach[reach.device] = reach
        self._reach.add(reach.device)

    def number(self, day: str) -> int:
        """Return the next number for a fault of this day."""
        last = self.counter[1] if self.counter and self.counter[0] == day else 0
        self.counter, self._counted = (day, last + 1), True
        return last + 1

    def note(
        self,
        fault: Fault,
        step: str,
        at: int,
        now: int,
        *,
        person: str = "",
        note: str = "",
        fields: Mapping[str, str] | None = None,
        deliver: bool = False,
    ) -> Fault:
        """Append to a fault's history, and to the outbox where it is to be told; return the fault with its count.

        The caller puts the fault.
        """
        number = fault.history_count + 1
        self._history.append(HistoryEntry(fault.id, number, at, now, step, person, note, dict(fields or {})))
        if deliver:
            payload = {"level": fault.level, "device": fault.device, "problem": fault.problem, "state": fault.state.value}
            self._deliveries.append(Delivery(f"{fault.id}#{number}", fault.id, step, now, {**(fields or {}), **payload}))
        return replace(fault, history_count=number)

    def silence(self, faults: Iterable[str]) -> None:
        """Take back what was to be told of these faults since the last `take`."""
        silent = set(faults)
        self._deliveries = [delivery for delivery in self._deliveries if delivery.fault not in silent]

    def _push(self, due: int, kind: str, whose: str | AlarmKey) -> None:
        heapq.heappush(self._heap, (due, kind, whose))

    def _stale(self, due: Due) -> bool:
        when, kind, whose = due
        if isinstance(whose, AlarmKey):
            alarm = self.alarms.get(whose)
            return alarm is None or alarm.due_at != when
        fault = self.faults.get(whose)
        if fault is None:
            return True
        return (next_due(fault.clocks) if kind == "clock" else fault.due_at) != when

    def next_due(self) -> int | None:
        """Return when something is due next (ms), None for never."""
        while self._heap and self._stale(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: int) -> Iterator[tuple[int, str, str | AlarmKey]]:
        """Yield what is due by `now`, in order of time; what is put meanwhile is yielded too if it is due."""
        while (when := self.next_due()) is not None and when <= now:
            _when, kind, whose = heapq.heappop(self._heap)
            yield when, kind, whose
