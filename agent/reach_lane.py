"""The edge of reachability: sends the asks, reports the answers to `agent.reach`, publishes what it decides. Decides nothing.

Cost: a device that answers costs about 5 us for each ask besides the ICMP engine.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.gateway import default_gateways, has_route
from agent.metrics import AgentMetrics
from agent.reach import Reach
from agent.reach_method import compile_methods
from agent.reach_report import Report
from agent.watch import Ask, Watch
from config.clock import Clock
from config.site import AgentSettings, Device, Site
from probes.net import Net
from probes.outcome import Question
from probes.reason import Reason
from probes.sample import Run, Transition

log = logging.getLogger(__name__)

TICK_S = 0.05
WITNESSES_EVERY_S = 60.0
AT_ONCE, AT_ONCE_S = 100, 0.01  # devices asked at the start, and the pause behind them
_ALIVE = frozenset(
    {
        Reason.OK,
        Reason.ERROR_STATUS,
        Reason.NO_SUCH_OBJECT,
        Reason.WRONG_TYPE,
        Reason.AUTH,
        Reason.NOT_IN_TIME_WINDOW,
        Reason.ENGINE_CHANGED,
    }
)


@dataclass(slots=True, eq=False)
class ReachTarget:
    """One device (or witness) and the ways to ask it."""

    watch: Watch
    address: str
    questions: dict[str, Question] = field(default_factory=dict)
    report: Report | None = None
    made_of: object = None  # what questions and report were compiled from


Due = tuple[ReachTarget, bool, int]  # target, routine, turn


class ReachLane:
    """Reachability of all devices of one agent. `changed` is called with every transition after it was journalled."""

    def __init__(
        self,
        agent: AgentSettings,
        net: Net,
        clock: Clock,
        metrics: AgentMetrics,
        record: Callable[[Run], None],
        change: Callable[[Transition], None],
    ) -> None:
        self.reach = Reach(agent.name)
        self.targets: dict[str, ReachTarget] = {}
        self._agent = agent
        self._net = net
        self._clock = clock
        self._metrics = metrics
        self._record = record
        self._change = change
        self._witnesses: dict[str, ReachTarget] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._pumping = False
        self._refused: set[str] = set()

    def set_devices(self, site: Site, devices: Iterable[tuple[Device, tuple[str, ...]]]) -> None:
        """Watch these devices, each with its methods in order; those that were watched and did not change keep their state."""
        self._agent = site.agent
        now, at = self._clock.monotonic(), self._clock.now()
        wanted: dict[str, ReachTarget] = {}
        for device, methods in devices:
            known, made_of = self.targets.get(device.name), (site.name, device, methods)
            if known is not None and known.made_of == made_of:
                questions, report = known.questions, known.report
            else:
                questions, report = compile_methods(site, device, methods), Report(site, device)
            usable = tuple(method for method in methods if method == "icmp" or method in questions)
            if not usable:
                log.error("device %s cannot be asked whether it is there: none of %s can be used", device.name, methods)
            if known is not None and known.address != device.address:
                self.reach.remove(device.name)
            watch = self.reach.add(device.name, usable, tuple(up.device for up in device.upstream), now, at)
            wanted[device.name] = ReachTarget(watch, device.address, questions, report, made_of)
        for name in self.targets.keys() - wanted.keys():
            self.reach.remove(name)
        self.targets = wanted
        self.reach.connect()
        self._find_witnesses()

    def _find_witnesses(self) -> None:
        """Gateway and references; one that is a watched device itself is no independent witness."""
        gateways = default_gateways() if self._agent.gateway == "auto" else [self._agent.gateway]
        devices = {target.address for target in self.targets.values()}
        names = [a for a in dict.fromkeys((*gateways, *self._agent.references)) if a not in devices and a not in ("", "none")]
        self.reach.set_witnesses(names, references=set(self._agent.references))
        self._witnesses = {witness.name: ReachTarget(witness, witness.name) for witness in self.reach.witnesses}

    def sweep(self, targets: Sequence[ReachTarget], due: float) -> None:
        """Ask each of a cohort once by its first usable method."""
        now, at = self._clock.monotonic(), self._clock.now()
        self._metrics.lateness.labels("reach").observe(max(0.0, now - due))
        by_patience: dict[float, list[Due]] = {}
        for target in targets:
            watch = target.watch
            method = watch.method
            if method == "icmp":
                by_patience.setdefault(watch.timeout_s, []).append((target, True, 0))
            elif method:
                self._spawn(self._question(target, method, watch.timeout_s, True, 0))
            if watch.primary and now >= watch.recheck:
                watch.recheck = now + self.reach.settings.filtered_recheck_s
                self._ask(Ask(watch, watch.methods[0], 1.0))
            if target.report is not None and target.report.due(now):
                self._report(target, at)
        for patience_s, listed in _steps(by_patience):
            self._spawn(self._icmp(listed, patience_s))

    async def _sweep_all(self) -> None:
        """Ask everybody once at the start, within a second or so: the interval's turn may be a while off."""
        targets = list(self.targets.values())
        for first in range(0, len(targets), AT_ONCE):
            self.sweep(targets[first : first + AT_ONCE], self._clock.monotonic())
            await asyncio.sleep(AT_ONCE_S)

    async def work(self) -> None:
        """Drive what is under way, and keep an eye on the witnesses; for ever."""
        witnesses_due = found_due = 0.0
        self._spawn(self._sweep_all())
        while True:
            now = self._clock.monotonic()
            if self.reach.active:
                self.reach.tick(now, self._clock.now())
                self._pump()
            if now >= witnesses_due:
                witnesses_due = now + max(1.0, self._interval_s)
                self._spawn(self._icmp([(witness, True, 0) for witness in self._witnesses.values()], 1.0))
            if now >= found_due:
                found_due = now + WITNESSES_EVERY_S
                self._find_witnesses()
            self._metrics.suspects.set(self.reach.suspects)
            await asyncio.sleep(TICK_S)

    @property
    def _interval_s(self) -> float:
        lane = self._agent.lanes.get("reach")
        return lane.interval_s if lane else 2.0

    async def stop(self) -> None:
        """Cancel every ask under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- asking ----------------------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("an ask for reachability failed", exc_info=task.exception())

    def _pump(self) -> None:
        """Send what the core wants sent and publish what it decided."""
        self._pumping = False
        asks, self.reach.asks = self.reach.asks, []
        by_patience: dict[float, list[Due]] = {}
        for ask in asks:
            target = self._target(ask.watch)
            if target is not None and ask.method == "icmp":
                by_patience.setdefault(ask.timeout_s, []).append((target, False, ask.turn))
            elif target is not None:
                self._spawn(self._question(target, ask.method, ask.timeout_s, False, ask.turn))
        for patience_s, listed in _steps(by_patience):
            self._spawn(self._icmp(listed, patience_s))
        changes, self.reach.changes = self.reach.changes, []
        for change in changes:
            self._publish(change)

    def _target(self, watch: Watch) -> ReachTarget | None:
        target = (self._witnesses if watch.witness else self.targets).get(watch.name)
        return target if target is not None and target.watch is watch else None

    def _ask(self, ask: Ask) -> None:
        self.reach.asks.append(ask)
        self._kick()

    def _kick(self) -> None:
        """Have `_pump` run once the current callback is over."""
        if not self._pumping and (self.reach.asks or self.reach.changes):
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    async def _icmp(self, listed: Sequence[Due], timeout_s: float) -> None:
        if not listed:
            return
        sent, at = self._clock.monotonic(), self._clock.now()

        def done(index: int, reason: Reason, rtt_s: float) -> None:
            target, routine, turn = listed[index]
            self._answer(target, "icmp", reason, sent, at, rtt_s, routine, turn)

        await self._net.icmp.sweep([target.address for target, _, _ in listed], timeout_s, done)

    async def _question(self, target: ReachTarget, method: str, timeout_s: float, routine: bool, turn: int) -> None:
        sent, at = self._clock.monotonic(), self._clock.now()
        outcome = await target.questions[method].ask(self._net, timeout_s)
        reason = Reason.OK if outcome.reason in _ALIVE else outcome.reason
        self._answer(target, method, reason, sent, at, self._clock.monotonic() - sent, routine, turn)

    def _answer(
        self, target: ReachTarget, method: str, reason: Reason, sent: float, at: int, rtt_s: float, routine: bool, turn: int
    ) -> None:
        watch = target.watch
        if reason is Reason.OK:
            self.reach.answered(watch, method, sent, at, rtt_s, routine, turn)
        else:
            local = reason is Reason.UNREACHABLE and not has_route(target.address)
            self.reach.missed(watch, method, sent, at, reason, routine=routine, turn=turn, local=local)
            if reason is Reason.NO_PERMISSION and method not in self._refused:
                self._refused.add(method)
                log.error("this process may not ask by %s; other methods are used where there are any", method)
        self._kick()

    # --- telling ---------------------------------------------------------------------------------------------------------

    def _publish(self, change: Transition) -> None:
        self._metrics.transitions.labels(change.state.value).inc()
        self._metrics.blind.set(self.reach.blind)
        self._change(change)
        target = self.targets.get(change.device)
        if target is not None:
            self._report(target, change.at)

    def _report(self, target: ReachTarget, at: int) -> None:
        run = target.report.run(target.watch, at, self._clock.monotonic()) if target.report is not None else None
        if run is not None:
            self._record(run)


def _steps(by_patience: dict[float, list[Due]]) -> list[tuple[float, list[Due]]]:
    """Gather patiences into steps of 50 ms, so that one sweep serves many devices."""
    steps: dict[float, list[Due]] = {}
    for patience_s, listed in by_patience.items():
        steps.setdefault(round(-(-patience_s // 0.05) * 0.05, 2), []).extend(listed)
    return list(steps.items())
