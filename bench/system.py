"""The whole program under load: `watchkeeper up` on a simulated fleet, its CPU, memory and start, as the kernel counts them.

    python -u -m bench.system --devices 10000 --seconds 180

Reachability every 5 s, SNMP every 60 s, 200 rules every 30 s; one port gives a device 20 series. The fleet is a process of its
own and is not counted. At the end one device is cut off with nftables (needs root), and its fault record waited for.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import socket
import sqlite3
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
TABLE = "watchkeeper-bench"
CUT = "b1-7"
LANES = """agent:
  gateway: none
  listen: 127.0.0.1:{listen}
  lanes:
    reach: {{interval: 5s, timeout: 1s}}
    state: {{interval: 60s, timeout: 5s}}
    table: {{interval: 60s, timeout: 10s}}
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
            return str(answer.read().decode())
    except OSError:
        return ""


def sample(page: str, start: str) -> float:
    found = re.search(rf"^{re.escape(start)}\S* (\S+)", page, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


def wait_for_fleet(port: int, own: int, devices: int, began: float, limit_s: float) -> tuple[float, int]:
    """Return the seconds until the collector shows every device, and how many it shows; the agent's page tells when to look."""
    known = 0
    while time.monotonic() - began < limit_s:
        if sample(scrape(own), 'agent_transitions_total{state="up"') >= devices:
            known = len(re.findall(r"^device_up\{[^}]*\} 1", scrape(port), re.MULTILINE))
            if known >= devices:
                break
        time.sleep(0.2)
    return time.monotonic() - began, known


@contextlib.contextmanager
def started(site: Path, log: Path, what: str, port: int, own: int, devices: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start the program, and print when the collector shows every device."""
    began = time.monotonic()
    with process(["up", "-c", str(site)], log) as up:
        took, known = wait_for_fleet(port, own, devices, began, 120)
        cost = f"{cpu_s(up.pid):.1f} s of CPU, {memory_mb(up.pid):.0f} MB; load {os.getloadavg()[0]:.1f}"
        print(f"{what}: {known} devices known after {took:.1f} s, {cost}")
        yield up


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--ports", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--settle", type=float, default=70, help="seconds between the start and the measurement")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="wk-bench-"))
    (folder / "scenario.yaml").write_text(scenario(args.devices, args.ports))
    (folder / "extra.yml").write_text(extra_rules(RULES - library_rules()))
    port, own = free_ports(2)
    site = folder / "site.yaml"
    fleet = ["simulate", str(folder / "scenario.yaml"), "--still", "--write-site", str(site)]
    with process(fleet, folder / "fleet.log") as running:
        while not site.exists():
            if running.poll() is not None:
                sys.exit((folder / "fleet.log").read_text())
            time.sleep(0.2)
        time.sleep(0.5)
        text = re.sub(r"(?m)^(collector|rules|agent):(\n[ -].*)*\n?", "", site.read_text())
        lanes = LANES.format(listen=own)
        site.write_text(f"{text}{lanes}rules: [extra.yml]\ncollector: {{listen: '127.0.0.1:{port}', data: data}}\n")
        with started(site, folder / "up.log", "start", port, own, args.devices) as up:
            time.sleep(args.settle)
            measure(up.pid, port, own, args.seconds)
            cut(folder / "data", args.devices)
        with started(site, folder / "up-again.log", "start with what was stored", port, own, args.devices):
            pass
    print(f"logs: {folder}")


def library_rules() -> int:
    return sum(path.read_text().count("- alert:") for path in (ROOT / "rules" / "library").glob("*.yml"))


def measure(pid: int, port: int, own: int, seconds: float) -> None:
    print(f"before measuring: {cpu_s(pid):.1f} s of CPU, {memory_mb(pid):.0f} MB; load {os.getloadavg()[0]:.1f}")
    page = scrape(port)
    series = sum(1 for line in page.splitlines() if line and not line.startswith("#"))
    stalls = stalled(scrape(own), page)
    before, began = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    share = (cpu_s(pid) - before) / (time.monotonic() - began)
    memory = f"memory: {memory_mb(pid):.0f} MB, peak {memory_mb(pid, 'VmHWM'):.0f} MB"
    print(f"series: {series}; CPU: {share * 100:.1f} % of one core; {memory}; load {os.getloadavg()[0]:.1f}")
    before = cpu_s(pid)
    page = scrape(port)
    print(f"one scrape of /metrics, {len(page) / 1e6:.1f} MB: {cpu_s(pid) - before:.2f} s of CPU, what else ran included")
    after = stalled(scrape(own), page)
    print("event loop late, times while measuring: " + ", ".join(f"> {le} s: {after[le] - stalls[le]:.0f}" for le in after))
    faults = re.findall(r"^watchkeeper_faults_open\{[^}]*\} ([1-9]\d*)", page, re.MULTILINE)
    print(f"open faults (none is right): {sum(map(int, faults))}")


def stalled(own: str, page: str) -> dict[str, float]:
    """Return how often the loop ran late by more than so much, as agent and collector count it; the worse of both."""
    found: dict[str, float] = {}
    for text, name in ((own, "agent_loop_stall_seconds"), (page, "watchkeeper_loop_stall_seconds")):
        total = sample(text, f"{name}_count")
        for le, count in re.findall(rf'^{name}_bucket\{{.*?le="([\d.]+)"\}} (\S+)', text, re.MULTILINE):
            found[le] = max(found.get(le, 0.0), total - float(count))
    return found


def cut(data: Path, devices: int) -> None:
    """Drop all packets to one device in a table of our own; print the seconds until its fault is in the database."""
    block, number = divmod(int(CUT.partition("-")[2]) - 1, 250)
    address = f"127.20.{block + 1}.{number + 2}"
    drop = f"ip daddr {address} drop; ip saddr {address} drop;"
    rules = f"table inet {TABLE} {{\n chain input {{ type filter hook input priority 0; {drop} }}\n}}\n"
    try:
        subprocess.run(["nft", "-f", "-"], input=rules.encode(), check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"no cut: nft is not to be had here ({error})")
        return
    began = time.time()
    try:
        while time.time() - began < 60:
            row = fault_of(data)
            if row is not None:
                opened = f"record says {(row[1] - row[0]) / 1000:.1f} s from first lost packet to opening"
                print(f"cut of {address}, {devices} devices watched: fault after {time.time() - began:.1f} s; {opened}")
                return
            time.sleep(0.05)
        print(f"cut of {address}: NO fault within a minute")
    finally:
        subprocess.run(["nft", "delete", "table", "inet", TABLE], check=False)


def fault_of(data: Path) -> tuple[int, int] | None:
    """Return (began, opened) in ms of the cut device's fault, once it is committed."""
    with contextlib.closing(sqlite3.connect(f"file:{next(data.glob('*.db'))}?mode=ro", uri=True)) as connection:
        row: tuple[int, int] | None = connection.execute(
            "SELECT began_at, opened_at FROM faults WHERE device = ? AND opened_at IS NOT NULL", (CUT,)
        ).fetchone()
        return row


if __name__ == "__main__":
    main()
