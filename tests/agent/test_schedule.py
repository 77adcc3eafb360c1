"""Cohorts are on time on the monotonic clock, whatever the wall clock does (P13); staggered, skipped and counted when late."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo

import apscheduler.schedulers.base
import pytest

from agent.metrics import AgentMetrics
from agent.schedule import Schedule, slot_of
from agent.trigger import MonotonicTrigger
from config.clock import SystemClock
from kit.hand_clock import HandClock


class JumpingWall:
    """The wall clock of this process, with a jump: for us and for APScheduler."""

    def __init__(self) -> None:
        self.offset_s = 0.0

    def now(self) -> int:
        return round((time.time() + self.offset_s) * 1000)

    def monotonic(self) -> float:
        return time.monotonic()


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> JumpingWall:
    clock = JumpingWall()

    class Jumping(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(time.time() + clock.offset_s, tz)

    monkeypatch.setattr(apscheduler.schedulers.base, "datetime", Jumping)
    monkeypatch.setattr("agent.schedule.datetime", Jumping)
    return clock


@pytest.mark.parametrize("jump_s", [-3600.0, *(pytest.param(s, marks=pytest.mark.slow) for s in (3600.0, 1.0, -1.0, 3e7))])
async def test_a_jump_of_the_wall_clock_neither_skips_nor_bunches(wall: JumpingWall, jump_s: float) -> None:
    fired: list[tuple[str, float]] = []
    metrics = AgentMetrics("a1")
    schedule = Schedule(wall, metrics)

    def fire(members: Sequence[str], due: float) -> None:
        fired.extend((member, time.monotonic()) for member in members)

    schedule.assign("state", 0.3, {f"d{n}": f"d{n}" for n in range(50)}, fire)
    schedule.start()
    watch = asyncio.create_task(schedule.watch())
    await asyncio.sleep(0.8)
    wall.offset_s = jump_s
    await asyncio.sleep(1.3)
    watch.cancel()
    await schedule.stop()
    assert metrics.clock_jumps._value.get() == 1
    for n in range(50):
        times = [at for name, at in fired if name == f"d{n}"]
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert min(gaps) > 0.02, "two at once; one late run and the next on time are right"
        assert max(gaps) < 1.0, "more than the half second until the jump is seen"
        assert 4 <= len(times) <= 8


async def test_starts_are_staggered_and_a_slot_is_for_life() -> None:
    fired: dict[str, float] = {}
    schedule = Schedule(SystemClock(), AgentMetrics("a1"))

    def fire(members: Sequence[str], due: float) -> None:
        for member in members:
            fired.setdefault(member, due)

    began = time.monotonic()
    members = {f"d{n}": f"d{n}" for n in range(400)}
    schedule.assign("table", 1.0, members, fire)
    schedule.start()
    await asyncio.sleep(1.15)
    offsets = [due - began for due in fired.values()]
    assert len(fired) == 400 and max(offsets) - min(offsets) > 0.6
    jobs = set(schedule._cohorts)
    schedule.assign("table", 1.0, {**members, "new": "new"}, fire)
    assert set(schedule._cohorts) == jobs and len(jobs) <= 10
    schedule.assign("table", 1.0, {}, fire)
    assert not schedule._cohorts
    await schedule.stop()
    assert slot_of("core-1", 120) == slot_of("core-1", 120)


def test_the_trigger_drifts_not_and_counts_what_it_skips() -> None:
    clock = HandClock()
    trigger = MonotonicTrigger(clock, 10.0, clock.monotonic() + 5)
    now = datetime.now(UTC)
    for n in range(1000):
        clock.elapsed = trigger.due + 0.004
        following = trigger.get_next_fire_time(None, now)
        assert trigger.get_next_fire_time(following, now) == following, "asked twice, the same answer"
        assert following > now
        assert trigger.fired == n + 1
    assert trigger.due == pytest.approx(1005 + 10_000)
    clock.elapsed = trigger.due + 35
    trigger.get_next_fire_time(None, now)
    assert trigger.skipped == 3 and trigger.due > clock.elapsed


def test_the_trigger_is_not_fooled_by_an_early_call() -> None:
    clock = HandClock()
    trigger = MonotonicTrigger(clock, 10.0, clock.monotonic() + 5)
    now = datetime.now(UTC)
    assert trigger.get_next_fire_time(None, now) > now
    assert trigger.fired == 0


async def test_an_end_in_the_moment_of_a_run_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    for turn in range(150):
        schedule = Schedule(SystemClock(), AgentMetrics("a1"))
        schedule.assign("state", 0.01, {f"d{number}": number for number in range(5)}, lambda _members, _due: None)
        schedule.start()
        await asyncio.sleep(turn % 15 / 1000)
        await schedule.stop()
    assert not [record.message for record in caplog.records if record.levelname == "ERROR"]
