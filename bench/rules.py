"""The rule engine beside Debian's Prometheus: 200 rules, the same samples, the same results; evaluation time and memory.

Run from the repository: ``python bench/rules.py [DEVICES...]`` (default 1000 3000 10000). Prometheus scrapes the samples, with
their own timestamps, from a small server here; ours are written to the collector's state. Both evaluate at the same time.
"""

from __future__ import annotations

import asyncio
import gc
import http.server
import json
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from collector.series import SeriesState
from rules.engine import RuleEngine
from rules.load import load_rules

STEP_MS, ROUNDS = 30_000, 9
GAUGES = [f"gauge_{n}" for n in range(10)]
STATES = [f"state_{n}" for n in range(6)]
COUNTERS = [f"counter_{n}_total" for n in range(4)]


def rules_text(count: int = 200) -> str:
    shapes = [
        lambda k: f"{STATES[k % 6]} == 0",
        lambda k: f"{GAUGES[k % 10]} > 0.{97 - k % 7}",
        lambda k: f"{STATES[k % 6]} == 0 and on (site, device) {STATES[(k + 1) % 6]} == 1",
        lambda k: f"rate({COUNTERS[k % 4]}[5m]) > {95 + k % 5}",
        lambda k: f"avg_over_time({GAUGES[k % 10]}[5m]) > 0.{8 + k % 2}",
        lambda k: f"{GAUGES[k % 10]} / ({GAUGES[(k + 3) % 10]} > 0.5) > 1.{7 + k % 3}",
        lambda k: f"max_over_time({STATES[k % 6]}[5m]) == 0",
        lambda k: f'{STATES[k % 6]}{{class="class-{k % 7}"}} == 0',
        lambda k: f"increase({COUNTERS[k % 4]}[3m]) > {19000 + k}",
        lambda k: f"avg by (site) ({GAUGES[k % 10]}) > 0.5{k % 10}",
        lambda k: f"changes({STATES[k % 6]}[5m]) > {4 + k % 3}",
        lambda k: f'{GAUGES[k % 10]}{{device=~"device-.*[13579]"}} > 0.9{k % 9}',
    ]
    lines = ["groups:", "- name: bench", "  interval: 5s", "  rules:"]
    for k in range(count):
        lines += [f"  - alert: Rule{k}", f"    expr: '{shapes[k % len(shapes)](k)}'", "    labels: {severity: minor}"]
    return "\n".join(lines) + "\n"


class Fleet:
    """Keys and random samples of so many devices with 20 series each."""

    def __init__(self, devices: int) -> None:
        rng = random.Random(devices)
        labels = [f'class="class-{n % 7}",device="device-{n}",site="site-{n % 50}"' for n in range(devices)]
        names = GAUGES + STATES + COUNTERS
        self.polls = ["\n".join(f"{name}{{{each}}}" for name in names).encode() for each in labels]
        base = [[1e6 * rng.random() for _ in COUNTERS] for _ in labels]
        speed = [[3000 * rng.random() for _ in COUNTERS] for _ in labels]
        self.rounds = [
            [
                [rng.random() for _ in GAUGES]
                + [float(rng.random() > 0.03) for _ in STATES]
                + [b + s * k for b, s in zip(base[n], speed[n], strict=True)]
                for n in range(devices)
            ]
            for k in range(ROUNDS)
        ]

    def exposition(self, k: int, at: int) -> bytes:
        lines = []
        for poll, values in zip(self.polls, self.rounds[k], strict=True):
            lines += [f"{key} {value!r} {at}" for key, value in zip(poll.decode().split("\n"), values, strict=True)]
        return ("\n".join(lines) + "\n").encode()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def instant(text: str) -> float:
    head, _, rest = text.partition(".")
    return datetime.fromisoformat(f"{head}.{rest.rstrip('Z')[:6].ljust(6, '0')}+00:00").timestamp()


