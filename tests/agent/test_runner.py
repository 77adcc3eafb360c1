"""Rounds: budgets, deadlines, the sick lane; one bad device delays nobody else (P11)."""

from __future__ import annotations

import asyncio
import time
from array import array
from typing import Any

import pytest

from agent.budget import DeviceBudget, Health
from agent.metrics import AgentMetrics
from agent.plan import LanePlan
from agent.runner import Runner
from agent.schedule import Schedule
from config.clock import SystemClock
from config.profile import Step
from probes.outcome import Outcome
from probes.reason import Reason
from probes.registry import CompiledStep
from probes.sample import ReachState, Run


class Panic(BaseException):
    pass


class Fake:
    """A question with a fate: it answers, is silent, hangs beyond its time, or panics."""

    def __init__(self, fate: str = "good", takes_s: float = 0.0) -> None:
        self.fate = fate
        self.takes_s = takes_s
        self.asked = 0
        self.inside = 0
        self.most_inside = 0

    async def ask(self, net: Any, timeout_s: float) -> Outcome:
        self.asked += 1
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        try:
            if self.fate == "panic":
                raise Panic
            if self.fate == "hang":
                await asyncio.sleep(3600)
            if self.fate == "silent":
                await asyncio.sleep(timeout_s)
                return Outcome(Reason.TIMEOUT, 1, detail="no answer")
            await asyncio.sleep(self.takes_s)
            if self.fate == "lacking":
                return Outcome(Reason.NO_SUCH_OBJECT, 1)
            return Outcome(Reason.OK, 1, b"m{}", array("d", [1.0]))
        finally:
            self.inside -= 1


def plan_of(
    name: str, *fakes: Fake, lane: str = "state", timeout_s: float = 0.2, budget: DeviceBudget | None = None
) -> LanePlan:
    steps = tuple(CompiledStep(Step("fake", lane, f"s{n}"), fake) for n, fake in enumerate(fakes))
    keys = f'probe_success{{device="{name}"}}\nprobe_duration_seconds{{device="{name}"}}'.encode()
    return LanePlan(name, lane, 1.0, timeout_s, "snmp", steps, keys, budget or DeviceBudget())


class Desk:
    """A runner, what it recorded, and what reachability is made to say."""

    def __init__(self, most: int = 100) -> None:
        self.runs: list[Run] = []
        self.states: dict[str, ReachState] = {}
        self.metrics = AgentMetrics("a1")
        self.runner = Runner(None, SystemClock(), self.metrics, self.runs.append, self.states.get, most)  # type: ignore[arg-type]

    def skipped(self, why: str, lane: str = "state") -> float:
        return float(self.metrics.skipped.labels(lane, why)._value.get())

    async def fire(self, *plans: LanePlan) -> None:
        self.runner.fire(plans, time.monotonic())
        while self.runner._rounds:
            await asyncio.sleep(0.01)


async def test_a_round_is_one_run_with_samples_of_its_own() -> None:
    desk = Desk()
    await desk.fire(plan_of("d", Fake(), Fake("lacking"), Fake()))
    (run,) = desk.runs
    assert run.reason is Reason.OK
    names = run.keys.split(b"\n")
    assert [name.partition(b"{")[0] for name in names] == [b"m", b"m", b"probe_success", b"probe_duration_seconds"]
    assert len(run.values) == len(names)
    assert run.values[-2] == 1.0 and run.values[-1] >= 0


@pytest.mark.parametrize(("fate", "reason"), [("silent", Reason.TIMEOUT), ("hang", Reason.TIMEOUT), ("panic", Reason.INTERNAL)])
async def test_a_bad_question_is_a_failed_run_in_time(fate: str, reason: Reason) -> None:
    desk = Desk()
    started = time.monotonic()
    await desk.fire(plan_of("d", Fake(fate)))
    assert time.monotonic() - started < 1.0
    (run,) = desk.runs
    assert run.reason is reason and run.values[-2] == 0.0


async def test_an_overrun_is_skipped_and_counted() -> None:
    desk, question = Desk(), Fake("silent")
    plan = plan_of("d", question)
    desk.runner.fire([plan], time.monotonic())
    await asyncio.sleep(0.01)
    await desk.fire(plan)
    assert question.asked == 1 and desk.skipped("overrun") == 1


async def test_one_conversation_at_a_time_with_one_device() -> None:
    desk, question, budget = Desk(), Fake(takes_s=0.02), DeviceBudget()
    plans = [plan_of("d", question, lane=lane, budget=budget) for lane in ("state", "table", "inventory")]
    await desk.fire(*plans)
    assert question.asked == 3 and question.most_inside == 1


async def test_a_sick_lane_is_asked_ever_more_rarely_and_returns() -> None:
    desk, question = Desk(), Fake("silent")
    plan = plan_of("d", question, timeout_s=0.02)
    for _ in range(3):
        await desk.fire(plan)
    assert plan.health.sick
    await desk.fire(plan)
    assert question.asked == 3 and desk.skipped("sick") == 1
    worker = asyncio.create_task(desk.runner.work_sick())
    desk.runner.recovered([plan])
    question.fate = "good"
    async with asyncio.timeout(2):
        while plan.health.sick or not desk.runs[-1].values[-2]:
            await asyncio.sleep(0.01)
    worker.cancel()


