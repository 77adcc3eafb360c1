"""The reference pages are complete and name nothing that does not exist: commands, metrics, reasons, routes, options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kit import metric_names
from kit.command_tables import tables
from probes.reason import Reason

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
COMMANDS = (REFERENCE / "commands.md").read_text()
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
