"""A site file on real daemons, and the program run on it as a user would: as processes, watched through the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def free_tcp_port(address: str = "127.0.0.1") -> int:
    """Return a TCP port that nobody listens on just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that the program is run in: this one, the tree on the path."""
    return os.environ | {"PYTHONPATH": str(ROOT), "SNMP_COMMUNITY": "public", "LC_ALL": "C.UTF-8"} | dict(extra or {})


def command(*words: str | Path) -> list[str]:
    """Return the command line of `watchkeeper` in this tree."""
    return [sys.executable, "-m", "cli.main", *map(str, words)]


def watchkeeper(*words: str | Path, timeout_s: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
    """Run one verb to its end and return what it printed."""
    return subprocess.run(
        command(*words), env=environment(env), capture_output=True, text=True, timeout=timeout_s, check=False, cwd="/"
    )


@contextmanager
def running(log: Path, *words: str | Path, stop: signal.Signals = signal.SIGTERM) -> Iterator[subprocess.Popen[bytes]]:
    """Run a verb that lasts (up, agent, collector); its log goes to the file."""
    with log.open("ab") as stream:
        process = subprocess.Popen(command(*words), env=environment(), stdout=stream, stderr=stream, cwd="/")
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(stop)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def until(what: str, check: Callable[[], Any], timeout_s: float = 30, every_s: float = 0.1) -> Any:
    """Return the first true answer of `check`; fail with `what` when there is none in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        answer = check()
        if answer:
            return answer
        time.sleep(every_s)
    raise AssertionError(f"not within {timeout_s} s: {what}")


def faults(site_file: Path, *words: str) -> list[dict[str, Any]]:
    """Return what `watchkeeper faults list --json` says; an empty list while the collector is not up."""
    done = watchkeeper("faults", "list", "-c", site_file, "--json", *words)
    return list(json.loads(done.stdout)) if done.returncode == 0 and done.stdout.strip() else []


def site_file(
    folder: Path,
    devices: Sequence[str],
    *,
    port: int,
    agent: str = "",
    collector: str = "",
    snmp_port: int = 161,
    head: str = "",
) -> Path:
    """Write a site file of these device lines (YAML flow mappings) and return its path."""
    lines = [
        head or "site: {name: test-site, contract: campus-network, timezone: Asia/Shanghai}",
        f"credentials: {{read-only: {{snmp: {{version: 2c, community: env:SNMP_COMMUNITY, port: {snmp_port}}}}}}}",
        "devices:",
        *(f"  - {line}" for line in devices),
        f"agent: {{{agent}}}" if agent else "agent: {gateway: none}",
        f"collector: {{listen: '127.0.0.1:{port}'{', ' + collector if collector else ''}}}",
    ]
    path = folder / "site.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path
