"""A profile: what to ask a class of devices, in which lane. The options of a step belong to its probe, which checks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LANES = ("reach", "state", "table", "inventory", "picture", "shell")


@dataclass(frozen=True, slots=True)
class Step:
    """One question of a profile: which probe asks it, in which lane, with which options."""

    probe: str  # a name in probes.registry
    lane: str
    name: str  # unique in the profile; shown by `watchkeeper probe`
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is asked of one device class (or vendor, or model)."""

    name: str
    device_class: str
    steps: tuple[Step, ...]
    reach: tuple[str, ...] = ("icmp", "snmp")
