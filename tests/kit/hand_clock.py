"""A clock that a test moves by hand: wall time and monotonic time apart."""

from __future__ import annotations


class HandClock:
    def __init__(self, now: int = 1_800_000_000_000, monotonic: float = 1000.0) -> None:
        self.wall = now
        self.elapsed = monotonic

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds
        self.wall += round(seconds * 1000)

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone."""
        self.wall += round(seconds * 1000)
