"""Who can be asked: power and paths through the fleet, worked out anew after every change. Pure; costs a visit to each link.

A device is *on* if it is alive and something feeds it; it is *reachable* if it is on and a chain of links that are up leads
from it to a device without upstream, where the agent stands.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from simulator.spec import DeviceSpec, LinkSpec

Link = tuple[str, str]  # (device, its upstream)
Port = tuple[str, str]  # (device, port name)


@dataclass(slots=True)
class Damage:
    """What is broken at the moment."""

    dead: set[str] = field(default_factory=set)
    cut: set[Link] = field(default_factory=set)
    closed: set[Port] = field(default_factory=set)  # ports forced down
    loss: dict[str, float] = field(default_factory=dict)  # device -> share of packets lost on its way upstream


@dataclass(frozen=True, slots=True)
class View:
    """What follows from the damage. `paths` has the loss ratio of every reachable device; `dark` are ports without a link."""

    on: frozenset[str]
    paths: Mapping[str, float]
    dark: frozenset[Port]


class Topology:
    """The links and feeds of a fleet, prepared once."""

    def __init__(self, devices: Iterable[DeviceSpec]) -> None:
        """Index the devices; names that are no device have been refused before."""
        self._devices = {device.name: device for device in devices}
        self._below: dict[str, list[tuple[DeviceSpec, LinkSpec]]] = defaultdict(list)
        self._feeds: dict[str, list[str]] = defaultdict(list)
        for device in self._devices.values():
            for link in device.upstream:
                self._below[link.device].append((device, link))
            for fed in device.powers:
                self._feeds[fed].append(device.name)

    def view(self, damage: Damage, powering: Callable[[str], bool]) -> View:
        """Return who is on, who is reachable and which ports are dark. `powering` says whether a device feeds its load."""
        on = frozenset(name for name in self._devices if self._is_on(name, damage, powering))
        paths: dict[str, float] = {name: damage.loss.get(name, 0.0) for name in on if not self._devices[name].upstream}
        waiting = deque(paths)
        while waiting:
            upstream = waiting.popleft()
            for device, link in self._below[upstream]:
                if device.name in on and device.name not in paths and not self._broken(device, link, damage):
                    kept = (1 - paths[upstream]) * (1 - damage.loss.get(device.name, 0.0))
                    paths[device.name] = 1 - kept
                    waiting.append(device.name)
        return View(on, paths, self._dark(on, damage))

    def _is_on(self, name: str, damage: Damage, powering: Callable[[str], bool]) -> bool:
        if name in damage.dead or not powering(name):
            return False
        feeds = self._feeds.get(name)
        return not feeds or any(feed not in damage.dead and powering(feed) for feed in feeds)

    def _broken(self, device: DeviceSpec, link: LinkSpec, damage: Damage) -> bool:
        return (device.name, link.device) in damage.cut or (link.device, link.port) in damage.closed

    def _dark(self, on: frozenset[str], damage: Damage) -> frozenset[Port]:
        lit: set[Port] = set()
        known: set[Port] = set()
        for device in self._devices.values():
            for link in device.upstream:
                port = (link.device, link.port)
                known.add(port)
                if device.name in on and not self._broken(device, link, damage):
                    lit.add(port)
        return frozenset((known - lit) | damage.closed)
