"""P6, P7, P8: each record counts once, holes are visible, and a failure at any step leaves what an untroubled run leaves."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from collector import history, judging
from collector.app import Collector, CollectorStartError
from collector.ingest import IngestRefused
from collector.store import agents, audit, samples
from collector.store.database import Store
from kit.collecting import AGENT, START, AgentSide, collecting, down, dump, run, up
from kit.hand_clock import HandClock
from probes import wire
from probes.reason import Reason

DEVICES = ("core", "access", "cam-1", "cam-2")


def frames() -> list[bytes]:
    """Ten requests of one agent: polls, a device that goes dark, its cameras behind it, a failed poll, recovery."""
    agent, made = AgentSide(), []
    made.append(agent.frame([run(d, START) for d in DEVICES], [up(d, START) for d in DEVICES]))
    for step in range(1, 9):
        at = START + step * 1000
        runs = [run(d, at, temperature_celsius=40.0 + step) for d in DEVICES[:2]]
        changes = {
            3: [down("access", at), down("cam-1", at, "access"), down("cam-2", at, "access")],
            6: [up("access", at), up("cam-1", at), up("cam-2", at)],
        }.get(step, [])
        if step == 4:
            runs[1] = run("access", at, reason=Reason.TIMEOUT)
        made.append(agent.frame(runs, changes, at))
    made.append(agent.frame([run("core", START + 9000)], at=START + 9000))
    return made


def content(folder: Path) -> dict[str, Any]:
    """What the database says, without bookkeeping of when; raw batches as the set of runs in them."""
    found: dict[str, Any] = dump(folder, without=("raw", "series", "blocks", "columns", "held"))
    store = Store.open_read_only(folder / "data")
    runs = [
        (each.device, each.lane, each.at, each.reason, each.keys, tuple(each.values))
        for row in samples.load_raw(store.connection)
        for payload in wire.frames(row.frame)
        for each in wire.decode(payload).runs
    ]
    store.close()
    assert len(set(runs)) == len(runs), "a run is there twice"
    found["runs"] = sorted(runs, key=repr)
    return found


async def quiet(collector: Collector, clock: HandClock, seconds: int = 40) -> None:
    """Let the time run until nothing waits any more."""
    for _ in range(seconds // 2):
        clock.advance(2)
        await collector.ingest(AGENT, b"")
        await judging.tick(collector)


async def clean(folder: Path) -> dict[str, Any]:
    clock = HandClock(START + 10_000)
    async with collecting(folder, clock, timers=False) as collector:
        await collector.ingest(AGENT, b"".join(frames()))
        await quiet(collector, clock)
    return content(folder)


# P6


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_when_every_batch_comes_three_times_at_once_and_in_disorder_then_all_is_as_in_a_clean_run(
    tmp_path: Path, seed: int
) -> None:
    clock = HandClock(START + 10_000)
    deliveries = frames() * 3
    random.Random(seed).shuffle(deliveries)
    changes = [each for each in deliveries if wire.decode(next(wire.frames(each))).transitions]
    rest = [each for each in deliveries if each not in changes]
    ordered = sorted(changes, key=lambda frame: wire.decode(next(wire.frames(frame))).seq)
    async with collecting(tmp_path, clock, timers=False) as collector:

        async def send(mine: list[bytes]) -> list[int]:
            return [(await collector.ingest(AGENT, frame)).accepted for frame in mine]

        taken = await asyncio.gather(send(ordered), send(rest))  # two connections at once, as agents do
        assert sum(sum(each) for each in taken) == sum(wire.decode(next(wire.frames(f))).count for f in frames())
        await quiet(collector, clock)
    again = content(tmp_path)
    other = await clean(tmp_path / "clean")
    assert again["received"] == other["received"]
    assert again["runs"] == other["runs"]
    assert again["device_reach"] == other["device_reach"]
    assert [row for row in again["gaps"] if row] == other["gaps"] == []


async def test_when_an_acknowledgement_is_lost_then_resending_changes_nothing(tmp_path: Path) -> None:
    clock = HandClock(START + 10_000)
    async with collecting(tmp_path, clock, timers=False) as collector:
        for frame in frames():
            task = asyncio.ensure_future(collector.ingest(AGENT, frame))
            await asyncio.sleep(0)
            task.cancel()  # the connection breaks, the agent hears nothing
            await asyncio.gather(task, return_exceptions=True)
            receipt = await collector.ingest(AGENT, frame)
            assert receipt.accepted == 0, "what had begun was finished"
        await quiet(collector, clock)
    assert content(tmp_path)["runs"] == (await clean(tmp_path / "clean"))["runs"]


# P7


async def test_when_a_segment_is_lost_then_there_is_one_gap_with_its_numbers_until_it_is_filled(tmp_path: Path) -> None:
    clock, agent = HandClock(START), AgentSide()
    made = [agent.frame([run("core", START + n * 1000)]) for n in range(10)]
    async with collecting(tmp_path, clock, timers=False) as collector:
        ledger = collector.writer.memory.ledger
        for frame in made[:3] + made[7:]:
            await collector.ingest(AGENT, frame)
        await judging.tick(collector)
        assert ledger.gaps == {}, "what is on the way is no gap yet"
        clock.advance(judging.GAP_GRACE_MS / 1000 + 6)
        await judging.tick(collector)
        (gap,) = agents.load_gaps(collector.store.connection)
        assert (gap.agent, gap.epoch, gap.first, gap.next, gap.missing, gap.filled_at) == (AGENT, 1, 3, 7, 4, None)
        assert ledger.missing_of(AGENT) == 4
        await collector.ingest(AGENT, made[4])
        clock.advance(6)
        await judging.tick(collector)
        assert ledger.missing_of(AGENT) == 3
    async with collecting(tmp_path, clock, timers=False) as collector:
        for n in (3, 5, 6):
            await collector.ingest(AGENT, made[n])
        clock.advance(6)
        await judging.tick(collector)
        (gap,) = agents.load_gaps(collector.store.connection)
        assert (gap.first, gap.next, gap.missing, gap.filled_at) == (3, 7, 0, clock.wall)
        assert collector.writer.memory.ledger.missing_of(AGENT) == 0


async def test_when_the_tail_of_the_epoch_before_is_lost_then_that_is_a_gap_too(tmp_path: Path) -> None:
    clock = HandClock(START)
    async with collecting(tmp_path, clock, timers=False) as collector:
        old = AgentSide(epoch=5)
        await collector.ingest(AGENT, old.frame([run("core")]))
        new = AgentSide(epoch=9, previous=(5, 4))
        await collector.ingest(AGENT, new.frame([run("core", START + 5000)]))
        await judging.tick(collector)
        clock.advance(200)
        await judging.tick(collector)
        (gap,) = agents.load_gaps(collector.store.connection)
        assert (gap.epoch, gap.first, gap.next, gap.missing) == (5, 1, 4, 3)


# P8


class Failing:
    """Raises at the n-th step it is told of, once."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) == self.at:
            raise RuntimeError(f"injected at {step}")


