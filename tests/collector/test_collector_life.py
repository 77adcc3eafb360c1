"""Start, stop and upkeep: refusals to start that say why, TLS, retention, history over a restart."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from collector import history, judging, upkeep
from collector.app import Collector, CollectorStartError, InProcessSink
from collector.ingest import IngestRefused
from collector.store import samples
from config.site import Retention
from kit.certificates import self_signed
from kit.collecting import AGENT, START, AgentSide, client, collecting, down, key, operator, run, site_of, up
from kit.hand_clock import HandClock
from probes import wire
from probes.reason import Reason


async def test_when_another_collector_has_the_folder_then_the_second_says_so(tmp_path: Path) -> None:
    async with collecting(tmp_path, timers=False):
        with pytest.raises(CollectorStartError, match="Another collector works on the data folder"):
            await Collector(site_of(tmp_path), HandClock(START), listen=False).start()
    async with collecting(tmp_path, timers=False):
        pass


async def test_when_the_port_is_taken_then_it_says_so_and_lets_the_folder_go(tmp_path: Path) -> None:
    async with collecting(tmp_path / "one", listen=True, timers=False) as first:
        site = site_of(tmp_path / "two", listen=f"127.0.0.1:{first.port}")
        with pytest.raises(CollectorStartError, match="another program listens there"):
            await Collector(site, HandClock(START), timers=False).start()
        async with collecting(tmp_path / "two", timers=False):
            pass


@pytest.mark.parametrize("listen", ["127.0.0.1:x", "256.1.1.1:1", "nowhere"])
async def test_when_the_address_is_wrong_then_it_says_so(tmp_path: Path, listen: str) -> None:
    with pytest.raises(CollectorStartError, match="Cannot listen on"):
        await Collector(site_of(tmp_path, listen=listen), HandClock(START), timers=False).start()


async def test_when_a_rule_file_or_contract_is_wrong_then_it_does_not_start(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("groups: [{name: g, rules: [{alert: A, expr: 'up =='}]}]")
    with pytest.raises(CollectorStartError, match=r"bad\.yml"):
        await Collector(replace(site_of(tmp_path), rules=(bad,)), HandClock(START), listen=False).start()
    with pytest.raises(CollectorStartError):
        await Collector(replace(site_of(tmp_path), contract="none"), HandClock(START), listen=False).start()


async def test_when_the_timers_run_then_faults_open_by_themselves_and_health_is_served(tmp_path: Path) -> None:
    clock = HandClock(START)
    async with collecting(tmp_path, clock, listen=True) as collector:
        agent = AgentSide()
        sink = InProcessSink(collector, AGENT)
        await sink.deliver([agent.frame([run("core")], [up("core", START)])])
        clock.advance(1)
        await sink.deliver([agent.frame((), [down("core", clock.wall)], clock.wall)])
        await sink.deliver([])
        for _ in range(60):
            clock.advance(1)
            async with client(collector, operator(collector)) as session, session.get("/api/v1/faults") as answer:
                faults = (await answer.json())["faults"]
            if faults:
                break
            await asyncio.sleep(0.1)
        assert [fault["device"] for fault in faults] == ["core"]
        async with client(collector) as session, session.get("/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok", "problems": []})
        assert collector.sound is True
        with pytest.raises(IngestRefused):
            await sink.deliver([b"nonsense"])


async def test_when_a_certificate_is_given_then_only_tls_is_spoken(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    site = site_of(tmp_path, tls_certificate=certificate, tls_key=certificate)
    async with collecting(tmp_path, site=site, listen=True, timers=False) as collector:
        trust = ssl.create_default_context(cafile=str(certificate))
        async with aiohttp.ClientSession() as session:
            async with session.get(f"https://127.0.0.1:{collector.port}/healthz", ssl=trust) as answer:
                assert answer.status == 200
            with pytest.raises(aiohttp.ClientError):
                await session.get(f"https://127.0.0.1:{collector.port}/healthz")


async def test_when_retention_is_short_or_small_then_old_blocks_go(tmp_path: Path) -> None:
    clock = HandClock(START)
    async with collecting(tmp_path, clock, timers=False) as collector:
        agent = AgentSide()
        for hour in range(5):
            at = START + hour * 3_600_000
            clock.wall = at
            await collector.ingest(AGENT, agent.frame([run("core", at)], at=at))
            history.compact(collector.store)
        found = history.read(collector.store.connection, "temperature_celsius", 0, 1 << 60)[key("temperature_celsius", "core")]
        assert len(found[0]) == 5
        assert history.retain(collector.store, Retention(max_age_s=2 * 3600 + 1), clock.wall) == 2
        found = history.read(collector.store.connection, "temperature_celsius", 0, 1 << 60)[key("temperature_celsius", "core")]
        assert found[0].tolist() == [START + hour * 3_600_000 for hour in (2, 3, 4)]
        assert history.retain(collector.store, Retention(max_bytes=0), clock.wall) == 3
        assert history.read(collector.store.connection, "temperature_celsius", 0, 1 << 60) == {}


@pytest.mark.parametrize("packed", [False, True], ids=["raw", "packed"])
async def test_when_restarted_then_series_read_the_same(tmp_path: Path, packed: bool) -> None:
    clock, agent = HandClock(START), AgentSide()

    def current(collector: Collector) -> dict[bytes, tuple[int, float]]:
        series = collector.writer.memory.series
        found = {}
        for table in series.tables():
            if not table.metric.startswith("ALERTS"):
                found |= {k: value for k in table.keys if k is not None and (value := series.newest(k)) is not None}
        return found

    async with collecting(tmp_path, clock, timers=False) as collector:
        for step in range(20):
            clock.advance(5)
            runs = [run("core", clock.wall, temperature_celsius=40.0 + step), run("cam-1", clock.wall, "inventory", lamp=1.0)]
            if step == 10:
                runs = [run("core", clock.wall, reason=Reason.TIMEOUT, temperature_celsius=1.0)]
            await collector.ingest(AGENT, agent.frame(runs, [up("core", clock.wall)] if step == 0 else [], clock.wall))
            await judging.tick(collector)
        before = current(collector)
        if packed:
            await asyncio.to_thread(history.compact, collector.store)
            assert samples.load_raw(collector.store.connection) == []
    async with collecting(tmp_path, clock, timers=False) as collector:
        await judging.tick(collector)
        after = current(collector)
        assert {k: v for k, (_, v) in after.items()} == {k: v for k, (_, v) in before.items()}
        ended = await collector.ingest(AGENT, agent.frame([run("core", clock.wall + 1, reason=Reason.TIMEOUT, fan_ok=1.0)]))
        assert ended.accepted == 1


async def test_when_the_history_is_asked_then_it_shows_samples_and_ends(tmp_path: Path) -> None:
    async with collecting(tmp_path, HandClock(START + 10_000), timers=False) as collector:
        agent = AgentSide()
        await collector.ingest(AGENT, agent.frame([run("core", START), run("core", START + 1000, fan_ok=1.0)]))
        for _ in range(2):
            (times, values), = [history.read(collector.store.connection, "temperature_celsius", 0, START + 10**6)[key("temperature_celsius", "core")]]  # fmt: skip # noqa: E501
            assert times.tolist() == [START, START + 1000]
            assert values[0] == 40.0
            assert str(values[1]) == "nan", "and there it ended"
            history.compact(collector.store)
        assert "temperature_celsius" in history.metrics(collector.store.connection)


async def test_when_a_job_fails_then_it_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with collecting(tmp_path, timers=False) as collector:
        tries = 0

        async def work(each: Collector) -> None:
            nonlocal tries
            tries += 1
            raise RuntimeError("odd")

        with caplog.at_level(logging.CRITICAL):
            task = asyncio.create_task(upkeep.forever(collector, "odd", work, 0.01))
            while tries < 3:
                await asyncio.sleep(0.01)
            task.cancel()
        assert collector.metrics.restarts.labels("odd")._value.get() >= 2


def test_when_frames_are_kept_then_they_are_the_agents_own_bytes() -> None:
    frame = AgentSide().frame([run("core")])
    assert wire.encode(wire.decode(next(wire.frames(frame)))) == frame
