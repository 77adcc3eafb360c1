"""The flap damper: tells a thing that comes and goes from one that is down. Pure functions of a penalty and the time.

Zino's rule, proven in a national network: the penalty starts at 2 and doubles with each transition, up to 256; it fades by
taking its exponent's half every 300 s. Above 35 (six quick transitions; one every 93 s never) the thing flaps, and it does
so until the penalty has fallen well below, to 4. We keep the exponent (the penalty's logarithm to base 2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CEILING = 8.0  # 256


@dataclass(frozen=True, slots=True)
class Damper:
    """The figures of the damper: seconds, and penalties at which flapping starts and ends."""

    half_life_s: float = 300.0
    start: float = 35.0
    stop: float = 4.0

    def faded(self, exponent: float, since: int, now: int) -> float:
        """Return the exponent at `now` of a penalty that had `exponent` at `since` (ms). Time that goes back fades nothing."""
        return float(exponent * 0.5 ** (max(0, now - since) / (1000 * self.half_life_s)))

    def struck(self, exponent: float, since: int, now: int) -> float:
        """Return the exponent right after one more transition at `now`."""
        return min(self.faded(exponent, since, now) + 1.0, CEILING)

    def flaps(self, exponent: float, flapping: bool) -> bool:
        """Return whether it counts as flapping, with hysteresis: starts above `start`, ends at `stop`."""
        return exponent > math.log2(self.stop) if flapping else exponent > math.log2(self.start)

    def calm_at(self, exponent: float, since: int) -> int:
        """Return when (ms) a penalty left alone will have fallen to `stop`."""
        low = math.log2(self.stop)
        if exponent <= low:
            return since
        return since + math.ceil(1000 * self.half_life_s * math.log2(exponent / low))
