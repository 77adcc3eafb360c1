"""What a scenario file says, as typed records: the fleet, its credentials, the timeline, what is expected of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SnmpSpec:
    """How a device wants to be asked over SNMP; secrets are plain, they protect nothing."""

    version: str = "2c"  # 1, 2c, 3
    community: str = "public"
    user: str = ""
    auth: tuple[str, str] | None = None  # protocol (md5, sha, sha224 ... sha512) and pass phrase
    priv: tuple[str, str] | None = None  # protocol (des, aes128, aes192, aes256) and pass phrase


@dataclass(frozen=True, slots=True)
class CredentialsSpec:
    """One named set of credentials of the simulated site."""

    name: str
    snmp: SnmpSpec | None = None
    pjlink: str = ""  # password; empty: the projector wants none
    http: tuple[str, str] | None = None  # user name and password


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """The way from a device to the next one towards the agent."""

    device: str
    port: str = ""


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """One simulated device."""

    name: str
    device_class: str
    address: str
    credentials: str = ""
    role: str = ""
    place: str = ""
    upstream: tuple[LinkSpec, ...] = ()
    powers: tuple[str, ...] = ()
    reach: tuple[str, ...] = ()
    ports: int = 24  # of a switch; channels of a recorder
    unused: int = 0  # ports that are administratively down
    runtime_s: float = 1320.0  # of a UPS with a full battery at its load
    lamp_hours: int = 900  # of a projector


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step of the timeline: at which second, what happens to which device, and the action's own values."""

    at_s: float
    do: str
    on: str
    port: str = ""
    to: str = ""  # the upstream whose link is meant, where a device has several
    part: str = ""  # of a projector, a printer's supply, a recorder's disk or channel
    value: float = 0.0
    faster: float = 1.0  # how many times as fast a battery drains


@dataclass(frozen=True, slots=True)
class ExpectedFault:
    """One fault that a run of the scenario must show; `device` is its root."""

    device: str
    problem: str = ""
    level: str = ""  # the last one; empty: any
    state: str = ""  # at the end; empty: any
    affected: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PersonaStep:
    """What the scripted operator does with the faults of one device, `after_s` his last step with it (or its opening)."""

    device: str
    step: str  # ack, assign, arrive, restore, confirm, close, note
    after_s: float
    person: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class PlaceSpec:
    """A crossing, a building, a room."""

    name: str
    title: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario file, resolved and checked."""

    name: str
    path: Path
    devices: dict[str, DeviceSpec]
    timeline: tuple[StepSpec, ...] = ()
    credentials: dict[str, CredentialsSpec] = field(default_factory=dict)
    places: tuple[PlaceSpec, ...] = ()
    site: dict[str, object] = field(default_factory=dict)  # the `site:` of the site file
    agent: dict[str, object] = field(default_factory=dict)  # its `agent:`
    collector: dict[str, object] = field(default_factory=dict)  # its `collector:`
    ports: dict[str, int] = field(default_factory=dict)  # protocol -> port that is tried first; 0: any free one
    seed: int = 1
    certificate_days: float = 365.0
    expect: tuple[ExpectedFault, ...] = ()
    persona: tuple[PersonaStep, ...] = ()
