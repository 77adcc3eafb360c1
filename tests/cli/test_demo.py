"""The whole demo as a user runs it: real sockets, agent, collector, database. Long, because the story takes a minute."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simulator.scenario import load_scenario, shipped_scenario

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def start(*arguments: str, language: str = "en", **more: object) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": f"{language}.UTF-8", "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "cli.main", "demo", *arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd="/",
        env=environ,
        **more,  # type: ignore[call-overload]
    )


def lines_until(process: subprocess.Popen[str], words: str, timeout_s: float = 40.0) -> str:
    assert process.stdout is not None
    seen, ends = "", time.monotonic() + timeout_s
    while words not in seen and time.monotonic() < ends:
        line = process.stdout.readline()
        assert line, f"ended early: {seen}"
        seen += line
    return seen


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(word) for word in found]


@pytest.mark.timeout(150)
def test_two_demos_at_once_tell_the_story_and_nothing_else() -> None:
    runs = [start("--for", "75s", "--json") for _ in range(2)]
    expected = load_scenario(shipped_scenario("demo")).expect
    for run in runs:
        out, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
        summary = json.loads(out)
        assert summary["devices"] == 36
        assert 75 <= summary["seconds"] < 80
        assert summary["missing"] == [], summary["faults"]
        assert summary["false_alarms"] == [], summary["faults"]
        assert len(summary["faults"]) == len(expected)
        for fault in summary["faults"]:
            assert fault["began_at"] <= fault["opened_at"] <= fault["closed_at"]
            assert fault["clocks"]["restore"]["state"] == "met"


@pytest.mark.timeout(120)
def test_ctrl_c_ends_it_within_two_seconds_at_any_time() -> None:
    for words in ("simulated devices", "opened"):
        process = start()
        lines_until(process, words)
        (child,) = children(process.pid)
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert time.monotonic() - asked < 3.0
        assert process.returncode == 0
        assert "Traceback" not in err
        assert "faults of this run" in out
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


@pytest.mark.timeout(60)
def test_it_can_be_ended_before_it_has_begun() -> None:
    for delay_s in (0.05, 0.4, 0.8, 1.2, 1.6):
        process = start("--json")
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=5)
        assert process.returncode in (0, 130, -signal.SIGINT), err


@pytest.mark.timeout(60)
def test_kept_folder_holds_a_site_and_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    process = start("--for", "3s", "--keep", str(folder), language="zh_CN")
    _out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    assert (folder / "site.yaml").exists()
    again = start("--for", "3s", "--keep", str(folder))
    _out, err = again.communicate(timeout=20)
    assert again.returncode == 2
    assert "not an empty folder" in err


@pytest.mark.timeout(60)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody without rights")
def test_it_needs_no_rights(tmp_path: Path) -> None:
    try:
        subprocess.run([sys.executable, "-c", "import rich"], user=65534, group=65534, extra_groups=[], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this Python is not readable for others")
    process = start("--for", "5s", "--json", user=65534, group=65534, extra_groups=[])
    out, err = process.communicate(timeout=40)
    assert process.returncode == 0, err
    assert json.loads(out)["devices"] == 36


@pytest.mark.parametrize(("arguments", "said"), [(("--for", "soon"), "not a time"), (("--speed", "99"), "not a speed")])
def test_wrong_usage_is_explained(arguments: tuple[str, ...], said: str) -> None:
    process = start(*arguments)
    _out, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert re.search(said, err)
