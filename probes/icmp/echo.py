"""The result of one echo probe."""

from __future__ import annotations

from typing import NamedTuple

from probes.reason import Reason


class Echo(NamedTuple):
    """Why an echo probe ended, and its round trip in seconds (0 unless the reason is OK)."""

    reason: Reason
    rtt_s: float = 0.0
