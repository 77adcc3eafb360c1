"""Durations and sizes as operators write them: ``500ms 5s 1m 24h 3d 1h30m``, ``512MB 2GB``. Knows no key."""

from __future__ import annotations

import re

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
UNITS_BYTES = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|[smhdw])")
_DURATION = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,6})?(?:ms|[smhdw]))+")
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([KMGT]?)(i?)B", re.IGNORECASE)


def duration_s(text: str) -> float | None:
    """Return seconds, or nothing where the text is no duration."""
    if not _DURATION.fullmatch(text):
        return None
    return sum(float(number) * UNITS_S[unit] for number, unit in _PART.findall(text))


def size_bytes(text: str) -> int | None:
    """Return bytes (1 KB = 1 KiB = 1024 bytes), or nothing where the text is no size."""
    match = _SIZE.fullmatch(text)
    if not match:
        return None
    return int(float(match[1]) * UNITS_BYTES[f"{match[2].upper()}B"])
