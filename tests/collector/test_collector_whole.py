"""The whole way: frames over HTTP, real rules, a fault over HTTP, /metrics read by a real Prometheus."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import urllib.parse
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector import judging
from collector.app import Collector
from kit.collecting import START, AgentSide, client, collecting, down, key, operator, run, site_of, up
from kit.hand_clock import HandClock
from kit.site import free_tcp_port
from probes import wire

FRAMES = {"Content-Type": "application/x-watchkeeper-frames"}


async def post(collector: Collector, body: bytes, token: str = "token-new") -> tuple[int, Any]:
    async with client(collector, token) as session, session.post("/api/v1/ingest", data=body, headers=FRAMES) as answer:
        return answer.status, await answer.json()


async def get(collector: Collector, path: str, token: str | None = None) -> Any:
    async with client(collector, operator(collector) if token is None else token) as session, session.get(path) as answer:
        return await answer.json()


async def test_when_a_device_goes_down_then_a_fault_is_served_and_can_be_closed(tmp_path: Path) -> None:
    clock = HandClock(START)
    async with collecting(tmp_path, clock, listen=True) as collector:
        agent = AgentSide()
        everyone = ("core", "access", "cam-1", "cam-2")
        status, answer = await post(collector, agent.frame([run(d) for d in everyone], [up(d, START) for d in everyone]))
        assert (status, answer) == (200, {"accepted": 8, "duplicate": 0})
        clock.advance(60)
        changes = [down("access", clock.wall), *(down(cam, clock.wall, "access") for cam in ("cam-1", "cam-2"))]
        status, answer = await post(collector, agent.frame((), changes, clock.wall))
        assert (status, answer) == (200, {"accepted": 3, "duplicate": 0})
        for _ in range(8):
            clock.advance(1)
            await judging.tick(collector)
        faults = (await get(collector, "/api/v1/faults?state=open"))["faults"]
        assert [(fault["device"], fault["problem"], sorted(fault["affected"])) for fault in faults] == [
            ("access", "device-down", ["access", "cam-1", "cam-2"])
        ]
        number = faults[0]["id"]
        assert (await get(collector, f"/api/v1/faults/{number}"))["id"] == number
        async with client(collector, operator(collector)) as session:
            async with session.post(f"/api/v1/faults/{number}/ack", json={"person": "Li", "note": "seen"}) as answer:
                assert (answer.status, (await answer.json())["state"]) == (200, "accepted"), await answer.text()
            async with session.post(f"/api/v1/faults/{number}/confirm", json={"person": "Li"}) as answer:
                assert answer.status == 409
                assert "allowed" in await answer.json()
        clock.advance(60)
        await post(collector, agent.frame((), [up(name, clock.wall) for name in ("access", "cam-1", "cam-2")], clock.wall))
        for _ in range(20):
            clock.advance(30)
            await collector.ingest(agent.name, b"")
            await judging.tick(collector)
        every = (await get(collector, "/api/v1/faults?state=all"))["faults"]
        assert {each["device"] for each in every} == {"access", "other-agent"}, "the other agent was never heard"
        (fault,) = (each for each in every if each["device"] == "access")
        assert fault["restored_at"] is not None
        devices = {device["device"]: device for device in (await get(collector, "/api/v1/devices"))["devices"]}
        assert (devices["access"]["state"], devices["other"]["state"]) == ("up", "unknown")
        assert {page["agent"]: page["up"] for page in (await get(collector, "/api/v1/agents"))["agents"]}[agent.name]
        assert all(not rule["error"] for rule in (await get(collector, "/api/v1/rules"))["rules"])


async def test_when_restarted_in_the_middle_then_the_fault_goes_on_and_is_not_opened_twice(tmp_path: Path) -> None:
    clock, agent = HandClock(START), AgentSide()
    async with collecting(tmp_path, clock) as collector:
        await collector.ingest(agent.name, agent.frame([run("core")], [up("core", START), up("access", START)]))
        clock.advance(5)
        await collector.ingest(agent.name, agent.frame((), [down("access", clock.wall)], clock.wall))
        for _ in range(6):
            clock.advance(1)
            await judging.tick(collector)
    for _ in range(3):
        async with collecting(tmp_path, clock, listen=True) as collector:
            clock.advance(10)
            await collector.ingest(agent.name, b"")
            await judging.tick(collector)
            faults = (await get(collector, "/api/v1/faults?state=all"))["faults"]
            assert [(fault["device"], fault["restored_at"]) for fault in faults] == [("access", None)]
            assert (
                collector.writer.memory.series.newest(
                    key(
                        "device_up",
                        "access",
                    )
                )
                is not None
            )


async def test_when_prometheus_scrapes_then_it_finds_everything(tmp_path: Path) -> None:
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if not prometheus or not promtool:
        pytest.skip("prometheus is not installed")
    async with collecting(tmp_path, listen=True) as collector:
        agent = AgentSide()
        await collector.ingest(agent.name, agent.frame([run("core")], [up("core", START)]))
        async with client(collector) as session, session.get("/metrics") as answer:
            text = await answer.text()
        checked = await asyncio.to_thread(
            subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert "error while linting" not in checked.stderr
        assert checked.returncode in (0, 3), checked.stderr
        port = free_tcp_port()
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\nscrape_configs: [{job_name: w, static_configs: [{targets: "
            f"['127.0.0.1:{collector.port}']}}]}}]\n"
        )
        process = subprocess.Popen(
            [
                prometheus,
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for query in (
                "temperature_celsius",
                "up==1",
                "watchkeeper_faults_open",
                "device_up",
                "watchkeeper_commit_seconds_count",
            ):
                assert await _until_found(port, query), query
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 20)


async def _until_found(port: int, query: str) -> bool:
    def ask() -> bytes:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}", timeout=5
            ) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    for _ in range(100):
        if b'"value":[' in await asyncio.to_thread(ask):
            return True
        await asyncio.sleep(0.2)
    return False


async def test_when_frames_hold_several_batches_then_each_counts_once(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        agent = AgentSide()
        first, second = agent.frame([run("core")]), agent.frame([run("core", START + 1000)])
        receipt = await collector.ingest(agent.name, first + second + first)
        assert (receipt.accepted, receipt.duplicate) == (2, 1)
        assert sum(len(wire.decode(p).runs) for f in (first, second) for p in wire.frames(f)) == 2


async def test_when_site_is_read_again_then_removed_devices_go_and_the_rest_stays(tmp_path: Path) -> None:
    async with collecting(tmp_path) as collector:
        agent = AgentSide()
        await collector.ingest(agent.name, agent.frame([run("core"), run("cam-1")], [up("core", START), up("cam-1", START)]))
        site = site_of(tmp_path)
        devices = {name: device for name, device in site.devices.items() if name != "cam-1"}
        await collector.reload(replace(site, devices=devices))
        series = collector.writer.memory.series
        assert series.newest(key("temperature_celsius", "core")) == (START, 40.0)
        assert series.newest(key("temperature_celsius", "cam-1")) is None
        await collector.reload(replace(site, contract="no-such-contract"))
        assert collector.site.contract == "campus-network", "a wrong file changes nothing"