class Peer:
    """A Prometheus that has scraped the fleet's rounds."""

    def __init__(self, fleet: Fleet, rules: Path, folder: Path, start: int) -> None:
        self.pages = [fleet.exposition(k, start + k * STEP_MS) for k in range(ROUNDS)]
        self.served = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = outer.pages[min(outer.served, ROUNDS - 1)]
                outer.served += 1
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(page)))
                self.end_headers()
                self.wfile.write(page)

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = free_port()
        config = {
            "global": {"scrape_interval": "4s", "scrape_timeout": "4s"},
            "rule_files": [str(rules)],
            "scrape_configs": [
                {
                    "job_name": "fleet",
                    "static_configs": [{"targets": [f"127.0.0.1:{self.server.server_address[1]}"]}],
                    "metric_relabel_configs": [{"action": "labeldrop", "regex": "job|instance"}],
                }
            ],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--log.level=error",
            ]
        )

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
            return json.load(answer)

    def group(self) -> dict:
        return self.get("/api/v1/rules?type=alert")["data"]["groups"][0]

    def results(self) -> tuple[float, int, set, set, float]:
        """Return (seconds of an evaluation, its time in ms, rules of that pass, their firing label sets, resident MB)."""
        while self.served <= ROUNDS + 1:
            time.sleep(0.5)
        ready, group = time.time(), self.group()
        while instant(group["lastEvaluation"]) < ready + 1:
            time.sleep(0.3)
            group = self.group()
        begun = instant(group["lastEvaluation"])
        ended = begun + group["evaluationTime"]
        whole = [rule for rule in group["rules"] if begun <= instant(rule["lastEvaluation"]) <= ended]
        alerts = {tuple(sorted(a["labels"].items())) for rule in whole for a in rule["alerts"]}
        last = next(rule["name"] for rule in reversed(whole) if rule["alerts"])
        found = self.get(f"/api/v1/query?query=max(timestamp(ALERTS%7Balertname=%22{last}%22%7D))")
        at = round(float(found["data"]["result"][0]["value"][1]) * 1000)
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
        return group["evaluationTime"], at, {rule["name"] for rule in whole}, alerts, resident

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.server.shutdown()
        self.server.server_close()


def ours(fleet: Fleet, rules: Path, start: int, at: int) -> tuple[list[float], float, set, float]:
    """Return (durations, longest time between two chances to give way, firing label sets, MB of samples)."""
    state = SeriesState()
    loaded = load_rules([rules])
    RuleEngine(loaded, state)
    for k, values in enumerate(fleet.rounds):
        for poll, row in zip(fleet.polls, values, strict=True):
            state.append(state.rows(poll), row, start + k * STEP_MS)
    durations, firing = [], set()
    engine = RuleEngine(loaded, state)
    for later in (0, 1, 2, 3):
        begun = time.perf_counter()
        engine.evaluate(at + later, metrics=set(state.metrics()))
        durations.append(time.perf_counter() - begun)
        if later == 0:
            firing = {s.labels for s in engine.snapshot()}
    return (
        durations[1:],
        longest_stall(RuleEngine(loaded, state), at + 10, set(state.metrics())),
        firing,
        state.sample_bytes / 1e6,
    )


def longest_stall(engine: RuleEngine, at: int, metrics: set) -> float:
    gc.collect()
    gc.freeze()  # the bench's own lists are not the engine's fault

    async def run() -> float:
        longest, last, done = 0.0, time.thread_time(), False

        async def watch() -> None:
            nonlocal longest, last
            while not done:
                now = time.thread_time()
                longest, last = max(longest, now - last), now
                await asyncio.sleep(0)

        task = asyncio.create_task(watch())
        await asyncio.sleep(0)
        await engine.evaluate_paced(at, metrics)
        done = True
        await task
        return longest

    return asyncio.run(run())


def compare(devices: int) -> None:
    fleet = Fleet(devices)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rules = folder / "rules.yml"
        rules.write_text(rules_text())
        start = int(time.time() * 1000) - ROUNDS * STEP_MS + 60_000 - 30_000
        peer = Peer(fleet, rules, folder, start - 60_000)
        try:
            theirs, at, names, alerts, resident = peer.results()
        finally:
            peer.stop()
        mine, stall, firing, memory = ours(fleet, rules, start - 60_000, at)
    firing = {labels for labels in firing if dict(labels)["alertname"] in names}
    same = (
        f"same results ({len(names)} rules)"
        if firing == alerts
        else f"{len(firing ^ alerts)} of {len(firing | alerts)} alerts differ"
    )
    ratio = theirs / statistics.median(mine)
    sys.stdout.write(
        f"{devices:6} devices, {20 * devices:7} series: Prometheus {theirs * 1e3:8.1f} ms, {resident:6.0f} MB resident; "
        f"ours {statistics.median(mine) * 1e3:7.1f} ms ({ratio:5.1f} times faster), {memory:5.1f} MB of samples, "
        f"longest stall {stall * 1e3:.1f} ms of CPU; {len(firing)} alerts, {same}\n"
    )
    for labels in sorted(firing ^ alerts)[:5]:
        sys.stdout.write(f"    only {'ours' if labels in firing else 'theirs'}: {dict(labels)}\n")


if __name__ == "__main__":
    if not shutil.which("prometheus"):
        sys.exit("prometheus is not installed")
    for argument in sys.argv[1:] or ["1000", "3000", "10000"]:
        compare(int(argument))
