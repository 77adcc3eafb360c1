"""The typed records of one site: what the operator wrote, resolved and checked. Loading is in `config.load`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from config.profile import Profile
from config.secret import Secret


@dataclass(frozen=True, slots=True)
class SnmpCredentials:
    """How to ask over SNMP. `community` for v1/v2c; user and protocols for v3 (RFC 3414, RFC 7860)."""

    version: str  # "1", "2c", "3"
    community: Secret | None = None
    user: str = ""
    auth_protocol: str = ""  # md5, sha, sha224, sha256, sha384, sha512; empty for none
    auth_secret: Secret | None = None
    priv_protocol: str = ""  # des, aes128, aes192, aes256; empty for none
    priv_secret: Secret | None = None
    context: str = ""
    port: int = 161


@dataclass(frozen=True, slots=True)
class SshCredentials:
    """How to log in over SSH. Host keys come from `known_hosts`; `legacy` admits old algorithms for this device only."""

    username: str
    password: Secret | None = None
    key_file: Path | None = None
    port: int = 22
    platform: str = ""  # netmiko's device_type: huawei_vrp, hp_comware, ruijie_os, zte_zxros, cisco_ios, linux
    known_hosts: Path | None = None
    trust_first_use: bool = False
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class HttpCredentials:
    """Basic or bearer authentication for HTTP questions; `ca` is a file of trusted certificates."""

    username: str = ""
    password: Secret | None = None
    bearer: Secret | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class PjlinkCredentials:
    """The password of a projector's PJLink server, if it wants one."""

    password: Secret | None = None
    port: int = 4352


@dataclass(frozen=True, slots=True)
class Credentials:
    """One named entry of `credentials:`: what it holds for each protocol."""

    name: str
    snmp: SnmpCredentials | None = None
    ssh: SshCredentials | None = None
    http: HttpCredentials | None = None
    pjlink: PjlinkCredentials | None = None


@dataclass(frozen=True, slots=True)
class Upstream:
    """The way to a device: through which device, and through which of its ports where that is known."""

    device: str
    port: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """One device of the site."""

    name: str
    address: str  # IPv4, IPv6 or a host name
    device_class: str
    credentials: Credentials | None = None
    role: str = ""  # core, aggregation, access, edge; empty where the class has no roles
    place: str = ""
    region: str = ""  # urban, county; the place's or the site's where the device has none
    upstream: tuple[Upstream, ...] = ()
    powers: tuple[str, ...] = ()
    agent: str = ""  # the agent that watches it; empty: the only one
    profile: str = ""  # empty: the class's own
    reach: tuple[str, ...] = ()  # methods in order, such as ("icmp", "snmp"); empty: the profile's
    ports: Mapping[str, int] = field(default_factory=dict)  # protocol -> port, where it is not the usual one
    thresholds: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)  # further labels for its series
    asset: Mapping[str, str] = field(default_factory=dict)  # columns of an asset list that name no field


@dataclass(frozen=True, slots=True)
class Place:
    """A crossing, a building, a room: a group of devices inside the site."""

    name: str
    region: str = ""
    title: str = ""


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Where the agent keeps what the collector has not acknowledged, and how much of it."""

    path: Path
    max_bytes: int = 1 << 30
    max_age_s: float = 24 * 3600.0
    keep: str = "newest"  # what stays when it is full: newest or oldest


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """How often a lane asks and how long it waits, in seconds."""

    interval_s: float
    timeout_s: float


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The agent's half: its name, where it sends, what it keeps."""

    name: str
    spool: SpoolSettings
    lanes: Mapping[str, LaneSettings]
    collector: str = ""  # URL; empty: in the same process
    token: Secret | None = None
    ca: Path | None = None
    listen: str = ""  # host:port of /metrics and /healthz; empty: none
    references: tuple[str, ...] = ()  # addresses that answer unless the agent itself is cut off
    gateway: str = "auto"  # an address, auto (the default route) or none
    max_in_flight: int = 2000


@dataclass(frozen=True, slots=True)
class AgentAccess:
    """What the collector knows of one agent: its tokens (two while one is being replaced)."""

    name: str
    tokens: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True)
class Retention:
    """How long samples are kept inside: whichever limit is met first."""

    max_age_s: float = 3 * 24 * 3600.0
    max_bytes: int = 2 << 30


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """The collector's half: where it listens, where it stores."""

    data: Path  # folder of the database
    listen: str = "127.0.0.1:8470"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    metrics_token: Secret | None = None
    agents: Mapping[str, AgentAccess] = field(default_factory=dict)
    retention: Retention = field(default_factory=Retention)
    agent_silent_s: float = 60.0
    reopen_window_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class Site:
    """Everything one site file says, includes and defaults resolved."""

    name: str
    contract: str
    path: Path
    devices: Mapping[str, Device]
    agent: AgentSettings
    collector: CollectorSettings
    region: str = "urban"
    timezone: str = "UTC"
    locale: str = "en"
    title: str = ""
    places: Mapping[str, Place] = field(default_factory=dict)
    rules: tuple[Path, ...] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict)  # shipped and the operator's own, by name
    warnings: tuple[str, ...] = ()  # what was accepted but deserves a look
