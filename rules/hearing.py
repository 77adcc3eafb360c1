"""What the rule engine may ask about silence: a series that vanished with a failed poll has not said that all is well.

Owns the protocol between `rules` and whoever knows which questions were answered; knows nothing itself. Prometheus has no such
thing: without a `Hearing` the engine does exactly what Prometheus does.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from rules.source import Labels


class Hearing(Protocol):
    """Tells no answer from a good answer. `labels` are those that an alert has from its expression; times are ms."""

    def unheard(self, metrics: Collection[str], labels: Labels, at: int) -> bool:
        """Say if, as of `at`, some of these series are missing only because their device did not answer."""
        ...

    def silent(self, labels: Labels) -> bool:
        """Say if the device that the labels name is not heard on some lane (or at all since the start)."""
        ...
