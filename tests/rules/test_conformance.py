"""The evaluator against Prometheus's own engine tests, over both states: whole samples, and the collector's rings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.series import SeriesState
from kit.reference import reference
from rules.conformance import Tally, main, run_file
from rules.samples import SampleSource
from rules.source import SeriesSource

FILES = (
    "aggregators",
    "functions",
    "histograms",
    "literals",
    "name_label_dropping",
    "range_queries",
    "trig_functions",
)


def ring_state() -> SeriesState:
    state = SeriesState()
    state.retain({"*": 10**9})
    return state


def wanted(name: str) -> set[int]:
    with reference("promql", "cases.jsonl").open() as lines:
        cases = [json.loads(line) for line in lines]
    return {c["line"] for c in cases if c["file"] == name and not c["native_histogram"] and not c["experimental"]}


@pytest.mark.parametrize("new_source", [SampleSource, ring_state], ids=["whole", "rings"])
@pytest.mark.parametrize("name", FILES)
def test_all_stable_float_cases_pass(name: str, new_source: Callable[[], SeriesSource]) -> None:
    tally: Tally = run_file(reference("promql", "promqltest", f"{name}.test"), new_source)
    assert tally.failed == []
    left = wanted(f"{name}.test") - set(tally.passed)
    reading_histograms = {line for line, reason in tally.outside if reason == "reads a native histogram"}
    assert left <= reading_histograms and len(left) <= 1  # one each in functions and histograms needs native samples


def test_a_failure_is_shown_with_line_and_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "own.test"
    script.write_text(
        'load 1m\n  up{device="a"} 1 0\n\neval instant at 1m up\n  up{device="a"} 1\n\n'
        'eval instant at 1m up == 0\n  up{device="a"} 0\n\neval instant at 0 step()\n  0\n'
    )
    assert main([str(script)]) == 1
    out = capsys.readouterr().out
    assert f"{script}:4: up\n" in out and "got {0: 0.0}, expected {0: 1.0}" in out
    assert out.endswith("1 passed, 1 failed, 1 outside the profile\n")


def test_a_file_that_is_no_script_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "own.test"
    script.write_text("eval sometimes at 3 up\n")
    assert main([str(script)]) == 2
    assert "line 1: not a command" in capsys.readouterr().err


@pytest.mark.parametrize("new_source", [SampleSource, ring_state], ids=["whole", "rings"])
def test_our_own_scripts_pass(new_source: Callable[[], SeriesSource]) -> None:
    tally = run_file(Path(__file__).with_name("promql") / "operators.test", new_source)
    assert tally.failed == [] and tally.outside == [] and len(tally.passed) >= 40
