"""Signals, wrong files and taken places: the program ends when told, starts only when it can, and says why in a sentence."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from kit.campus import Desk
from kit.site import command, environment, free_tcp_port, running, site_file, until, watchkeeper

DEVICES = [f"{{name: d-{number}, address: 127.79.0.{number}, class: ping-only}}" for number in (1, 2, 3)]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return site_file(tmp_path, DEVICES, port=free_tcp_port())


def started(site: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command("up", "-c", site), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/"
    )


@pytest.fixture
def desk(site: Path) -> Desk:
    port = int(site.read_text().split("127.0.0.1:")[1].split("'")[0])
    return Desk(port, site.parent / "watchkeeper-data")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_stopped_at_any_moment_of_the_start_it_ends_quietly(site: Path, number: signal.Signals, status: int) -> None:
    for after_s in (0.4, 0.8, 1.6):
        process = started(site)
        time.sleep(after_s)
        process.send_signal(number)
        _, words = process.communicate(timeout=10)
        # the first tenths of a second belong to Python itself, which dies of the signal
        assert process.returncode in (0, status, -number), words
        assert process.returncode == -number or b"Traceback" not in words


def test_asked_to_read_again_while_it_starts_it_goes_on(site: Path, desk: Desk) -> None:
    process = started(site)
    for _ in range(8):
        time.sleep(0.25)
        if process.poll() is None and b"cli.main" in Path(f"/proc/{process.pid}/cmdline").read_bytes() and _loaded(process.pid):
            process.send_signal(signal.SIGHUP)
    desk.settled(3)
    process.terminate()
    _, words = process.communicate(timeout=10)
    assert process.returncode == 0 and b"Traceback" not in words


def _loaded(pid: int) -> bool:
    """Say if the program has taken over the signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    taken = [int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigCgt", "SigIgn"))]
    return any(mask >> (signal.SIGHUP - 1) & 1 for mask in taken)


def test_wrong_files_are_told_whole_and_end_with_two(site: Path) -> None:
    text = site.read_text()
    site.write_text(text.replace("class: ping-only", "clas: ping-only"))
    done = watchkeeper("up", "-c", site)
    assert done.returncode == 2 and done.stderr.count("unknown key") == 3
    (site.parent / "own.yml").write_text("groups: [{name: x, rules: [{alert: A, expr: 'sum('}]}]")
    site.write_text(f"{text}rules: [own.yml]\n")
    done = watchkeeper("up", "-c", site)
    assert done.returncode == 2 and "own.yml" in done.stderr and "Traceback" not in done.stderr


def test_what_cannot_be_used_is_one_sentence_and_one(site: Path, desk: Desk) -> None:
    with running(site.parent / "log", "up", "-c", site):
        until("it runs", desk.up)
        second = watchkeeper("up", "-c", site)
        assert second.returncode == 1 and "Another collector works on the data folder" in second.stderr
        other = site.parent / "other"
        other.mkdir()
        taken = site_file(other, DEVICES, port=desk.port)
        done = watchkeeper("collector", "-c", taken)
        assert done.returncode == 1 and f"Cannot listen on 127.0.0.1:{desk.port}" in done.stderr
        busy = site_file(other, DEVICES, port=free_tcp_port(), agent=f"gateway: none, listen: '127.0.0.1:{desk.port}'")
        done = watchkeeper("up", "-c", busy)
        assert done.returncode == 1 and f"The agent cannot listen on 127.0.0.1:{desk.port}" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_a_new_file_takes_effect_and_a_wrong_one_does_not(site: Path, desk: Desk) -> None:
    text = site.read_text()
    with running(site.parent / "log", "up", "-c", site) as process:
        desk.settled(3)

        def read_again(new: str, words: str) -> None:
            seen = len((site.parent / "log").read_text())
            site.write_text(new)
            process.send_signal(signal.SIGHUP)
            until(words, lambda: words in (site.parent / "log").read_text()[seen:], 15)

        read_again("site: {name: [", "the running configuration stays")
        (site.parent / "own.yml").write_text("groups: [{name: x, rules: [{alert: A, expr: 'sum('}]}]")
        fourth = DEVICES[0].replace("d-1", "d-4").replace("0.1", "0.4")
        read_again(text.replace("agent: {", f"  - {fourth}\nrules: [own.yml]\nagent: {{"), "the running configuration stays")
        time.sleep(3)
        assert desk.up() == 3
        read_again(text.replace("agent: {", f"  - {fourth}\nagent: {{"), "site file read again")
        desk.settled(4)
        read_again(text.replace("gateway: none", "gateway: none, name: other"), "take effect at the next start")
        desk.settled(3)
        assert [agent["agent"] for agent in desk.get("/api/v1/agents")["agents"]] == ["test-site"]
    assert "Traceback" not in (site.parent / "log").read_text()


def test_a_device_taken_out_takes_its_fault_and_its_series_along(site: Path, desk: Desk) -> None:
    text = site.read_text()
    closed = free_tcp_port()
    lost = f"{{name: lost, address: 127.79.0.9, class: server, reach: [tcp], ports: {{tcp: {closed}}}}}"
    with running(site.parent / "log", "up", "-c", site) as process:
        desk.settled(3)
        site.write_text(text.replace("agent: {", f"  - {lost}\nagent: {{"))
        process.send_signal(signal.SIGHUP)
        until("the fault", lambda: desk.roots() == ["lost"], 40)
        site.write_text(text)
        process.send_signal(signal.SIGHUP)
        until("the end of the fault", lambda: not desk.roots(), 10)
        until("the end of its series", lambda: 'device="lost"' not in desk.metrics(), 10)
