"""The door of the collector (T-ING-1 to 4, T-AUTH): hostile bodies, foreign devices, replays, cloned agents, wrong tokens."""

from __future__ import annotations

import asyncio
import random
import resource
import struct
import zlib
from array import array
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from collector import judging
from collector.access import Access, operator_token
from collector.app import Collector
from collector.ingest import IngestRefused
from collector.limits import Limits
from collector.store import audit, samples
from config.secret import Secret
from kit.canaries import CANARIES
from kit.collecting import AGENT, START, AgentSide, client, collecting, key, operator, run, site_of, up
from kit.hand_clock import HandClock
from probes import wire
from probes.reason import Reason
from probes.sample import ReachState, Run, Transition, series_key

FRAMES = {"Content-Type": "application/x-watchkeeper-frames"}


def framed(payload: bytes) -> bytes:
    return struct.pack(">II", len(payload), zlib.crc32(payload)) + payload


async def status_of(collector: Collector, body: bytes) -> int:
    try:
        await collector.ingest(AGENT, body)
    except IngestRefused as refused:
        return refused.status
    return 200


# T-ING-1


def mutations(rng: random.Random, count: int) -> list[bytes]:
    good = AgentSide().frame([run("core"), run("cam-1")], [up("core", START)])
    plain = zlib.decompress(next(wire.frames(good)))
    made = []
    for _ in range(count):
        kind = rng.randrange(5)
        if kind == 0:
            made.append(rng.randbytes(rng.randrange(200)))
        elif kind == 1:
            cut = bytearray(good)
            for _ in range(rng.randrange(1, 4)):
                cut[rng.randrange(len(cut))] = rng.randrange(256)
            made.append(bytes(cut))
        elif kind == 2:
            made.append(good[: rng.randrange(len(good))])
        else:  # a sound frame around a payload that is not
            inner = bytearray(plain)
            for _ in range(rng.randrange(1, 6)):
                inner[rng.randrange(len(inner))] = rng.randrange(256)
            made.append(framed(zlib.compress(bytes(inner[: rng.randrange(1, len(inner) + 1)] if kind == 3 else inner))))
    return made


