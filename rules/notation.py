"""The notation for series and samples in Prometheus's test files: ``metric{label="value"} 1 2+3x4 _ stale``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from rules.source import STALE, Labels

_NUMBER = r"[-+]?(?:inf|nan|(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
_POINT = re.compile(rf"({_NUMBER})(?:([-+])({_NUMBER.removeprefix('[-+]?')}))?(?:x(\d+))?", re.I)
_REPEATED = re.compile(rf"({_NUMBER})x(\d+)", re.I)
_MISSING = re.compile(r"_(?:x(\d+))?")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PAIR = re.compile(
    r'\s*(?:([a-zA-Z_][a-zA-Z0-9_.]*)|"((?:\\.|[^"\\])*)")\s*(?:=\s*("(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'))?\s*'
)
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
MAX_POINTS = 1_000_000


class NotationError(ValueError):
    """A text that is not in the notation."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line: labels (without the metric name) and points; None is a missing point, `histogram` says one was left out."""

    metric: str
    labels: Labels
    points: tuple[float | None, ...]
    histogram: bool = False


def duration(text: str) -> int:
    """Return a duration or time in milliseconds: ``1h30m``, ``10s53ms``, or a number of seconds.

    Raises:
        NotationError: it is neither.
    """
    sign, bare = (-1, text[1:]) if text.startswith("-") else (1, text)
    found = _DURATION.findall(bare)
    if found and "".join(number + unit for number, unit in found) == bare:
        return sign * sum(int(number) * _UNITS[unit] for number, unit in found)
    try:
        seconds = float(bare)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise NotationError(f"not a duration: {text!r}")
    return sign * round(seconds * 1000)


def series(line: str) -> Series:
    """Return one series and its points.

    Raises:
        NotationError: the line is not in the notation.
    """
    metric, labels, rest = selector(line)
    values, histogram = points(rest)
    return Series(metric, labels, values, histogram)


def selector(line: str) -> tuple[str, Labels, str]:
    """Return (metric name or empty, labels, the rest of the line).

    Raises:
        NotationError: no series stands there.
    """
    line = line.strip()
    start = _NAME.match(line)
    metric, at = (start[0], start.end()) if start else ("", 0)
    pairs: dict[str, str] = {}
    if line[at : at + 1] == "{":
        at += 1
        while line[at : at + 1] != "}":
            found = _PAIR.match(line, at)
            if not found or found.end() == at or line[found.end() : found.end() + 1] not in (",", "}"):
                raise NotationError(f"not a series: {line!r}")
            if found[3] is None:
                metric = unquoted(f'"{found[2]}"') if found[2] is not None else metric
            else:
                pairs[found[1] or found[2]] = unquoted(found[3])
            at = found.end() + (line[found.end()] == ",")
            at += len(line[at:]) - len(line[at:].lstrip())
        at += 1
    metric = pairs.pop("__name__", metric)
    return metric, tuple(sorted((name, value) for name, value in pairs.items() if value)), line[at:]


def unquoted(text: str) -> str:
    """Return what a quoted string stands for."""
    if text.startswith("`"):
        return text[1:-1]
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text[1:-1], flags=re.S)


def points(text: str) -> tuple[tuple[float | None, ...], bool]:
    """Return the points, and whether there were native histograms among them (which become missing points).

    Raises:
        NotationError: one of them is not in the notation.
    """
    values: list[float | None] = []
    histogram = False
    for token in re.findall(r"(?:\{\{.*?\}\}[-+]?)+(?:x\d+)?|\S+", text):
        if token.startswith("{{"):
            histogram = True
            count = re.search(r"x(\d+)$", token)
            values += [None] * (int(count[1]) + 1 if count else 1)
        else:
            values += _expanded(token)
        if len(values) > MAX_POINTS:
            raise NotationError(f"more than {MAX_POINTS} points")
    return tuple(values), histogram


def _expanded(word: str) -> list[float | None]:
    if word == "stale":
        return [STALE]
    if missing := _MISSING.fullmatch(word):
        return [None] * min(int(missing[1] or 1), MAX_POINTS + 1)
    if repeated := _REPEATED.fullmatch(word):
        return [_value(repeated[1])] * min(int(repeated[2]) + 1, MAX_POINTS + 1)
    found = _POINT.fullmatch(word)
    if not found or (found[3] and not found[4]):
        raise NotationError(f"not a point: {word!r}")
    first = _value(found[1])
    if not found[3]:
        return [first]
    step = _value(found[3]) * (-1 if found[2] == "-" else 1)
    values, value = [first], first
    for _ in range(min(int(found[4]), MAX_POINTS + 1)):
        value += step
        values.append(value)
    return list(values)


def _value(text: str) -> float:
    return float(text)
