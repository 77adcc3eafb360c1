"""The flap damper: tells a thing that comes and goes from one that is down. Pure functions of a penalty and the time.

Zino's rule, proven in a national network: the penalty starts at 2 and doubles with each transition, up to 256; it fades by
taking its exponent's half every 300 s. Above 35 (six quick transitions; one every 93 s never) the thing flaps, and it does
so until the penalty has fallen well below, to 4. We keep the exponent (the penalty's logarithm to base 2).
"""

from __future__ import annotations

import math

HALF_LIFE_MS = 300_000
CEILING = 8.0  # 256
START = math.log2(35)
STOP = 2.0  # 4


def faded(exponent: float, since: int, now: int) -> float:
    """Return the exponent at `now` of a penalty that had `exponent` at `since` (ms). Time that goes back fades nothing."""
    return float(exponent * 0.5 ** (max(0, now - since) / HALF_LIFE_MS))


def struck(exponent: float, since: int, now: int) -> float:
    """Return the exponent right after one more transition at `now`."""
    return min(faded(exponent, since, now) + 1.0, CEILING)


def flaps(exponent: float, flapping: bool) -> bool:
    """Return whether it counts as flapping, with hysteresis: starts above START, ends at STOP."""
    return exponent > STOP if flapping else exponent > START


def calm_at(exponent: float, since: int) -> int:
    """Return when (ms) a penalty left alone will have fallen to STOP."""
    if exponent <= STOP:
        return since
    return since + math.ceil(HALF_LIFE_MS * math.log2(exponent / STOP))
