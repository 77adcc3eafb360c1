"""The shipped rules: promtool accepts and tests them, our engine agrees with promtool, and each says what it must."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from collector.series import SeriesState
from rules.alert import AlertState
from rules.engine import RuleEngine
from rules.load import load_rules
from rules.notation import duration, selector, series
from rules.rule import AlertRule
from rules.source import Labels, stale_mask

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = sorted((ROOT / "rules" / "library").glob("*.yml"))
TESTS = sorted(Path(__file__).with_name("library").glob("*.test.yml"))
SEVERITIES = {"critical", "major", "minor", "warning", "indeterminate"}
ANNOTATIONS = {"effect", "summary", "description", "runbook", "summary_zh", "description_zh"}
_NAMES = """
device_up device_suspect probe_success probe_duration_seconds icmp_rtt_seconds icmp_loss_ratio
device_uptime_seconds device_reboots_total device_info interface_up interface_admin_up interface_speed_bytes
interface_receive_bytes_total interface_transmit_bytes_total interface_receive_errors_total
interface_transmit_errors_total interface_receive_discards_total interface_transmit_discards_total
ups_on_battery ups_output_source ups_battery_charge_ratio ups_battery_runtime_seconds ups_battery_replace
ups_output_load_ratio ups_input_volts ups_output_volts ups_battery_temperature_celsius temperature_celsius
fan_ok supply_ok cpu_used_ratio memory_used_ratio printer_supply_ratio printer_cover_open printer_jam
projector_power projector_lamp_seconds_total projector_error tcp_connect_seconds http_status_code
http_duration_seconds tls_certificate_expiry_seconds ssh_login_seconds conference_registered camera_stream_up
recorder_recording recorder_disk_ok storage_used_ratio agent_up agent_blind agent_epoch_conflict agent_backlog_records ALERTS
"""
VOCABULARY = set(_NAMES.split())


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed")
    return found


def test_promtool_accepts_the_library(promtool: str) -> None:
    subprocess.run([promtool, "check", "rules", *map(str, LIBRARY)], check=True, capture_output=True)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_promtool_passes_the_tests(promtool: str, path: Path) -> None:
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def alert_rules() -> list[AlertRule]:
    return [rule for group in load_rules(LIBRARY).groups for rule in group.rules if isinstance(rule, AlertRule)]


@pytest.mark.parametrize("rule", alert_rules(), ids=lambda rule: rule.key)
def test_every_rule_says_what_it_must(rule: AlertRule) -> None:
    labels = {name: template.text for name, template in rule.labels}
    annotations = {name: template.text for name, template in rule.annotations}
    assert labels["severity"] in SEVERITIES
    assert annotations.keys() == ANNOTATIONS and annotations["effect"] in {"outage", "protection", "degraded"}
    assert not any("$value" in text or ".Value" in text for text in labels.values())


def test_the_rules_read_only_metrics_that_exist() -> None:
    read = {metric for group in load_rules(LIBRARY).groups for metric in group.reads}
    assert read <= VOCABULARY


def test_every_rule_is_tested() -> None:
    text = "".join(path.read_text() for path in TESTS)
    assert [rule.name for rule in alert_rules() if f'alertname="{rule.name}"' not in text] == []


def cases() -> list[tuple[Path, dict[str, object]]]:
    return [(path, case) for path in TESTS for case in yaml.safe_load(path.read_text())["tests"]]


@pytest.mark.parametrize(("path", "case"), cases(), ids=lambda value: value["name"] if isinstance(value, dict) else value.stem)
def test_our_engine_agrees_with_the_tests(path: Path, case: dict[str, list[dict[str, object]]]) -> None:
    """Step by step over the collector's own state, as the collector would."""
    step = duration(str(case["interval"]))
    state = SeriesState()
    engine = RuleEngine(load_rules([ROOT / "rules" / "library" / f"{path.name.removesuffix('.test.yml')}.yml"]), state)
    lines = [series(f"{each['series']} {each['values']}") for each in case["input_series"]]
    wanted: dict[int, list[dict[str, object]]] = {}
    for check in case.get("promql_expr_test", []):
        wanted.setdefault(duration(str(check["eval_time"])), []).append(check)
    last = max(wanted, default=0)
    start = 1_700_000_000_000
    for k, at in enumerate(range(0, last + 1, step)):
        for line in lines:
            value = line.points[k] if k < len(line.points) else None
            rows = state.handle(line.metric, [line.labels])
            if value is None or stale_mask(np.array([value]))[0]:
                continue
            state.append(rows, [value], start + at)
        engine.evaluate(start + at, metrics=VOCABULARY)
        for check in wanted.get(at, []):
            _, labels, _ = selector(str(check["expr"]))
            name = dict(labels)["alertname"]
            expected = {_without_state(str(sample["labels"])) for sample in check["exp_samples"]}
            assert {s.labels for s in engine.snapshot() if s.rule == name and s.phase == "firing"} == expected, (name, at)


def _without_state(text: str) -> Labels:
    _, labels, _ = selector(text)
    return tuple(pair for pair in labels if pair[0] != "alertstate")


class Port:
    """One switch port over hours, in our engine."""

    def __init__(self, states: list[AlertState] | None = None, now: int = 1_700_000_000_000) -> None:
        self.state, self.now = SeriesState(), now
        self.engine = RuleEngine(load_rules([ROOT / "rules" / "library" / "switch.yml"]), self.state)
        if states is not None:
            self.engine.restore(states, now)

    def run(self, minutes: float, up: float | None) -> list[str]:
        found = []
        for _ in range(round(minutes * 6)):
            self.now += 10_000
            keys = ['device_up{device="d",site="s"}', 'probe_success{device="d",lane="state",site="s"}']
            values = [1.0, float(up is not None)]
            if up is not None and not math.isnan(up):  # a port that is no longer there
                keys += [f'{name}{{device="d",interface="1",site="s"}}' for name in ("interface_up", "interface_admin_up")]
                values += [up, 1.0]
            self.state.append(self.state.rows("\n".join(keys).encode()), values, self.now - 9_000)
            found += [change.kind.value for change in self.engine.evaluate(self.now)]
        return found


def test_a_lost_link_stays_an_alarm_over_hours_silence_and_a_restart() -> None:
    port = Port()
    assert port.run(2, up=1.0) == []
    assert port.run(1, up=0.0) == ["pending", "firing"]
    assert port.run(120, up=0.0) == []
    assert port.run(30, up=None) == []  # the switch does not answer
    again = Port(port.engine.snapshot(), port.now + 600_000)
    assert again.run(2, up=None) == []  # nothing polled yet
    assert again.run(60, up=0.0) == []
    assert again.run(1, up=1.0) == ["resolved"]


def test_a_lost_link_that_a_good_answer_lacks_is_no_alarm() -> None:
    port = Port()
    port.run(2, up=1.0)
    assert port.run(1, up=0.0) == ["pending", "firing"]
    assert port.run(6, up=math.nan) == ["resolved"]
