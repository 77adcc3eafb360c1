"""The unit of a metric, read from its name as Prometheus names them (base units as suffixes)."""

from __future__ import annotations

_SUFFIXES = (
    ("_bytes", "bytes"),
    ("_seconds", "seconds"),
    ("_celsius", "celsius"),
    ("_volts", "volts"),
    ("_amperes", "amperes"),
    ("_watts", "watts"),
    ("_hertz", "hertz"),
    ("_ratio", "ratio"),
    ("_rpm", "rpm"),
    ("_dbm", "dBm"),
)


def unit_of(metric: str) -> str:
    """Return the unit of a metric (``seconds``, ``ratio`` from 0 to 1, ...); empty for states and plain counts."""
    stem = metric.removesuffix("_total")
    return next((unit for suffix, unit in _SUFFIXES if stem.endswith(suffix)), "")