@pytest.mark.parametrize("count", [1_500, pytest.param(200_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
async def test_when_bodies_are_fuzzed_then_only_4xx_and_the_neighbour_is_served(tmp_path: Path, count: int) -> None:
    rng, neighbour = random.Random(count), AgentSide("other-agent")
    async with collecting(tmp_path, timers=False) as collector:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        statuses: dict[int, int] = {}
        for number, body in enumerate(mutations(rng, count)):
            status = await status_of(collector, body)
            statuses[status] = statuses.get(status, 0) + 1
            if number % 500 == 0:
                frame = neighbour.frame([run("other", START + number)])
                assert (await collector.ingest("other-agent", frame)).accepted == 1
        assert statuses.keys() <= {200, 400, 403, 409, 413}, statuses
        assert statuses[400] > count / 2
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000, "KiB"
        assert collector.writer.rebuilds == 0, "a refusal leaves no trace"


def body_of(**changes: object) -> bytes:
    fields = {
        "version": 1,
        "agent": AGENT,
        "epoch": 1,
        "seq": 0,
        "created_at": START,
        "runs": [],
        "transitions": [],
        "previous": None,
    }
    return framed(zlib.compress(msgspec.msgpack.encode(list((fields | changes).values()))))


def raw_run(keys: bytes = b"", values: tuple[float, ...] = (), **changes: object) -> list[object]:
    fields = {
        "device": "core",
        "lane": "state",
        "at": START,
        "duration_s": 0.1,
        "reason": "ok",
        "keys": keys,
        "values": array("d", values).tobytes(),
        "detail": "",
        "facts": [],
    }
    return list((fields | changes).values())


HOSTILE = {
    "bomb": (framed(zlib.compress(b"\x00" * (30 << 20))), 400),
    "deep": (framed(zlib.compress(b"\x91" * 100_000)), 400),
    "version": (body_of(version=2), 400),
    "negative": (body_of(seq=-1), 400),
    "epoch beyond": (body_of(epoch=1 << 63), 400),
    "seq beyond": (body_of(seq=(1 << 53) - 1, runs=[raw_run(), raw_run()]), 400),
    "epoch before": (body_of(previous=[1, 5]), 400),
    "agent": (body_of(agent="other-agent"), 403),
    "lane": (body_of(runs=[raw_run(lane="x")]), 400),
    "time": (body_of(runs=[raw_run(at=-5)]), 400),
    "duration": (body_of(runs=[raw_run(duration_s=float("nan"))]), 400),
    "values": (body_of(runs=[raw_run(key("a", "core"))]), 400),
    "device": (body_of(runs=[raw_run(device="other")]), 403),
    "device in key": (body_of(runs=[raw_run(key("a", "other"), (1.0,))]), 403),
    "no device in key": (body_of(runs=[raw_run(b"a", (1.0,))]), 400),
    "other site": (body_of(runs=[raw_run(series_key("a", {"site": "south", "device": "core"}), (1.0,))]), 400),
    "NaN for a key": (body_of(runs=[raw_run(b"NaN", (1.0,))]), 400),
    "key twice": (body_of(runs=[raw_run(key("a", "core") + b"\n" + key("a", "core"), (1.0, 2.0))]), 400),
    "no name": (body_of(runs=[raw_run(key("a", "core")[1:], (1.0,))]), 400),
    "labels unsorted": (body_of(runs=[raw_run(b'a{site="north",device="core"}', (1.0,))]), 400),
    "label twice": (body_of(runs=[raw_run(b'a{device="core",device="core",site="north"}', (1.0,))]), 400),
    "second line": (body_of(runs=[raw_run(b'a{device="core",site="north"} 1\r{', (1.0,))]), 400),
    "not UTF-8": (body_of(runs=[raw_run(b'a{device="core",site="north",x="\xed\xa0\x80"}', (1.0,))]), 400),
    "reserved": (body_of(runs=[raw_run(key("agent_up", "core"), (1.0,))]), 400),
    "own": (body_of(runs=[raw_run(key("watchkeeper_x", "core"), (1.0,))]), 400),
    "long label": (body_of(runs=[raw_run(key("a", "core", x="y" * 2000), (1.0,))]), 400),
    "many labels": (body_of(runs=[raw_run(key("a", "core", **{f"l{n}": "1" for n in range(40)}), (1.0,))]), 400),
    "long detail": (body_of(runs=[raw_run(detail="x" * 10_000)]), 400),
    "many facts": (body_of(runs=[raw_run(facts=[["a", "b"]] * 100)]), 400),
    "frames": (body_of() * 1001, 413),
}


async def test_when_a_body_is_hostile_then_it_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with collecting(tmp_path, timers=False) as collector:
        for name, (body, expected) in HOSTILE.items():
            assert await status_of(collector, AgentSide(epoch=3).frame([run("core")]) + body) == expected, name
            assert samples.load_raw(collector.store.connection) == [], f"{name}: all of a request or nothing"
            assert collector.writer.memory.series.newest(key("temperature_celsius", "core")) is None, name
        assert await status_of(collector, AgentSide(epoch=3).frame([run("core")])) == 200


async def test_when_the_same_key_order_is_odd_then_label_values_still_round_trip(tmp_path: Path) -> None:
    agent = AgentSide()
    async with collecting(tmp_path, HandClock(START + 60_000), timers=False) as collector:
        for number, text in enumerate(CANARIES.values()):
            shown = text.decode("utf-8", "backslashreplace").encode()[:900].decode("utf-8", "ignore")
            made = key("temperature_celsius", "core", sensor=shown)
            body = wire.encode(agent.batch([Run("core", "state", START + number, 0.1, Reason.OK, made, (1.0,))]))
            assert (await collector.ingest(AGENT, body)).accepted == 1
            assert collector.writer.memory.series.newest(made) == (START + number, 1.0)


async def test_when_numbers_are_none_then_only_those_samples_are_left_out(tmp_path: Path) -> None:
    async with collecting(tmp_path, timers=False) as collector:
        odd = run("core", temperature_celsius=float("nan"), cpu_used_ratio=0.5, fan_ok=float("inf"))
        assert (await collector.ingest(AGENT, AgentSide().frame([odd]))).accepted == 1
        series = collector.writer.memory.series
        assert series.newest(key("temperature_celsius", "core")) is None
        assert series.newest(key("cpu_used_ratio", "core")) == (START, 0.5)
        assert series.newest(key("fan_ok", "core")) is None


async def test_when_a_time_lies_in_the_future_then_it_is_set_back_and_counted(tmp_path: Path) -> None:
    clock = HandClock(START)
    async with collecting(tmp_path, clock, timers=False) as collector:
        agent = AgentSide()
        ahead = START + 3_600_000
        await collector.ingest(AGENT, agent.frame([run("core", ahead)], [up("core", ahead)], ahead))
        row = collector.writer.memory.ledger.agents[AGENT]
        assert (row.clamped, row.offset_ms) == (2, 3_600_000)
        assert collector.writer.memory.series.newest(key("temperature_celsius", "core")) == (START, 40.0)
        clock.advance(30)
        await collector.ingest(AGENT, agent.frame([run("core", clock.wall + 60_000, temperature_celsius=41.0)]))
        assert collector.writer.memory.series.newest(key("temperature_celsius", "core")) == (clock.wall, 41.0), (
            "a little ahead: counts as now"
        )


async def test_when_names_never_end_then_series_stay_below_the_cap(tmp_path: Path) -> None:
    limits = Limits(series_per_device_metric=500, series_per_device=800)
    async with collecting(tmp_path, timers=False, limits=limits) as collector:
        agent = AgentSide()
        for poll in range(20):
            names = [f"port-{poll}-{n}" for n in range(500)]
            keys = b"\n".join(key("interface_up", "core", interface=name) for name in names)
            body = wire.encode(
                agent.batch(
                    [Run("core", "table", START + poll, 0.1, Reason.OK, keys, (1.0,) * 500), run("cam-1", START + poll)]
                )
            )
            assert (await collector.ingest(AGENT, body)).accepted == 2
        memory = collector.writer.memory
        table = memory.series.table("interface_up")
        assert table is not None
        assert table.live == 500
        assert memory.admission.quota.over["interface_up"] == 19 * 500
        assert memory.series.newest(key("temperature_celsius", "cam-1")) is not None, "the neighbour is served"


# T-ING-2, and devices that moved


async def test_when_a_device_is_not_in_the_site_then_it_is_dropped_and_what_moved_is_too(tmp_path: Path) -> None:
    async with collecting(tmp_path, timers=False) as collector:
        agent = AgentSide()
        stranger = replace(run("core"), device="stranger", keys=b"", values=())
        assert (await collector.ingest(AGENT, agent.frame([stranger, run("core")]))).accepted == 2
        site = site_of(tmp_path)
        moved = replace(site.devices["cam-1"], agent="other-agent")
        await collector.reload(replace(site, devices=site.devices | {"cam-1": moved}))
        assert (await collector.ingest(AGENT, agent.frame([run("cam-1", START + 1)]))).accepted == 1, "it used to be its own"
        assert collector.writer.memory.series.newest(key("temperature_celsius", "cam-1")) is None
        assert await status_of(collector, agent.frame([run("other")])) == 403


async def test_when_an_agent_speaks_of_itself_then_it_is_heard_and_its_blindness_stays_known(tmp_path: Path) -> None:
    clock = HandClock(START)
    blind = series_key("agent_blind", {"agent": AGENT, "site": "north"})
    async with collecting(tmp_path, clock, timers=False) as collector:
        agent = AgentSide()
        own = series_key("agent_backlog_records", {"site": "north", "device": AGENT, "agent": AGENT})
        word = Run(AGENT, "agent", START, 0.0, Reason.OK, own, (7.0,))
        cut_off = Transition(AGENT, ReachState.UNKNOWN, "agent-blind", START, START)
        assert (await collector.ingest(AGENT, agent.frame([word], [cut_off]))).accepted == 2
        series = collector.writer.memory.series
        assert series.newest(own) == (START, 7.0)
        assert series.newest(blind) == (START, 1.0)
    for minutes in (4, 8, 12):
        async with collecting(tmp_path, clock, timers=False) as collector:
            clock.wall = START + minutes * 60_000
            await collector.ingest(AGENT, b"")
            await judging.tick(collector)
            assert collector.writer.memory.series.newest(blind) == (clock.wall, 1.0)
            late = Transition(AGENT, ReachState.UP, "recovered", START - 5000, START - 5000)
            await collector.ingest(AGENT, agent.frame((), [late]))
            assert collector.writer.memory.series.newest(blind) == (clock.wall, 1.0)


# T-ING-3


async def test_when_yesterdays_batch_is_replayed_then_it_is_acknowledged_and_adds_nothing(tmp_path: Path) -> None:
    clock = HandClock(START)
    frame = AgentSide().frame([run("core")], [up("core", START)])
    async with collecting(tmp_path, clock, timers=False) as collector:
        assert (await collector.ingest(AGENT, frame)).accepted == 2
    clock.advance(86_400)
    async with collecting(tmp_path, clock, timers=False) as collector:
        rows = len(samples.load_raw(collector.store.connection))
        receipt = await collector.ingest(AGENT, frame)
        assert (receipt.accepted, receipt.duplicate) == (0, 2)
        assert len(samples.load_raw(collector.store.connection)) == rows


# T-ING-4


@pytest.mark.parametrize("previous", [(1, 2), None], ids=["by number", "by time"])
async def test_when_a_cloned_agent_sends_then_the_older_one_is_refused_and_shown(
    tmp_path: Path, previous: tuple[int, int] | None
) -> None:
    clock = HandClock(START)
    async with collecting(tmp_path, clock, timers=False) as collector:
        old, new = AgentSide(epoch=1), AgentSide(epoch=2, previous=previous)
        backlog = old.frame([run("core"), run("cam-1")])
        clock.advance(5)
        await collector.ingest(AGENT, new.frame([run("core", START + 5000)], at=START + 5000))
        assert await status_of(collector, backlog) == 200, "what it made before is its backlog"
        clock.advance(10)
        late = old.frame([run("core", clock.wall, temperature_celsius=99.0)], at=clock.wall)
        assert await status_of(collector, late) == 409
        series = collector.writer.memory.series
        assert series.newest(key("temperature_celsius", "core")) == (START + 5000, 40.0), "no data mixed"
        assert series.newest(series_key("agent_epoch_conflict", {"agent": AGENT, "site": "north"})) == (clock.wall, 1.0)
        assert [entry.action for entry in audit.load_audit(collector.store.connection)] == ["epoch-conflict"]
        assert await status_of(collector, backlog) == 200, "a repetition is acknowledged, whoever sends it"
        clock.advance(judging.CONFLICT_MS / 1000 + 1)
        await judging.tick(collector)
        assert series.newest(series_key("agent_epoch_conflict", {"agent": AGENT, "site": "north"})) == (clock.wall, 0.0)


# tokens


TOKENS = {
    "Bearer token-new": 200,
    "Bearer token-old": 200,
    "bearer token-new": 200,
    "Bearer token-other": 403,
    "Bearer wrong": 401,
    "Bearer ": 401,
    "": 401,
    "Basic token-new": 401,
    "Bearer token-new2": 401,
    "Bearer token-ne": 401,
    "Bearer tökén": 401,
}


async def test_when_a_token_is_given_then_it_is_its_agents_or_nobodys(tmp_path: Path) -> None:
    async with collecting(tmp_path, listen=True, timers=False) as collector, client(collector) as session:
        agent = AgentSide()
        for header, expected in TOKENS.items():
            body = agent.frame([run("core", START + agent.seq)])
            headers = {**FRAMES, "X-Forwarded-For": "127.0.0.1", **({"Authorization": header} if header else {})}
            async with session.post("/api/v1/ingest", data=body, headers=headers) as answer:
                assert answer.status == expected, header
                found = await answer.json()
            assert found == {"accepted": 1, "duplicate": 0} if expected == 200 else {"error", "detail"} <= found.keys()


async def test_when_the_operators_token_is_an_agents_then_nothing_opens(tmp_path: Path) -> None:
    async with collecting(tmp_path, listen=True, timers=False) as collector:
        for path in ("faults", "faults/x", "devices", "agents", "gaps", "rules", "audit"):
            for token, expected in (("", 401), ("token-new", 401), (operator(collector), 404 if path == "faults/x" else 200)):
                async with client(collector, token) as session, session.get(f"/api/v1/{path}") as answer:
                    assert answer.status == expected, path
        async with client(collector, operator(collector)) as session, session.post("/api/v1/ingest", headers=FRAMES) as answer:
            assert answer.status == 401
        mode = (collector.site.collector.data / "operator.token").stat().st_mode
        assert mode & 0o777 == 0o600


def test_when_the_operators_token_is_safe_then_it_is_kept_else_made_anew(tmp_path: Path) -> None:
    first = operator_token(tmp_path)
    assert operator_token(tmp_path) == first
    (tmp_path / "operator.token").chmod(0o644)
    second = operator_token(tmp_path)
    assert second != first
    (tmp_path / "operator.token").write_text("short")
    assert len(operator_token(tmp_path)) >= 43


def test_when_metrics_are_asked_for_then_loopback_or_a_token_opens_them(tmp_path: Path) -> None:
    inside = site_of(tmp_path).collector
    outside = replace(inside, listen="192.0.2.1:8470")
    guarded = replace(inside, metrics_token=Secret("scrape", "env:X"))
    assert Access(inside, "op").metrics("")
    assert not Access(outside, "op").metrics("")
    assert not Access(guarded, "op").metrics("")
    assert not Access(guarded, "op").metrics("Bearer ")
    assert Access(guarded, "op").metrics("Bearer scrape")
    assert Access(outside, "op").metrics("Bearer op")


# bodies and connections


async def test_when_a_body_is_too_large_or_of_another_kind_then_it_is_not_read(tmp_path: Path) -> None:
    limits = Limits(body_bytes=1000)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 500

    started = collecting(tmp_path, listen=True, timers=False, limits=limits)
    async with started as collector, client(collector, "token-new") as session:
        for data, kind, expected in (
            (b"x" * 2000, FRAMES, 413),
            (chunks(), FRAMES, 413),
            (b"x", {"Content-Type": "text/plain"}, 400),
            (b"x", FRAMES, 400),
            (b"", {}, 200),
        ):
            async with session.post("/api/v1/ingest", data=data, headers=kind) as answer:
                assert answer.status == expected


@pytest.mark.parametrize("start", [b"", b"GET /healthz HTTP/1.1\r\nHost:", b"POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\n"])
async def test_when_headers_never_end_then_the_connection_does(
    tmp_path: Path, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.server.HEADER_S", 0.3)
    async with collecting(tmp_path, listen=True, timers=False) as collector:
        reader, writer = await asyncio.open_connection("127.0.0.1", collector.port)
        writer.write(start)
        for _ in range(4):
            await asyncio.sleep(0.05)
            writer.write(b"x" if start else b"")
        async with asyncio.timeout(3):
            await reader.read()
        writer.close()


async def test_when_a_body_never_ends_then_it_is_answered_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.api.BODY_S", 0.2)
    async with collecting(tmp_path, listen=True, timers=False) as collector:
        reader, writer = await asyncio.open_connection("127.0.0.1", collector.port)
        head = "POST /api/v1/ingest HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-new\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode() + b"x")
        async with asyncio.timeout(3):
            assert b" 408 " in await reader.readline()
        writer.close()


async def test_when_an_agent_only_gives_a_sign_of_life_then_it_is_up(tmp_path: Path) -> None:
    clock = HandClock(START)
    async with collecting(tmp_path, clock, timers=False) as collector:
        name = series_key("agent_up", {"agent": AGENT, "site": "north"})
        await judging.tick(collector)
        clock.advance(61)
        await judging.tick(collector)
        assert collector.writer.memory.series.newest(name) == (clock.wall, 0.0)
        await collector.ingest(AGENT, b"")
        clock.advance(1)
        await judging.tick(collector)
        assert collector.writer.memory.series.newest(name) == (clock.wall, 1.0)
