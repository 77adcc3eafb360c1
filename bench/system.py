"""The whole program under load: `watchkeeper up` on a simulated fleet, its CPU, memory and start, as the kernel counts them.

    python -m bench.system --devices 10000 --seconds 180

Reachability every 5 s, SNMP every 60 s, 200 rules every 30 s. The fleet is a process of its own and is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TICKS = os.sysconf("SC_CLK_TCK")
RULES = 200
LANES = """agent:
  gateway: none
  lanes:
    reach: {interval: 5s, timeout: 1s}
    state: {interval: 60s, timeout: 5s}
    table: {interval: 60s, timeout: 10s}
"""
METRICS = (
    "device_up",
    "interface_up",
    "interface_receive_errors_total",
    "interface_receive_bytes_total",
    "device_uptime_seconds",
)


def scenario(devices: int, ports: int) -> str:
    lines = [
        "name: bench",
        "site: {name: bench, contract: campus-network}",
        "credentials: {read-only: {snmp: {version: 2c, community: bench-read}}}",
        "fleet:",
        "  - {name: core-1, class: switch, role: core, address: 127.20.0.2, credentials: read-only, reach: [icmp, snmp]}",
    ]
    left, block = devices - 1, 0
    while left > 0:
        count = min(left, 250)
        block += 1
        lines.append(
            f'  - {{name: "b{block}-{{n}}", count: {count}, class: switch, ports: {ports}, address: 127.20.{block}.2,'
            " credentials: read-only, upstream: core-1, reach: [icmp, snmp]}"
        )
        left -= count
    return "\n".join(lines) + "\n"


def extra_rules(number: int) -> str:
    shapes = (
        "{m} < -{n}",
        "rate({m}[5m]) > 1e{n}",
        "max_over_time({m}[3m]) < -{n}",
        "changes({m}[5m]) > {n}00",
        "{m} < -{n} and on(site, device) device_up == 1",
    )
    lines = ["groups:", "  - name: bench", "    interval: 30s", "    rules:"]
    for n in range(number):
        expr = shapes[n % len(shapes)].format(m=METRICS[(n // len(shapes)) % len(METRICS)], n=10 + n)
        lines += [f"      - alert: Bench{n}", f'        expr: "{expr}"', "        labels: {severity: indeterminate}"]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def process(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with log.open("wb") as stream:
        running = subprocess.Popen([sys.executable, "-m", "cli.main", *words], env=env, stdout=stream, stderr=stream)
    try:
        yield running
    finally:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024


def scrape(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def wait_for_fleet(port: int, devices: int, limit_s: float) -> float:
    started = time.monotonic()
    while time.monotonic() - started < limit_s:
        if len(re.findall(r"^device_up\{[^}]*\} 1", scrape(port), re.MULTILINE)) >= devices:
            break
        time.sleep(0.5)
    return time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--ports", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=180)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="wk-bench-"))
    (folder / "scenario.yaml").write_text(scenario(args.devices, args.ports))
    (folder / "extra.yml").write_text(extra_rules(RULES - library_rules()))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    site = folder / "site.yaml"
    fleet = ["simulate", str(folder / "scenario.yaml"), "--still", "--write-site", str(site)]
    with process(fleet, folder / "fleet.log") as running:
        while not site.exists():
            if running.poll() is not None:
                sys.exit((folder / "fleet.log").read_text())
            time.sleep(0.2)
        time.sleep(0.5)
        text = re.sub(r"(?m)^(collector|rules):(\n[ -].*)*\n?", "", site.read_text())
        text = re.sub(r"(?m)^agent:(\n[ -].*)*\n?", "", text) + LANES
        site.write_text(f"{text}rules: [extra.yml]\ncollector: {{listen: '127.0.0.1:{port}', data: data}}\n")
        with process(["up", "-c", str(site)], folder / "up.log") as up:
            started = wait_for_fleet(port, args.devices, 60)
            print(f"start until every device is known: {started:.1f} s")
            time.sleep(70)
            measure(up.pid, port, args.seconds)
    print(f"logs: {folder}")


def library_rules() -> int:
    return sum(path.read_text().count("- alert:") for path in (ROOT / "rules" / "library").glob("*.yml"))


def measure(pid: int, port: int, seconds: float) -> None:
    page = scrape(port)
    series = sum(1 for line in page.splitlines() if line and not line.startswith("#"))
    before, began = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    share = (cpu_s(pid) - before) / (time.monotonic() - began)
    before = cpu_s(pid)
    scrape(port)
    scraped = cpu_s(pid) - before
    memory = f"memory: {memory_mb(pid):.0f} MB, peak {memory_mb(pid, 'VmHWM'):.0f} MB"
    print(f"series: {series}; CPU: {share * 100:.1f} % of one core; {memory}")
    print(f"one scrape of /metrics: {scraped:.2f} s of CPU")
    faults = re.findall(r"^watchkeeper_faults_open\{[^}]*\} ([1-9]\d*)", page, re.MULTILINE)
    print(f"open faults (none is right): {sum(map(int, faults))}")


if __name__ == "__main__":
    main()
