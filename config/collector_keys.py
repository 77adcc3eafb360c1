"""The keys under `collector:` and the record they make."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from config.address import listens_beyond_loopback
from config.agent_keys import TOKEN
from config.credentials_keys import private_file
from config.kind import LISTEN, Duration, FilePath, Size
from config.language import _
from config.node import Mapping
from config.reading import Reading
from config.shape import Key, ListOf, MapOf, Table, Values
from config.site import AgentAccess, CollectorSettings, Retention

DATA_FOLDER = "watchkeeper-data"


def _tls(values: Values, node: Mapping, reading: Reading) -> Values:
    private_file(values.get("key"), "key", node, reading)
    return values


def _access(values: Values, node: Mapping, reading: Reading) -> AgentAccess:
    if ("token" in values) == ("tokens" in values):
        reading.wrong(node, _("expected 'token', or 'tokens' while one is being replaced"))
    tokens = values.get("tokens") or ((values["token"],) if values.get("token") else ())
    return AgentAccess("", tuple(tokens))


def _retention(values: Values, node: Mapping, reading: Reading) -> Retention:
    usual = Retention()
    return Retention(values.get("age") or usual.max_age_s, values.get("size") or usual.max_bytes)


def _collector(values: Values, node: Mapping, reading: Reading) -> Values:
    tls, listen = "tls" in values, values.get("listen") or "127.0.0.1:8470"
    if not tls and listens_beyond_loopback(listen):
        reading.warn(node.marks["listen"][0], _("listens beyond this machine without tls; tokens travel unencrypted"))
    owner: dict[object, str] = {}
    for name, access in (values.get("agents") or {}).items():
        for token in access.tokens:
            if owner.setdefault(token, name) != name:
                message = _("agents {one} and {other} have the same token; each can pass for the other")
                reading.warn(node.marks["agents"][0], message.format(one=owner[token], other=name))
    return values


def collector_settings(values: Values, folder: Path) -> CollectorSettings:
    """Return the collector's settings, with what was not given; its data is kept beside the site file."""
    tls = values.get("tls") or {}
    usual = CollectorSettings(data=values.get("data") or folder / DATA_FOLDER)
    return replace(
        usual,
        listen=values.get("listen") or usual.listen,
        tls_certificate=tls.get("certificate"),
        tls_key=tls.get("key"),
        metrics_token=values.get("metrics_token"),
        agents={name: replace(access, name=name) for name, access in (values.get("agents") or {}).items()},
        retention=values.get("retention") or usual.retention,
        agent_silent_s=values.get("agent_silent") or usual.agent_silent_s,
        reopen_window_s=values.get("reopen_window") or usual.reopen_window_s,
    )


TLS = Table(
    (
        Key("certificate", FilePath(expected=True), "certificate chain (PEM)", "/etc/watchkeeper/tls.crt", required=True),
        Key(
            "key",
            FilePath(expected=True),
            "its private key (PEM), mode 0640 or tighter",
            "/etc/watchkeeper/tls.key",
            required=True,
        ),
    ),
    _tls,
    "collector.tls",
)
ACCESS = Table(
    (
        Key("token", TOKEN, "its bearer token, 16 characters or more", "file:/etc/watchkeeper/x17.token"),
        Key("tokens", ListOf(TOKEN), "several, while one is being replaced", "[file:old.token, file:new.token]"),
    ),
    _access,
    "collector.agents.NAME",
)
RETENTION = Table(
    (
        Key("age", Duration(60.0), "how long samples are kept inside", "7d", "3d"),
        Key("size", Size(), "how much of them; whichever limit is met first", "8GB", "2GB"),
    ),
    _retention,
    "collector.retention",
)
COLLECTOR = Table(
    (
        Key("listen", LISTEN, "where the collector serves: ingest, API, /metrics", "0.0.0.0:8470", "127.0.0.1:8470"),
        Key("data", FilePath(), "folder of its database and samples", "/var/lib/watchkeeper", f"{DATA_FOLDER} here"),
        Key("tls", TLS, "certificate and key, to serve HTTPS", "{certificate: tls.crt, key: tls.key}", "plain HTTP"),
        Key("metrics_token", TOKEN, "bearer token that /metrics asks for", "file:/etc/watchkeeper/metrics.token", "none"),
        Key("agents", MapOf(ACCESS), "the agents that may deliver, and their tokens", "{x17: {token: env:X17_TOKEN}}",
            "only the one in the same process"),
        Key("retention", RETENTION, "how long samples are kept inside", "{age: 7d, size: 8GB}"),
        Key("agent_silent", Duration(1.0), "after how long a silent agent is a fault", "3m", "60s"),
        Key("reopen_window", Duration(), "how soon a fault that comes back is the same fault", "1h", "30m"),
    ),
    _collector,
    "collector",
)  # fmt: skip
