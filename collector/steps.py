"""What a person may do with a fault, when, and what it does to state and clocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from collector import clocks as clocking
from collector.alarm import Operator
from collector.casebook import Casebook
from collector.dossier import Dossier
from collector.fault import ACTIVE_STATES, Fault, FaultState
from config.language import _

_WORKING = ("ack", "assign", "remote", "arrive", "restore", "level", "report", "note")
ALLOWED: Mapping[FaultState, tuple[str, ...]] = {
    FaultState.OPENED: _WORKING,
    FaultState.REOPENED: _WORKING,
    FaultState.ACCEPTED: ("assign", "remote", "arrive", "restore", "level", "report", "note"),
    FaultState.ASSIGNED: ("assign", "remote", "arrive", "restore", "level", "report", "note"),
    FaultState.ARRIVED: ("assign", "restore", "level", "report", "note"),
    FaultState.RESTORED: ("confirm", "close", "reopen", "report", "note"),
    FaultState.OBSERVED: ("confirm", "close", "reopen", "report", "note"),
    FaultState.CONFIRMED: ("close", "reopen", "report", "note"),
    FaultState.CLOSED: ("reopen", "note"),
    FaultState.MERGED: (),
}
ALIASES = {"accept": "ack", "acknowledge": "ack"}
STEPS = ("ack", "assign", "remote", "arrive", "restore", "confirm", "close", "reopen", "level", "report", "note")
_STATE_AFTER = {"ack": FaultState.ACCEPTED, "assign": FaultState.ASSIGNED, "arrive": FaultState.ARRIVED}
_WORD = {"ack": "accepted", "assign": "assigned", "arrive": "arrived", "confirm": "confirmed", "close": "closed"}


class UnknownFault(KeyError):
    """There is no fault of this id in hand."""


class IllegalStep(ValueError):
    """The step is not allowed; `allowed` names those that are."""

    def __init__(self, fault_id: str, step: str, state: str, allowed: tuple[str, ...], why: str = "") -> None:
        """Keep what a caller needs to explain it."""
        self.fault_id, self.step, self.state, self.allowed, self.why = fault_id, step, state, allowed, why
        super().__init__(fault_id, step, state, allowed, why)

    def __str__(self) -> str:
        """Return a sentence for people, in their language."""
        fields = {"step": self.step, "id": self.fault_id, "state": _(self.state), "steps": ", ".join(self.allowed)}
        if self.why:
            return _("{step} needs more for {id}: {why}").format(why=self.why, **fields)
        if not self.allowed:
            return _("{step} is not allowed for {id}, which is {state}; nothing is").format(**fields)
        return _("{step} is not allowed for {id}, which is {state}; allowed: {steps}").format(**fields)


class Steps:
    """Takes persons' steps with faults in the casebook."""

    def __init__(self, casebook: Casebook, dossier: Dossier) -> None:
        """Work on this casebook."""
        self.casebook, self.dossier = casebook, dossier

    def take(self, fault_id: str, step: str, person: str, now: int, note: str, fields: Mapping[str, str]) -> None:
        """Take one step. See `FaultEngine.act`."""
        fault = self.casebook.faults.get(fault_id)
        if fault is None:
            raise UnknownFault(fault_id)
        step = ALIASES.get(step, step)
        allowed = ALLOWED[fault.state]
        if step not in allowed:
            state = f"merged into {fault.merged_into}" if fault.state is FaultState.MERGED else fault.state.value
            raise IllegalStep(fault_id, step, state, allowed)
        if step == "level":
            self._level(fault, person, now, note, fields)
        elif step == "restore":
            self.dossier.restored(fault, now, person, note, self.dossier.settings.observe_s)
        elif step == "reopen":
            self.dossier.reopen(fault, now, "person", person, note)
        elif step in ("confirm", "close"):
            self._end(fault, step, person, now, note, fields)
        else:
            self._work(fault, step, person, now, note, fields)

    def _work(self, fault: Fault, step: str, person: str, now: int, note: str, fields: Mapping[str, str]) -> None:
        """Take a step of the work: each answers the call, and meets the clock of its name."""
        if step in ("ack", "assign", "remote", "arrive"):
            fault = replace(fault, clocks=clocking.met(fault.clocks, "respond", now))
        if step in ("remote", "arrive", "report"):
            fault = replace(fault, clocks=clocking.met(fault.clocks, step, now))
        if step == "arrive":
            clocks = self.dossier.clockwork.began(
                clocking.dropped(fault.clocks, ("remote",), "engineer on site"),
                "arrived",
                fault.level,
                fault.region,
                fault.complexity,
                now,
            )
            fault = replace(fault, clocks=clocks)
        if step in ("ack", "assign", "arrive"):
            self._mark(fault, Operator.ACKNOWLEDGED, now)
        if step in _STATE_AFTER and fault.state in ACTIVE_STATES:
            assignee = fields.get("to") or person or fault.person
            fault = replace(fault, state=_STATE_AFTER[step], person=assignee)
        self._put(fault, _WORD.get(step, step), person, now, note, fields, deliver=step != "note")

    def _end(self, fault: Fault, step: str, person: str, now: int, note: str, fields: Mapping[str, str]) -> None:
        if step == "confirm":
            fault = replace(fault, state=FaultState.CONFIRMED, confirmed_at=now, due_at=None)
        else:
            window_ends = (fault.restored_at or now) + round(self.dossier.settings.reopen_s * 1000)
            due = window_ends if window_ends > now else None
            fault = replace(fault, state=FaultState.CLOSED, closed_at=now, due_at=due)
            self._mark(fault, Operator.CLOSED, now)
        self._put(fault, _WORD[step], person, now, note, fields, deliver=True)

    def _mark(self, fault: Fault, operator: Operator, now: int) -> None:
        """Note on the fault's alarms what a person did about them."""
        for key in sorted(self.casebook.members[fault.id]):
            alarm = self.casebook.alarms[key]
            if alarm.operator is not operator:
                self.casebook.put_alarm(replace(alarm, operator=operator))
                self.casebook.change(key, "operator", operator.value, now, now)

    def _level(self, fault: Fault, person: str, now: int, note: str, fields: Mapping[str, str]) -> None:
        """Change the level, up or down, as a person wants it: with a reason, which the note is."""
        levels = {level.id: level for level in self.dossier.contract.levels}
        wanted = levels.get(fields.get("level", ""))
        if wanted is None or not note:
            why = _("give level, one of {levels}, and a note with the reason").format(levels=", ".join(levels))
            raise IllegalStep(fault.id, "level", fault.state.value, ALLOWED[fault.state], why)
        told = {"from": fault.level, "to": wanted.id}
        higher = self.dossier.contract.rank(wanted.id) < self.dossier.contract.rank(fault.level)
        fault = replace(fault, level=wanted.id, level_name=dict(wanted.name), level_reason=note)
        if higher:
            clockwork = self.dossier.clockwork
            clocks = clockwork.raised(fault.clocks, fault.level, fault.region, fault.complexity, now)
            fault = replace(fault, clocks=clocks)
        self._put(fault, "level", person, now, note, told, deliver=True)

    def _put(self, fault: Fault, word: str, person: str, now: int, note: str, fields: Mapping[str, str], deliver: bool) -> None:
        fault = self.casebook.note(fault, word, now, now, person=person, note=note, fields=fields, deliver=deliver)
        self.casebook.put_fault(fault)
