"""A campus of real daemons on loopback: core, access switches and what hangs on them; and an eye on its fault records.

`campus(folder, net, ...)` starts as many snmpd as it takes (many addresses each); `Desk` asks a running collector by HTTP.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from kit import snmpd
from kit.site import until

ADDRESSES_PER_DAEMON = 60


@dataclass(frozen=True)
class Campus:
    """Names, addresses and ways of the devices; `parent` is empty for the core."""

    port: int
    address: dict[str, str] = field(default_factory=dict)
    parent: dict[str, str] = field(default_factory=dict)
    kind: dict[str, str] = field(default_factory=dict)
    snmp: frozenset[str] = frozenset()

    def lines(self, **more: str) -> list[str]:
        """Return the device lines of a site file; `more` adds keys to the devices named."""
        return [self.line(name, more.get(name.replace("-", "_"), "")) for name in self.address]

    def line(self, name: str, more: str = "") -> str:
        """Return one device line."""
        words = [f"name: {name}", f"address: {self.address[name]}", f"class: {self.kind[name]}"]
        words += [f"upstream: {self.parent[name]}"] if self.parent[name] else ["role: core"]
        words += ["credentials: read-only"] if name in self.snmp else []
        return f"{{{', '.join([*words, *([more] if more else [])])}}}"

    def below(self, *names: str) -> list[str]:
        """Return these devices and all behind them, sorted."""
        found = set(names)
        while more := {name for name, up in self.parent.items() if up in found} - found:
            found |= more
        return sorted(found)

    def at(self, names: Sequence[str]) -> list[str]:
        """Return the addresses of these."""
        return [self.address[name] for name in names]


def plan(net: str, switches: int, leaves: int, port: int) -> Campus:
    """Return a tree on `net` (``127.66``): core-1, acc-N below it, and below each `leaves` hosts; every third with SNMP."""
    address, parent, kind, snmp = {"core-1": f"{net}.0.1"}, {"core-1": ""}, {"core-1": "switch"}, {"core-1"}
    for number in range(1, switches + 1):
        switch = f"acc-{number}"
        address[switch], parent[switch], kind[switch] = f"{net}.{number}.1", "core-1", "switch"
        snmp.add(switch)
        for leaf in range(1, leaves + 1):
            name = f"host-{number}-{leaf}"
            address[name], parent[name] = f"{net}.{number}.{leaf + 1}", switch
            kind[name] = "server" if leaf % 3 == 1 else "ping-only"
            if leaf % 3 == 1:
                snmp.add(name)
    return Campus(port, address, parent, kind, frozenset(snmp))


@contextmanager
def campus(folder: Path, net: str, switches: int, leaves: int) -> Iterator[Campus]:
    """Run the daemons of a planned campus."""
    made = plan(net, switches, leaves, snmpd.free_port(f"{net}.0.1"))
    addresses = [made.address[name] for name in made.address if name in made.snmp]
    with ExitStack() as stack:
        for first in range(0, len(addresses), ADDRESSES_PER_DAEMON):
            home = folder / f"snmpd-{first}"
            home.mkdir()
            stack.enter_context(snmpd.running(home, addresses[first : first + ADDRESSES_PER_DAEMON], made.port))
        yield made


@dataclass(frozen=True)
class Desk:
    """Reads a running collector's API."""

    port: int
    data: Path

    def get(self, path: str) -> Any:
        """Return what it answers, None while it does not."""
        try:
            token = (self.data / "operator.token").read_text().strip()
            asked = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return json.loads(answer.read())
        except (OSError, urllib.error.URLError, ValueError):
            return None

    def faults(self, state: str = "all") -> list[dict[str, Any]]:
        """Return the faults, oldest first."""
        answer = until("the collector answers", lambda: self.get(f"/api/v1/faults?state={state}"), 30)
        return sorted(answer["faults"], key=lambda fault: (fault["began_at"], fault["id"]))

    def roots(self) -> list[str]:
        """Return the devices of all faults that are not restored."""
        return sorted(fault["device"] for fault in self.faults() if not fault["restored_at"])

    def metrics(self) -> str:
        """Return the page of /metrics."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            return str(answer.read().decode())

    def up(self) -> int:
        """Return how many devices are up, by /metrics."""
        try:
            lines = [line for line in self.metrics().splitlines() if line.startswith("device_up{")]
            return sum(float(line.rpartition(" ")[2]) == 1 for line in lines)
        except OSError:
            return 0

    def settled(self, devices: int, timeout_s: float = 45) -> None:
        """Wait until so many devices are up."""
        until(f"{devices} devices are up (last: {self.up()})", lambda: self.up() == devices, timeout_s, 0.5)


def seconds(text: str) -> float:
    """Return an RFC 3339 time as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def steady(desk: Desk, for_s: float = 3.0, timeout_s: float = 30) -> list[dict[str, Any]]:
    """Return the faults once they have not changed for a while."""
    end, since, last = time.monotonic() + timeout_s, time.monotonic(), None
    while time.monotonic() < end:
        now = [(fault["id"], fault["state"], fault["affected"], fault["device"]) for fault in desk.faults()]
        if now != last:
            since, last = time.monotonic(), now
        elif time.monotonic() - since >= for_s:
            break
        time.sleep(0.3)
    return desk.faults()
