"""What was acknowledged is there, whenever the collector was killed and however full its disk was."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from collector import history, upkeep
from collector.ingest import IngestRefused
from collector.store import agents
from collector.store.database import Store
from kit.collecting import AGENT, LANES, START, AgentSide, collecting, key, run, site_of
from kit.hand_clock import HandClock
from kit.site import ROOT

FRAMES = {"Content-Type": "application/x-watchkeeper-frames", "Authorization": "Bearer token-new"}


class Killable:
    """A collector process on one folder."""

    def __init__(self, folder: Path) -> None:
        env = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kit.collector_process", str(folder)], env=env, stdout=subprocess.PIPE, text=True, cwd="/"
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline() or 0)
        assert self.port, "it did not start"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


async def deliver(port: int, agent: AgentSide, acknowledged: set[int], stop: asyncio.Event) -> None:
    """Post batch after batch; note the numbers of what was acknowledged."""
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        while not stop.is_set():
            first = agent.seq
            at = time.time_ns() // 1_000_000
            body = agent.frame([run("core", at, temperature_celsius=float(first)), run("cam-1", at)], at=at)
            try:
                async with session.post("/api/v1/ingest", data=body, headers=FRAMES) as answer:
                    if answer.status == 200 and (await answer.json())["accepted"] == 2:
                        acknowledged |= {first, first + 1}
            except (aiohttp.ClientError, OSError):
                return
            await asyncio.sleep(0)


async def kill_rounds(folder: Path, rounds: int) -> None:
    rng = random.Random(rounds)
    agent = AgentSide(epoch=1)
    acknowledged: set[int] = set()
    for _ in range(rounds):
        process = await asyncio.to_thread(Killable, folder)
        stop = asyncio.Event()
        sending = asyncio.create_task(deliver(process.port, agent, acknowledged, stop))
        await asyncio.sleep(rng.uniform(0.02, 0.5))
        await asyncio.to_thread(process.kill)
        stop.set()
        await sending
    assert len(acknowledged) > 10 * rounds
    store = Store.open(folder / "data")
    ranges = [(first, after) for _, _, first, after in agents.load_received(store.connection)]
    received = {number for first, after in ranges for number in range(first, after)}
    assert acknowledged <= received, f"lost {sorted(acknowledged - received)[:10]}"
    history.compact(store)
    values = history.read(store.connection, "temperature_celsius", 0, 1 << 60)[key("temperature_celsius", "core")][1]
    kept = set(values.tolist())
    assert {float(number) for number in acknowledged if number % 2 == 0} <= kept, "its samples are there too"
    assert store.check_integrity() == []
    store.close()


async def test_when_the_collector_is_killed_then_everything_acknowledged_is_there(tmp_path: Path) -> None:
    await kill_rounds(tmp_path, 2)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_when_the_collector_is_killed_often_then_everything_acknowledged_is_there(tmp_path: Path) -> None:
    await kill_rounds(tmp_path, 60)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("a small tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(folder)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"no tmpfs here: {made.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def test_when_the_disk_is_full_then_agents_are_told_to_wait_and_it_recovers_alone(small_disk: Path) -> None:
    clock, agent, rng = HandClock(START), AgentSide(), random.Random(1)
    async with collecting(small_disk, clock, site=site_of(small_disk), timers=False, reserve_bytes=4 << 20) as collector:
        refused: list[IngestRefused] = []
        while len(refused) < 3 and agent.seq < 50_000:
            clock.advance(1)
            runs = [
                replace(run(device, clock.wall, lane), detail=rng.randbytes(2000).hex())
                for device in ("core", "access", "cam-1", "cam-2")
                for lane in LANES
            ]
            body = agent.frame(runs)
            for _ in range(3):
                try:
                    await collector.ingest(AGENT, body)
                    break
                except IngestRefused as refusal:
                    refused.append(refusal)
                    await upkeep.keep_room(collector)
            else:
                pytest.fail("no room was made")
        assert {(refusal.status, refusal.reason) for refusal in refused} == {(503, "busy")}
        assert not collector.writer.full
        assert list(agents.load_received(collector.store.connection)) == [(AGENT, 1, 0, agent.seq)], (
            "nothing was lost on the way"
        )
        assert collector.store.check_integrity() == []
        assert collector.store.reserve.stat().st_size == 4 << 20
