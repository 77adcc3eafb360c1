"""The fault engine: from alert changes and reachability transitions to faults with a root, a level and clocks.

Pure: time comes with each call, what it decided goes out as `Decisions` for the caller to store with the batch that caused it.
What is learned late (a cut-off agent's backlog) is judged in the order and at the distance of its own event times.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from operator import itemgetter
from zoneinfo import ZoneInfo

from collector import alarming
from collector.alarm import Alarm, AlarmKey, Condition, Effect, Severity, Suppression
from collector.casebook import Casebook
from collector.decisions import Decisions, DeviceReach, EngineState
from collector.dossier import Dossier
from collector.engine_settings import EngineSettings
from collector.fault import ACTIVE_STATES, Fault, FaultView
from collector.observation import Kind, Observation, kind_of, observed
from collector.outlook import Outlook
from collector.steps import IllegalStep, Steps
from collector.topology import Topology
from collector.triage import Triage
from config.contract import Contract
from config.site import Site
from probes.sample import ReachState, Transition
from rules.alert import AlertChange, Gone
from rules.alert import Kind as ChangeKind

_EXPLAINED = (Suppression.BEHIND_UPSTREAM, Suppression.AGENT_BLIND)
_FINAL = (Gone.RULE, Gone.DEVICE)  # an alarm that ends so will not be heard of again
BLIND_RULE = "AgentBlind"


class FaultEngine:
    """Decides for one site under one contract. Not thread-safe: one caller at a time."""

    def __init__(self, site: Site, contract: Contract, settings: EngineSettings | None = None) -> None:
        """Know the site and its contract; start with no alarm and no fault."""
        self.site, self.contract = site, contract
        self.settings = settings or EngineSettings(reopen_s=site.collector.reopen_window_s)
        self._topology = Topology(site.devices)
        self._own_labels = {name: frozenset(device.labels) for name, device in site.devices.items() if device.labels}
        self._start(EngineState())

    def _start(self, state: EngineState) -> None:
        zone = ZoneInfo(self.site.timezone)
        self._casebook = Casebook(self.site.name)
        self._casebook.load(state)
        self._outlook = Outlook(self.site, self._topology, self._casebook)
        self._dossier = Dossier(self.site, self.contract, self._casebook, self._outlook, self.settings, zone)
        self._triage = Triage(self._casebook, self._outlook, self._dossier, self._topology)
        self._steps = Steps(self._casebook, self._dossier)

    def load(self, state: EngineState) -> None:
        """Go on from what `store.faults.load_state` returned, as if there had been no restart.

        Faults of a level that the contract does not have (it was exchanged) are judged anew, from the lowest up.
        """
        known = {level.id for level in self.contract.levels}
        lowest = self.contract.levels[-1]
        strangers = [fault for fault in state.faults if fault.level not in known]
        self._start(state)
        for fault in strangers:
            name, why = dict(lowest.name), f"the contract has no level {fault.level}"
            self._casebook.put_fault(replace(fault, level=lowest.id, level_name=name, level_reason=why))
            self._casebook.dirty.add(fault.id)

    def state(self) -> EngineState:
        """Return all that `load` needs, for an engine of a changed site or contract to go on with."""
        book = self._casebook
        return EngineState(tuple(book.alarms.values()), tuple(book.faults.values()), tuple(book.reach.values()), book.counter)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """All faults still in hand: the open ones, and those closed so lately that they may come back."""
        return tuple(self._casebook.faults[name] for name in sorted(self._casebook.faults))

    def view(self, fault_id: str) -> FaultView | None:
        """Return a fault in hand with its alarms (its history is in the store), or None."""
        fault = self._casebook.faults.get(fault_id)
        if fault is None:
            return None
        return FaultView(fault, tuple(self._casebook.alarms[key] for key in sorted(self._casebook.members[fault_id])))

    def next_due(self) -> int | None:
        """Return when `tick` has something to do (ms since the epoch), None for never."""
        return self._casebook.next_due()

    def apply(
        self, changes: Iterable[AlertChange], transitions: Iterable[Transition], now: int, past: bool = False
    ) -> Decisions:
        """Take in what the rules and the agents said. About 60 us for each alarm.

        Args:
            changes: alert changes, in the order of their evaluation.
            transitions: changes of reachability.
            now: wall time of receipt, ms since the epoch.
            past: some of it was over before it was learned: all is judged on its own event time, however fresh.
        """
        self._dossier.received = now
        late = 0 if past else round(self.settings.late_s * 1000)
        events: list[tuple[int, int, AlertChange | Transition]] = []
        events += [(each.at if now - each.at > late else now, 0, each) for each in transitions]
        events += [(each.at if now - each.at > late else now, 1, each) for each in changes]
        events.sort(key=itemgetter(0, 1))
        for at, _order, event in events:
            self._run_due(at)
            if isinstance(event, Transition):
                self._transition(event, at)
            else:
                self._alert(event, at)
        return self._finish(now)

    def tick(self, now: int) -> Decisions:
        """Do what is due by `now`: waits that end, clocks, observations."""
        self._dossier.received = now
        return self._finish(now)

    def retire(self, devices: Iterable[str], now: int) -> Decisions:
        """End the alarms of devices that are not in the site file any more: nothing will ever be heard of them."""
        self._dossier.received = now
        book = self._casebook
        agents = {key.device for key, alarm in book.alarms.items() if kind_of(alarm.problem) is Kind.AGENT}
        gone = set(devices) | {agent for agent in agents if not self._outlook.is_agent(agent)}
        for device in sorted(gone - self.site.devices.keys()):
            for key in sorted(book.by_device.get(device, ())):
                if book.alarms[key].condition is Condition.RAISED:
                    self._clear(book.alarms[key], now, Gone.DEVICE)
                elif book.alarms[key].condition is Condition.PENDING and not book.alarms[key].fault:
                    book.forget(key)
        book.dirty |= {fault.id for fault in book.faults.values() if fault.state in ACTIVE_STATES}
        return self._finish(now)

    def act(self, fault_id: str, step: str, person: str, now: int, note: str = "", **fields: str) -> Decisions:
        """Take a person's step with a fault.

        Raises:
            UnknownFault: there is none of this id in hand; see `recall`.
            IllegalStep: the fault's state does not allow the step; names those it does.
        """
        self._dossier.received = now
        try:
            self._steps.take(fault_id, step, person, now, note, fields)
        except IllegalStep:
            self._casebook.dismiss(fault_id)
            raise
        return self._finish(now)

    def recall(self, fault: Fault) -> None:
        """Take a fault that was over long ago into hand for one step of a person, as the store has it."""
        if fault.id not in self._casebook.faults:
            self._casebook.faults[fault.id] = fault

    def _finish(self, now: int) -> Decisions:
        self._run_due(now)
        while self._casebook.dirty:
            for name in sorted(self._casebook.dirty):
                self._dossier.refresh(name, now)
        self._dossier.already_over()
        return self._casebook.take()

    def _run_due(self, now: int) -> None:
        for when, kind, whose in self._casebook.due(now):
            if isinstance(whose, AlarmKey):
                self._alarm_due(self._casebook.alarms[whose], max(when, 0))
            elif kind == "clock":
                self._dossier.clocks_due(whose, now)
            else:
                self._dossier.due(whose, when)

    # Reachability

    def _transition(self, transition: Transition, at: int) -> None:
        device = transition.device
        if self._outlook.is_agent(device):
            self._agent_transition(transition, at)
            return
        old = self._casebook.reach.get(device)
        if old is not None and transition.at < old.at:
            return  # an older word than the one we have
        for name in sorted(self._casebook.by_root.get(device, set()) & self._casebook.dirty):
            self._dossier.refresh(name, at)
        since = self._first_silence(old, transition)
        self._casebook.put_reach(
            DeviceReach(device, transition.state.value, transition.reason, since, transition.at, transition.via)
        )
        self._reach_changed(device, at)
        if transition.state is ReachState.UP:
            self._heard_again(device, transition.since, at)
        elif transition.state is ReachState.DOWN and transition.reason != "behind":
            self._own_verdict(device, at)

    def _first_silence(self, old: DeviceReach | None, transition: Transition) -> int:
        """Return since when: an agent killed while it suspected a device does not know, after its restart, for how long."""
        suspected = old is not None and old.state == ReachState.SUSPECT and transition.state is ReachState.DOWN
        if old is None or not suspected or transition.since - old.at > self.settings.together_s * 1000:
            return transition.since
        return min(old.since, transition.since)

    def _reach_changed(self, device: str, at: int) -> None:
        """Take in that a device became dark or is dark no more, with the faults it is the root of."""
        before = device in self._outlook.dark
        self._outlook.look(device)
        if before != (device in self._outlook.dark):
            self._casebook.dirty |= self._casebook.by_root.get(device, set())
            self._casebook.dirty -= {""}

    def _agent_transition(self, transition: Transition, at: int) -> None:
        agent = transition.device
        seen = Observation(
            AlarmKey(self.site.name, agent, "", BLIND_RULE), "agent-blind", Severity.MAJOR, Effect.OUTAGE, transition.detail
        )
        if transition.state is ReachState.UP:
            alarm = self._casebook.alarms.get(seen.key)
            if alarm is not None and alarm.condition is Condition.RAISED:
                self._clear(alarm, transition.since)
        elif transition.reason == "agent-blind":
            self._raise(seen, transition.since, transition.at, 1.0, at)

    def _heard_again(self, device: str, since: int, at: int) -> None:
        """A device answers: alarms that ended unheard end now, or are given time to be raised again."""
        for key in sorted(self._casebook.by_device.get(device, ())):
            alarm = self._casebook.alarms[key]
            if alarm.unheard_at is None or alarm.condition is not Condition.RAISED:
                continue
            if kind_of(alarm.problem) is Kind.REACH:
                self._clear(alarm, since)
            else:
                due = at + round(self.settings.unheard_s * 1000)
                self._casebook.put_alarm(replace(alarm, due_at=due, hold="unheard"))

    def _own_verdict(self, device: str, at: int) -> None:
        """The agent has seen for itself that a device is dark: what waits for that need not wait on."""
        for key in sorted(self._casebook.by_device.get(device, ())):
            alarm = self._casebook.alarms[key]
            if alarm.hold == "recovery" and device not in self._topology.powered_by:
                self._casebook.put_alarm(replace(alarm, due_at=at))

    # Alarms

    def _alert(self, change: AlertChange, at: int) -> None:
        labels = dict(change.labels)
        own = self._own_labels.get(labels.get("device", ""), ())
        seen = observed(change, self.site.name, own)
        if change.kind is ChangeKind.FIRING:
            self._raise(seen, change.active_at, change.at, change.value, at)
        elif change.kind is ChangeKind.RESOLVED:
            self._resolve(seen, change.at, at, change.reason)
        elif change.kind is ChangeKind.PENDING:
            self._casebook.put_alarm(alarming.pended(self._casebook.alarms.get(seen.key), seen, change.active_at, change.value))
        elif (alarm := self._casebook.alarms.get(seen.key)) is not None:
            self._dropped_or_updated(alarm, change, seen)

    def _dropped_or_updated(self, alarm: Alarm, change: AlertChange, seen: Observation) -> None:
        if change.kind is ChangeKind.UPDATED:
            self._casebook.put_alarm(replace(alarm, text=seen.text, texts=seen.texts, value=change.value))
        elif alarm.condition is Condition.PENDING:
            if alarm.fault:
                self._casebook.put_alarm(replace(alarm, condition=Condition.CLEARED))
            else:
                self._casebook.forget(alarm.key)

    def _raise(self, seen: Observation, active_at: int, event: int, value: float, at: int) -> None:
        old = self._casebook.alarms.get(seen.key)
        if old is not None and old.fault in self._casebook.dirty:
            self._dossier.refresh(old.fault, at)
            old = self._casebook.alarms.get(seen.key)
        if old is not None and old.condition is not Condition.RAISED and old.suppression in _EXPLAINED:
            old = replace(old, fault="", also=(), suppression=Suppression.NONE)
        was_raised = old is not None and old.condition is Condition.RAISED
        alarm = alarming.raised(old, seen, self._began(seen, active_at), event, value, self.settings.damper)
        self._casebook.put_alarm(alarm)
        if not was_raised:
            self._casebook.change(alarm.key, "condition", "raised", alarm.began_at, self._dossier.received)
        kind = kind_of(alarm.problem)
        if kind is Kind.REACH:
            self._reach_changed(alarm.key.device, at)
        elif kind is Kind.AGENT:
            self._outlook.look(alarm.key.device)
        self._outlook.look_at_link(alarm)
        if not self._dossier.in_fault(alarm.key):
            self._triage.decide(alarm, at, patient=True)

    def _began(self, seen: Observation, active_at: int) -> int:
        reach = self._casebook.reach.get(seen.key.device)
        if kind_of(seen.problem) is Kind.REACH and reach is not None and reach.state == ReachState.DOWN:
            return reach.since
        return active_at

    def _resolve(self, seen: Observation, event: int, at: int, reason: str = "") -> None:
        alarm = self._casebook.alarms.get(seen.key)
        if alarm is None or alarm.condition is not Condition.RAISED:
            return
        alarm = alarming.resolved(alarm, seen.severity)
        if alarm.firing:
            self._casebook.put_alarm(alarm)
        elif reason not in _FINAL and kind_of(alarm.problem) is not Kind.AGENT and self._unheard(alarm):
            self._casebook.put_alarm(replace(alarm, unheard_at=event))
        else:
            self._clear(alarm, self._ended(alarm, event), reason)

    def _unheard(self, alarm: Alarm) -> bool:
        """Return whether an alarm's end says nothing, because nothing is heard of its device."""
        device = alarm.key.device
        if kind_of(alarm.problem) is Kind.REACH and device not in self._casebook.reach:
            return self._outlook.agent_of(device) in self._outlook.blind | self._outlook.mute
        return self._outlook.silent(device)

    def _ended(self, alarm: Alarm, event: int) -> int:
        reach = self._casebook.reach.get(alarm.key.device)
        if kind_of(alarm.problem) is Kind.REACH and reach is not None and alarm.began_at <= reach.since <= event:
            return reach.since
        return event

    def _clear(self, alarm: Alarm, ended: int, reason: str = "") -> None:
        """End an alarm at its event time; whether its fault is over is seen when the fault is refreshed."""
        for name in {alarm.fault, *alarm.also} & self._casebook.grown:
            self._dossier.refresh(name, self._dossier.received)
        alarm = alarming.cleared(self._casebook.alarms[alarm.key], ended, self.settings.damper)
        self._casebook.put_alarm(alarm)
        self._casebook.change(alarm.key, "condition", "cleared", ended, self._dossier.received, reason)
        if reason:
            self._dossier.explain(alarm, reason)
        kind = kind_of(alarm.problem)
        if kind is Kind.REACH:
            self._reach_changed(alarm.key.device, ended)
        elif kind is Kind.AGENT:
            self._outlook.look(alarm.key.device)
            self._agent_back(alarm.key.device)
        self._outlook.look_at_link(alarm)
        if not alarm.fault and not alarm.flapping:
            self._came_and_went(alarm)

    def _agent_back(self, agent: str) -> None:
        due = self._dossier.received + round(self.settings.unheard_s * 1000)
        for device in self._outlook.watched.get(agent, ()):
            for key in sorted(self._casebook.by_device.get(device, ())):
                alarm = self._casebook.alarms[key]
                if alarm.unheard_at is not None and not self._outlook.silent(device):
                    self._casebook.put_alarm(replace(alarm, due_at=due, hold="unheard"))

    def _came_and_went(self, alarm: Alarm) -> None:
        """An alarm ended before it was decided on: noise of the moment, gone with its penalty."""
        if alarm.flap_exponent <= 1.0:
            self._casebook.forget(alarm.key)

    # What is due

    def _alarm_due(self, alarm: Alarm, when: int) -> None:
        if alarm.hold == "flapping":
            self._casebook.put_alarm(alarming.calmed(alarm, when, self.settings.damper))
            if not alarm.fault and alarm.condition is Condition.CLEARED:
                self._casebook.forget(alarm.key)
        elif alarm.hold == "unheard":
            self._clear(alarm, max(alarm.began_at, self._outlook.since(alarm.key.device, when)))
        elif alarm.hold == "recovery":
            self._still_dark(alarm, when)
        elif alarm.condition is Condition.RAISED and self._triage.judge.undecided(alarm):
            due = when + round(self.settings.upstream_s * 1000)
            self._casebook.put_alarm(replace(alarm, due_at=due, hold="port"))
        elif alarm.condition is Condition.RAISED:
            self._triage.decide(alarm, when, patient=alarm.hold == "settle")

    def _still_dark(self, alarm: Alarm, when: int) -> None:
        """The root is back and had its time: what is still wrong is a matter of its own."""
        alarm = self._casebook.depart(alarming.freed(replace(alarm, suppression=Suppression.NONE), self.settings.damper))
        self._casebook.change(alarm.key, "suppression", "none", when, self._dossier.received, "its upstream is back")
        self._triage.decide(alarm, when, patient=False)
