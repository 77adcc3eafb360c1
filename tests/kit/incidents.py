"""A site, an engine and a fake clock for incident scripts: say what happens when, ask what the faults are."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from collector.decisions import Decisions
from collector.engine_settings import EngineSettings
from collector.fault import Fault, FaultState
from collector.faults import FaultEngine
from config.contract import load_contract
from config.site import AgentSettings, CollectorSettings, Device, Place, Site, SpoolSettings, Upstream
from probes.sample import ReachState, Transition
from rules.alert import AlertChange, Kind

START = 1_795_312_800_000  # 2026-11-22T02:00:00Z, a Sunday
ANNOTATIONS = {
    "DeviceDown": {"effect": "outage"},
    "LinkDown": {"effect": "outage"},
    "UpsOnBattery": {"effect": "protection"},
    "AgentBlind": {"effect": "outage"},
    "AgentSilent": {"effect": "outage"},
    "PictureLost": {"effect": "outage", "problem": "picture-lost"},
    "TemperatureHigh": {"effect": "degraded", "problem": "temperature-high"},
    "BatteryLow": {"effect": "degraded", "problem": "battery-low"},
}


def device(
    name: str,
    device_class: str = "switch",
    up: str | Iterable[str | tuple[str, str]] = (),
    *,
    role: str = "",
    place: str = "",
    region: str = "",
    powers: Iterable[str] = (),
    agent: str = "",
) -> Device:
    links = [up] if isinstance(up, str) and up else up
    ups = tuple(Upstream(*link) if isinstance(link, tuple) else Upstream(link) for link in links)
    return Device(
        name,
        "192.0.2.1",
        device_class,
        role=role,
        place=place,
        region=region,
        upstream=ups,
        powers=tuple(powers),
        agent=agent,
    )


def site(*devices: Device, contract: str = "campus-network", timezone: str = "UTC", region: str = "urban") -> Site:
    places = {found.place: Place(found.place) for found in devices if found.place}
    return Site(
        name="north",
        contract=contract,
        path=Path("site.yaml"),
        devices={found.name: found for found in devices},
        agent=AgentSettings("agent-1", SpoolSettings(Path("spool")), {}),
        collector=CollectorSettings(Path("data")),
        region=region,
        timezone=timezone,
        places=places,
    )


class Incident:
    """An engine driven in seconds from START; keeps all that it decided."""

    def __init__(self, *devices: Device, contract: str = "campus-network", settings: EngineSettings | None = None, **more: str):
        self.site = site(*devices, contract=contract, **more)
        self.engine = FaultEngine(self.site, load_contract(contract), settings)
        self.decisions: list[Decisions] = []

    def at(self, seconds: float) -> int:
        return START + round(seconds * 1000)

    def apply(self, when: float, changes: Iterable[AlertChange] = (), transitions: Iterable[Transition] = ()) -> Decisions:
        return self.keep(self.engine.apply(tuple(changes), tuple(transitions), self.at(when)))

    def keep(self, decisions: Decisions) -> Decisions:
        self.decisions.append(decisions)
        return decisions

    def run(self, until: float) -> None:
        """Tick at every moment something is due, up to then."""
        while (due := self.engine.next_due()) is not None and due <= self.at(until):
            self.keep(self.engine.tick(due))
        self.keep(self.engine.tick(self.at(until)))

    def alert(
        self, when: float, name: str, rule: str = "DeviceDown", kind: str = "firing", severity: str = "critical", **labels: str
    ) -> AlertChange:
        found = self.site.devices.get(name)
        pairs = {"alertname": rule, "severity": severity, "site": "north", "device": name, **labels}
        if found:
            pairs["class"] = found.device_class
        return AlertChange(
            Kind(kind), rule, tuple(sorted(pairs.items())), ANNOTATIONS.get(rule, {}), self.at(when), self.at(when), 1.0
        )

    def word(self, when: float, name: str, state: str = "down", reason: str = "icmp", since: float | None = None) -> Transition:
        begun = when - 2 if since is None and state == "down" else when if since is None else since
        return Transition(name, ReachState(state), reason, self.at(begun), self.at(when))

    def suspect(self, when: float, *names: str) -> Decisions:
        return self.apply(when, (), [self.word(when, name, "suspect", "icmp") for name in names])

    def down(self, when: float, *names: str, reason: str = "icmp", learned: float | None = None) -> Decisions:
        words = [self.word(when, name, "down", reason) for name in names]
        return self.apply(when if learned is None else learned, [self.alert(when, name) for name in names], words)

    def up(self, when: float, *names: str, learned: float | None = None) -> Decisions:
        words = [self.word(when, name, "up", "recovered") for name in names]
        changes = [self.alert(when, name, kind="resolved") for name in names]
        return self.apply(when if learned is None else learned, changes, words)

    def raise_(self, when: float, name: str, rule: str, severity: str = "major", **labels: str) -> Decisions:
        return self.apply(when, [self.alert(when, name, rule, "firing", severity, **labels)])

    def clear(self, when: float, name: str, rule: str, severity: str = "major", **labels: str) -> Decisions:
        return self.apply(when, [self.alert(when, name, rule, "resolved", severity, **labels)])

    @property
    def faults(self) -> list[Fault]:
        """The last word on every fault there ever was, merged ones too."""
        last: dict[str, Fault] = {}
        for decisions in self.decisions:
            for fault in decisions.faults:
                last[fault.id] = fault
        return [last[name] for name in sorted(last)]

    @property
    def real(self) -> list[Fault]:
        return [fault for fault in self.faults if fault.state is not FaultState.MERGED]

    @property
    def only(self) -> Fault:
        assert len(self.real) == 1, [(f.id, f.device, f.problem, f.state) for f in self.real]
        return self.real[0]

    def steps(self, fault: Fault) -> list[str]:
        return [h.step for decisions in self.decisions for h in decisions.history if h.fault == fault.id]

    def told(self) -> list[tuple[str, str]]:
        return [(d.kind, d.fault) for decisions in self.decisions for d in decisions.deliveries]


def tree() -> list[Device]:
    return [
        device("core-1", role="core"),
        device("agg-1", up="core-1", role="aggregation"),
        device("acc-1", up=[("agg-1", "Gi1/0/1")]),
        device("cam-1", "camera", [("acc-1", "Gi1/0/7")], place="hall"),
        device("cam-2", "camera", [("acc-1", "Gi1/0/8")], place="hall"),
    ]


def ring() -> list[Device]:
    """Two cores, and four counties between them."""
    ends = [device("core-a", role="core", place="city-a"), device("core-b", role="core", place="city-b", up="core-a")]
    nodes = ["core-a", "n1", "n2", "n3", "n4", "core-b"]
    inner = []
    for at in range(1, 5):
        left, right = nodes[at - 1], nodes[at + 1]
        ups = [(left, f"to-{nodes[at]}"), (right, f"to-{nodes[at]}")]
        inner.append(device(nodes[at], up=ups, place=f"county-{at}", region="county"))
    return ends + inner


def power() -> list[Device]:
    return [
        device("core-1", role="core"),
        device("acc-3", up="core-1"),
        device("ups-3", "ups", "acc-3", powers=["acc-3"]),
        device("cam-1", "camera", "acc-3"),
        device("cam-2", "camera", "acc-3"),
    ]
