"""The shape of a scenario file: keys and types only. What they mean together is checked in `simulator.scenario`."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from config.language import _
from config.quantity import duration_s

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def _seconds(value: object) -> float:
    seconds = duration_s(value) if isinstance(value, str) else None
    if seconds is None:
        raise ValueError(_("not a duration; write 10s, 2m or 500ms"))
    return seconds


def _address(value: object) -> str:
    try:
        address = ipaddress.IPv4Address(str(value))
    except ValueError:
        raise ValueError(_("not an IPv4 address")) from None
    if address not in _LOOPBACK or str(address) in ("127.0.0.0", "127.0.0.1", "127.255.255.255"):
        raise ValueError(_("the fleet lives on loopback: 127.0.0.2 to 127.255.255.254"))
    return str(address)


def _listed(value: object) -> object:
    return value if isinstance(value, list) or value is None else [value]


Seconds = Annotated[float, BeforeValidator(_seconds)]
Address = Annotated[str, BeforeValidator(_address)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._{}-]{0,62}$")]
AuthProtocol = Literal["md5", "sha", "sha224", "sha256", "sha384", "sha512"]
PrivProtocol = Literal["des", "aes128", "aes192", "aes256"]


class Part(BaseModel):
    """A mapping that admits no other keys."""

    model_config = ConfigDict(extra="forbid")


class RawLink(Part):
    """The way to the next device towards the agent."""

    device: str
    port: str = ""


def _link(value: object) -> object:
    links = _listed(value)
    return [{"device": link} if isinstance(link, str) else link for link in links] if isinstance(links, list) else links


class RawDevice(Part):
    """One device, or `count` of them with {n} in the name."""

    name: Name
    device_class: str = Field(alias="class")
    address: Address
    count: int = Field(1, ge=1, le=65_000)
    credentials: str = ""
    role: str = ""
    place: str = ""
    upstream: Annotated[list[RawLink], BeforeValidator(_link)] = []
    powers: Annotated[list[str], BeforeValidator(_listed)] = []
    reach: Annotated[list[Literal["icmp", "snmp", "tcp"]], BeforeValidator(_listed)] = []
    ports: int = Field(24, ge=1, le=500)
    unused: int = Field(0, ge=0, le=500)
    runtime: Seconds = Field("22m", validate_default=True)
    lamp_hours: int = Field(900, ge=0)


class RawSnmp(Part):
    """How the fleet wants to be asked over SNMP."""

    version: Literal["1", "2c", "3"]
    community: str = "public"
    user: str = ""
    auth: dict[AuthProtocol, Annotated[str, StringConstraints(min_length=8)]] = Field({}, max_length=1)
    priv: dict[PrivProtocol, Annotated[str, StringConstraints(min_length=8)]] = Field({}, max_length=1)


class RawPjlink(Part):
    """The password of the projectors."""

    password: Annotated[str, StringConstraints(min_length=1, max_length=32)]


class RawHttp(Part):
    """User and password of web pages and RTSP."""

    username: str
    password: str


class RawCredentials(Part):
    """One named entry."""

    snmp: RawSnmp | None = None
    pjlink: RawPjlink | None = None
    http: RawHttp | None = None


class RawStep(Part):
    """One step of the timeline."""

    at: Seconds
    do: str
    on: Annotated[list[str], BeforeValidator(_listed)]
    port: str | None = None
    to: str | None = None
    part: str | None = None
    value: float | None = Field(None, allow_inf_nan=False)
    faster: float | None = Field(None, gt=0, allow_inf_nan=False)
    lasts: Seconds | None = Field(None, alias="for")
    every: Seconds | None = None


class RawFault(Part):
    """One fault that a run must show."""

    device: str
    problem: str = ""
    level: str = ""
    state: str = ""
    affected: list[str] | None = None


class RawPersona(Part):
    """One thing the scripted operator does."""

    device: str
    step: Literal["ack", "assign", "arrive", "restore", "confirm", "close", "note"]
    after: Seconds
    person: str
    note: str = ""


class RawPlace(Part):
    """A crossing, a building, a room."""

    name: str
    title: str = ""
    region: str = ""


class RawScenario(Part):
    """The whole file."""

    name: Name
    fleet: list[RawDevice] = Field(min_length=1)
    seed: int = 1
    site: dict[str, Any] = {}
    agent: dict[str, Any] = {}
    collector: dict[str, Any] = {}
    ports: dict[Literal["snmp", "http", "https", "rtsp", "pjlink", "sip", "banner"], Annotated[int, Field(ge=0, le=65535)]] = {}
    certificate_days: float = Field(365.0, gt=-3650, lt=36500)
    credentials: dict[str, RawCredentials] = {}
    places: list[RawPlace] = []
    timeline: list[RawStep] = []
    expect: list[RawFault] = []
    persona: list[RawPersona] = []
