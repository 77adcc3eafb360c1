"""Outages that were over before the collector learned of them: opened with their own times, restored, never missed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from collector import judging
from collector.app import Collector
from collector.store import faults as fault_store
from kit.collecting import START, AgentSide, collecting, down, run, up
from kit.hand_clock import HandClock

EVERYONE = ("core", "access", "cam-1", "cam-2")


async def ticks(collector: Collector, clock: HandClock, agent: AgentSide, count: int, every_s: float = 1.0) -> None:
    for _ in range(count):
        clock.advance(every_s)
        await collector.ingest(agent.name, b"")
        await judging.tick(collector)


def faults(collector: Collector) -> list[Any]:
    with collector.reader.reading() as connection:
        return [view.fault for view in fault_store.list_faults(connection, "all") if view.fault.device != "other-agent"]


async def begin(collector: Collector, clock: HandClock, agent: AgentSide) -> None:
    await collector.ingest(agent.name, agent.frame([run(d) for d in EVERYONE], [up(d, START) for d in EVERYONE]))
    await ticks(collector, clock, agent, 30)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("gone_s", [8, 20, 120, 3600])
async def test_an_outage_that_is_over_is_opened_and_restored(tmp_path: Path, gone_s: int, restarted: bool) -> None:
    clock, agent = HandClock(START), AgentSide()
    async with collecting(tmp_path, clock, timers=False) as collector:
        await begin(collector, clock, agent)
        if not restarted:
            await away(collector, clock, agent, gone_s)
    if restarted:
        clock.advance(1)
        async with collecting(tmp_path, clock, timers=False) as collector:
            await away(collector, clock, agent, gone_s)


async def away(collector: Collector, clock: HandClock, agent: AgentSide, gone_s: int) -> None:
    began = clock.wall + 1000
    ended = began + gone_s * 500
    clock.advance(gone_s)
    changes = [down("access", began + 2000), *(down(cam, began + 2000, "access") for cam in ("cam-1", "cam-2"))]
    changes += [up(name, ended) for name in ("access", "cam-1", "cam-2")]
    await collector.ingest(agent.name, agent.frame((), changes, clock.wall))
    await ticks(collector, clock, agent, 30)
    (fault,) = faults(collector)
    assert (fault.device, fault.began_at, fault.restored_at) == ("access", began, ended)
    assert fault.opened_at > ended or gone_s == 8
    assert sorted(fault.affected) == ["access", "cam-1", "cam-2"]
    if gone_s == 3600:
        return  # what comes now is beyond the reopen window: another fault
    again = clock.wall + 1000
    clock.advance(20)
    await collector.ingest(agent.name, agent.frame((), [down("access", again + 2000), up("access", again + 9000)], clock.wall))
    await ticks(collector, clock, agent, 30)
    (fault,) = faults(collector)
    assert (fault.reopened, fault.restored_at) == (1, again + 9000)


async def test_the_last_word_holds_after_many(tmp_path: Path) -> None:
    clock, agent = HandClock(START), AgentSide()
    async with collecting(tmp_path, clock, timers=False) as collector:
        await begin(collector, clock, agent)
        at = clock.wall + 1000
        clock.advance(100)
        changes = [
            change for n in range(3) for change in (down("cam-1", at + 20_000 * n + 2000), up("cam-1", at + 20_000 * n + 8000))
        ]
        changes.append(down("cam-1", at + 70_000))
        await collector.ingest(agent.name, agent.frame((), changes, clock.wall))
        await ticks(collector, clock, agent, 10)
        (fault,) = faults(collector)
        assert (fault.device, fault.restored_at) == ("cam-1", None)
        assert fault.began_at == at
