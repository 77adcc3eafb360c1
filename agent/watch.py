"""What is known of reaching one device (or one witness: the gateway, a reference): history, state, what is being checked.

Records and their small bookkeeping only; `agent.reach` decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from probes.sample import ReachState

HISTORY = 30
_MASK = (1 << HISTORY) - 1


class Phase(StrEnum):
    """What is going on with a device."""

    QUIET = "quiet"  # asked once in each interval
    QUEUED = "queued"  # silent, its burst has to wait for others
    BURST = "burst"  # silent, asked again and again
    WAITING = "waiting"  # silent for good; its upstream's verdict, or a sign that others answer, is waited for
    RETURNING = "returning"  # down, answered once, asked again


@dataclass(frozen=True, slots=True)
class ReachSettings:
    """The figures of the reach lane, in seconds. The defaults decide `down` about 3.3 s after the first lost packet."""

    burst_asks: int = 8
    spacing_s: float = 0.15
    burst_timeout_s: float = 1.0
    wait_s: float = 1.5  # the longest wait for an upstream's verdict or a sign that others answer
    grace_s: float = 10.0  # after the start, before a device that never answered is called down
    restart_grace_s: float = 2.0  # the same, of one that answered before the agent was started again
    behind_grace_s: float = 60.0  # after its upstream came back, before a device behind it is called down for itself
    return_s: float = 1.0  # two good answers within this time are a return
    return_spacing_s: float = 0.2
    witness_every_s: float = 0.25  # how often witnesses are asked while somebody is silent
    filtered_recheck_s: float = 60.0  # how often the first method is tried again where only another one answers
    most_bursts: int = 2000


@dataclass(slots=True, eq=False)
class Watch:
    """One device's reachability. Times are monotonic seconds of when an ask was sent, `*_at` wall milliseconds."""

    name: str
    methods: tuple[str, ...]
    upstreams: tuple[str, ...] = ()
    witness: bool = False
    depth: int = 0
    state: ReachState | None = None
    phase: Phase = Phase.QUIET
    reason: str = ""
    via: str = ""
    detail: str = ""
    since: int = 0  # wall ms of the last announced change
    primary: int = 0  # index of the method that is asked in each interval
    ever: bool = False  # answered since the start
    recalled: bool = False  # answered shortly before it
    after_blind: bool = False
    started: float = 0.0  # since when it is asked without any answer
    started_at: int = 0
    last_good: float = float("-inf")
    rtt_s: float = 0.0  # of the method of the interval, smoothed
    echo_s: float | None = None  # the last round trip of ICMP
    history: int = 0  # one bit for each ask of the interval, 1 for a miss
    asked: int = 0
    misses: int = 0  # in a row
    unreachable: bool = False  # this machine had no route for the last ask
    first_miss: float = 0.0
    first_miss_at: int = 0
    asks_left: int = 0
    next_ask: float = 0.0
    last_ask: float = 0.0
    outstanding: int = 0  # asks of this turn that have not ended
    turn: int = 1  # counts the bursts
    ends: float = 0.0  # when the burst, the wait or the return is over at the latest
    cleared: bool = False  # answered by another method; the burst only finds out whether the first one is filtered
    first_method_answered: bool = False
    good_at: int = 0  # the first good answer of a return
    recheck: float = 0.0
    upstream_back: float | None = None  # when its dark upstream was seen up again
    unusable: dict[str, str] = field(default_factory=dict)  # method -> reason it cannot be asked; it left `methods`

    @property
    def method(self) -> str:
        """Return the method that is asked in each interval, empty if none can be."""
        return self.methods[self.primary] if self.methods else ""

    @property
    def timeout_s(self) -> float:
        """Return how long an ask of the interval waits: eight times the usual round trip, ICMP 0.25 to 1 s, others 1 to 3 s."""
        if self.method == "icmp":
            return min(1.0, max(0.25, 8 * self.rtt_s)) if self.ever else 1.0
        return min(3.0, max(1.0, 8 * self.rtt_s)) if self.ever else 2.0

    @property
    def loss(self) -> float:
        """Return the share of the last 30 asks that was lost, 0 to 1."""
        return self.history.bit_count() / min(self.asked, HISTORY) if self.asked else 0.0

    def grace_s(self, settings: ReachSettings) -> float:
        """Return how long it may be silent before that says something, while it never answered."""
        return settings.restart_grace_s if self.recalled and self.state is None else settings.grace_s

    def count(self, missed: bool) -> None:
        """Remember one ask of the interval."""
        self.history = (self.history << 1 | missed) & _MASK
        self.asked += 1


@dataclass(frozen=True, slots=True)
class Ask:
    """An ask that the core wants sent now, besides those of the interval."""

    watch: Watch
    method: str
    timeout_s: float
    turn: int = 0  # of the burst it belongs to, 0 for none; goes back with the answer
