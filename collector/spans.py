"""Sets of whole numbers as merged, ascending, half-open spans. Pure functions; a span list is never changed in place."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

Span = tuple[int, int]
Spans = list[Span]


def add(spans: Sequence[Span], new: Span) -> tuple[Spans, Span]:
    """Return the spans with `new` merged in, and the merged span that now holds it. Spans that touch become one."""
    first, after = new
    low = bisect_left(spans, first, key=lambda span: span[1])
    high = bisect_right(spans, after, key=lambda span: span[0])
    if low < high:
        first, after = min(first, spans[low][0]), max(after, spans[high - 1][1])
    return [*spans[:low], (first, after), *spans[high:]], (first, after)


def missing(spans: Sequence[Span], first: int, after: int) -> Spans:
    """Return what of [first, after) is in no span."""
    holes: Spans = []
    at = first
    for index in range(bisect_right(spans, first, key=lambda span: span[1]), len(spans)):
        start, end = spans[index]
        if start >= after:
            break
        if start > at:
            holes.append((at, start))
        at = max(at, end)
    if at < after:
        holes.append((at, after))
    return holes


def size(spans: Iterable[Span]) -> int:
    """Return how many numbers the spans hold."""
    return sum(after - first for first, after in spans)
