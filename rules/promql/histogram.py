"""Classic histograms: quantiles and fractions from series with an ``le`` label. Native histograms are not read."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rules.promql.vector import Columns, Texts, Vector, empty, pack

Buckets = list[tuple[float, float]]  # (upper bound, cumulative count), by bound
_TOLERANCE = 1e-12


def histogram(vector: Vector, texts: Texts, summarise: Callable[[Buckets], float]) -> Vector:
    """Return one value for each histogram among the series: those alike but for ``le`` and the metric name's dropping."""
    parsed = {code: _bound(texts.text(code)) for code in set(vector.labels.column("le").tolist())}
    bounds = np.array([parsed[code] for code in vector.labels.column("le").tolist()], np.float64)
    usable = np.flatnonzero(~np.isnan(bounds))
    if not len(usable):
        return empty()
    bounds, values = bounds[usable], vector.values[usable]
    labels = vector.labels.take(usable).without(("le",))
    groups, firsts = _same(labels)
    buckets: list[Buckets] = [[] for _ in range(len(firsts))]
    for group, bound, value in zip(groups.tolist(), bounds.tolist(), values.tolist(), strict=True):
        buckets[group].append((bound, value))
    found = np.array([summarise(sorted(each, key=lambda bucket: bucket[0])) for each in buckets])
    return Vector(labels.take(firsts), found, None, True)


def _same(labels: Columns) -> tuple[np.ndarray[tuple[int], np.dtype[np.intp]], np.ndarray[tuple[int], np.dtype[np.intp]]]:
    keys = pack([labels.column(name) for name in labels.names()], labels.size)
    _, firsts, groups = np.unique(keys, return_index=True, return_inverse=True)
    return groups, firsts


def _bound(text: str) -> float:
    """Return the upper bound that an ``le`` label states, NaN if none."""
    try:
        return float(text) if text and "_" not in text else math.nan
    except ValueError:
        return math.nan


def quantile(q: float, buckets: Buckets) -> float:
    """Return the q-quantile, interpolated linearly within its bucket; NaN where it cannot be told."""
    if math.isnan(q):
        return math.nan
    if q < 0 or q > 1:
        return math.copysign(math.inf, q - 0.5)
    if not buckets or buckets[-1][0] != math.inf:
        return math.nan
    buckets = _monotonic(_merged(buckets))
    observations = buckets[-1][1]
    if len(buckets) < 2 or observations == 0 or math.isnan(observations):
        return math.nan
    rank = q * observations
    at = next((i for i, (_, count) in enumerate(buckets[:-1]) if count >= rank), len(buckets) - 1)
    if at == len(buckets) - 1:
        return buckets[-2][0]
    upper, count = buckets[at]
    if at == 0:
        return upper if upper <= 0 else upper * (rank / count) if count else math.nan
    lower, below = buckets[at - 1]
    return lower + (upper - lower) * ((rank - below) / (count - below))


def fraction(lower: float, upper: float, buckets: Buckets) -> float:
    """Return the fraction of observations between two bounds, interpolated linearly within buckets of finite width."""
    if not buckets or buckets[-1][0] != math.inf:
        return math.nan
    buckets = _monotonic(_merged(buckets))
    observations = buckets[-1][1]
    if observations == 0 or math.isnan(observations) or math.isnan(lower) or math.isnan(upper):
        return math.nan
    if lower >= upper:
        return 0.0
    return (_rank(upper, buckets) - _rank(lower, buckets)) / observations


def _rank(bound: float, buckets: Buckets) -> float:
    """Return how many observations lie below a bound; within a bucket of infinite width nothing is interpolated."""
    if bound == -math.inf:
        return 0.0
    below = 0.0
    start = 0.0 if buckets[0][0] > 0 else -math.inf
    for upper, count in buckets:
        if bound <= start:
            return below
        if bound < upper:
            if math.isinf(start):
                return count
            return below if math.isinf(upper) else below + (count - below) * (bound - start) / (upper - start)
        below, start = count, upper
    return below


def _merged(buckets: Buckets) -> Buckets:
    merged: Buckets = []
    for bound, count in buckets:
        if merged and merged[-1][0] == bound:
            merged[-1] = (bound, merged[-1][1] + count)
        else:
            merged.append((bound, count))
    return merged


def _monotonic(buckets: Buckets) -> Buckets:
    """Level out decreases, and differences that are only float noise."""
    result, before, highest = [buckets[0]], buckets[0][1], buckets[0][1]
    for bound, count in buckets[1:]:
        if count != before and count and abs(count - before) / count <= _TOLERANCE:
            count = before
        before = count
        highest = max(highest, count)
        result.append((bound, highest))
    return result
