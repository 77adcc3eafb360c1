"""The program's own part in a fault's life: open, grow, rise, restore, observe, reopen, merge. Verdicts come from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from zoneinfo import ZoneInfo

from collector import clocks as clocking
from collector.alarm import Alarm, AlarmKey, Condition, Effect, Severity, Suppression
from collector.alarming import freed
from collector.calendar import local
from collector.casebook import Casebook
from collector.clocks import Clockwork
from collector.engine_settings import EngineSettings
from collector.fault import ACTIVE_STATES, ClockState, Fault, FaultState
from collector.level import Impact, Levels
from collector.observation import Kind, kind_of
from collector.outlook import Outlook
from config.contract import Contract
from config.site import Site

_NAMED = 5  # devices named in one history entry
OWN = (Suppression.NONE, Suppression.FLAPPING)  # an alarm so marked keeps its fault alive


class Dossier:
    """Changes faults in the casebook. `received` is the wall time of the call under way: when things are found and opened."""

    def __init__(
        self, site: Site, contract: Contract, casebook: Casebook, outlook: Outlook, settings: EngineSettings, zone: ZoneInfo
    ) -> None:
        """Work on this casebook for one site and contract."""
        self.site, self.casebook, self.outlook, self.settings = site, casebook, outlook, settings
        self.zone = zone
        self.levels = Levels(contract, site.devices, zone)
        self.clockwork = Clockwork(contract, zone)
        self.contract = contract
        self.received = 0
        self.opened: set[str] = set()  # in this call

    def open(self, alarm: Alarm, device: str, component: str, problem: str, reason: str) -> Fault:
        """Open a fault rooted at a device, and put the alarm into it."""
        found = self.site.devices.get(device)
        place = found.place if found else ""
        day = local(self.received, self.zone).strftime("%Y%m%d")
        lowest = self.contract.levels[-1]
        fault = Fault(
            id=f"WK-{day}-{self.casebook.number(day):04d}",
            site=self.site.name,
            device=device,
            component=component,
            problem=problem,
            effect=Effect.DEGRADED,
            severity=alarm.severity,
            level=lowest.id,
            level_name=dict(lowest.name),
            level_reason="",
            state=FaultState.OPENED,
            reason=reason,
            began_at=self._beginning(device, alarm),
            opened_at=self.received,
            behind=len(self.outlook.dependants(device)),
            place=place,
            region=self._region(device),
        )
        self.casebook.faults[fault.id] = fault
        self.casebook.put_alarm(freed(replace(alarm, fault=fault.id, also=()), self.settings.damper))
        fault = self._measured(fault, opening=True)
        clocks = self.clockwork.started(fault.level, fault.region, fault.complexity, self.received)
        fault = replace(fault, clocks=clocks)
        fields = {"level": fault.level, "why": fault.level_reason, "reason": reason, "affected": str(len(fault.affected))}
        self.casebook.put_fault(self.casebook.note(fault, "opened", fault.began_at, self.received, fields=fields, deliver=True))
        self.opened.add(fault.id)
        self.casebook.dirty.discard(fault.id)
        self.casebook.grown.discard(fault.id)
        return self.casebook.faults[fault.id]

    def _beginning(self, device: str, alarm: Alarm) -> int:
        if device == alarm.key.device or device not in self.outlook.dark:
            return alarm.began_at
        return self.outlook.began(device) or alarm.began_at

    def _region(self, device: str) -> str:
        found = self.site.devices.get(device)
        if found is None:
            return self.site.region
        place = self.site.places.get(found.place)
        return found.region or (place.region if place else "") or self.site.region

    def join(self, alarm: Alarm, faults: Iterable[str], suppression: Suppression, at: int, reason: str) -> None:
        """Put an alarm into faults that explain it."""
        first, *others = faults
        if suppression is Suppression.NONE and alarm.flapping:
            suppression = Suppression.FLAPPING
        if suppression is not alarm.suppression:
            self.casebook.change(alarm.key, "suppression", suppression.value, at, self.received, reason)
        self.casebook.put_alarm(
            freed(replace(alarm, fault=first, also=tuple(others), suppression=suppression), self.settings.damper)
        )

    def reroot(self, fault: Fault, device: str, component: str, problem: str, reason: str, began_at: int) -> Fault:
        """Move a fault's root to what turned out to be the cause; its number, times and clocks stay."""
        fields = {"from": fault.device, "to": device, "reason": reason}
        mistaken = {fault.device} - self.outlook.dark - {device}  # named as the root, but it lost nothing
        fault = replace(
            fault,
            affected=tuple(name for name in fault.affected if name not in mistaken),
            device=device,
            component=component,
            problem=problem,
            reason=reason,
            began_at=min(fault.began_at, began_at),
            behind=len(self.outlook.dependants(device)),
        )
        fault = self.casebook.note(fault, "root", began_at, self.received, fields=fields, deliver=True)
        self.casebook.put_fault(fault)
        self.casebook.dirty.add(fault.id)
        return fault

    def merge(self, fault: Fault, into: Fault, reason: str) -> None:
        """End a fault that turned out to be part of another; its alarms go over."""
        for key in sorted(self.casebook.members[fault.id]):
            alarm = self.casebook.alarms[key]
            left = self.casebook.depart(alarm)
            if alarm.condition is Condition.RAISED:
                self.join(left, [into.id], Suppression.BEHIND_UPSTREAM, self.received, reason)
        target = self.casebook.faults[into.id]
        self.casebook.put_fault(
            self.casebook.note(target, "absorbed", self.received, self.received, fields={"fault": fault.id})
        )
        ended = replace(fault, state=FaultState.MERGED, merged_into=into.id, closed_at=self.received, due_at=None)
        names = tuple(ended.clocks)
        ended = replace(ended, clocks=clocking.dropped(ended.clocks, names, f"merged into {into.id}"))
        fields = {"into": into.id, "reason": reason}
        self.casebook.put_fault(self.casebook.note(ended, "merged", self.received, self.received, fields=fields, deliver=True))

    def contribute(self, fault_id: str, others: Iterable[str]) -> None:
        """Name other faults without which this one were none."""
        fault = self.casebook.faults[fault_id]
        new = sorted({*others} - {*fault.contributing, fault_id})
        if new:
            fault = replace(fault, contributing=tuple(sorted({*fault.contributing, *new})))
            note = self.casebook.note(fault, "contributing", self.received, self.received, fields={"faults": ", ".join(new)})
            self.casebook.put_fault(note)

    def refresh(self, fault_id: str, at: int) -> None:
        """Bring a fault up to date with its alarms; restore it when nothing keeps it alive. Linear in its raised alarms."""
        self.casebook.dirty.discard(fault_id)
        self.casebook.grown.discard(fault_id)
        fault = self.casebook.faults.get(fault_id)
        if fault is None or fault.state not in ACTIVE_STATES:
            return
        alive = self._alive(fault)
        raised = [self.casebook.alarms[key] for key in sorted(self.casebook.raised[fault_id])]
        if not alive and not raised and not fault.by_hand:
            self._restore(fault)
            return
        self._recovery(fault, raised, at, alive)
        self._put_if_changed(fault, self._measured(fault))

    def _alive(self, fault: Fault) -> bool:
        if fault.problem == "device-down" and fault.device in self.outlook.dark:
            return True
        for key in self.casebook.raised[fault.id]:
            if self.casebook.alarms[key].suppression in OWN:
                return True
        return self._flaps(fault)

    def _flaps(self, fault: Fault) -> bool:
        """Return whether an alarm of a fault comes and goes; one that it only explains is judged once that is over."""
        members = (self.casebook.alarms[key] for key in self.casebook.members[fault.id])
        return any(alarm.flapping and alarm.suppression in OWN for alarm in members)

    def _recovery(self, fault: Fault, raised: Iterable[Alarm], at: int, alive: bool) -> None:
        """When the root is back, give what was behind it a bounded time for an answer of its own; take it back if not."""
        waits = {Kind.MAINS: self.settings.boot_s, Kind.AGENT: self.settings.agent_s}
        wait_s = waits.get(kind_of(fault.problem), self.settings.child_s)
        for alarm in raised:
            if alarm.fault != fault.id:
                continue  # the first fault that it belongs to keeps its time
            if alive and alarm.hold == "recovery":
                self.casebook.put_alarm(freed(alarm, self.settings.damper))
            elif not alive and not alarm.hold:
                self.casebook.put_alarm(replace(alarm, due_at=at + round(wait_s * 1000), hold="recovery"))
        self.casebook.dirty.discard(fault.id)

    def _lost(self, fault: Fault, raised: Iterable[Alarm]) -> set[str]:
        if kind_of(fault.problem) is Kind.AGENT:
            return set(self.outlook.dependants(fault.device))
        lost = {
            alarm.key.device
            for alarm in raised
            if alarm.effect is Effect.OUTAGE and kind_of(alarm.problem) not in (Kind.LINK, Kind.MAINS)
        }
        if fault.device in self.outlook.dark:
            lost.add(fault.device)
        return lost

    def _effect(self, alarm: Alarm) -> Effect:
        """Return what an alarm takes away. For a port it depends on whether what is behind it has another way."""
        if kind_of(alarm.problem) is not Kind.LINK:
            return alarm.effect
        leads = self.outlook.leads_to(alarm)
        if any(child in self.outlook.dark for child in leads):
            return Effect.OUTAGE
        if leads and all(self.outlook.paths.is_open(child) for child in leads):
            return Effect.PROTECTION
        return alarm.effect

    def _measured(self, fault: Fault, opening: bool = False) -> Fault:
        """Return the fault with what is affected, its effect and its level as they are now. The level never falls."""
        raised = [self.casebook.alarms[key] for key in self.casebook.raised[fault.id]]
        lost = self._lost(fault, raised)
        impact = self._impact(fault, raised, lost)
        if impact is not None:
            fault = replace(fault, effect=impact.effect, severity=impact.severity)
            fault = self._levelled(fault, impact, opening)
        affected = lost | ({fault.device} & self.site.devices.keys())
        fault = self._counted(fault, affected, opening)
        flapping = self._flaps(fault)
        if flapping != fault.flapping:
            fault = replace(fault, flapping=flapping)
            step = "flapping" if flapping else "calm"
            fault = self.casebook.note(fault, step, self.received, self.received)
        return fault

    def _impact(self, fault: Fault, raised: list[Alarm], lost: set[str]) -> Impact | None:
        if not raised:
            return None
        effect = Effect.OUTAGE if lost else min((self._effect(a) for a in raised), key=lambda e: e.rank)
        severity: Severity = min((alarm.severity for alarm in raised), key=lambda s: s.rank)
        dependants = self.outlook.dependants(fault.device)
        link = kind_of(fault.problem) is Kind.LINK
        return Impact(
            at=self.received,
            effect=effect,
            severity=severity,
            problems={fault.problem, *(alarm.problem for alarm in raised if alarm.suppression in OWN)},
            root=fault.device,
            lost=lost,
            behind=len(dependants),
            behind_lost=len(dependants & lost),
            ring_ends=self._ends(fault) if link else (),
            blind=all(kind_of(alarm.problem) is Kind.AGENT for alarm in raised),
        )

    def _ends(self, fault: Fault) -> tuple[str, ...]:
        names = (fault.device, *self.outlook.topology.leads_to(fault.device, fault.component))
        return tuple(self.site.devices[name].role for name in names if name in self.site.devices)

    def _levelled(self, fault: Fault, impact: Impact, opening: bool) -> Fault:
        found = self.levels.find(impact)
        complexity = "complex" if self.levels.is_complex(impact) else fault.complexity
        if opening:
            return replace(
                fault,
                level=found.level.id,
                level_name=dict(found.level.name),
                level_reason=found.reason,
                complexity=complexity,
            )
        if self.contract.rank(found.level.id) >= self.contract.rank(fault.level):
            return fault
        fields = {"from": fault.level, "to": found.level.id, "reason": found.reason}
        fault = replace(fault, level=found.level.id, level_name=dict(found.level.name), level_reason=found.reason)
        clocks = self.clockwork.raised(fault.clocks, fault.level, fault.region, fault.complexity, self.received)
        fault = replace(fault, clocks=clocks)
        return self.casebook.note(fault, "level", self.received, self.received, fields=fields, deliver=True)

    def _counted(self, fault: Fault, affected: set[str], opening: bool) -> Fault:
        before = set(fault.affected)
        if affected == before:
            return fault
        joined, left = sorted(affected - before), before - affected
        recovered = (set(fault.recovered) | left) - affected
        fault = replace(fault, affected=tuple(sorted(affected)), recovered=tuple(sorted(recovered)))
        if opening:
            return fault
        fields = {"count": str(len(affected)), "joined": str(len(joined)), "left": str(len(left))}
        fields["devices"] = ", ".join([*joined[:_NAMED], *(["..."] if len(joined) > _NAMED else [])])
        return self.casebook.note(fault, "affected", self.received, self.received, fields=fields)

    def _put_if_changed(self, before: Fault, after: Fault) -> None:
        if after != before:
            self.casebook.put_fault(after)

    def _restore(self, fault: Fault) -> None:
        """Nothing keeps the fault alive: it is over since the last of its alarms cleared."""
        members = [self.casebook.alarms[key] for key in self.casebook.members[fault.id]]
        ends = [alarm.cleared_at for alarm in members if alarm.cleared_at is not None]
        if fault.device in self.casebook.reach and kind_of(fault.problem) is Kind.REACH:
            ends.append(self.outlook.since(fault.device, fault.began_at))
        at = max([*ends, fault.began_at]) if ends else self.received
        self.restored(fault, at, "", "", self.settings.observe_s)

    def restored(self, fault: Fault, at: int, person: str, note: str, observe_s: float) -> Fault:
        """Mark a fault restored at event time `at`, by itself or by a person."""
        clocks = clocking.met(fault.clocks, "restore", at)
        clocks = clocking.dropped(clocks, ("respond", "remote", "arrive", "restore"), "restored before")
        clocks = self.clockwork.began(clocks, "restored", fault.level, fault.region, fault.complexity, self.received)
        everyone = tuple(sorted({*fault.affected, *fault.recovered}))
        fault = replace(
            fault,
            state=FaultState.RESTORED,
            restored_at=at,
            affected=everyone,
            recovered=(),
            flapping=False,
            by_hand=False,
            clocks=clocks,
            due_at=self.received + round(observe_s * 1000),
        )
        fault = self.casebook.note(fault, "restored", at, self.received, person=person, note=note, deliver=True)
        self.casebook.put_fault(fault)
        return fault

    def explain(self, alarm: Alarm, reason: str) -> None:
        """Note in an alarm's fault that it ended although nobody saw it become good, and why."""
        fault = self.casebook.faults.get(alarm.fault)
        if fault is not None and fault.state in ACTIVE_STATES:
            fields = {"device": alarm.key.device, "component": alarm.key.component, "rule": alarm.key.rule, "reason": reason}
            at = alarm.cleared_at or self.received
            self.casebook.put_fault(self.casebook.note(fault, "alarm-gone", at, self.received, fields=fields))

    def may_reopen(self, fault: Fault | None, began_at: int) -> bool:
        """Return whether what began at `began_at` is this restored fault come back."""
        if fault is None or fault.restored_at is None or fault.state in ACTIVE_STATES or fault.state is FaultState.MERGED:
            return False
        return began_at - fault.restored_at <= self.settings.reopen_s * 1000

    def reopen(self, fault: Fault, at: int, reason: str, person: str = "", note: str = "") -> Fault:
        """Take a restored fault up again: same number, counted; restore gets a new deadline."""
        fault = replace(
            fault,
            state=FaultState.REOPENED,
            restored_at=None,
            confirmed_at=None,
            closed_at=None,
            reopened=fault.reopened + 1,
            by_hand=bool(person),
            affected=(),
            recovered=(),
            due_at=None,
            clocks=self.clockwork.reopened(fault.clocks, fault.level, fault.region, fault.complexity, self.received),
        )
        fields = {"reason": reason, "count": str(fault.reopened)}
        fault = self.casebook.note(fault, "reopened", at, self.received, person=person, note=note, fields=fields, deliver=True)
        self.casebook.put_fault(fault)
        self.casebook.dirty.add(fault.id)
        return fault

    def due(self, fault_id: str, now: int) -> None:
        """Do what a fault itself has due: the end of its observation, or of the time in which it could come back."""
        fault = self.casebook.faults[fault_id]
        fault = replace(fault, due_at=None)
        if fault.state is FaultState.RESTORED:
            still = [key for key in self.casebook.raised[fault_id] if self.casebook.alarms[key].suppression in OWN]
            if still:
                self.reopen(fault, now, "still raised")
                return
            fault = self.casebook.note(replace(fault, state=FaultState.OBSERVED), "observed", now, self.received)
        self.casebook.put_fault(fault)

    def clocks_due(self, fault_id: str, now: int) -> None:
        """Warn of, or declare missed, every clock of a fault that has come to it."""
        fault = self.casebook.faults[fault_id]
        for name, clock in fault.clocks.items():
            advanced, percent = clocking.advanced(clock, now)
            if not percent:
                continue
            fault = replace(fault, clocks={**fault.clocks, name: advanced})
            fields = {"clock": name, "percent": str(percent), "due_at": str(advanced.due_at)}
            step = "clock-missed" if percent == 100 else "clock-warning"
            fault = self.casebook.note(fault, step, now, self.received, fields=fields, deliver=True)
        self.casebook.put_fault(fault)

    def already_over(self) -> None:
        """Of what was opened and over in the same call nobody is called: no clock but *report*, nothing told."""
        late = [name for name in self.opened if self.casebook.faults[name].state is FaultState.RESTORED]
        for name in late:
            fault = self.casebook.faults[name]
            silent = {
                key: replace(clock, state=ClockState.NOT_APPLICABLE, due_at=None, reason="over when learned")
                for key, clock in fault.clocks.items()
                if key != "report" and clock.state is not ClockState.NOT_APPLICABLE
            }
            for key, clock in fault.clocks.items():
                if key != "report" and clock.reason == "restored before":
                    silent[key] = replace(clock, due_at=None, reason="over when learned")
            self.casebook.put_fault(replace(fault, clocks={**fault.clocks, **silent}))
        self.casebook.silence(late)
        self.opened.clear()

    def in_fault(self, key: AlarmKey) -> bool:
        """Return whether an alarm belongs to a fault that is still wrong."""
        fault = self.casebook.faults.get(self.casebook.alarms[key].fault)
        return fault is not None and fault.state in ACTIVE_STATES
