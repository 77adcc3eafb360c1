"""From a scenario to the site file that fits it: addresses, ports, upstreams, credentials, the agent's lanes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from simulator.harbour import DIALOGUES, USUAL_PORTS
from simulator.spec import CredentialsSpec, DeviceSpec, LinkSpec, Scenario, SnmpSpec
from simulator.templates import CLASSES

DEFAULT_SITE = {"contract": "campus-network"}


def site_yaml(scenario: Scenario, ports: Mapping[str, int] | None = None, secrets: str = "secrets") -> str:
    """Return the site file of a scenario; `secrets` is the folder of its secrets, counted from the file's own.

    Reachability is asked over SNMP or TCP: the loopback answers every ping, for dead devices too.
    """
    found = {**USUAL_PORTS, **(ports or {})}
    site: dict[str, Any] = {"site": {"name": scenario.name, **DEFAULT_SITE, **scenario.site}}
    site["credentials"] = {name: _credentials(entry, secrets, found) for name, entry in scenario.credentials.items()}
    site["agent"] = {"gateway": "none", **scenario.agent}
    site["collector"] = scenario.collector
    site["places"] = {place.name: _place(place.title, place.region) for place in scenario.places}
    text = yaml.safe_dump({key: part for key, part in site.items() if part}, sort_keys=False, allow_unicode=True)
    devices = [_device(device, found) for device in scenario.devices.values()]
    return text + _rows("devices", devices)


def _rows(key: str, entries: list[dict[str, Any]]) -> str:
    """Return a list with one line for each entry, as people write it."""
    lines = (
        yaml.safe_dump(entry, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000).strip()
        for entry in entries
    )
    return f"{key}:\n" + "".join(f"  - {line}\n" for line in lines) if entries else ""


def write_site(scenario: Scenario, path: Path, ports: Mapping[str, int] | None = None) -> None:
    """Write the site file and, in a folder beside it, the secrets it names, readable by this user alone.

    Raises:
        OSError: a file cannot be written.
    """
    folder = path.with_name(f"{path.stem}-secrets")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, secret in _secrets(scenario):
        with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(secret)
    path.write_text(site_yaml(scenario, ports, folder.name), encoding="utf-8")


def _secrets(scenario: Scenario) -> Iterator[tuple[str, str]]:
    for name, entry in scenario.credentials.items():
        snmp = entry.snmp
        if snmp is not None and snmp.version != "3":
            yield f"{name}-community", snmp.community
        if snmp is not None and snmp.auth is not None:
            yield f"{name}-auth", snmp.auth[1]
        if snmp is not None and snmp.priv is not None:
            yield f"{name}-priv", snmp.priv[1]
        if entry.pjlink:
            yield f"{name}-pjlink", entry.pjlink
        if entry.http is not None:
            yield f"{name}-http", entry.http[1]


def _credentials(entry: CredentialsSpec, secrets: str, ports: Mapping[str, int]) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if entry.snmp is not None:
        parts["snmp"] = {**_snmp(entry.snmp, f"file:{secrets}/{entry.name}"), "port": ports["snmp"]}
    if entry.pjlink:
        parts["pjlink"] = {"password": f"file:{secrets}/{entry.name}-pjlink", "port": ports["pjlink"]}
    if entry.http is not None:
        parts["http"] = {"username": entry.http[0], "password": f"file:{secrets}/{entry.name}-http"}
    return parts


def _snmp(snmp: SnmpSpec, stem: str) -> dict[str, Any]:
    if snmp.version != "3":
        return {"version": snmp.version, "community": f"{stem}-community"}
    parts: dict[str, Any] = {"version": "3", "user": snmp.user}
    if snmp.auth is not None:
        parts["auth"] = {snmp.auth[0]: f"{stem}-auth"}
    if snmp.priv is not None:
        parts["priv"] = {snmp.priv[0]: f"{stem}-priv"}
    return parts


def _place(title: str, region: str) -> dict[str, str]:
    return {key: value for key, value in (("title", title), ("region", region)) if value}


def _device(device: DeviceSpec, ports: Mapping[str, int]) -> dict[str, Any]:
    spoken = CLASSES[device.device_class].protocols
    entry: dict[str, Any] = {"name": device.name, "address": device.address, "class": device.device_class}
    for key in ("role", "place", "credentials"):
        if getattr(device, key):
            entry[key] = getattr(device, key)
    if device.upstream:
        entry["upstream"] = [
            {"device": link.device, "port": link.port} if link.port else link.device for link in device.upstream
        ]
    if device.powers:
        entry["powers"] = list(device.powers)
    entry["reach"] = list(device.reach or (("snmp",) if "snmp" in spoken else ("tcp",)))
    entry["ports"] = {protocol: ports[protocol] for protocol in spoken}
    stream = [protocol for protocol in spoken if protocol in DIALOGUES]
    if stream:
        entry["ports"]["tcp"] = ports[stream[0]]
    return entry


def _link(link: LinkSpec) -> dict[str, str] | str:
    return {"device": link.device, "port": link.port} if link.port else link.device