@pytest.mark.parametrize("failed_before", [0, 1, 3, 5])
async def test_a_device_that_is_back_is_asked_at_once_whatever_was_under_way(failed_before: int) -> None:
    desk, question = Desk(), Fake("silent")
    plan = plan_of("d", question, timeout_s=0.02)
    for _ in range(failed_before):
        desk.runner._begin(plan, time.monotonic())
        while plan.busy:
            await asyncio.sleep(0.005)
    slow = plan.timeout_s = 0.3
    desk.runner._begin(plan, time.monotonic())
    await asyncio.sleep(0.05)
    recorded = len(desk.runs)
    question.fate = "good"
    desk.runner.recovered([plan])
    async with asyncio.timeout(slow + 1.0):
        while len(desk.runs) == recorded or plan.busy:
            await asyncio.sleep(0.005)
    assert [run.reason for run in desk.runs[recorded:]] == [Reason.OK], "the round from before says nothing"
    assert not plan.health.sick and plan.health.failures == 0 and plan not in desk.runner._sick


async def test_a_lane_that_was_not_asked_during_an_outage_is_asked_at_its_end_too() -> None:
    desk, question, rare = Desk(), Fake(), Fake()
    plans = [plan_of("d", question), plan_of("d", rare, lane="inventory")]
    plans[1].interval_s = 21_600.0
    desk.runner.lost(plans)
    desk.runner.recovered(plans)
    while any(plan.busy for plan in plans):
        await asyncio.sleep(0.01)
    assert (question.asked, rare.asked) == (1, 0)


async def test_a_suspicion_that_came_to_nothing_asks_nobody() -> None:
    desk, question = Desk(), Fake(takes_s=0.05)
    plan = plan_of("d", question)
    desk.runner.recovered([plan])
    assert not plan.busy
    desk.runner._begin(plan, time.monotonic())
    await asyncio.sleep(0.01)
    desk.runner.recovered([plan])
    while plan.busy:
        await asyncio.sleep(0.01)
    assert question.asked == 1 and len(desk.runs) == 1


async def test_a_device_that_is_down_is_asked_by_the_sick_lane_only_and_its_runs_say_so() -> None:
    desk, question = Desk(), Fake("silent")
    plan = plan_of("d", question, timeout_s=0.02)
    desk.states["d"] = ReachState.DOWN
    await desk.fire(plan)
    assert question.asked == 0 and desk.skipped("down") == 1
    plan.health.due = 0.0
    worker = asyncio.create_task(desk.runner.work_sick())
    async with asyncio.timeout(2):
        while not desk.runs:
            await asyncio.sleep(0.01)
    worker.cancel()
    assert desk.runs[0].detail.endswith("the device is down")


async def test_nobody_is_asked_while_the_agent_is_blind() -> None:
    desk, question = Desk(), Fake("silent")
    desk.states["d"] = ReachState.UNKNOWN
    plan = plan_of("d", question)
    await desk.fire(plan)
    assert question.asked == 0 and plan.health.failures == 0 and desk.skipped("blind") == 1


def test_the_wait_of_the_sick_doubles_up_to_five_minutes() -> None:
    health, waits = Health(), []
    for _ in range(12):
        health.ended(False, 30.0, 0.0)
        waits.append(health.due)
    assert waits[:6] == [0.0, 0.0, 60.0, 120.0, 240.0, 300.0] and waits[-1] == 300.0
    health.ended(True, 30.0, 0.0)
    assert not health.sick and health.failures == 0


async def test_hostile_devices_delay_nobody_else() -> None:
    """P11, worse: 100 hostile of 1,000, and fewer slots than those."""
    desk = Desk(most=50)
    fates = {0: "hang", **dict.fromkeys(range(10, 100, 10), "silent")}
    plans = {f"d{n}": plan_of(f"d{n}", Fake(fates.get(n % 100, "good")), timeout_s=0.15) for n in range(1000)}
    schedule = Schedule(SystemClock(), desk.metrics)
    schedule.assign("state", 0.5, plans, desk.runner.fire)
    schedule.start()
    worker = asyncio.create_task(desk.runner.work_sick())
    await asyncio.sleep(3.0)
    worker.cancel()
    await schedule.stop()
    await desk.runner.stop()
    hostile = [plan for name, plan in plans.items() if int(name[1:]) % 10 == 0]
    assert sum(plan.health.sick for plan in hostile) > 90
    good = [run for run in desk.runs if run.reason is Reason.OK]
    assert len(good) >= 900 * 4
    begun = desk.metrics.registry.get_sample_value("agent_run_lateness_seconds_count", {"lane": "state"})
    in_time = desk.metrics.registry.get_sample_value("agent_run_lateness_seconds_bucket", {"lane": "state", "le": "1.0"})
    assert begun and in_time and in_time / begun > 0.99
