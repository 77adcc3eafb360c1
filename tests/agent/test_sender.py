"""The sender: transitions first, live never starved, nothing lost, nothing stuck; and the HTTP sink at its edges (P10, P14)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from agent.backoff import Backoff
from agent.disk import Disk
from agent.journal import Journal
from agent.metrics import AgentMetrics
from agent.sender import Sender
from agent.sink import CONFLICT, REJECTED, STRANGER, UNAUTHORISED, DeliveryError, HttpSink
from agent.spool import Spool
from config.clock import SystemClock
from config.secret import Secret
from config.site import SpoolSettings
from kit.agent_site import RecordingSink
from kit.batches import Ledger, decode_frame, run_of
from probes.sample import ReachState, Transition


def change_of(name: str) -> Transition:
    return Transition(name, ReachState.DOWN, "icmp", 1, 2)


class Line:
    """Journal, spool and sender on one sink."""

    def __init__(self, folder: Path, sink: object) -> None:
        self.clock = SystemClock()
        self.spool = Spool(SpoolSettings(folder), self.clock)
        self.disk = Disk()
        self.sender = Sender(self.spool, self.disk, sink, self.clock, AgentMetrics("a1"))  # type: ignore[arg-type]
        self.journal = Journal("a1", self.spool, self.disk, self.clock, self.sender.take)

    def start(self) -> None:
        work = (self.journal.work, self.sender.send_changes, self.sender.send_rest)
        self.tasks = [asyncio.create_task(one()) for one in work]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.disk.run(self.spool.close)
        self.disk.close()

    async def drained(self, timeout_s: float = 20) -> None:
        async with asyncio.timeout(timeout_s):
            while self.spool.backlog_records or self.journal._runs or self.journal._changes:
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def line(folder: Path, sink: object) -> AsyncIterator[Line]:
    made = Line(folder, sink)
    made.start()
    try:
        yield made
    finally:
        await made.stop()


async def test_transitions_leave_at_once(tmp_path: Path) -> None:
    sink = RecordingSink()
    async with line(tmp_path, sink) as made:
        started = made.clock.monotonic()
        made.journal.transition(change_of("one"))
        await sink.wait_for("one", "down")
        assert made.clock.monotonic() - started < 0.5


async def test_transitions_overtake_a_slow_backlog(tmp_path: Path) -> None:
    sink = RecordingSink()
    sink.up = False
    async with line(tmp_path, sink) as made:
        for n in range(3000):
            made.journal.run(run_of(n, payload=3000))
        await made.journal.flush()
        sink.up, sink.delay_s = True, 0.3
        made.journal.transition(change_of("one"))
        await sink.wait_for("one", "down", 5)
        assert len(sink.runs) < 3000


async def test_after_a_restart_live_data_comes_before_the_backlog_and_all_arrives(tmp_path: Path) -> None:
    old = Line(tmp_path, RecordingSink())
    for start in range(0, 4000, 100):
        for n in range(start, start + 100):
            old.journal.run(run_of(n, payload=1000))
        await old.journal.flush()
    old.tasks = []
    await old.stop()
    sink = RecordingSink()
    made = Line(tmp_path, sink)
    for n in range(5000, 5010):
        made.journal.run(run_of(n))
    made.journal.transition(change_of("news"))
    await made.journal.flush()
    made.start()
    await made.drained()
    await made.stop()
    ledger = Ledger()
    for request in sink.requests:
        ledger.take(request)
        assert sum(map(len, request)) <= 1 << 20
    assert len(ledger.records) == 4011 and ledger.repeats == 0 and ledger.missing() == 0
    first = [decode_frame(frame) for frame in sink.requests[0] + sink.requests[1]]
    assert any(batch.transitions for batch in first)
    assert any(run.device == "d5000" for batch in first for run in batch.runs)


async def test_transitions_of_earlier_starts_come_first_and_in_their_order(tmp_path: Path) -> None:
    """Down, up, down of three starts must not arrive as down, down, up: the collector would see another story."""
    for start in range(3):
        old = Line(tmp_path, RecordingSink())
        for n in range(500):
            old.journal.run(run_of(start * 500 + n, payload=3000))
            if n % 100 == 50:
                old.journal.transition(change_of(f"t{start}-{n:03}"))
                await old.journal.flush()
        await old.journal.flush()
        old.tasks = []
        await old.stop()
    sink = RecordingSink()
    made = Line(tmp_path, sink)
    made.journal.transition(change_of("t9-now"))
    await made.journal.flush()
    made.start()
    await made.drained()
    await made.stop()
    told = [change.device for request in sink.requests for frame in request for change in decode_frame(frame).transitions]
    assert told == sorted(told) and len(told) == 16


async def test_catching_up_is_fast_and_never_starves_live_data(tmp_path: Path) -> None:
    """P14, a day made small: what was produced while the collector was away arrives beside what is being produced."""
    sink = RecordingSink()
    sink.up = False
    async with line(tmp_path, sink) as made:
        for n in range(20_000):
            made.journal.run(run_of(n, payload=400))
            if n % 500 == 0:
                await made.journal.flush()
        await made.journal.flush()
        sink.up = True
        made.sender._rest.recovered.set()
        for n in range(20_000, 20_020):
            made.journal.run(run_of(n))
            await made.journal.flush()
            async with asyncio.timeout(3):
                while not any(run.device == f"d{n}" for run in sink.runs[-5000:]):
                    await asyncio.sleep(0.005)
        await made.drained()
    assert {run.device for run in sink.runs} == {f"d{n}" for n in range(20_020)}
    assert sum(made.spool.dropped.values()) == 0


async def test_nothing_is_lost_or_stuck_when_the_sink_fails_at_random(tmp_path: Path) -> None:
    rng = random.Random(7)

    class Flaky(RecordingSink):
        async def deliver(self, frames: Sequence[bytes]) -> None:
            await asyncio.sleep(0)
            fate = rng.random()
            if fate < 0.3:
                raise DeliveryError("network")
            if fate < 0.4:
                raise RuntimeError("a bug")
            await super().deliver(frames)
            if fate < 0.6:
                raise DeliveryError("timeout")  # committed, but the answer was lost

    sink = Flaky()
    made = Line(tmp_path, sink)
    made.sender._rest.backoff = Backoff(0.01, 0.05)
    made.sender._changes.backoff = Backoff(0.01, 0.05)
    made.start()
    for n in range(200):
        made.journal.run(run_of(n))
        if n % 10 == 0:
            made.journal.transition(change_of(f"c{n}"))
            await made.journal.flush()
        await asyncio.sleep(0.001)
    await made.drained()
    await made.stop()
    ledger = Ledger()
    for request in sink.requests:
        ledger.take(request)
    assert len(ledger.records) == 220 and ledger.missing() == 0


async def test_one_poisoned_batch_does_not_block_the_others(tmp_path: Path) -> None:
    class Picky(RecordingSink):
        async def deliver(self, frames: Sequence[bytes]) -> None:
            if any(run.device == "d13" for frame in frames for run in decode_frame(frame).runs):
                raise DeliveryError(REJECTED)
            await super().deliver(frames)

    sink = Picky()
    async with line(tmp_path, sink) as made:
        for n in range(30):
            made.journal.run(run_of(n))
            await made.journal.flush()
        await made.drained()
        assert {run.device for run in sink.runs} == {f"d{n}" for n in range(30) if n != 13}
        assert made.spool.dropped["refused"] == 1
    assert len(list((tmp_path / "quarantine").iterdir())) == 1


async def test_a_poisoned_batch_of_the_backlog_does_not_block_it_either(tmp_path: Path) -> None:
    old = Line(tmp_path, RecordingSink())
    for n in range(30):
        old.journal.run(run_of(n, payload=5000))
        await old.journal.flush()
    old.tasks = []
    await old.stop()

    class Picky(RecordingSink):
        async def deliver(self, frames: Sequence[bytes]) -> None:
            if any(run.device == "d13" for frame in frames for run in decode_frame(frame).runs):
                raise DeliveryError(REJECTED)
            await super().deliver(frames)

    sink = Picky()
    async with line(tmp_path, sink) as made:
        await made.drained(8)
        assert {run.device for run in sink.runs} == {f"d{n}" for n in range(30) if n != 13}
        assert made.spool.dropped["refused"] == 1


async def test_a_sign_of_life_when_there_is_nothing_to_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.sender.HEARTBEAT_S", 0.05)
    sink = RecordingSink()
    async with line(tmp_path, sink):
        await asyncio.sleep(0.4)
    assert 3 <= len(sink.requests) <= 9 and sink.requests[0] == []


async def test_a_stalled_disk_bounds_memory_and_the_hole_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.journal.PENDING_BYTES", 20_000)
    sink = RecordingSink()
    made = Line(tmp_path, sink)
    for n in range(500):
        made.journal.run(run_of(n))
    made.start()
    await made.journal.flush()
    await made.drained()
    await made.stop()
    ledger = Ledger()
    for request in sink.requests:
        ledger.take(request)
    assert made.spool.dropped["memory"] > 0
    assert len(ledger.records) + made.spool.dropped["memory"] == 500
    assert min(seq for _, seq in ledger.records) == made.spool.dropped["memory"]


async def test_a_run_that_does_not_add_up_loses_its_samples_and_no_more(tmp_path: Path) -> None:
    sink = RecordingSink()
    async with line(tmp_path, sink) as made:
        made.journal.run(dataclasses.replace(run_of(1), values=(1.0, 2.0)))
        made.journal.run(dataclasses.replace(run_of(2), keys=b"x" * (17 << 20)))
        made.journal.run(run_of(3))
        await made.journal.flush()
        await made.drained()
    assert [(run.device, run.reason.value, len(run.values)) for run in sink.runs] == [
        ("d1", "internal", 0),
        ("d2", "too_big", 0),
        ("d3", "ok", 1),
    ]


def test_backoff_is_full_jitter_up_to_its_ceiling() -> None:
    backoff = Backoff(rng=random.Random(1))
    waits = [backoff.failed() for _ in range(2000)]
    assert all(0 < wait <= 60 for wait in waits) and max(waits) > 55 and min(waits[20:]) < 1
    assert waits[0] <= 1 and waits[1] <= 2
    backoff.succeeded()
    assert backoff.failed() <= 1
    assert 120 <= backoff.failed(120.0) <= 132


class Endpoint:
    """An ingest endpoint that behaves as told."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: dict[str, str] = {}
        self.answer = b'{"accepted": 1, "duplicate": 0}'
        self.seen: list[tuple[dict[str, str], bytes]] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, headers=self.headers, body=self.answer)