async def until_taken(work: Callable[[], Awaitable[object]]) -> None:
    """Do it again until it is done, as an agent and a timer do."""
    for _ in range(3):
        try:
            await work()
            return
        except (RuntimeError, IngestRefused):
            continue
    raise AssertionError("failed three times")


async def troubled(folder: Path, hook: Failing, restart: bool) -> None:
    """Deliver and judge as the clean run does, with one failure on the way; where wanted, die of it and start again."""
    clock = HandClock(START + 10_000)
    body = b"".join(frames())
    pending = [lambda c: c.ingest(AGENT, body)]
    for _ in range(20):
        pending += [_later(clock), lambda c: c.ingest(AGENT, b""), judging.tick]
    while pending:
        try:
            async with collecting(folder, clock, timers=False, hook=hook) as collector:
                while pending:
                    if restart:
                        await pending[0](collector)
                    else:
                        await until_taken(lambda: pending[0](collector))
                    pending.pop(0)
        except (RuntimeError, IngestRefused, CollectorStartError):
            continue


def _later(clock: HandClock) -> Callable[[Collector], Awaitable[None]]:
    async def advance(collector: Collector) -> None:
        clock.advance(2)

    return advance


FAULT_TABLES = (
    "faults",
    "fault_affected",
    "alarms",
    "fault_alarms",
    "device_reach",
    "received",
    "epochs",
    "facts",
    "gaps",
    "runs",
)


