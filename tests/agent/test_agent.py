"""The whole agent on loopback: real ICMP, real packet loss, its own pages, its end."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import time
from pathlib import Path

import aiohttp
import pytest

from agent.app import Agent
from agent.spool import SpoolLockedError
from config.clock import SystemClock
from config.profile import Step
from config.site import Credentials
from kit.agent_site import RecordingSink, device_of, site_of
from kit.firewall import firewall
from kit.site import free_tcp_port
from kit.snmpd import running

TCP_STEP = Step("tcp", "state", "port", {"port": 9})


async def test_devices_that_answer_are_announced_and_asked(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.88.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sink = RecordingSink()
    site = site_of(
        tmp_path,
        [device_of("one", "127.88.0.1", reach=(f"tcp:{port}",)), device_of("other", "127.88.0.2", agent="somebody-else")],
        (Step("tcp", "state", "port", {"port": port}),),
    )
    agent = Agent(site, SystemClock(), sink)
    await agent.start()
    try:
        change = await sink.wait_for("one", "up")
        assert change.reason == "first-answer"
        await sink.wait_for("a1", "up")
        async with asyncio.timeout(5):
            while not any(run.lane == "state" for run in sink.runs):
                await asyncio.sleep(0.05)
    finally:
        started = time.monotonic()
        await agent.stop()
        server.close()
    assert time.monotonic() - started < 2
    assert {change.device for change in sink.changes} == {"one", "a1"}
    run = next(run for run in sink.runs if run.lane == "state")
    keys = run.keys.decode().split("\n")
    assert [key.partition("{")[0] for key in keys] == ["tcp_connect_seconds", "probe_success", "probe_duration_seconds"]
    assert run.values[1] == 1.0 and 'lane="state"' in keys[1] and 'site="north"' in keys[1]
    reach = next(run for run in sink.runs if run.lane == "reach")
    assert reach.keys.startswith(b"device_up{") and reach.values[0] == 1.0
    assert any(run.lane == "agent" and b"agent_backlog_records" in run.keys for run in sink.runs)


async def test_real_silence_is_down_in_time_with_children_behind(tmp_path: Path) -> None:
    sink = RecordingSink()
    devices = [
        device_of("core", "127.88.1.1"),
        device_of("sw", "127.88.1.2", "core"),
        device_of("cam", "127.88.1.3", "sw"),
    ]
    with firewall("wk_agent_reach") as wall:
        agent = Agent(site_of(tmp_path, devices), SystemClock(), sink)
        await agent.start()
        try:
            for device in devices:
                await sink.wait_for(device.name, "up")
            if agent.reach.reach.watches["sw"].methods == ():
                pytest.skip("no ICMP here")
            sink.changes.clear()
            cut = time.time() * 1000
            wall.cut(["127.88.1.2", "127.88.1.3"])
            down = await sink.wait_for("sw", "down")
            behind = await sink.wait_for("cam", "down")
            assert (down.reason, behind.reason, behind.via) == ("icmp", "behind", "sw")
            assert (down.at - down.since) / 1000 <= 3.5
            assert down.at - cut <= 1000 + 3500
            order = [change.device for change in sink.changes if change.state.value == "down"]
            assert order == ["sw", "cam"]
            wall.mend(["127.88.1.2", "127.88.1.3"])
            assert (await sink.wait_for("sw", "up")).reason == "recovered"
            await sink.wait_for("cam", "up")
        finally:
            await agent.stop()


@pytest.mark.slow
async def test_filtered_icmp_is_up_by_snmp_and_a_stopped_daemon_is_silent(tmp_path: Path) -> None:
    sink = RecordingSink()
    with running(tmp_path, ["127.88.9.1"]) as snmpd, firewall("wk_agent_filter") as wall:
        credentials = Credentials("ro", snmp=snmpd.credentials())
        filtered = dataclasses.replace(device_of("filtered", "127.88.9.1", reach=("icmp", "snmp")), credentials=credentials)
        plain = dataclasses.replace(device_of("plain", "127.88.9.1", reach=("snmp",)), credentials=credentials)
        devices = [filtered, plain, device_of("other", "127.88.9.2")]
        agent = Agent(site_of(tmp_path, devices), SystemClock(), sink)
        await agent.start()
        try:
            for device in devices:
                await sink.wait_for(device.name, "up")
            sink.changes.clear()
            rule = "ip daddr 127.88.9.1 icmp type echo-request drop"
            wall._nft("add", "rule", "inet", wall.table, "input", *rule.split())
            await sink.wait_for("filtered", "up")
            await asyncio.sleep(3)
            assert "filtered" in agent.reach.targets["filtered"].watch.detail
            suspicions = sum(change.state.value == "suspect" for change in sink.changes)
            assert suspicions == 1
            os.kill(snmpd.pid, signal.SIGKILL)
            assert (await sink.wait_for("plain", "down")).reason == "snmp-silent"
            assert (await sink.wait_for("filtered", "down")).reason == "icmp"
        finally:
            await agent.stop()


@pytest.mark.slow
async def test_random_loss_on_real_packets_is_no_fault(tmp_path: Path) -> None:
    sink = RecordingSink()
    devices = [device_of(f"d{n}", f"127.88.{2 + n // 250}.{1 + n % 250}") for n in range(500)]
    with firewall("wk_agent_loss") as wall:
        wall.lose(10, "127.88.0.0/16")
        agent = Agent(site_of(tmp_path, devices), SystemClock(), sink)
        await agent.start()
        try:
            await asyncio.sleep(45)
        finally:
            await agent.stop()
    assert sum(change.state.value == "suspect" for change in sink.changes) > 100
    assert [change for change in sink.changes if change.state.value in ("down", "unknown")] == []


async def test_its_own_pages(tmp_path: Path) -> None:
    port = free_tcp_port()
    agent = Agent(site_of(tmp_path, [], listen=f"127.0.0.1:{port}"), SystemClock(), RecordingSink())
    await agent.start()
    try:
        async with aiohttp.ClientSession() as session:
            await asyncio.sleep(1.3)
            async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                text = await response.text()
            async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
                assert (response.status, await response.text()) == (200, "ok\n")
    finally:
        await agent.stop()
    for name in (
        "agent_backlog_records{",
        "spool_dropped_total{",
        "agent_deliveries_total{",
        "agent_loop_stall_seconds_bucket",
    ):
        assert name in text


async def test_a_second_agent_on_the_same_spool_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    agent = Agent(site_of(tmp_path, []), SystemClock(), RecordingSink())
    await agent.start()
    try:
        with pytest.raises(SpoolLockedError, match="in use by another process"):
            await Agent(site_of(tmp_path, []), SystemClock(), RecordingSink()).start()
    finally:
        await agent.stop()


async def test_a_reload_keeps_what_did_not_change(tmp_path: Path) -> None:
    sink = RecordingSink()
    old = site_of(tmp_path, [device_of("stays", "127.88.0.1"), device_of("goes", "127.88.0.2")], (TCP_STEP,))
    agent = Agent(old, SystemClock(), sink)
    await agent.start()
    try:
        await sink.wait_for("stays", "up")
        plan, watch = agent.fleet.plans["stays"], agent.reach.targets["stays"].watch
        new = dataclasses.replace(
            old, devices={d.name: d for d in (device_of("stays", "127.88.0.1"), device_of("comes", "127.88.0.3"))}
        )
        engines = agent.net.snmp
        engines.beliefs["127.88.0.9", 161] = object()  # type: ignore[index, assignment]
        await agent.reload(new)
        assert not engines.beliefs, "a reload accepts replaced SNMPv3 devices"
        assert agent.fleet.plans["stays"] is plan and agent.reach.targets["stays"].watch is watch
        assert set(agent.fleet.plans) == set(agent.reach.reach.watches) == {"stays", "comes"}
        await sink.wait_for("comes", "up")
    finally:
        await agent.stop()
    assert [change.device for change in sink.changes].count("stays") == 1


async def test_a_worker_that_panics_is_restarted_alone(tmp_path: Path) -> None:
    class Panic(BaseException):
        pass

    sink = RecordingSink()
    agent = Agent(site_of(tmp_path, [device_of("one", "127.88.0.1")]), SystemClock(), sink)
    await agent.start()
    try:
        ticks = agent.reach.reach.tick
        failures = iter([Panic("native code")])

        def tick(now: float, at: int) -> None:
            for failure in failures:
                raise failure
            ticks(now, at)

        agent.reach.reach.tick = tick  # type: ignore[method-assign]
        agent.reach.reach._active["x"] = agent.reach.reach.watches["one"]
        async with asyncio.timeout(5):
            while not agent.metrics.restarts.labels("reach")._value.get():
                await asyncio.sleep(0.02)
        agent.reach.reach._active.clear()
        await asyncio.sleep(1.1)
        await sink.wait_for("one", "up")
        assert agent.metrics.restarts.labels("journal")._value.get() == 0
    finally:
        await agent.stop()
