"""When what is asked: cohorts of (lane, interval, stagger slot) on APScheduler, one job for each, on the event loop.

A device keeps its slot for ever (a hash of its name), so the load is even and a reload moves nobody. Starts nothing itself: a
lane's own function is given the members of a slot and the moment they were due.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from agent.metrics import AgentMetrics
from agent.trigger import MonotonicTrigger
from config.clock import Clock

log = logging.getLogger(__name__)

Fire = Callable[[Sequence[Any], float], None]

LONGEST_SPREAD_S = 300.0
SLOT_S = 0.5
MOST_SLOTS = 120
JUMP_S = 0.2


@dataclass(slots=True, eq=False)
class Cohort:
    """The members of one slot. `fire(members, due)` must not block."""

    lane: str
    trigger: MonotonicTrigger
    fire: Fire
    members: list[Any] = field(default_factory=list)
    seen: int = 0


def slot_of(name: str, slots: int) -> int:
    """Return the slot of a name, the same in every run of the program."""
    return zlib.crc32(name.encode()) % slots


class Schedule:
    """The cohorts of one agent."""

    def __init__(self, clock: Clock, metrics: AgentMetrics) -> None:
        """Prepare; nothing runs before `start`."""
        self._clock = clock
        self._metrics = metrics
        self._cohorts: dict[str, Cohort] = {}
        defaults = {"coalesce": True, "max_instances": 2, "misfire_grace_time": None}
        self._scheduler: Any = AsyncIOScheduler(timezone=UTC, job_defaults=defaults)  # type: ignore[no-untyped-call]
        self._offset = self._wall_offset()

    def start(self) -> None:
        """Begin, on the running event loop."""
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        self._scheduler.start()

    async def stop(self) -> None:
        """End; nothing is fired any more."""
        if self._scheduler.running:
            self._scheduler.pause()
            for _ in range(2):  # what was submitted in this moment runs: APScheduler would log its end as an error
                await asyncio.sleep(0)
            self._scheduler.shutdown(wait=False)
            await asyncio.sleep(0)  # APScheduler ends in a callback

    def assign(self, lane: str, interval_s: float, members: Mapping[str, Any], fire: Fire) -> None:
        """Set the members of a lane. The first runs are spread over one interval, or five minutes if that is shorter."""
        spread_s = min(interval_s, LONGEST_SPREAD_S)
        slots = max(1, min(MOST_SLOTS, round(spread_s / min(SLOT_S, interval_s / 10))))
        wanted: dict[str, list[Any]] = {}
        for name, member in members.items():
            wanted.setdefault(f"{lane}/{interval_s:g}/{slot_of(name, slots)}", []).append(member)
        for key in [key for key, cohort in self._cohorts.items() if cohort.lane == lane and key not in wanted]:
            del self._cohorts[key]
            self._scheduler.remove_job(key)
        now = self._clock.monotonic()
        for key, listed in wanted.items():
            if key not in self._cohorts:
                first = now + int(key.rpartition("/")[2]) * spread_s / slots
                self._add(key, Cohort(lane, MonotonicTrigger(self._clock, interval_s, first), fire))
            self._cohorts[key].members = listed

    def _add(self, key: str, cohort: Cohort) -> None:
        self._cohorts[key] = cohort
        self._scheduler.add_job(self._run, trigger=cohort.trigger, args=[cohort], id=key)

    async def _run(self, cohort: Cohort) -> None:
        trigger = cohort.trigger
        if trigger.fired == cohort.seen:
            return  # the wall clock jumped forward: APScheduler is early
        cohort.seen = trigger.fired
        if trigger.skipped:
            self._metrics.skipped.labels(cohort.lane, "late").inc(trigger.skipped * len(cohort.members))
            trigger.skipped = 0
        cohort.fire(cohort.members, trigger.fired_due)

    async def watch(self) -> None:
        """Look at the wall clock twice a second and set APScheduler right after a jump; for ever."""
        while True:
            await asyncio.sleep(0.5)
            offset = self._wall_offset()
            if abs(offset - self._offset) > JUMP_S:
                log.warning("the wall clock jumped by %.1f s; the schedule goes on", offset - self._offset)
                self._metrics.clock_jumps.inc()
                self._offset = offset
                now = datetime.now(UTC)
                for key, cohort in self._cohorts.items():
                    self._scheduler.modify_job(key, next_run_time=cohort.trigger.wall_due(now))

    def _wall_offset(self) -> float:
        return self._clock.now() / 1000 - self._clock.monotonic()
