"""The bounds of what one agent may send. Numbers only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps of the ingest door, in bytes and counts. A batch beyond the first group is refused; series beyond the second are
    dropped and counted, because refusing would hold up everything else the agent has to say.
    """

    body_bytes: int = 16 << 20
    frames: int = 1_000
    records: int = 200_000  # of one request
    inflated_bytes: int = 256 << 20  # of all frames of one request
    key_bytes: int = 8_192
    labels: int = 32
    label_bytes: int = 1_024
    detail_chars: int = 4_096
    facts: int = 64

    series_per_device: int = 20_000
    series_per_device_metric: int = 5_000
    series_per_agent: int = 1_000_000
    series_per_metric: int = 1_000_000
    series: int = 2_000_000  # in all

    future_ms: int = 5 * 60_000  # how far ahead of our clock a record may be before it is set back
    waiting_requests: int = 64
