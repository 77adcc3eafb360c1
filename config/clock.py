"""The clock as an argument: wall time for records, monotonic time for waiting. Nobody else reads the system's clocks."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time. Tests and replay pass their own."""

    def now(self) -> int:
        """Return wall time as integer milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> int:
        """Return wall time as integer milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return the monotonic clock in seconds."""
        return time.monotonic()
