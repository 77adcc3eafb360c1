"""Refused logins are waited out, so that monitoring never locks an account. Remembers who was refused, never with what.

AAA servers (TACACS+, RADIUS) lock accounts after a few failures: one failure of ours means no further try for 15 minutes,
twice as long after each further one, a day at most.
"""

from __future__ import annotations

from config.clock import Clock

FIRST_S = 15 * 60.0
LONGEST_S = 24 * 3600.0

Account = tuple[str, int, str]
"""Host, port, user name."""


class LoginBackoff:
    """When each account may be tried again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: dict[Account, tuple[float, float]] = {}  # account -> (not before, wait)

    def waits_s(self, account: Account) -> float:
        """Return how long this account must still be left alone, 0 if it may be tried."""
        not_before, _wait = self._refused.get(account, (0.0, 0.0))
        return max(0.0, not_before - self._clock.monotonic()) if not_before else 0.0

    def refused(self, account: Account) -> None:
        """Note a refused login."""
        _not_before, wait = self._refused.get(account, (0.0, FIRST_S / 2))
        wait = min(2 * wait, LONGEST_S)
        self._refused[account] = (self._clock.monotonic() + wait, wait)

    def accepted(self, account: Account) -> None:
        """Note a good login: all is forgotten."""
        self._refused.pop(account, None)
