"""The decision whether devices are reached: a state machine for each device, and the agent's own blindness. Pure.

The edge (`agent.reach_lane`) reports every ask as `answered` or `missed`, calls `tick`, sends `asks` and publishes `changes`.

The first miss makes a device suspect. Then 8 echo requests 150 ms apart, the second method, all upstream devices and the
witnesses (gateway, references) are asked. One good answer clears the suspicion; only silence of all is *down*.

False downs: at 5 % loss each way an ask is lost with p = 1 - 0.95^2 = 0.0975. Down needs the first ask, 8 of the burst and at
least one of the second method lost: p^10 = 7.8e-11 for each ask; at 1,800 asks an hour that is one false down in 7 million
device-hours (in 700,000 with ICMP alone; 10 % each way: p = 0.19, one in 9,000 with the second method). Losses must be
independent: a real outage of 2 s is, rightly, a down.

Cost: a good answer to an ask of the interval takes about 1 us.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable

from agent import verdict
from agent.watch import Ask, Phase, ReachSettings, Watch
from probes.reason import Reason
from probes.sample import ReachState, Transition

UP, SUSPECT, DOWN, UNKNOWN = ReachState.UP, ReachState.SUSPECT, ReachState.DOWN, ReachState.UNKNOWN
BLIND = "agent-blind"
LOST_S = 8.0  # after the last ask of a burst: an ask whose end is not reported by then never will be
_SILENT = {"icmp": "icmp", "snmp": "snmp-silent"}
_TRUTHFUL = frozenset({Reason.NO_PERMISSION, Reason.NO_CREDENTIALS})  # says something of this machine, not of the device


class Reach:
    """All devices of one agent. `asks` and `changes` collect what the edge has to do; it empties them."""

    def __init__(self, agent: str, settings: ReachSettings | None = None) -> None:
        """Start with no devices. `agent` is the name under which blindness is told."""
        self.agent = agent
        self.settings = settings or ReachSettings()
        self.watches: dict[str, Watch] = {}
        self.witnesses: list[Watch] = []
        self.references: frozenset[str] = frozenset()
        self.asks: list[Ask] = []
        self.changes: list[Transition] = []
        self.blind = False
        self.last_good = float("-inf")  # when the last ask that was answered, by anyone, was sent
        self._active: dict[str, Watch] = {}  # everything that is not QUIET
        self._queue: list[tuple[int, int, Watch]] = []
        self._queued = 0
        self._bursts = 0
        self._behind: set[str] = set()
        self._witnesses_asked = float("-inf")
        self._looked = float("-inf")
        self._announced = False
        self.roots: list[Watch] = []
        self._good_while_blind = 0

    def add(self, name: str, methods: tuple[str, ...], upstreams: tuple[str, ...], now: float, at: int) -> Watch:
        """Watch a device from now on; one that is already watched keeps its state unless its methods changed."""
        known = self.watches.get(name)
        if known is not None and {*known.methods, *known.unusable} == set(methods):
            known.upstreams = upstreams
            return known
        watch = Watch(name, methods, upstreams, started=now, started_at=at)
        self.remove(name)
        self.watches[name] = watch
        return watch

    def remove(self, name: str) -> None:
        """Forget a device."""
        watch = self.watches.pop(name, None)
        if watch is not None:
            self._quiet(watch)
            self._behind.discard(name)

    def connect(self) -> None:
        """Work out how deep each device lies below the agent; call after devices were added or removed."""
        for watch in self.watches.values():
            watch.depth = len(verdict.ancestors(watch, self.watches))
        self.roots = [watch for watch in self.watches.values() if verdict.is_root(watch, self.watches)]

    def set_witnesses(self, names: Iterable[str], references: Collection[str] = ()) -> None:
        """Set the addresses that tell whether the agent itself reaches anything; known ones keep their state.

        `references` are those that were configured, not found: they count at the start even if they never answered.
        """
        known = {witness.name: witness for witness in self.witnesses}
        self.references = frozenset(references)
        self.witnesses = [known.get(name) or Watch(name, ("icmp",), witness=True) for name in names]

    @property
    def active(self) -> bool:
        """Return whether `tick` has anything to do."""
        return bool(self._active or self._behind)

    @property
    def suspects(self) -> int:
        """Return how many devices are being checked."""
        return len(self._active)

    def answered(
        self, watch: Watch, method: str, sent: float, at: int, rtt_s: float, routine: bool = False, turn: int = 0
    ) -> None:
        """Take a good answer to an ask sent at `sent` (monotonic) and `at` (wall).

        `routine`: it was an ask of the interval. `turn`: that of the `Ask`.
        """
        if sent > self.last_good:
            self.last_good = sent
        if sent > watch.last_good:
            watch.last_good = sent
        watch.misses = 0
        watch.unreachable = False
        if method == watch.method:
            watch.rtt_s = rtt_s if not watch.ever else watch.rtt_s + (rtt_s - watch.rtt_s) / 8
        if method == "icmp":
            watch.echo_s = rtt_s
        watch.ever = True
        if routine:
            watch.count(False)
        if turn == watch.turn and watch.outstanding:
            watch.outstanding -= 1
        if watch.state is UP and watch.phase is Phase.QUIET and not self.blind:
            if watch.primary and method == watch.methods[0]:
                watch.primary = 0
            return
        self._good(watch, method, sent, at)

    def _good(self, watch: Watch, method: str, sent: float, at: int) -> None:
        if self.blind:
            self._see_again(watch, sent, at)
        if watch.witness or self.blind or method not in watch.methods:
            return
        if not self._announced:
            self._announced = True
            self._tell(self.agent, UP, "first-answer", at, at)
        watch.first_method_answered |= method == watch.methods[0]
        if watch.state is DOWN:
            self._return(watch, sent, at)
        elif watch.state is None or watch.state is UNKNOWN:
            self._first(watch, method, at)
        elif not watch.cleared:
            self._clear(watch, method, at)
        elif watch.first_method_answered:
            self._quiet(watch)

    def _first(self, watch: Watch, method: str, at: int) -> None:
        watch.primary = watch.methods.index(method)
        watch.recheck = watch.last_good + self.settings.grace_s
        self._quiet(watch)
        self._announce(watch, UP, "recovered" if watch.after_blind else "first-answer", at, at)
        watch.after_blind = False

    def _clear(self, watch: Watch, method: str, at: int) -> None:
        """End a suspicion. If only another method answered, let the burst go on to see whether the first one is filtered."""
        if watch.phase is Phase.BURST and not watch.first_method_answered and watch.primary == 0:
            watch.cleared = True
        else:
            self._quiet(watch)
        self._announce(watch, UP, "recovered", at, at, detail="" if method == watch.methods[0] else f"answers {method}")

    def _return(self, watch: Watch, sent: float, at: int) -> None:
        if watch.phase is Phase.RETURNING:
            self._quiet(watch)
            self._announce(watch, UP, "recovered", watch.good_at, at)
            return
        self._quiet(watch)
        watch.good_at = at
        watch.phase = Phase.RETURNING
        watch.asks_left = int(self.settings.return_s / self.settings.return_spacing_s) - 1
        watch.next_ask = sent
        watch.ends = sent + self.settings.return_s + self.settings.burst_timeout_s
        self._active[watch.name] = watch

    def missed(
        self,
        watch: Watch,
        method: str,
        sent: float,
        at: int,
        reason: Reason,
        *,
        routine: bool = False,
        turn: int = 0,
        local: bool = False,
    ) -> None:
        """Take an ask that got no good answer in time. `local`: this machine has no route to send it by."""
        if turn == watch.turn and watch.outstanding:
            watch.outstanding -= 1
        if reason in _TRUTHFUL:
            self._unusable(watch, method, reason, at)
            return
        if reason is Reason.RESOLVE:  # a name server that fails is not a device that fails
            return
        watch.unreachable = local
        if routine:
            watch.misses += 1
            watch.count(True)
        if not (
            watch.witness or self.blind or watch.phase is not Phase.QUIET or method != watch.method or sent <= watch.last_good
        ):
            self._doubt(watch, method, sent, at)

    def _doubt(self, watch: Watch, method: str, sent: float, at: int) -> None:
        if watch.state is UP:
            self._suspect(watch, sent, at)
        elif watch.state is not DOWN and sent - watch.started >= watch.grace_s(self.settings):
            self._suspect(watch, watch.started, watch.started_at)
        elif watch.misses % 5 == 1:
            self._ask_others(watch, method)

    def _unusable(self, watch: Watch, method: str, reason: Reason, at: int) -> None:
        """Never ask by this method again; a device that cannot be asked at all is unknown, not down."""
        watch.unusable[method] = reason.value
        watch.methods = tuple(other for other in watch.methods if other != method)
        watch.primary = 0
        if not watch.methods and not watch.witness:
            self._quiet(watch)
            self._announce(watch, UNKNOWN, reason.value, at, at)

    def _ask_others(self, watch: Watch, method: str) -> None:
        for other in watch.methods:
            if other != method:
                self._ask(watch, other, watch.last_ask)

    def _ask(self, watch: Watch, method: str, now: float) -> None:
        watch.outstanding += 1
        watch.last_ask = now
        self.asks.append(Ask(watch, method, self._patience(watch, method), watch.turn))

    def _patience(self, watch: Watch, method: str) -> float:
        return self.settings.burst_timeout_s if method == "icmp" else max(self.settings.burst_timeout_s, watch.timeout_s)

    def _suspect(self, watch: Watch, sent: float, at: int) -> None:
        watch.first_miss, watch.first_miss_at = sent, at
        watch.phase = Phase.QUEUED
        watch.cleared = watch.first_method_answered = False
        self._active[watch.name] = watch
        self._queued += 1
        heapq.heappush(self._queue, (watch.depth, self._queued, watch))
        if watch.state is UP:
            self._announce(watch, SUSPECT, _SILENT.get(watch.method, "tcp-silent"), at, at)

    def _begin(self, watch: Watch, now: float) -> None:
        settings = self.settings
        watch.phase = Phase.BURST
        watch.asks_left, watch.next_ask, watch.outstanding = settings.burst_asks, now, 0
        watch.turn += 1
        self._bursts += 1
        for other in watch.methods[1:]:
            self._ask(watch, other, now)
        self._ask_ancestors(watch, now)

    def _ask_ancestors(self, watch: Watch, now: float) -> None:
        for name in verdict.ancestors(watch, self.watches):
            upstream = self.watches[name]
            if upstream.phase is Phase.QUIET and upstream.methods and now - upstream.last_ask > self.settings.spacing_s:
                upstream.last_ask = now
                self.asks.append(Ask(upstream, upstream.method, upstream.timeout_s))

    def _quiet(self, watch: Watch) -> None:
        if watch.phase in (Phase.BURST, Phase.WAITING):
            self._bursts -= 1
        watch.phase = Phase.QUIET
        watch.cleared = False
        self._active.pop(watch.name, None)

    def tick(self, now: float, at: int) -> None:
        """Go on with everything that is under way; call every 50 ms while `active`. About 1 us for each device under way."""
        while self._queue and self._bursts < self.settings.most_bursts:
            watch = heapq.heappop(self._queue)[2]
            if watch.phase is Phase.QUEUED and self.watches.get(watch.name) is watch:
                self._begin(watch, now)
        self._ask_witnesses(now)
        ordered = sorted(self._active.values(), key=lambda watch: watch.depth)
        for watch in ordered:
            if self.blind:
                break
            if watch.phase is Phase.BURST:
                self._burst(watch, now, at)
            elif watch.phase is Phase.WAITING:
                self._wait(watch, now, at)
            elif watch.phase is Phase.RETURNING:
                self._returning(watch, now)
        behind = list(self._behind) if now - self._looked >= 1.0 else []
        self._looked = now if behind else self._looked
        for name in behind:
            self._look_behind(self.watches[name], now, at)

    def _ask_witnesses(self, now: float) -> None:
        if not self._active or now - self._witnesses_asked < self.settings.witness_every_s:
            return
        self._witnesses_asked = now
        for watch in [*self.witnesses, *verdict.quiet(self.roots, 4)]:
            self.asks.append(Ask(watch, watch.method, self._patience(watch, watch.method)))

    def _burst(self, watch: Watch, now: float, at: int) -> None:
        if watch.asks_left and now >= watch.next_ask:
            watch.asks_left -= 1
            watch.next_ask = now + self.settings.spacing_s
            self._ask(watch, watch.methods[0], now)
            watch.ends = now + LOST_S
        if not watch.asks_left and (not watch.outstanding or now > watch.ends):
            self._silent(watch, now, at)

    def _silent(self, watch: Watch, now: float, at: int) -> None:
        if watch.cleared:
            watch.primary = min(1, len(watch.methods) - 1)
            watch.recheck = now + self.settings.filtered_recheck_s
            first, second = watch.methods[0], watch.method
            self._quiet(watch)
            self._announce(watch, UP, "recovered", at, at, detail=f"{first} is not answered (filtered?), {second} is")
            return
        watch.phase = Phase.WAITING
        watch.ends = now + self.settings.wait_s
        self._ask_ancestors(watch, now)
        self._wait(watch, now, at)

    def _returning(self, watch: Watch, now: float) -> None:
        if watch.asks_left and now >= watch.next_ask:
            watch.asks_left -= 1
            watch.next_ask = now + self.settings.return_spacing_s
            for method in watch.methods:
                self._ask(watch, method, now)
        if now > watch.ends:
            self._quiet(watch)

    def _wait(self, watch: Watch, now: float, at: int) -> None:
        over = now >= watch.ends
        if not verdict.others_answer(watch, self):
            if not over:
                return
            if verdict.is_blind(self):
                self._go_blind(at)
                return
        found = verdict.upstream(watch, self.watches, over, now >= watch.ends + self.settings.wait_s)
        if found is not None:
            self._down(watch, found, at)

    def _down(self, watch: Watch, via: str, at: int) -> None:
        reason = "behind" if via else _SILENT.get(watch.methods[0], "tcp-silent")
        since = watch.first_miss_at
        self._quiet(watch)
        self._announce(watch, DOWN, reason, since, at, via=via)
        if via:
            watch.upstream_back = None
            self._behind.add(watch.name)

    def _look_behind(self, watch: Watch, now: float, at: int) -> None:
        """A device stays silent though what it was behind is back: after a grace it is down for itself."""
        if watch.state is not DOWN or watch.reason != "behind":
            self._behind.discard(watch.name)
            return
        ups = [self.watches[name] for name in watch.upstreams if name in self.watches]
        if self.blind or watch.phase is not Phase.QUIET or not any(up.state is UP for up in ups):
            watch.upstream_back = None
        elif watch.upstream_back is None:
            watch.upstream_back = now
        elif now - watch.upstream_back >= self.settings.behind_grace_s:
            self._behind.discard(watch.name)
            self._announce(watch, DOWN, _SILENT.get(watch.methods[0], "tcp-silent"), watch.since, at)

    def _go_blind(self, at: int) -> None:
        """The agent itself is cut off: no device is down, all that were thought up are unknown."""
        self.blind, self._good_while_blind = True, 0
        since = min((watch.first_miss_at for watch in self._active.values() if watch.state is not DOWN), default=at)
        self._tell(self.agent, DOWN, BLIND, since, at)
        for watch in self.watches.values():
            self._quiet(watch)
            if watch.state is not DOWN:
                self._announce(watch, UNKNOWN, BLIND, since, at)
        self._queue.clear()

    def _see_again(self, watch: Watch, sent: float, at: int) -> None:
        """Two good answers end the blindness: every device is announced again, down ones as they were."""
        self._good_while_blind += 1
        if self._good_while_blind < 2:
            return
        self.blind = False
        self._tell(self.agent, UP, "recovered", at, at)
        for other in self.watches.values():
            if other.state is DOWN:
                self._announce(other, DOWN, other.reason, other.since, at, via=other.via)
            elif other.state is UNKNOWN and other.methods:
                other.after_blind, other.started, other.started_at = True, sent, at
                other.misses = 0

    def _announce(
        self, watch: Watch, state: ReachState, reason: str, since: int, at: int, *, via: str = "", detail: str = ""
    ) -> None:
        watch.state, watch.reason, watch.since, watch.via, watch.detail = state, reason, since, via, detail
        self._tell(watch.name, state, reason, since, at, via, detail)

    def _tell(self, name: str, state: ReachState, reason: str, since: int, at: int, via: str = "", detail: str = "") -> None:
        self.changes.append(Transition(name, state, reason, min(since, at), at, via, detail))
