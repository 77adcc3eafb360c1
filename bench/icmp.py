"""ICMP side by side in one run: fping, our engine, ping3. CPU per ping (user + system of the process) and answers lost.

Run as root or with CAP_NET_RAW:  python bench/icmp.py [addresses]
"""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ping3

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config.clock import SystemClock
from probes.icmp import IcmpEngine
from probes.reason import Reason

PING3_ADDRESSES = 2_000
ROUNDS = 3


def addresses(count: int) -> list[str]:
    return [f"127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}" for i in range(1, count + 1)]


def cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def show(name: str, count: int, answered: int, seconds: float, cpu_s: float) -> None:
    rate, each = count / seconds, cpu_s / count * 1e6
    print(f"{name:34} {count:6} addresses  lost {count - answered:4}  {rate:8.0f}/s  {each:7.1f} us CPU per ping")


def fping(hosts: list[str]) -> None:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(hosts))
        file.flush()
        used, began = cpu(resource.RUSAGE_CHILDREN), time.perf_counter()
        done = subprocess.run(
            ["fping", "-i", "0", "-r", "0", "-t", "1000", "-a", "-q", "-f", file.name], capture_output=True, text=True
        )
        seconds = time.perf_counter() - began
    show("fping -i 0", len(hosts), len(done.stdout.split()), seconds, cpu(resource.RUSAGE_CHILDREN) - used)


async def ours(hosts: list[str], ways: tuple[str, ...]) -> None:
    answered = 0

    def done(_index: int, reason: Reason, _rtt_s: float) -> None:
        nonlocal answered
        answered += reason is Reason.OK

    async with IcmpEngine(SystemClock(), ways=ways) as engine:
        if engine.ways["ipv4"] != ways[0]:
            print(f"watchkeeper, {ways[0]} socket: not allowed here ({engine.ways['ipv4']})")
            return
        await engine.sweep(hosts, 1.0, lambda *_: None)  # an agent sweeps for days: addresses are known
        used, began = cpu(resource.RUSAGE_SELF), time.perf_counter()
        await engine.sweep(hosts, 1.0, done)
        show(
            f"watchkeeper, {engine.ways['ipv4']} socket",
            len(hosts),
            answered,
            time.perf_counter() - began,
            cpu(resource.RUSAGE_SELF) - used,
        )


def with_ping3(hosts: list[str]) -> None:
    used, began = cpu(resource.RUSAGE_SELF), time.perf_counter()
    with ThreadPoolExecutor(64) as pool:
        answered = sum(isinstance(delay, float) for delay in pool.map(lambda host: ping3.ping(host, timeout=1), hosts))
    show("ping3, 64 threads", len(hosts), answered, time.perf_counter() - began, cpu(resource.RUSAGE_SELF) - used)


def main() -> None:
    hosts = addresses(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    for _ in range(ROUNDS):
        fping(hosts)
        asyncio.run(ours(hosts, ("raw",)))
    asyncio.run(ours(hosts, ("ping",)))
    with_ping3(hosts[:PING3_ADDRESSES])


if __name__ == "__main__":
    main()
