"""The keys under `agent:` and the record they make."""

from __future__ import annotations

from pathlib import Path

from config.address import leads_beyond_loopback
from config.kind import ADDRESS, GATEWAY, LISTEN, NAME, URL, Duration, FilePath, OneOf, SecretText, Size, Whole
from config.language import _, noted
from config.node import Mapping
from config.profile import LANES
from config.reading import Reading
from config.shape import Key, ListOf, Table, Values
from config.site import AgentSettings, LaneSettings, SpoolSettings

DEFAULT_LANES = {
    "reach": LaneSettings(2.0, 1.0),
    "state": LaneSettings(30.0, 5.0),
    "table": LaneSettings(60.0, 20.0),
    "inventory": LaneSettings(6 * 3600.0, 60.0),
    "picture": LaneSettings(300.0, 30.0),
    "shell": LaneSettings(3600.0, 60.0),
}
TOKEN = SecretText(minimum=16)
INTERVAL = Duration(0.1)


def _lane(values: Values, node: Mapping, reading: Reading) -> LaneSettings | None:
    """Return interval and timeout; 0 stands for one that was not given, `_lanes` puts the lane's default there."""
    interval, timeout = values.get("interval"), values.get("timeout")
    return LaneSettings(interval or 0.0, timeout or 0.0)


def _interval_only(interval: float) -> LaneSettings:
    return LaneSettings(interval, 0.0)


def _lanes(values: Values, node: Mapping, reading: Reading) -> dict[str, LaneSettings]:
    lanes = dict(DEFAULT_LANES)
    for name, given in values.items():
        if given is None:
            continue
        usual = DEFAULT_LANES[name]
        interval = given.interval_s or max(usual.interval_s, given.timeout_s)
        timeout = given.timeout_s or min(usual.timeout_s, interval)
        if timeout > interval:
            reading.path.append(name)
            message = _("the timeout ({timeout:g} s) is longer than the interval ({interval:g} s)")
            reading.wrong(node.entries[name], message.format(timeout=timeout, interval=interval))
            reading.path.pop()
        lanes[name] = LaneSettings(interval, timeout)
    return lanes


def _spool(values: Values, node: Mapping, reading: Reading) -> Values:
    return values


def _agent(values: Values, node: Mapping, reading: Reading) -> Values:
    if "collector" in values and "token" not in values:
        reading.wrong(node, _("'token' is missing: the collector wants one from every agent"))
    if "collector" not in values and "token" in values:
        reading.warn(node.marks["token"][0], _("the token is not used without 'collector'"))
    collector = values.get("collector") or ""
    if collector.startswith("http://") and leads_beyond_loopback(collector):
        reading.warn(node.marks["collector"][0], _("the token travels unencrypted; use https"))
    return values


def agent_settings(values: Values, site: str, data: Path) -> AgentSettings:
    """Return the agent's settings, with what was not given: named as the site, its spool beside the collector's data."""
    spool = values.get("spool") or {}
    return AgentSettings(
        name=values.get("name") or site,
        spool=SpoolSettings(
            path=spool.get("path") or data / "spool",
            max_bytes=spool.get("max_size") or 1 << 30,
            max_age_s=spool.get("max_age") or 24 * 3600.0,
            keep=spool.get("keep") or "newest",
        ),
        lanes=values.get("lanes") or dict(DEFAULT_LANES),
        collector=values.get("collector") or "",
        token=values.get("token"),
        ca=values.get("ca"),
        listen=values.get("listen") or "",
        references=values.get("references") or (),
        gateway=values.get("gateway") or "auto",
        max_in_flight=values.get("max_in_flight") or 2000,
    )


def _lane_key(name: str) -> Key:
    usual = DEFAULT_LANES[name]
    return Key(
        name,
        Table(
            (
                Key("interval", INTERVAL, "how often it asks", f"{2 * usual.interval_s:g}s", f"{usual.interval_s:g}s"),
                Key("timeout", INTERVAL, "how long a round may take; at most the interval", "1s", f"{usual.timeout_s:g}s"),
            ),
            _lane,
            "agent.lanes.LANE",
            label=noted("a duration or {interval, timeout}"),
            short=INTERVAL,
            expand=_interval_only,
        ),
        f"the {name} lane: an interval, or {{interval, timeout}}",
        f"{2 * usual.interval_s:g}s",
        f"{{interval: {usual.interval_s:g}s, timeout: {usual.timeout_s:g}s}}",
    )


SPOOL = Table(
    (
        Key("path", FilePath(), "folder of what the collector has not acknowledged", "/var/lib/watchkeeper/spool",
            "spool in the data folder"),
        Key("max_size", Size(), "how much of it", "512MB", "1GB"),
        Key("max_age", Duration(1.0), "how old it may become", "3d", "24h"),
        Key("keep", OneOf(("newest", "oldest")), "what stays when it is full", "oldest", "newest"),
    ),
    _spool,
    "agent.spool",
)  # fmt: skip
AGENT = Table(
    (
        Key("name", NAME, "name of this agent; the collector knows it by this name", "x17", "the site's name"),
        Key("collector", URL, "where it sends to, when the collector is another process", "https://centre.example:8470",
            "in the same process"),
        Key("token", TOKEN, "its bearer token, 16 characters or more; needed with collector", "file:/etc/watchkeeper/x17.token",
            "none"),
        Key("ca", FilePath(expected=True), "file of certificates (PEM) that the collector's is checked with", "ca.crt",
            "the system's"),
        Key("listen", LISTEN, "where its own /metrics and /healthz are", "127.0.0.1:8471", "nowhere"),
        Key("references", ListOf(ADDRESS), "addresses that answer unless the agent itself is cut off", "[10.0.0.1, 10.0.0.2]",
            "[]"),
        Key("gateway", GATEWAY, "its own gateway: an address, auto (the default route) or none", "10.0.0.254", "auto"),
        Key("max_in_flight", Whole(1, 100_000), "questions under way at once", "500", "2000"),
        Key("spool", SPOOL, "what it keeps while the collector is away", "{max_size: 512MB, max_age: 3d}"),
        Key("lanes", Table(tuple(_lane_key(name) for name in LANES), _lanes, "agent.lanes"), "how often each lane asks",
            "{reach: 1s, table: {interval: 5m, timeout: 30s}}"),
    ),
    _agent,
    "agent",
)  # fmt: skip
