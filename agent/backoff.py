"""Full-jitter back-off: how long to wait after the nth failure in a row. Pure; randomness is an argument."""

from __future__ import annotations

import random


class Backoff:
    """Waits between 0 and min(longest, first x 2^n) seconds, drawn evenly, so that many agents do not come back together."""

    def __init__(self, first_s: float = 1.0, longest_s: float = 60.0, rng: random.Random | None = None) -> None:
        """Start with no failure."""
        self._first_s = first_s
        self._longest_s = longest_s
        self._rng = rng or random.Random()  # noqa: S311  (spreads load, guards nothing)
        self.failures = 0

    def failed(self, at_least_s: float = 0.0) -> float:
        """Count a failure and return the seconds to wait; `at_least_s` is lengthened by up to a tenth."""
        ceiling = min(self._longest_s, self._first_s * 2.0 ** min(self.failures, 16))
        self.failures += 1
        return max(self._rng.uniform(0.05, ceiling), at_least_s * self._rng.uniform(1.0, 1.1))

    def succeeded(self) -> None:
        """Forget the failures."""
        self.failures = 0
