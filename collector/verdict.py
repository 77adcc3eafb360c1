"""Finds what a raised alarm belongs to: a fault that explains it, a wait for a verdict that is on its way, a fault of its own.

Root cause first, in this order: the agent sees nothing; the mains of what feeds it is lost; all ways to it are dark; it is dark
itself; it is one of several symptoms of one component. Pure but for reading the casebook; each verdict is linear in the
depth of the tree above the device.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.alarm import Alarm, Condition, Effect, Suppression
from collector.casebook import Casebook
from collector.engine_settings import EngineSettings
from collector.fault import ACTIVE_STATES, Fault
from collector.observation import Kind, kind_of
from collector.outlook import Outlook


@dataclass(frozen=True, slots=True)
class Join:
    """It is part of these faults."""

    faults: tuple[str, ...]
    suppression: Suppression
    reason: str
    root: bool = False  # it is the better root: the first of the faults moves to it


@dataclass(frozen=True, slots=True)
class Wait:
    """Something that would explain it is being checked; look again after so many seconds."""

    seconds: float
    why: str  # upstream, settle


@dataclass(frozen=True, slots=True)
class Open:
    """It is a fault of its own, or the first that is heard of one rooted at another device."""

    device: str
    component: str
    problem: str
    reason: str


Verdict = Join | Wait | Open
WAITING = ("settle", "upstream", "port")


class Judge:
    """Gives verdicts on alarms against the outlook and the faults of the moment."""

    def __init__(self, casebook: Casebook, outlook: Outlook, settings: EngineSettings) -> None:
        """Read from these."""
        self.casebook, self.outlook, self.settings = casebook, outlook, settings

    def judge(self, alarm: Alarm, patient: bool) -> Verdict:
        """Return the verdict on a raised alarm in no fault. `patient` allows a wait."""
        device = alarm.key.device
        kind = kind_of(alarm.problem)
        if kind is Kind.AGENT:
            return self._same_root(alarm) or self._own(alarm)
        agent = self.outlook.blind_agent(device)
        blind = self.fault_at(agent) if agent else None
        if blind is not None:
            return Join((blind.id,), Suppression.AGENT_BLIND, f"agent {agent} is blind")
        roots = self.outlook.paths.roots(device)
        behind = roots != (device,)
        if kind is not Kind.MAINS and (behind or device in self.outlook.dark):
            found = self._explained(alarm, kind, roots, behind, patient)
            if found is not None:
                return found
        if kind is Kind.REACH:
            return self._reach(alarm, patient)
        if kind is Kind.LINK:
            return self._link(alarm, patient)
        return self._other(alarm, kind, patient)

    def fault_at(self, device: str) -> Fault | None:
        """Return the fault that a lost device's loss belongs to: rooted at it, or holding the alarm of its silence."""
        for name in sorted(self.casebook.by_root.get(device, ())):
            fault = self.casebook.faults[name]
            if fault.device == device and kind_of(fault.problem) in (Kind.REACH, Kind.AGENT):
                return fault
        for key in sorted(self.casebook.by_device.get(device, ())):
            alarm = self.casebook.alarms[key]
            if kind_of(alarm.problem) is Kind.REACH and alarm.condition is Condition.RAISED:
                fault_of = self.casebook.faults.get(alarm.fault)
                if fault_of is not None and fault_of.state in ACTIVE_STATES:
                    return fault_of
        return None

    def _explained(self, alarm: Alarm, kind: Kind, roots: tuple[str, ...], behind: bool, patient: bool) -> Verdict | None:
        device = alarm.key.device
        for root in roots:
            mains = self.mains_fault(root)
            if mains is not None:
                return Join((mains.id,), Suppression.BEHIND_UPSTREAM, f"mains lost at {mains.device}")
        if not behind and kind is Kind.REACH:
            return None
        found = [self.fault_at(root) for root in roots]
        explaining = tuple(dict.fromkeys(fault.id for fault in found if fault is not None))
        if explaining and not (patient and None in found):
            word = "behind" if behind else "dark itself:"
            return Join(explaining, Suppression.BEHIND_UPSTREAM, f"{word} {', '.join(roots)}")
        if patient:
            return Wait(self.settings.upstream_s, "upstream")
        root = min(roots, key=lambda name: (self.outlook.began(name) or alarm.began_at, name))
        if root == device:
            return None
        return Open(root, "", "device-down", self._reach_reason(root))

    def mains_fault(self, device: str) -> Fault | None:
        """Return the fault of the mains lost at a device, or at what feeds it."""
        for ups in (device, *self.outlook.topology.powered_by.get(device, ())):
            for key in sorted(self.casebook.by_device.get(ups, ())):
                alarm = self.casebook.alarms[key]
                if kind_of(alarm.problem) is not Kind.MAINS or alarm.condition is not Condition.RAISED:
                    continue
                fault = self.casebook.faults.get(alarm.fault)
                if fault is not None and fault.state in ACTIVE_STATES:
                    return fault
        return None

    def _reach(self, alarm: Alarm, patient: bool) -> Verdict:
        """Judge a device that is dark on its own account."""
        device = alarm.key.device
        same = self._same_root(alarm)
        if same is not None:
            return same
        ring = self._ring(alarm)
        if ring is not None:
            return Join((ring.id,), Suppression.BEHIND_UPSTREAM, f"same ring segment as {ring.device}")
        recent = self._recent(alarm)
        if recent is not None:
            return Join((recent.id,), Suppression.NONE, self._reach_reason(device), root=True)
        if patient and self.outlook.topology.upstream.get(device):
            doubtful = self.outlook.doubtful(device) or self._fed_by_battery(device)
            if not doubtful and alarm.hold in WAITING:
                return self._own(alarm)
            return Wait(self.settings.upstream_s, "upstream") if doubtful else Wait(self.settings.settle_s, "settle")
        return self._own(alarm)

    def _fed_by_battery(self, device: str) -> bool:
        """Return whether what leads to a device runs on battery, so that it may be about to go dark too."""
        return any(self.mains_fault(up) is not None for up in self.outlook.topology.upstream.get(device, ()))

    def _reach_reason(self, device: str) -> str:
        reach = self.casebook.reach.get(device)
        return reach.reason if reach is not None and reach.state == "down" else "no answer"

    def _ring(self, alarm: Alarm) -> Fault | None:
        """Return the fault of the dark ring segment that a device is part of, if its ends went dark together."""
        device = alarm.key.device
        if len(self.outlook.topology.upstream.get(device, ())) < 2:
            return None
        for near in sorted(self.outlook.segment(device) - {device}):
            for name in sorted(self.casebook.by_root.get(near, ())):
                fault = self.casebook.faults[name]
                together = abs(fault.began_at - alarm.began_at) <= self.settings.ring_s * 1000
                if kind_of(fault.problem) is Kind.REACH and together:
                    return fault
        return None

    def _recent(self, alarm: Alarm) -> Fault | None:
        """Return a fault just opened for an earlier sign of the same: a service of the device, or the port towards it."""
        window = self.settings.together_s * 1000
        names = set(self.casebook.by_root.get(alarm.key.device, ()))
        for up in self.outlook.topology.upstream.get(alarm.key.device, ()):
            for name in self.casebook.by_root.get(up, ()):
                fault = self.casebook.faults[name]
                if alarm.key.device in self.outlook.topology.leads_to(up, fault.component):
                    names.add(name)
        found = [self.casebook.faults[name] for name in names]
        found = [
            fault
            for fault in found
            if abs(fault.began_at - alarm.began_at) <= window
            and (fault.effect is Effect.OUTAGE or kind_of(fault.problem) is Kind.LINK)
            and kind_of(fault.problem) is not Kind.MAINS
        ]
        return max(found, key=lambda fault: (fault.began_at, fault.id), default=None)

    def _link(self, alarm: Alarm, patient: bool) -> Verdict:
        """Judge a port: if what is behind it is dark, it is part of that; if that may yet turn out, it waits."""
        leads = self.outlook.leads_to(alarm)
        for child in leads:
            fault = self.fault_at(child) if child in self.outlook.dark else None
            if fault is not None:
                return Join((fault.id,), Suppression.NONE, f"leads to {child}")
        if patient and (leads or self.outlook.suspect(alarm.key.device) or self.outlook.doubtful(alarm.key.device)):
            return Wait(self.settings.upstream_s, "upstream")
        return self._same_component(alarm) or self._own(alarm)

    def undecided(self, alarm: Alarm) -> bool:
        """Return whether the agent is just checking what the port leads to, after the usual wait for it."""
        waited = alarm.hold == "upstream" and kind_of(alarm.problem) is Kind.LINK
        return waited and any(self.outlook.suspect(child) for child in self.outlook.leads_to(alarm))

    def _other(self, alarm: Alarm, kind: Kind, patient: bool) -> Verdict:
        device = alarm.key.device
        if kind is Kind.OTHER:
            if patient and (self.outlook.suspect(device) or self.outlook.doubtful(device)):
                return Wait(self.settings.upstream_s, "upstream")
            mains = self.mains_fault(device)
            if mains is not None and mains.device == device:
                return Join((mains.id,), Suppression.NONE, "while on battery")
        return self._same_component(alarm) or self._own(alarm)

    def _same_root(self, alarm: Alarm) -> Join | None:
        """Return the fault that is already rooted at the device for the same kind of thing."""
        for name in sorted(self.casebook.by_root.get(alarm.key.device, ())):
            fault = self.casebook.faults[name]
            if kind_of(fault.problem) is kind_of(alarm.problem):
                return Join((name,), Suppression.NONE, "same root")
        return None

    def _same_component(self, alarm: Alarm) -> Join | None:
        """Return the fault of the same component; of the device as a whole only for the same problem."""
        for name in sorted(self.casebook.by_root.get(alarm.key.device, ())):
            fault = self.casebook.faults[name]
            if fault.component == alarm.key.component and (fault.component or fault.problem == alarm.problem):
                return Join((name,), Suppression.NONE, "same component")
        return None

    def _own(self, alarm: Alarm) -> Open:
        kind = kind_of(alarm.problem)
        if kind is Kind.REACH:
            reason = self._reach_reason(alarm.key.device)
        else:
            reason = alarm.problem if kind in (Kind.AGENT, Kind.MAINS) else alarm.text or alarm.key.rule
        return Open(alarm.key.device, alarm.key.component, alarm.problem, reason)
