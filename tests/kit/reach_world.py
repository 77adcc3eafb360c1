"""A simulated network under the pure reach core: every ask is lost or answered by rule, time is a heap of events."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

from agent.reach import Reach
from agent.watch import Ask, ReachSettings, Watch
from probes.reason import Reason
from probes.sample import Transition

START_AT = 1_800_000_000_000


class ReachWorld:
    """`alive(name, method, now)` says whether a device answers; each way loses packets with probability `loss`."""

    def __init__(
        self, *, interval_s: float = 2.0, loss: float = 0.0, seed: int = 1, settings: ReachSettings | None = None
    ) -> None:
        self.reach = Reach("a1", settings)
        self.now = 0.0
        self.interval_s = interval_s
        self.rng = random.Random(seed)
        self.lost = 1 - (1 - loss) ** 2
        self.dark: set[str] = set()
        self.deaf: set[tuple[str, str]] = set()  # (device, method) filtered
        self.local: set[str] = set()
        self.changes: list[Transition] = []
        self.asked = 0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._ticking = False

    def add(self, name: str, *upstreams: str, methods: tuple[str, ...] = ("icmp", "snmp")) -> Watch:
        watch = self.reach.add(name, methods, upstreams, self.now, self.at)
        self.reach.connect()
        self._later(self.rng.uniform(0, self.interval_s), lambda: self._routine(watch))
        return watch

    @property
    def at(self) -> int:
        return START_AT + round(self.now * 1000)

    def _later(self, delay: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._count), what))

    def _routine(self, watch: Watch) -> None:
        if self.reach.watches.get(watch.name) is not watch:
            return
        self._later(self.interval_s, lambda: self._routine(watch))
        if watch.methods:
            self._send(watch, watch.method, watch.timeout_s, routine=True)

    def _send(self, watch: Watch, method: str, timeout_s: float, routine: bool, turn: int = 0) -> None:
        self.asked += 1
        sent, at = self.now, self.at
        gone = watch.name in self.dark or (watch.name, method) in self.deaf or self.rng.random() < self.lost
        if gone:
            local = watch.name in self.local
            reason = Reason.UNREACHABLE if local else Reason.TIMEOUT

            def miss() -> None:
                self.reach.missed(watch, method, sent, at, reason, routine=routine, turn=turn, local=local)
                self._after()

            self._later(0.0 if local else timeout_s, miss)
            return
        rtt = self.rng.uniform(0.001, 0.01)

        def good() -> None:
            self.reach.answered(watch, method, sent, at, rtt, routine, turn)
            self._after()

        self._later(rtt, good)

    def _after(self) -> None:
        while self.reach.asks:
            ask: Ask = self.reach.asks.pop()
            self._send(ask.watch, ask.method, ask.timeout_s, routine=False, turn=ask.turn)
        self.changes += self.reach.changes
        self.reach.changes.clear()
        if self.reach.active and not self._ticking:
            self._ticking = True
            self._later(0.05, self._tick)

    def _tick(self) -> None:
        self._ticking = False
        self.reach.tick(self.now, self.at)
        self._after()

    def run(self, seconds: float) -> list[Transition]:
        """Let the time pass and return the transitions of it."""
        seen, end = len(self.changes), self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, what = heapq.heappop(self._events)
            what()
        self.now = end
        return self.changes[seen:]

    def state(self, name: str) -> str:
        return str(self.reach.watches[name].state)
