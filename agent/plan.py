"""What is asked of one device in one lane, compiled once: questions, deadline, the keys of the round's own samples."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.budget import DeviceBudget, Health
from config.profile import Profile
from config.site import Device, Site
from probes.labels import base_labels
from probes.registry import CompiledStep, StepError, compile_steps
from probes.sample import series_key

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class LanePlan:
    """One device in one lane. `keys` are those of probe_success and probe_duration_seconds."""

    device: str
    lane: str
    interval_s: float
    timeout_s: float
    protocol: str
    steps: tuple[CompiledStep, ...]
    keys: bytes
    budget: DeviceBudget
    health: Health = field(default_factory=Health)
    busy: bool = False
    round: asyncio.Task[None] | None = None  # the newest one
    excused: bool = False  # its device came back meanwhile: if it fails, it is begun again


@dataclass(slots=True, eq=False)
class DevicePlan:
    """One device with all its lanes, and what they were compiled from."""

    device: Device
    profile: Profile
    lanes: dict[str, LanePlan]


def compile_device(site: Site, device: Device, profile: Profile) -> DevicePlan:
    """Return the plan of a device. A step that cannot be compiled is logged and the device is asked nothing of it."""
    try:
        steps = compile_steps(site, device, profile)
    except StepError as error:
        log.error("device %s: %s", device.name, error)
        steps = []
    by_lane: dict[str, list[CompiledStep]] = {}
    for step in steps:
        if step.step.lane in site.agent.lanes and step.step.lane != "reach":
            by_lane.setdefault(step.step.lane, []).append(step)
    budget = DeviceBudget()
    lanes = {lane: _lane(site, device, lane, listed, budget) for lane, listed in by_lane.items()}
    return DevicePlan(device, profile, lanes)


def _lane(site: Site, device: Device, lane: str, steps: Sequence[CompiledStep], budget: DeviceBudget) -> LanePlan:
    labels = {**base_labels(site, device), "lane": lane}
    keys = b"\n".join(series_key(metric, labels) for metric in ("probe_success", "probe_duration_seconds"))
    protocol = "snmp" if any(step.step.probe.startswith("snmp") for step in steps) else lane
    settings = site.agent.lanes[lane]
    return LanePlan(device.name, lane, settings.interval_s, settings.timeout_s, protocol, tuple(steps), keys, budget)
