"""The site as a graph: who is reached through whom, and who feeds whom. Pure; holds no state of any device.

A device with several upstreams is lost only when every path to it is. An entry is a device without upstream: that is where
the agent comes in. In a ring drawn without one, a core device (else the first by name) is taken for it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping

from config.site import Device

_ROLE_ORDER = {"core": 0, "aggregation": 1}
Edge = tuple[str, str]  # (upstream, device)


class Topology:
    """Neighbours by name. Building costs about 2 us for each device and link."""

    def __init__(self, devices: Mapping[str, Device]) -> None:
        """Index upstreams, ports and feeds of the devices; names that are no device are left out."""
        self.devices = devices
        self.upstream: dict[str, tuple[str, ...]] = {}
        self.downstream: dict[str, list[str]] = defaultdict(list)
        self.ports: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.powers: dict[str, tuple[str, ...]] = {}
        self.powered_by: dict[str, list[str]] = defaultdict(list)
        for name, device in devices.items():
            known = [link for link in device.upstream if link.device in devices and link.device != name]
            self.upstream[name] = tuple(dict.fromkeys(link.device for link in known))
            for link in known:
                self.downstream[link.device].append(name)
                if link.port:
                    self.ports[link.device, link.port].append(name)
            self.powers[name] = tuple(other for other in device.powers if other in devices)
            for other in self.powers[name]:
                self.powered_by[other].append(name)
        self.entries = self._entries()

    def _entries(self) -> frozenset[str]:
        entries = {name for name, ups in self.upstream.items() if not ups}
        reached = self.descendants(entries) | entries
        left = (name for name in self.devices if name not in reached)
        for name in sorted(left, key=lambda n: (_ROLE_ORDER.get(self.devices[n].role, 2), n)):
            if name not in reached:
                entries.add(name)
                reached |= self.descendants([name]) | {name}
        return frozenset(entries)

    def descendants(self, names: Iterable[str]) -> set[str]:
        """Return every device that has one of these on some path to it. Linear in what is found."""
        found: set[str] = set()
        queue = deque(names)
        while queue:
            for child in self.downstream.get(queue.popleft(), ()):
                if child not in found:
                    found.add(child)
                    queue.append(child)
        return found

    def affected_by(self, names: Collection[str]) -> set[str]:
        """Return the devices that lose every path when these fail together, themselves included. Linear in what is behind."""
        gone = set(names)
        candidates = self.descendants(gone) - gone
        saved = deque(
            name
            for name in candidates
            if name in self.entries or any(up not in candidates and up not in gone for up in self.upstream[name])
        )
        alive = set(saved)
        while saved:
            for child in self.downstream.get(saved.popleft(), ()):
                if child in candidates and child not in alive:
                    alive.add(child)
                    saved.append(child)
        return gone | (candidates - alive)

    def dependants(self, name: str) -> set[str]:
        """Return what depends on a device: what is behind it alone, and what it feeds with all behind that."""
        fed = self.powers.get(name, ())
        return self.affected_by([name, *fed]) - {name}

    def leads_to(self, device: str, port: str) -> tuple[str, ...]:
        """Return the devices that are reached through a port."""
        return tuple(self.ports.get((device, port), ()))


class Paths:
    """Which ways are open, for one set of dark devices and cut links. Made anew when these change; remembers what it found."""

    def __init__(self, topology: Topology, dark: Collection[str], cut: Collection[Edge] = ()) -> None:
        """Look at the topology with these devices dark and these links cut; neither may change meanwhile."""
        self.topology, self.dark, self.cut = topology, dark, cut
        self._open: dict[str, bool] = {}
        self._roots: dict[str, tuple[str, ...]] = {}

    def _ups(self, name: str) -> list[str]:
        ups = self.topology.upstream.get(name, ())
        return [up for up in ups if (up, name) not in self.cut] if self.cut else list(ups)

    def is_open(self, name: str) -> bool:
        """Return whether a device that is not dark itself has a way to an entry over devices that are not dark."""
        if name in self._open:
            return self._open[name]
        came: dict[str, str] = {name: ""}
        stack = [name]
        while stack:
            at = stack.pop()
            if at in self.topology.entries or self._open.get(at):
                while at:
                    self._open[at] = True
                    at = came[at]
                return True
            for up in self._ups(at):
                if up not in came and up not in self.dark and self._open.get(up, True):
                    came[up] = at
                    stack.append(up)
        self._open.update(dict.fromkeys(came, False))
        return False

    def blockers(self, name: str) -> tuple[str, ...]:
        """Return the nearest dark devices on all ways to this one; none if some way is open or nothing dark explains it."""
        if name in self.topology.entries:
            return ()
        found: dict[str, None] = {}
        seen, stack = {name}, [name]
        while stack:
            for up in self._ups(stack.pop()):
                if up in seen:
                    continue
                seen.add(up)
                if up in self.dark:
                    found[up] = None
                elif self.is_open(up):
                    return ()
                else:
                    stack.append(up)
        return tuple(found)

    def roots(self, name: str) -> tuple[str, ...]:
        """Return the dark devices that explain why this one is lost, itself where nothing else does. Sorted.

        A ring segment whose both ends were cut explains itself: every dark device of it is then given.
        """
        if name in self._roots:
            return self._roots[name]
        own: set[str] = set()
        seen, stack, straight = {name}, [name], True
        while stack:
            at = stack.pop()
            if at in self._roots:
                own.update(self._roots[at])
                continue
            ahead = self.blockers(at)
            straight = straight and len(ahead) <= 1
            if not ahead:
                own.add(at)
            for up in ahead:
                if up not in seen:
                    seen.add(up)
                    stack.append(up)
        found = tuple(sorted(own or seen))
        for each in seen if straight and own else (name,):
            self._roots[each] = found
        return found
