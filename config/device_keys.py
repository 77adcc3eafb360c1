"""The keys of one entry under `devices:`, also the columns of a CSV list. Makes drafts: references are resolved later."""

from __future__ import annotations

from dataclasses import dataclass

from config.kind import ADDRESS, LABEL_NAME, NAME, PLACE_NAME, PORT, Number, OneOf, Text, Usual
from config.language import _, noted
from config.node import Mapping
from config.reading import Reading
from config.shape import Key, ListOf, MapOf, OneOrMore, Table, Values
from config.site import Upstream

ROLES = ("core", "aggregation", "access", "edge")
REGIONS = ("urban", "county")
REACH_METHODS = ("icmp", "snmp", "tcp")
PROTOCOLS = ("snmp", "ssh", "http", "https", "pjlink", "rtsp", "onvif", "sip", "tcp", "telnet", "banner")
RESERVED_LABELS = frozenset(
    (
        *("site", "device", "class", "place", "role", "agent", "alertname", "severity", "level", "lane", "port", "phase"),
        *("interface", "supply", "sensor", "fan", "lamp", "source", "channel", "disk", "volume", "state", "part"),
        *("le", "quantile", "vendor", "model", "serial", "firmware", "sys_name"),
    )
)
TEXT = Text(200)


@dataclass(frozen=True, slots=True)
class Draft:
    """A device as written, with the place it was written at; names of other things are not yet looked up."""

    values: Values
    node: Mapping
    file: str


def _upstream(values: Values, node: Mapping, reading: Reading) -> Upstream | None:
    return Upstream(values["device"], values.get("port") or "") if values.get("device") else None


def _draft(values: Values, node: Mapping, reading: Reading) -> Draft:
    labels = values.get("labels") or {}
    for name in labels:
        if name in RESERVED_LABELS or name.startswith("__"):
            reading.path += ["labels", name]
            reading.wrong(node.entries["labels"], _("this label is Watchkeeper's own; choose another name"))
            del reading.path[-2:]
    return Draft(values, node, reading.file)


UPSTREAM = Table(
    (
        Key("device", NAME, "name of the device that the way leads through", "acc-3-12", required=True),
        Key("port", TEXT, "its port, by the name the device gives it", "GigabitEthernet1/0/9", "unknown"),
    ),
    _upstream,
    "devices: upstream",
    label=noted("a device's name or {device, port}"),
    short=NAME,
    expand=Upstream,
)
DEVICE = Table(
    (
        Key("name", NAME, "unique name: letters of any script, digits, `.` `_` `-`, at most 128", "acc-3-12", required=True),
        Key("address", ADDRESS, "IPv4 address, IPv6 address or host name", "10.0.3.12", required=True),
        Key("class", NAME, "device class: gives profile, rules and clocks", "switch", required=True),
        Key("credentials", NAME, "name of an entry under credentials", "read-only", "none"),
        Key("role", Usual(ROLES), "role in the network: core, aggregation, access, edge, or another that the contract names",
            "core", "none"),
        Key("place", PLACE_NAME, "the crossing, building or room it stands in", "room-301", "none"),
        Key("region", OneOf(REGIONS), "urban or county", "county", "the place's, else the site's"),
        Key("upstream", OneOrMore(UPSTREAM), "the way to it: a device, `{device, port}`, or a list for a ring or a pair",
            "{device: acc-3-12, port: GigabitEthernet1/0/9}", "learned or none"),
        Key("powers", ListOf(NAME), "devices that it feeds (a UPS, a power strip)", "[acc-3-12]", "[]"),
        Key("agent", NAME, "the agent that watches it", "x17", "the only one"),
        Key("profile", NAME, "profile to use instead of the class's own", "huawei-switch", "the class's"),
        Key("reach", ListOf(OneOf(REACH_METHODS)), "how to tell that it is there, in order", "[icmp, tcp]", "the profile's"),
        Key("ports", MapOf(PORT, Usual(PROTOCOLS)), "ports that are not the usual ones, by protocol", "{snmp: 1161}", "{}"),
        Key("thresholds", MapOf(Number(), LABEL_NAME), "limits of its own for the rules that ask for them",
            "{temperature_celsius: 55}", "{}"),
        Key("labels", MapOf(TEXT, LABEL_NAME), "further labels for all its series", "{owner: library}", "{}"),
        Key("asset", MapOf(Text(1000), Text(100)), "asset data for documents; unknown columns of a CSV list end here",
            "{serial: 2102351}", "{}"),
    ),
    _draft,
    "devices",
)  # fmt: skip
DEVICES = ListOf(DEVICE, by="name")
