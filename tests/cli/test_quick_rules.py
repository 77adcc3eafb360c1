"""The demo's rules are the shipped ones but for their durations, and are rules that the loader takes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import rules
from cli.quick_rules import quickened, write_quick_rules
from rules.load import load_rules

LIBRARY = Path(rules.__file__).with_name("library")


def test_durations_are_divided() -> None:
    text = """
groups:
  - name: g
    interval: 30s
    rules:
      - {alert: A, expr: 'changes(x[15m]) + avg_over_time(y[30s]) > 1', for: 10m}
      - {alert: B, expr: 'z{u="[5m]x"} == 0'}
"""
    group = yaml.safe_load(quickened(text, 30))["groups"][0]
    assert group["interval"] == "1000ms"
    assert group["rules"][0] == {
        "alert": "A", "expr": "changes(x[30000ms]) + avg_over_time(y[4000ms]) > 1", "for": "20000ms",
    }  # fmt: skip
    assert "for" not in group["rules"][1]


def test_the_shipped_rules_stay_what_they_are(tmp_path: Path) -> None:
    copies = write_quick_rules(LIBRARY, tmp_path / "rules", 30)
    assert [copy.name for copy in copies] == [path.name for path in sorted(LIBRARY.glob("*.yml"))]
    load_rules(copies)
    for copy in copies:
        assert _bare(copy) == _bare(LIBRARY / copy.name)


def _bare(path: Path) -> list[tuple[str, str]]:
    content = yaml.safe_load(path.read_text())
    return [
        (rule["alert"], re.sub(r"\[\w+\]", "[]", rule["expr"]))
        for group in content["groups"]
        for rule in group["rules"]
        if "alert" in rule
    ]
