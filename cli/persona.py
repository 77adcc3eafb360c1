"""The demo's scripted operator: takes the steps of a scenario's `persona` with faults as they open and heal. Does no I/O."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass

from cli.desk import FaultRow
from simulator.spec import PersonaStep

WORKING = frozenset(("ack", "assign", "arrive", "restore"))
AT_WORK = frozenset(("opened", "reopened", "accepted", "assigned", "arrived"))
HEALED = frozenset(("restored", "observed", "confirmed"))


@dataclass(frozen=True, slots=True)
class Act:
    """One step to be taken now."""

    fault: FaultRow
    step: PersonaStep


class Persona:
    """A device's steps are for its first fault, in a row; each is due some time after the one before, if the state admits."""

    def __init__(self, steps: Iterable[PersonaStep]) -> None:
        """Take the whole script."""
        self._waiting: dict[str, deque[PersonaStep]] = defaultdict(deque)
        for step in steps:
            self._waiting[step.device].append(step)
        self._last: dict[str, float] = {}
        self._case: dict[str, str] = {}  # device -> the one fault of it that the script is about

    @property
    def idle(self) -> bool:
        """Return whether the script is over."""
        return not any(self._waiting.values())

    def due(self, faults: Iterable[FaultRow], now: float, speed: float = 1.0) -> list[Act]:
        """Return what is to be done at `now` (seconds, any origin). Steps that came too late are left out for good."""
        acts = []
        for fault in faults:
            row = self._waiting.get(fault.device)
            if not row or fault.state in ("closed", "merged") or self._case.setdefault(fault.device, fault.id) != fault.id:
                continue
            last = self._last.setdefault(fault.device, now)
            while row and row[0].step in WORKING and fault.state in HEALED:
                row.popleft()  # it healed before he came
            if row and now - last >= row[0].after_s / speed and self._admits(row[0].step, fault.state):
                acts.append(Act(fault, row.popleft()))
                self._last[fault.device] = now
        return acts

    def _admits(self, step: str, state: str) -> bool:
        if step in WORKING:
            return state in AT_WORK
        return step == "note" or state in HEALED
