"""The devices of one agent as plans, kept up to date with the site: unchanged ones keep everything they have learned."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from agent.plan import DevicePlan, LanePlan, compile_device
from config.load import find_profile
from config.site import Device, Site

log = logging.getLogger(__name__)

COMPILE_AT_ONCE = 50


def devices_of(site: Site, agent: str) -> list[Device]:
    """Return the devices that this agent watches: its own, and those that name no agent."""
    return [device for device in site.devices.values() if device.agent in ("", agent)]


def reach_methods(site: Site, device: Device) -> tuple[str, ...]:
    """Return how a device is asked whether it is there: its own methods, else its profile's."""
    return device.reach or find_profile(device, site.profiles).reach


class Fleet:
    """All device plans by name."""

    def __init__(self) -> None:
        self.plans: dict[str, DevicePlan] = {}

    async def load(self, site: Site, before: Site | None) -> list[LanePlan]:
        """Compile what is new or changed; returns the lanes that are no longer asked. Gives way to other work often."""
        same_lanes = before is not None and (before.agent.lanes, before.name) == (site.agent.lanes, site.name)
        plans: dict[str, DevicePlan] = {}
        for count, device in enumerate(devices_of(site, site.agent.name)):
            profile = find_profile(device, site.profiles)
            known = self.plans.get(device.name)
            if known is not None and same_lanes and known.device == device and known.profile == profile:
                plans[device.name] = known
                continue
            plans[device.name] = compile_device(site, device, profile)
            if count % COMPILE_AT_ONCE == 0:
                await asyncio.sleep(0)
        gone = [lane for name, old in self.plans.items() if plans.get(name) is not old for lane in old.lanes.values()]
        self.plans = plans
        return gone

    def lanes(self, lane: str) -> dict[str, LanePlan]:
        """Return the plans of one lane by device name."""
        return {name: plan.lanes[lane] for name, plan in self.plans.items() if lane in plan.lanes}

    def of(self, device: str) -> Iterable[LanePlan]:
        """Return all lanes of a device."""
        plan = self.plans.get(device)
        return plan.lanes.values() if plan is not None else ()
