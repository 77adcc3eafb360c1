"""Every example is accepted as it stands: site files by the site loader, scenarios by the scenario loader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.load import load_site
from simulator.scenario import load_scenario

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SITES = sorted(path for path in EXAMPLES.glob("*.yaml") if re.search(r"^site:.*name:", path.read_text(), re.MULTILINE))
SCENARIOS = sorted(path for path in EXAMPLES.glob("*.yaml") if path not in SITES)


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_site_files_are_accepted(path: Path) -> None:
    environ = dict.fromkeys(re.findall(r"env:(\w+)", path.read_text()), "a-secret-value")
    site = load_site(path, environ)
    assert site.devices
    assert not site.warnings


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenarios_are_accepted(path: Path) -> None:
    assert load_scenario(path).timeline


def test_ten_lines_are_ten() -> None:
    assert len((EXAMPLES / "ten-lines.yaml").read_text().splitlines()) == 10


def test_the_list_is_whole() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.yaml)\)", (EXAMPLES / "README.md").read_text()))
    assert listed == {path.name for path in EXAMPLES.glob("*.yaml")}
