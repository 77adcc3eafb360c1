"""A trigger for APScheduler that counts on the monotonic clock: jumps of the wall clock neither skip nor bunch its runs."""

from __future__ import annotations

from datetime import datetime, timedelta

from apscheduler.triggers.base import BaseTrigger

from config.clock import Clock

EARLY_S = 0.002  # a timer may run this much early


class MonotonicTrigger(BaseTrigger):
    """Due every `interval_s` seconds from `first_due` (monotonic). What was missed altogether is skipped and counted.

    APScheduler thinks in wall time: it is told the wall time at which the next run would be due if the clock did not jump.
    After a jump it may ask too early; then `fired` has not grown and nothing is to be run.
    """

    def __init__(self, clock: Clock, interval_s: float, first_due: float) -> None:
        self._clock = clock
        self.interval_s = interval_s
        self.due = max(first_due, clock.monotonic() + 2 * EARLY_S)
        self.fired = 0
        self.fired_due = self.due
        self.skipped = 0

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the wall time of the next run, always later than `now`."""
        monotonic = self._clock.monotonic()
        if self.due <= monotonic + EARLY_S:
            behind = max(0, int((monotonic - self.due) / self.interval_s))
            self.fired += 1
            self.fired_due = self.due + behind * self.interval_s
            self.skipped += behind
            self.due = self.fired_due + self.interval_s
        return self.wall_due(now)

    def wall_due(self, now: datetime) -> datetime:
        """Return the wall time of the next run as of `now`."""
        return now + timedelta(seconds=max(EARLY_S / 2, self.due - self._clock.monotonic()))
