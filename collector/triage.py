"""Carries out verdicts: a raised alarm waits, joins a fault, or opens one, which then draws in what it explains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from collector import alarming
from collector.alarm import Alarm, Condition, Suppression
from collector.casebook import Casebook
from collector.dossier import Dossier
from collector.fault import Fault
from collector.observation import Kind, kind_of
from collector.outlook import Outlook
from collector.topology import Topology
from collector.verdict import WAITING, Join, Judge, Open, Wait


class Triage:
    """Moves alarms between the casebook's faults as the judge says."""

    def __init__(self, casebook: Casebook, outlook: Outlook, dossier: Dossier, topology: Topology) -> None:
        """Work on this casebook."""
        self.casebook, self.outlook, self.dossier, self.topology = casebook, outlook, dossier, topology
        self.judge = Judge(casebook, outlook, dossier.settings)

    def decide(self, alarm: Alarm, at: int, patient: bool) -> None:
        """Put a raised alarm where it belongs: into a fault, into a new one, or (`patient`) on hold for a bounded time."""
        if not self.dossier.levels.opens(alarm.severity, alarm.problem):
            if alarm.hold:
                self.casebook.put_alarm(alarming.freed(alarm, self.dossier.settings.damper))
            return
        verdict = self.judge.judge(alarm, patient)
        if isinstance(verdict, Wait):
            self._wait(alarm, verdict, at)
        elif isinstance(verdict, Open) and patient and alarm.hold in WAITING and at < (alarm.due_at or 0):
            return  # nothing explains it yet; it has some of its time left
        elif isinstance(verdict, Join):
            self._join(alarm, verdict, at)
        else:
            self._open(alarm, verdict, at)

    def _wait(self, alarm: Alarm, verdict: Wait, at: int) -> None:
        due = at + round(verdict.seconds * 1000)
        if alarm.hold == verdict.why and alarm.due_at is not None:
            return
        settings = self.dossier.settings
        if alarm.hold == "settle" and alarm.due_at is not None:
            due = alarm.due_at + round((settings.upstream_s - settings.settle_s) * 1000)
        self.casebook.put_alarm(replace(alarm, due_at=due, hold=verdict.why))

    def _join(self, alarm: Alarm, verdict: Join, at: int) -> None:
        self.dossier.join(alarm, verdict.faults, verdict.suppression, at, verdict.reason)
        if verdict.root:
            fault = self.casebook.faults[verdict.faults[0]]
            self.dossier.reroot(fault, alarm.key.device, "", alarm.problem, verdict.reason, alarm.began_at)
            self._absorb(alarm.key.device, fault.id, alarm.began_at, at)
            self._contributing(alarm.key.device, fault.id)
        elif kind_of(alarm.problem) is Kind.REACH and self.topology.downstream.get(alarm.key.device):
            self._absorb(alarm.key.device, verdict.faults[0], alarm.began_at, at)
        if kind_of(alarm.problem) is Kind.REACH:
            self._absorb_ports(alarm.key.device, verdict.faults[0], alarm.began_at)

    def _open(self, alarm: Alarm, verdict: Open, at: int) -> None:
        own = verdict.device == alarm.key.device
        earlier = self._earlier(alarm, verdict) if own else None
        if earlier is not None:
            self.dossier.reopen(earlier, alarm.began_at, alarm.problem)
            if alarm.fault == earlier.id:
                self.casebook.put_alarm(alarming.freed(alarm, self.dossier.settings.damper))
            else:
                self.dossier.join(alarm, [earlier.id], Suppression.NONE, alarm.began_at, verdict.reason)
            fault = self.casebook.faults[earlier.id]
        else:
            fault = self._opened(replace(alarm, fault="", also=()), verdict, own)
        if kind_of(verdict.problem) in (Kind.REACH, Kind.MAINS, Kind.AGENT):
            self._absorb(verdict.device, fault.id, fault.began_at, at)
        if kind_of(verdict.problem) is Kind.REACH:
            self._absorb_ports(verdict.device, fault.id, fault.began_at)
            self._contributing(verdict.device, fault.id)

    def _earlier(self, alarm: Alarm, verdict: Open) -> Fault | None:
        """Return the fault that has come back: the alarm's own, or the last one there was, if an outage above lay between."""
        last = self.casebook.last.get((verdict.device, verdict.component, verdict.problem), "")
        for name in (alarm.fault, last):
            fault = self.casebook.faults.get(name)
            if self.dossier.may_reopen(fault, alarm.began_at):
                return fault
        return None

    def _opened(self, alarm: Alarm, verdict: Open, own: bool) -> Fault:
        """Open a fault; or, where a fault was opened for a child a moment ago, move that one's root here."""
        if not own:
            alarm = replace(alarm, suppression=Suppression.BEHIND_UPSTREAM)
        children = self._explained_by(verdict.device, alarm.began_at)
        if not children:
            return self.dossier.open(alarm, verdict.device, verdict.component, verdict.problem, verdict.reason)
        fault = min(children, key=lambda child: (child.opened_at, child.id))
        for key in sorted(self.casebook.raised[fault.id]):
            member = self.casebook.alarms[key]
            self.dossier.join(member, [fault.id], Suppression.BEHIND_UPSTREAM, alarm.began_at, f"behind {verdict.device}")
        self.dossier.join(alarm, [fault.id], alarm.suppression, alarm.began_at, verdict.reason)
        return self.dossier.reroot(
            self.casebook.faults[fault.id], verdict.device, verdict.component, verdict.problem, verdict.reason, alarm.began_at
        )

    def _explained_by(self, device: str, began_at: int) -> list[Fault]:
        """Return faults of dark devices below this one that began with it and that it explains."""
        earliest = began_at - round(self.dossier.settings.together_s * 1000)
        found: list[Fault] = []
        for child in self._below(device):
            for name in self.casebook.by_root.get(child, ()):
                fault = self.casebook.faults[name]
                if kind_of(fault.problem) is Kind.REACH and fault.began_at >= earliest and self._explains(device, child):
                    found.append(fault)
        return found

    def _explains(self, device: str, child: str) -> bool:
        if self.outlook.blind_agent(child) == device:
            return True
        mains = self.judge.mains_fault(child)
        return (mains is not None and mains.device == device) or self.outlook.paths.roots(child) == (device,)

    def _below(self, device: str) -> Iterable[str]:
        if self.outlook.is_agent(device):
            return self.outlook.watched.get(device, ())
        fed = self.topology.powers.get(device, ())
        if not fed and not self.topology.downstream.get(device):
            return ()
        return sorted(self.topology.descendants([device, *fed]) | set(fed))

    def _absorb(self, device: str, fault_id: str, began_at: int, at: int) -> None:
        """Draw into a fault what waits for it below, and faults opened a moment too early."""
        for fault in self._explained_by(device, began_at):
            if fault.id != fault_id:
                self.dossier.merge(fault, self.casebook.faults[fault_id], f"behind {device}")
        for child in self._below(device):
            for key in sorted(self.casebook.by_device.get(child, ())):
                alarm = self.casebook.alarms[key]
                if alarm.hold in WAITING and alarm.condition is Condition.RAISED:
                    self.decide(alarm, at, patient=True)

    def _absorb_ports(self, device: str, fault_id: str, began_at: int) -> None:
        """Draw into the fault of a dark device those of ports that lead to it alone, opened before its own verdict came.

        Not where there are several ways to it: two cuts of a ring are two places to mend.
        """
        ups = self.topology.upstream.get(device, ())
        for name in sorted(self.casebook.by_root.get(ups[0], ())) if len(ups) == 1 else ():
            fault = self.casebook.faults[name]
            together = abs(fault.began_at - began_at) <= self.dossier.settings.together_s * 1000
            leads = self.topology.leads_to(ups[0], fault.component) == (device,)
            if name != fault_id and together and leads and kind_of(fault.problem) is Kind.LINK:
                self.dossier.merge(fault, self.casebook.faults[fault_id], f"leads to {device}")

    def _contributing(self, device: str, fault_id: str) -> None:
        """Name the faults of links whose loss earlier is why this one is an outage."""
        segment = self.outlook.segment(device)
        names = set()
        for up, child in self.outlook.cut:
            if child in segment:
                for name in self.casebook.by_root.get(up, ()):
                    fault = self.casebook.faults[name]
                    if child in self.topology.leads_to(up, fault.component):
                        names.add(name)
        self.dossier.contribute(fault_id, names)
