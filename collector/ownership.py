"""Which agent watches which device, and which one used to. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from config.site import Site


class Standing(StrEnum):
    """How an agent stands to a device it speaks of."""

    OWN = "own"
    FORMER = "former"  # it used to watch it; what it still has to say is dropped and counted
    UNKNOWN = "unknown"  # no device of this name is in the site file (any more)
    FOREIGN = "foreign"  # another agent's


class Ownership:
    """The devices of a site by agent. `former` are (device, agent) pairs of earlier site files."""

    def __init__(self, site: Site, former: Iterable[tuple[str, str]] = ()) -> None:
        """Take the site's word: a device names its agent, or belongs to the only one there is."""
        known = agents_of(site)
        only = next(iter(known)) if len(known) == 1 else site.agent.name
        self._owner = {name: device.agent or only for name, device in site.devices.items()}
        self._former = frozenset(former)

    def standing(self, agent: str, device: str) -> Standing:
        """Return how an agent stands to a device; it may speak for itself under its own name."""
        owner = self._owner.get(device)
        if owner is None:
            return Standing.OWN if device == agent else Standing.UNKNOWN
        if owner == agent:
            return Standing.OWN
        return Standing.FORMER if (device, agent) in self._former else Standing.FOREIGN

    def owner(self, device: str) -> str:
        """Return the agent that watches a device, empty if there is no such device."""
        return self._owner.get(device, "")

    def pairs(self) -> list[tuple[str, str]]:
        """Return (device, agent) of every device."""
        return sorted(self._owner.items())

    def gone(self) -> list[str]:
        """Return the devices of earlier site files that are not in this one."""
        return sorted({device for device, _ in self._former} - self._owner.keys())

    def devices(self, agent: str) -> list[str]:
        """Return the devices an agent watches."""
        return [device for device, owner in self._owner.items() if owner == agent]


def agents_of(site: Site) -> dict[str, None]:
    """Return the names of all agents the site file speaks of, in its order."""
    named = dict.fromkeys(device.agent for device in site.devices.values() if device.agent)
    return dict.fromkeys(site.collector.agents) | named or {site.agent.name: None}
