"""The reference pages are complete and name nothing that does not exist: commands, metrics, reasons, routes, options."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from collector.api import make_app
from collector.app import Collector
from collector.steps import ALLOWED
from config.profile_load import _STEP, PROFILE, load_profiles
from config.secret import Secret
from config.site import Credentials, Device, Site, SnmpCredentials
from kit import metric_names
from kit.command_tables import tables
from probes.reason import Reason
from probes.registry import PROBES, compile_plan
from probes.snmp.get import GetOptions
from probes.snmp.measure import ObjectOptions
from probes.snmp.table import TableOptions

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
COMMANDS = (REFERENCE / "commands.md").read_text()
DEVICE = Device("d", "127.0.0.1", "door-controller", Credentials("c", snmp=SnmpCredentials("2c", Secret("x", "x"))))
METRICS = (ROOT / "docs" / "metrics.md").read_text()


@pytest.mark.parametrize("command", tables())
def test_every_option_is_in_the_page(command: str) -> None:
    for row in tables()[command].splitlines():
        assert row in COMMANDS


def test_the_page_of_commands_names_no_other_option() -> None:
    rows = {row for table in tables().values() for row in table.splitlines()}
    assert {line for line in COMMANDS.splitlines() if re.match(r"\| `-", line)} <= rows
    for command in tables():
        assert f"`{command.split()[-1] if command else 'demo'}" in COMMANDS


def test_the_list_of_reasons_is_whole() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", (REFERENCE / "reasons.md").read_text(), re.MULTILINE)
    assert listed == [reason.value for reason in Reason]


def metrics_in(text: str) -> list[str]:
    return re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)


def test_the_list_of_metrics_is_whole_and_knows_no_other() -> None:
    made, read = METRICS.split("## Read by shipped rules")
    ours = metric_names.of_profiles() | metric_names.of_code() | metric_names.of_registries()
    assert set(metrics_in(made)) == ours
    assert sorted(metrics_in(made)) == sorted(set(metrics_in(made)))
    assert set(metrics_in(read)) == metric_names.of_rules() - ours


def test_the_routes_are_the_collectors() -> None:
    page = (REFERENCE / "api.md").read_text()
    app = make_app(cast(Collector, SimpleNamespace()))
    routes = {f"{method} {path}" for path, methods in app.openapi()["paths"].items() for method in map(str.upper, methods)}
    assert set(re.findall(r"^\| `((?:GET|POST) [^`]+)`", page, re.MULTILINE)) == routes


def test_the_keys_of_a_fault_are_those_of_the_answer() -> None:
    page = (REFERENCE / "api.md").read_text().split("## A fault")[1]
    source = (ROOT / "collector" / "fault_json.py").read_text().split("def _clock")[0]
    named = {name for cell in re.findall(r"^\| (`[^|]+) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)}
    assert named == set(re.findall(r'^        "(\w+)":', source, re.MULTILINE))


def options_in(page: str, heading: str) -> set[str]:
    section = page.split(f"\n{heading}\n")[1].split("\n#")[0]
    return {name for cell in re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)}


def test_the_options_of_every_probe_are_in_the_page() -> None:
    page = (REFERENCE / "profiles.md").read_text()
    models = {"### snmp_get": GetOptions, "### snmp_table": TableOptions, "### An SNMP object": ObjectOptions}
    for heading, model in models.items():
        assert options_in(page, heading) == {field.encode_name for field in msgspec.structs.fields(cast(Any, model))}, heading
    files = {"icmp": "icmp/probe.py", "tcp": "tcp.py", "http": "http.py", "ssh": "ssh/probe.py", "pjlink": "pjlink.py"}
    for probe, file in files.items():
        taken = re.findall(r'options\.\w+\("(\w+)"', (ROOT / "probes" / file).read_text())
        assert options_in(page, f"### {probe}") == set(taken), probe
    assert {*files, "snmp_get", "snmp_table"} == set(PROBES)
    keys = {key.name for key in (*PROFILE.keys, *_STEP.keys)}
    assert {name for name in keys if f"| `{name}` |" not in page} == set()


def test_the_profile_of_the_page_is_accepted(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```yaml\n(profile:.*?)^```", (REFERENCE / "profiles.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "own.yaml").write_text(example)
    profile = load_profiles(tmp_path)["door-controller"]
    steps = compile_plan(cast(Site, SimpleNamespace(name="s", path=tmp_path)), DEVICE, profile).steps
    assert {"door-port", "page", "climate", "identity"} <= {step.step.name for step in steps}


def test_what_is_allowed_when_is_as_the_page_says() -> None:
    page = (ROOT / "docs" / "how-to" / "faults.md").read_text().split("## What is allowed when")[1]
    told = {
        state: set(steps.split(", "))
        for states, steps in re.findall(r"^\| ([a-z, ]+) \| ([a-z, ]+) \|$", page, re.MULTILINE)
        for state in states.split(", ")
        if state != "state"
    }
    assert told == {state.value: set(steps) for state, steps in ALLOWED.items() if steps}