async def steps_of_a_run(folder: Path) -> int:
    hook = Failing(0)
    await troubled(folder, hook, restart=False)
    return len(hook.steps)


@pytest.mark.parametrize("restart", [False, True], ids=["goes-on", "starts-again"])
async def test_when_a_step_fails_then_the_end_is_the_same_as_without(tmp_path: Path, restart: bool) -> None:
    total = await steps_of_a_run(tmp_path / "count")
    expected = content(tmp_path / "count")
    assert total > 20
    chosen = random.Random(restart).sample(range(1, 20), 4)
    for at in chosen:
        folder = tmp_path / f"at-{at}"
        hook = Failing(at)
        await troubled(folder, hook, restart)
        found = content(folder)
        for table in FAULT_TABLES:
            assert found[table] == expected[table], f"{table} after a failure at step {at} ({hook.steps[at - 1]})"
        keys = [row[0] for row in found["outbox"]]
        assert keys == [row[0] for row in expected["outbox"]], "each delivery once"


@pytest.mark.slow
async def test_when_each_step_fails_in_turn_then_the_end_is_the_same(tmp_path: Path) -> None:
    total = await steps_of_a_run(tmp_path / "count")
    expected = content(tmp_path / "count")
    for at in range(1, total + 1):
        folder = tmp_path / f"at-{at}"
        await troubled(folder, Failing(at), restart=bool(at % 2))
        found = content(folder)
        for table in FAULT_TABLES:
            assert found[table] == expected[table], f"{table} after a failure at step {at}"


async def test_when_a_commit_fails_then_memory_is_not_ahead_of_the_database(tmp_path: Path) -> None:
    hook = Failing(0)
    async with collecting(tmp_path, timers=False, hook=hook) as collector:
        agent = AgentSide()
        frame = agent.frame([run("core")], [up("core", START)])
        hook.at = len(hook.steps) + 2
        with pytest.raises(RuntimeError):
            await collector.ingest(AGENT, frame)
        assert list(agents.load_received(collector.store.connection)) == []
        receipt = await collector.ingest(AGENT, frame)
        assert receipt.accepted == 2, "the failed try left nothing behind"
        assert collector.writer.rebuilds == 1


# killed between raw batch and block


async def test_when_compaction_is_cut_at_any_step_then_no_sample_is_lost_or_doubled(tmp_path: Path) -> None:
    class Cut(Exception):
        pass

    for step in ("gathered", "built", "replaced", "nowhere"):
        folder = tmp_path / step
        clock = HandClock(START + 10_000)
        async with collecting(folder, clock, timers=False) as collector:
            await collector.ingest(AGENT, b"".join(frames()))
            before = history.read(collector.store.connection, "temperature_celsius", 0, START + 10**6)

            def cut(at: str, wanted: str = step) -> None:
                if at == wanted:
                    raise Cut

            with contextlib.suppress(Cut):
                history.compact(collector.store, cut)
            after = history.read(collector.store.connection, "temperature_celsius", 0, START + 10**6)
            assert before.keys() == after.keys()
            for key, (times, values) in before.items():
                assert times.tolist() == after[key][0].tolist()
                assert values.tobytes() == after[key][1].tobytes()
        async with collecting(folder, clock, timers=False) as collector:
            assert len(collector.writer.memory.series) > 4


async def test_when_refused_for_security_then_it_is_on_record(tmp_path: Path) -> None:
    async with collecting(tmp_path, timers=False) as collector:
        agent = AgentSide()
        with pytest.raises(IngestRefused) as refused:
            await collector.ingest(AGENT, agent.frame([run("core"), run("other")]), "192.0.2.9:1")
        assert refused.value.status == 403
        (entry,) = audit.load_audit(collector.store.connection)
        assert (entry.who, entry.peer, entry.action) == (AGENT, "192.0.2.9:1", "ingest-refused")
        assert samples.load_raw(collector.store.connection) == [], "nothing of the batch was applied"