@pytest.fixture
async def endpoint() -> AsyncIterator[tuple[Endpoint, str]]:
    there = Endpoint()
    app = web.Application(client_max_size=8 << 20)
    app.router.add_post("/api/v1/ingest", there.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    yield there, f"http://127.0.0.1:{port}/"
    await runner.cleanup()


async def test_the_http_sink_posts_frames_with_its_token(endpoint: tuple[Endpoint, str]) -> None:
    there, url = endpoint
    sink = HttpSink(url, Secret("hush", "env:T"))
    await sink.deliver([b"one", b"two"])
    await sink.deliver([])
    await sink.close()
    headers, body = there.seen[0]
    assert body == b"onetwo" and there.seen[1][1] == b""
    assert headers["Authorization"] == "Bearer hush" and headers["Content-Type"] == "application/x-watchkeeper-frames"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, UNAUTHORISED),
        (403, UNAUTHORISED),
        (409, CONFLICT),
        (400, REJECTED),
        (413, REJECTED),
        (429, "busy"),
        (500, "server"),
        (302, "redirected"),
    ],
)
async def test_each_status_has_its_reason(endpoint: tuple[Endpoint, str], status: int, reason: str) -> None:
    there, url = endpoint
    there.status, there.headers = status, {"Retry-After": "999999", "Location": "http://127.0.0.1:1/"}
    sink = HttpSink(url, None)
    with pytest.raises(DeliveryError) as caught:
        await sink.deliver([b"x"])
    await sink.close()
    assert caught.value.reason == reason and caught.value.retry_after_s <= 300


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            b'{"error": "rejected", "detail": "no lane is called \\u001b[31mx"}',
            "rejected: HTTP 400, no lane is called \\x1b[31mx",
        ),
        (b'{"detail": 7}', "rejected: HTTP 400"),
        (b"<html>", "rejected: HTTP 400"),
        (b"[" * 60_000, "rejected: HTTP 400"),
    ],
)
async def test_a_refusal_says_what_the_collector_said(endpoint: tuple[Endpoint, str], answer: bytes, said: str) -> None:
    there, url = endpoint
    there.status, there.answer = 400, answer
    sink = HttpSink(url, None)
    with pytest.raises(DeliveryError) as caught:
        await sink.deliver([b"x"])
    await sink.close()
    assert str(caught.value) == said


