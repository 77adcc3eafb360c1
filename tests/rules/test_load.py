from __future__ import annotations

from pathlib import Path

import pytest

from kit.reference import reference
from rules.load import RuleErrors, load_rules, load_text
from rules.rule import AlertRule, RecordRule

GOOD = """
groups:
- name: one
  interval: 15s
  query_offset: 5s
  limit: 7
  labels: {team: noc, severity: minor}
  rules:
  - alert: Down
    expr: up == 0
    for: 1h30m
    keep_firing_for: 5m
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.x }}"}
  - record: a:b
    expr: sum(up == 0)
- name: two
  rules:
  - {alert: Down, expr: up == 0, labels: {severity: critical, team: noc}}
"""


def test_everything_a_rule_file_says() -> None:
    rules = load_text(GOOD)
    one, two = rules.groups
    assert (one.interval_ms, one.query_offset_ms, one.limit, two.interval_ms) == (15_000, 5_000, 7, 60_000)
    down, record = one.rules
    assert isinstance(down, AlertRule) and isinstance(record, RecordRule)
    assert (down.for_ms, down.keep_firing_ms) == (5_400_000, 300_000)
    assert {name: template.text for name, template in down.labels} == {"team": "noc", "severity": "critical"}
    assert record.labels == (("severity", "minor"), ("team", "noc"))
    assert one.reads == {"up"} and one.writes == {"a:b"}
    assert rules.spans() == {"up": 5_000}
    second = two.rules[0]
    assert isinstance(second, AlertRule) and second.key == f"{down.key}#2"
    assert second.node is down.node and id(down.node) in rules.shared  # evaluated once a tick


BAD = """
groups:
- name: one
  intervall: 15s
  rules:
  - alert: A
    expr: up ==
  - alert: B
    expr: up[5m]
    for: 5 minutes
  - alert: C
    record: c
    expr: up
  - record: "bad name"
    expr: up
    for: 3m
  - alert: D
    expr: rate(up[90d])
    annotations: {summary: "{{ nope }}"}
  - alert: E
    expr: up @ 1700000000
  - alert: F
    expr: label_replace(up, "a", "b", "c", "(")
  - alert: G
    labels: {"0x": "y"}
- name: one
  rules: {}
"""


def test_all_errors_at_once_with_file_line_group_and_rule() -> None:
    with pytest.raises(RuleErrors) as caught:
        load_text(BAD, "site.yml")
    found = [(error.line, error.group, error.rule) for error in caught.value.errors]
    assert (4, "one", "") in found and (7, "one", "A") in found and (9, "one", "B") in found and (10, "one", "B") in found
    texts = str(caught.value)
    for part in (
        'unknown key "intervall"', "a range vector", '"5 minutes" is not a duration', "one of alert and record",
        "is not a metric name", "cannot have for", "reads 2160 hours back", "'nope' not defined", "fixed time (@)",
        "missing )", "a rule needs an expr", '"0x" is not a label name', "is used 2 times", "expected a list",
    ):  # fmt: skip
        assert part in texts, part
    assert 'site.yml:7: group "one", rule "A": ' in texts


@pytest.mark.parametrize(
    "text", ["{", "- a", "groups: 3", "groups: [3]", "groups:\n- name: a\n  rules: [x]", "\x00", "a: &a [*a]"]
)
def test_what_is_no_rule_file_is_an_error_not_a_crash(text: str) -> None:
    with pytest.raises(RuleErrors):
        load_text(text)


def test_a_missing_file_is_an_error_beside_the_others(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("groups: 3")
    with pytest.raises(RuleErrors) as caught:
        load_rules([tmp_path / "none.yml", bad])
    assert len(caught.value.errors) == 2
    assert load_text("").groups == ()


@pytest.mark.parametrize(
    ("parts", "rules"),
    [
        (("wild", "mixin-snmp-alerts.yaml"), 14),
        (("wild", "mixin-node-exporter-alerts.yaml"), 26),
        (("prometheus_alerts.yaml",), 65),
    ],
)
def test_rule_files_of_others_load(parts: tuple[str, ...], rules: int) -> None:
    loaded = load_rules([reference("promql", *parts)])
    assert sum(len(group.rules) for group in loaded.groups) == rules
