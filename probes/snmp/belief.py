"""What we take a remote SNMPv3 engine to be. Kept only when an authenticated answer has confirmed it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Belief:
    """What we take a remote engine to be: its id, boots, and its time as an offset to the loop's clock in seconds."""

    engine_id: bytes
    boots: int
    offset_s: float

    def time_s(self, now: float) -> int:
        """Return the engine's time now."""
        return max(0, int(now + self.offset_s))