@pytest.mark.parametrize("answer", [b"", b"<html>Welcome to the hotel", b'{"accepted": 1}', b"[]"])
async def test_what_gives_no_receipt_is_no_collector(endpoint: tuple[Endpoint, str], answer: bytes) -> None:
    there, url = endpoint
    there.answer = answer
    sink = HttpSink(url, None)
    with pytest.raises(DeliveryError) as caught:
        await sink.deliver([b"x"])
    await sink.close()
    assert caught.value.reason == STRANGER


@pytest.mark.parametrize("mode", ["hang", "trickle"])
async def test_one_deadline_for_everything(mode: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.ensure_future(reader.read(-1))
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
            done, _ = await asyncio.wait([gone], timeout=0.05 if mode == "trickle" else 30)
            if done:
                break
            writer.write(bytes([byte]))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    sink = HttpSink(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", None, deadline_s=0.4)
    started = asyncio.get_running_loop().time()
    with pytest.raises(DeliveryError) as caught:
        await sink.deliver([b"x"])
    assert asyncio.get_running_loop().time() - started < 1
    assert caught.value.reason == "timeout"
    await sink.close()
    await asyncio.sleep(0.1)
    server.close()


async def test_nobody_listening_is_a_network_error() -> None:
    sink = HttpSink("http://127.0.0.1:1", None)
    with pytest.raises(DeliveryError, match="network"):
        await sink.deliver([])
    await sink.close()


async def test_a_refused_token_is_loud_and_never_shown(
    tmp_path: Path, endpoint: tuple[Endpoint, str], caplog: pytest.LogCaptureFixture
) -> None:
    there, url = endpoint
    there.status = 401
    sink = HttpSink(url, Secret("canary-secret", "env:T"))
    with caplog.at_level(logging.DEBUG):
        async with line(tmp_path, sink) as made:
            made.journal.run(run_of(1))
            async with asyncio.timeout(5):
                while not there.seen:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert made.spool.backlog_records == 1
    await sink.close()
    assert "refuses this agent's token" in caplog.text and "canary-secret" not in caplog.text
