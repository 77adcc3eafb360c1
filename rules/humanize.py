"""Numbers made readable, exactly as Prometheus's template functions write them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from rules.promql.number import go_float

_LARGE, _SMALL = ("k", "M", "G", "T", "P", "E", "Z", "Y"), ("m", "u", "n", "p", "f", "a", "z", "y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")


def go_text(value: float) -> str:
    """Return a float as Go prints it with ``%v``: an exponent below 1e-4 and from 1e21 on."""
    if value == 0 or math.isnan(value) or math.isinf(value) or 1e-4 <= abs(value) < 1e21:
        return go_float(value)
    text = repr(value) if "e" in repr(value) else f"{value:e}"
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{exponent[0] if exponent[0] in '+-' else '+'}{exponent.lstrip('+-').zfill(2)}"


def _general(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return go_float(value)
    return f"{value:.4g}"


def humanize(value: float) -> str:
    """Return a number with a metric prefix: 1234567 is ``1.235M``."""
    if value == 0 or math.isnan(value) or math.isinf(value):
        return _general(value)
    prefix = ""
    if abs(value) >= 1:
        for name in _LARGE:
            if abs(value) < 1000:
                break
            prefix, value = name, value / 1000
    else:
        for name in _SMALL:
            if abs(value) >= 1:
                break
            prefix, value = name, value * 1000
    return f"{_general(value)}{prefix}"


def humanize1024(value: float) -> str:
    """Return a number with a binary prefix."""
    if abs(value) <= 1 or math.isnan(value) or math.isinf(value):
        return _general(value)
    prefix = ""
    for name in _BINARY:
        if abs(value) < 1024:
            break
        prefix, value = name, value / 1024
    return f"{_general(value)}{prefix}"


def humanize_duration(value: float) -> str:
    """Return seconds as days, hours, minutes, seconds, or with a prefix below one second."""
    if math.isnan(value) or math.isinf(value):
        return _general(value)
    if value == 0:
        return "0s"
    if abs(value) < 1:
        prefix = ""
        for name in _SMALL:
            if abs(value) >= 1:
                break
            prefix, value = name, value * 1000
        return f"{_general(value)}{prefix}s"
    sign, value = ("-", -value) if value < 0 else ("", value)
    minutes, seconds = divmod(int(value), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{_general(value)}s"


def humanize_percentage(value: float) -> str:
    """Return a ratio in per cent."""
    return f"{_general(value * 100)}%"


def humanize_timestamp(value: float) -> str:
    """Return seconds since the epoch as a date and time in UTC."""
    if math.isnan(value) or math.isinf(value):
        return _general(value)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)
    fraction = f".{at.microsecond:06d}".rstrip("0") if at.microsecond else ""
    return f"{at:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"
