"""Carries out rounds: asks the questions of a device's lane within the deadline and makes one run of the outcomes.

Decides who is asked now: not who is still being asked, not who is sick or down (the sick lane asks them, rarely), and nobody
while the agent is blind. Never schedules.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from agent.budget import LONGEST_RETRY_S, Floor
from agent.metrics import AgentMetrics
from agent.plan import LanePlan
from config.clock import Clock
from probes.net import Net
from probes.outcome import Outcome
from probes.reason import Reason
from probes.registry import CompiledStep
from probes.sample import ReachState, Run

log = logging.getLogger(__name__)

SICK_EVERY_S = 0.25
GRACE_S = 0.5  # what a question may take beyond the time it was given
_SUCCESS = frozenset({Reason.OK, Reason.NO_SUCH_OBJECT})  # the device answered; that it lacks an object is no failure
_ANSWERED = _SUCCESS | {Reason.ERROR_STATUS, Reason.WRONG_TYPE}


class Runner:
    """The rounds of one agent. `state_of` tells what reachability says of a device, `record` takes each run."""

    def __init__(
        self,
        net: Net,
        clock: Clock,
        metrics: AgentMetrics,
        record: Callable[[Run], None],
        state_of: Callable[[str], ReachState | None],
        most_in_flight: int,
    ) -> None:
        self._net = net
        self._clock = clock
        self._metrics = metrics
        self._record = record
        self._state_of = state_of
        self.floor = Floor(most_in_flight)
        self._rounds: set[asyncio.Task[None]] = set()
        self._sick: set[LanePlan] = set()

    def fire(self, plans: Sequence[LanePlan], due: float) -> None:
        """Begin the rounds of a cohort that was due at `due` (monotonic). A few microseconds for each device."""
        for plan in plans:
            why = self._why_not(plan)
            if why:
                self._metrics.skipped.labels(plan.lane, why).inc()
            else:
                self._begin(plan, due)

    def _why_not(self, plan: LanePlan) -> str:
        if plan.busy:
            return "overrun"
        state = self._state_of(plan.device)
        if state is ReachState.UNKNOWN:
            return "blind"
        if state is ReachState.DOWN and not plan.health.sick:
            plan.health.fall_sick(plan.interval_s, self._clock.monotonic())
            self._sick.add(plan)
        if plan.health.sick:
            return "down" if state is ReachState.DOWN else "sick"
        return ""

    def _begin(self, plan: LanePlan, due: float) -> None:
        plan.busy, plan.excused = True, False
        plan.round = task = asyncio.create_task(self._round(plan, due))
        self._rounds.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._rounds.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a round failed", exc_info=task.exception())

    async def work_sick(self) -> None:
        """Ask the sick ones whose time has come, for ever."""
        while True:
            await asyncio.sleep(SICK_EVERY_S)
            now = self._clock.monotonic()
            for plan in [plan for plan in self._sick if plan.health.due <= now and not plan.busy]:
                if self._state_of(plan.device) is not ReachState.UNKNOWN:
                    self._begin(plan, plan.health.due)
            self._metrics.sick.set(len(self._sick))
            self._metrics.in_flight.set(self.floor.in_flight)

    def lost(self, plans: Iterable[LanePlan]) -> None:
        """A device is down: its lanes count as failing, so that they are asked at once when it is back.

        Not those that ask so rarely that an outage hardly changes what they say.
        """
        for plan in plans:
            if plan.interval_s <= LONGEST_RETRY_S:
                plan.health.failures = max(1, plan.health.failures)

    def recovered(self, plans: Iterable[LanePlan]) -> None:
        """A device is reached again: ask its lanes at once, whatever was under way.

        A round of a failing lane that is under way is ended: it began while the device was silent. Lanes that were well keep
        their time; should their round under way fail all the same, that says nothing, and they are asked again.
        """
        now = self._clock.monotonic()
        for plan in plans:
            if not plan.health.failures and not plan.health.sick:
                plan.excused = plan.busy
                continue
            plan.health.recovered(now)
            self._sick.discard(plan)
            if plan.busy and plan.round is not None:
                plan.round.cancel()
            self._begin(plan, now)

    def forget(self, plans: Iterable[LanePlan]) -> None:
        """Stop asking these; rounds under way end by themselves."""
        self._sick.difference_update(plans)

    async def stop(self) -> None:
        """Cancel all rounds and wait until they have ended."""
        for task in self._rounds:
            task.cancel()
        await asyncio.gather(*self._rounds, return_exceptions=True)

    async def _round(self, plan: LanePlan, due: float) -> None:
        was_sick = plan.health.sick
        try:
            async with self.floor.slot(plan.budget, plan.protocol, sick=was_sick):
                started = self._clock.monotonic()
                if not was_sick:
                    self._metrics.lateness.labels(plan.lane).observe(max(0.0, started - due))
                runs = await self._ask_all(plan, started)
                self._end(plan, runs, self._clock.monotonic() - started)
        finally:
            if plan.round is asyncio.current_task():  # no other has taken its place
                plan.busy = False
        if plan.excused:
            self._begin(plan, self._clock.monotonic())

    async def _ask_all(self, plan: LanePlan, started: float) -> list[Run]:
        runs: list[Run] = []
        for step in plan.steps:
            asked = self._clock.monotonic()
            left_s = started + plan.timeout_s - asked
            if left_s <= 0:
                break
            outcome = await self._ask(plan, step, left_s)
            took_s = self._clock.monotonic() - asked
            runs.append(
                Run(
                    plan.device,
                    plan.lane,
                    outcome.at,
                    took_s,
                    outcome.reason,
                    outcome.keys,
                    outcome.values,
                    outcome.detail,
                    outcome.facts,
                )
            )
        return runs

    async def _ask(self, plan: LanePlan, step: CompiledStep, left_s: float) -> Outcome:
        try:
            async with asyncio.timeout(left_s + GRACE_S):
                return await step.question.ask(self._net, left_s)
        except TimeoutError:
            return Outcome(Reason.TIMEOUT, self._clock.now(), detail=f"{step.step.name} overran its deadline")
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a panic of native code is no Exception
            log.error("question %s of %s failed", step.step.name, plan.device, exc_info=error)
            return Outcome(Reason.INTERNAL, self._clock.now(), detail=type(error).__name__)

    def _end(self, plan: LanePlan, runs: list[Run], duration_s: float) -> None:
        """Judge the round, make one run of it with samples of its own, and hand it over."""
        bad = next((run.reason for run in runs if run.reason not in _SUCCESS), Reason.OK)
        if len(runs) < len(plan.steps):
            bad = Reason.TIMEOUT if bad is Reason.OK else bad
        answered = any(run.reason in _ANSWERED for run in runs)
        plan.excused = plan.excused and not answered
        if plan.excused:
            return
        self._metrics.runs.labels(plan.lane, bad.value).inc()
        plan.health.ended(answered, plan.interval_s, self._clock.monotonic())
        (self._sick.add if plan.health.sick else self._sick.discard)(plan)
        if not runs:
            return
        run = _whole(plan, runs, bad, duration_s)
        if self._state_of(plan.device) is ReachState.DOWN and not answered:
            run = replace(run, detail=f"{run.detail}; the device is down" if run.detail else "the device is down")
        self._record(run)


def _whole(plan: LanePlan, runs: Sequence[Run], reason: Reason, duration_s: float) -> Run:
    """Return a round as one run, its own samples last: what a lane said is whole, so that what it left out has ended."""
    keys = b"\n".join([*(run.keys for run in runs if run.keys), plan.keys])
    values = [*itertools.chain.from_iterable(run.values for run in runs), float(reason is Reason.OK), duration_s]
    detail = "; ".join(run.detail for run in runs if run.detail)
    facts = tuple(itertools.chain.from_iterable(run.facts for run in runs))
    return Run(plan.device, plan.lane, runs[-1].at, duration_s, reason, keys, values, detail, facts)
