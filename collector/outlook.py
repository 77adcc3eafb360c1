"""What the engine knows of the site right now: which devices are dark, which links are cut, which agents see nothing.

Derived from the casebook's reachability and alarms, never stored: after a restart it is derived again.
"""

from __future__ import annotations

from collections import defaultdict

from collector.alarm import Alarm, Condition
from collector.casebook import Casebook
from collector.observation import Kind, kind_of
from collector.topology import Edge, Paths, Topology
from config.site import Site
from probes.sample import ReachState


class Outlook:
    """Dark devices, cut links, blind agents, and the ways still open between them."""

    def __init__(self, site: Site, topology: Topology, casebook: Casebook) -> None:
        """Start from what the casebook holds."""
        self.site, self.topology, self.casebook = site, topology, casebook
        self.dark: set[str] = set()
        self.cut: set[Edge] = set()
        self.blind: set[str] = set()  # agents that reach nothing: what they say is no verdict
        self.mute: set[str] = set()  # agents not heard of: what they said before is no news, what they bring later is true
        self.watched: dict[str, list[str]] = defaultdict(list)
        for name, device in site.devices.items():
            self.watched[device.agent or site.agent.name].append(name)
        self._paths: Paths | None = None
        self._dependants: dict[str, frozenset[str]] = {}
        for name in {*casebook.reach, *casebook.by_device}:
            self.look(name)
            for key in casebook.by_device.get(name, ()):
                self.look_at_link(casebook.alarms[key])

    def is_agent(self, name: str) -> bool:
        """Return whether a name is an agent's and no device's."""
        return name not in self.site.devices and (name in self.watched or name == self.site.agent.name)

    def agent_of(self, device: str) -> str:
        """Return the agent that watches a device; empty for what is no device."""
        found = self.site.devices.get(device)
        return (found.agent or self.site.agent.name) if found else ""

    def blind_agent(self, device: str) -> str:
        """Return the blind agent that watches a device, empty if its agent sees."""
        agent = self.agent_of(device)
        return agent if agent in self.blind else ""

    def look(self, device: str) -> None:
        """Take in that something about reaching a device (or about an agent) changed."""
        if device not in self.site.devices:
            self._look_at_agent(device)
            return
        reach = self.casebook.reach.get(device)
        alarm = self._alarm(device, Kind.REACH)
        if reach is None or (alarm is not None and (alarm.raised_at or 0) > reach.at):
            dark = alarm is not None
        elif reach.state == ReachState.UNKNOWN:
            return
        else:
            dark = reach.state == ReachState.DOWN
        if dark != (device in self.dark):
            (self.dark.add if dark else self.dark.discard)(device)
            self._paths = None

    def _look_at_agent(self, agent: str) -> None:
        alarms = [self.casebook.alarms[key] for key in self.casebook.by_device.get(agent, ())]
        problems = {alarm.problem for alarm in alarms if alarm.condition is Condition.RAISED}
        (self.blind.add if "agent-blind" in problems else self.blind.discard)(agent)
        (self.mute.add if "agent-silent" in problems else self.mute.discard)(agent)

    def _alarm(self, device: str, kind: Kind) -> Alarm | None:
        for key in self.casebook.by_device.get(device, ()):
            alarm = self.casebook.alarms[key]
            if alarm.condition is Condition.RAISED and kind_of(alarm.problem) is kind:
                return alarm
        return None

    def look_at_link(self, alarm: Alarm) -> None:
        """Take in that an alarm about a port changed; other alarms are no matter."""
        if kind_of(alarm.problem) is not Kind.LINK:
            return
        edges = {(alarm.key.device, child) for child in self.leads_to(alarm)}
        before = len(self.cut)
        if alarm.condition is Condition.RAISED:
            self.cut |= edges
        else:
            self.cut -= edges
        if len(self.cut) != before:
            self._paths = None

    def leads_to(self, alarm: Alarm) -> tuple[str, ...]:
        """Return the devices behind the port that an alarm is about."""
        return self.topology.leads_to(alarm.key.device, alarm.key.component)

    @property
    def paths(self) -> Paths:
        """The ways that are open now."""
        if self._paths is None:
            self._paths = Paths(self.topology, self.dark, self.cut)
        return self._paths

    def suspect(self, device: str) -> bool:
        """Return whether the agent is checking a miss of this device."""
        reach = self.casebook.reach.get(device)
        return reach is not None and reach.state == ReachState.SUSPECT

    def doubtful(self, device: str) -> bool:
        """Return whether the way to a device is in doubt: an upstream suspect or dark, or the agent said *behind*."""
        reach = self.casebook.reach.get(device)
        if reach is not None and reach.state == ReachState.DOWN and reach.reason == "behind":
            return True
        return any(self.suspect(up) or up in self.dark for up in self.topology.upstream.get(device, ()))

    def silent(self, device: str) -> bool:
        """Return whether nothing is heard of a device, so that an alarm's end says nothing."""
        reach = self.casebook.reach.get(device)
        unknown = reach is not None and reach.state in (ReachState.DOWN, ReachState.UNKNOWN, ReachState.SUSPECT)
        return device in self.dark or unknown or self.agent_of(device) in self.blind | self.mute

    def since(self, device: str, otherwise: int) -> int:
        """Return the event time of the last change of reachability, `otherwise` where none is known."""
        reach = self.casebook.reach.get(device)
        return reach.since if reach is not None else otherwise

    def began(self, device: str) -> int:
        """Return the event time of the first failed answer of a dark device, 0 where it is not known."""
        reach = self.casebook.reach.get(device)
        if reach is not None and reach.state == ReachState.DOWN:
            return reach.since
        alarm = self._alarm(device, Kind.REACH)
        return alarm.began_at if alarm is not None else 0

    def dependants(self, device: str) -> frozenset[str]:
        """Return what depends on a device, or what an agent watches."""
        if self.is_agent(device):
            return frozenset(self.watched.get(device, ()))
        if device not in self.topology.devices:
            return frozenset()
        if device not in self._dependants:
            self._dependants[device] = frozenset(self.topology.dependants(device))
        return self._dependants[device]

    def segment(self, device: str) -> set[str]:
        """Return the dark ring segment around a device: dark neighbours with several upstreams, and theirs."""
        found, stack = {device}, [device]
        while stack:
            at = stack.pop()
            for near in (*self.topology.upstream.get(at, ()), *self.topology.downstream.get(at, ())):
                if near not in found and near in self.dark and len(self.topology.upstream.get(near, ())) > 1:
                    found.add(near)
                    stack.append(near)
        return found
