"""The names of all metrics that the program makes, read from profiles, code and registries: what `docs/metrics.md` lists."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from agent import self_report
from agent.metrics import AgentMetrics
from collector.app import LIBRARY
from collector.keys import RESERVED
from collector.own_metrics import OwnMetrics
from config.profile_load import load_profiles
from rules.load import load_rules

ROOT = Path(__file__).resolve().parents[2]
_NAME = re.compile(r'"([a-z]+(?:_[a-z]+)+)"')
_PROMETHEUS = {"ALERTS", "ALERTS_FOR_STATE"}


def of_profiles() -> set[str]:
    """Return the metrics that the shipped profiles' steps yield by their options."""
    return set(_in_options([step.options for profile in load_profiles().values() for step in profile.steps]))


def _in_options(value: object) -> Iterable[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("metric"), str):
            yield str(value["metric"])
        if "uptime" in value:
            yield from ("device_uptime_seconds", "device_reboots_total")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _in_options(item)


def of_code() -> set[str]:
    """Return the metrics that probes, agent and collector make under names of their own."""
    found = {*self_report._METRICS, *(RESERVED - _PROMETHEUS)}
    for room in ("probes", "agent", "collector"):
        for path in (ROOT / room).rglob("*.py"):
            lines = [line for line in path.read_text().splitlines() if "series_key(" in line or "for metric in (" in line]
            found.update(name for line in lines for name in _NAME.findall(line))
            found.update(re.findall(r'"(watchkeeper_[a-z_]+)"', path.read_text()))
    own = {f"{name}_total" for name in found if f"{name}_total" in of_registries()}
    return {name for name in found if f"{name}_total" not in own and not name.endswith("_")}


def of_registries() -> set[str]:
    """Return the metrics of the agent's own page and of the collector's own registry."""
    agent = AgentMetrics("a")
    shelf = SimpleNamespace(size=0, quarantined=0)
    spool: Any = SimpleNamespace(backlog_records=0, shelf=shelf, dropped=Counter(), write_errors=0)
    agent.watch(spool)
    return {name for registry in (agent.registry, OwnMetrics().registry) for name in _families(registry)}


def _families(registry: CollectorRegistry) -> Iterable[str]:
    for family in registry.collect():
        yield f"{family.name}_total" if family.type == "counter" else family.name


def of_rules() -> set[str]:
    """Return the metrics that the shipped rules read."""
    return set(load_rules(sorted(LIBRARY.glob("*.yml"))).spans()) - _PROMETHEUS
