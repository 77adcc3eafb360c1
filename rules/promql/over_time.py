"""Functions of range vectors: one value from the samples of each series. Steps go over samples, each over all series at once.

Every function takes the window of samples (never empty for a series) and returns (values, mask of the series that have one).
Cost: about 5 to 40 ns for each sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rules.promql import compensated
from rules.promql.vector import Matrix
from rules.source import Mask, Values, Window

DEEP = 64  # windows deeper than this are summed pairwise, not sample by sample
Result = tuple[Values, Mask | None]  # None: every series has a value
Function = Callable[[Matrix], Result]


def _first(window: Window) -> Values:
    return np.asarray(window.values[0])


def _last(window: Window) -> Values:
    return np.asarray(np.take_along_axis(window.values, (window.counts - 1)[None, :], 0)[0])


def _last_time(window: Window) -> Values:
    return np.asarray(np.take_along_axis(window.times, (window.counts - 1)[None, :], 0)[0], np.float64)


def last(matrix: Matrix) -> Result:
    """Return the newest sample of each series."""
    return _last(matrix.window), None


def first(matrix: Matrix) -> Result:
    """Return the oldest sample of each series."""
    return _first(matrix.window).copy(), None


def count(matrix: Matrix) -> Result:
    """Return how many samples there are."""
    return matrix.window.counts.astype(np.float64), None


def present(matrix: Matrix) -> Result:
    """Return 1."""
    return np.ones(matrix.labels.size), None


def total(matrix: Matrix) -> Result:
    """Return the compensated sum."""
    if len(matrix.window.values) > DEEP:
        return compensated.settle(*compensated.depth_sums(matrix.window.values, matrix.window.counts)), None
    sums, rest = np.zeros(matrix.labels.size), np.zeros(matrix.labels.size)
    for k, values in enumerate(matrix.window.values):
        here = k < matrix.window.counts
        after, lost = compensated.add(values, sums, rest)
        sums, rest = np.where(here, after, sums), np.where(here, lost, rest)
    return compensated.settle(sums, rest), None


def average(matrix: Matrix) -> Result:
    """Return the mean: compensated sum by count, going on as a running mean where the sum would overflow."""
    window = matrix.window
    if len(window.values) > DEEP:
        deep, lost = compensated.depth_sums(window.values, window.counts)
        if np.isfinite(deep).all():
            return deep / window.counts + lost / window.counts, None
    sums, rest = _first(window).copy(), np.zeros(matrix.labels.size)
    mean, running = np.zeros(len(sums)), np.zeros(len(sums), np.bool_)
    for k in range(1, len(window.values)):
        values, here, n = window.values[k], k < window.counts, float(k + 1)
        after, lost = compensated.add(values, sums, rest)
        over = here & ~running & np.isinf(after)
        mean, rest = np.where(over, sums / (n - 1), mean), np.where(over, rest / (n - 1), rest)
        running |= over
        plain, step = here & ~running, here & running
        if step.any():
            q = (n - 1) / n
            stepped, kept = compensated.add(values / n, q * mean, q * rest)
            mean, rest = np.where(step, stepped, mean), np.where(step, kept, rest)
        sums, rest = np.where(plain, after, sums), np.where(plain, lost, rest)
    n_all = window.counts.astype(np.float64)
    return np.where(running, mean + rest, sums / n_all + rest / n_all), None


def _extreme(beats: Callable[[Values, Values], Mask]) -> Callable[[Matrix], Result]:
    def chosen(matrix: Matrix) -> Result:
        best = _first(matrix.window).copy()
        for k in range(1, len(matrix.window.values)):
            values = matrix.window.values[k]
            best = np.where((k < matrix.window.counts) & (beats(values, best) | np.isnan(best)), values, best)
        return best, None

    return chosen


def _variance(matrix: Matrix) -> Values:
    window, n = matrix.window, matrix.labels.size
    mean, mean_rest, squares, squares_rest = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    for k, values in enumerate(window.values):
        here = k < window.counts
        delta = values - (mean + mean_rest)
        new_mean, new_rest = compensated.add(delta / (k + 1), mean, mean_rest)
        mean, mean_rest = np.where(here, new_mean, mean), np.where(here, new_rest, mean_rest)
        new, lost = compensated.add(delta * (values - (mean + mean_rest)), squares, squares_rest)
        squares, squares_rest = np.where(here, new, squares), np.where(here, lost, squares_rest)
    return (squares + squares_rest) / window.counts


def variance(matrix: Matrix) -> Result:
    """Return the population variance."""
    return _variance(matrix), None


def deviation(matrix: Matrix) -> Result:
    """Return the population standard deviation."""
    return np.sqrt(_variance(matrix)), None


def changes(matrix: Matrix) -> Result:
    """Return how often the value changed; from NaN to NaN is no change."""
    found = np.zeros(matrix.labels.size)
    window = matrix.window
    for k in range(1, len(window.values)):
        now, before = window.values[k], window.values[k - 1]
        found += (k < window.counts) & (now != before) & ~(np.isnan(now) & np.isnan(before))
    return found, None


def resets(matrix: Matrix) -> Result:
    """Return how often the value fell."""
    found = np.zeros(matrix.labels.size)
    window = matrix.window
    for k in range(1, len(window.values)):
        found += (k < window.counts) & (window.values[k] < window.values[k - 1])
    return found, None


def _extrapolated(counter: bool, per_second: bool) -> Callable[[Matrix], Result]:
    """rate, increase and delta: the difference, extrapolated to the edges of the range that samples come close to."""

    def found(matrix: Matrix) -> Result:
        window = matrix.window
        enough = window.counts >= 2
        first_value, first_at, last_at = _first(window), window.times[0].astype(np.float64), _last_time(window)
        result = _last(window) - first_value
        if counter:
            for k in range(1, len(window.values)):
                fell = (k < window.counts) & (window.values[k] < window.values[k - 1])
                if fell.any():
                    result = np.where(fell, result + window.values[k - 1], result)
        to_start, to_end = (first_at - matrix.start_ms) / 1000, (matrix.end_ms - last_at) / 1000
        sampled = (last_at - first_at) / 1000
        spacing = sampled / (window.counts - 1)
        near = spacing * 1.1
        to_start = np.where(to_start >= near, spacing / 2, to_start)
        if counter:
            to_zero = np.where((result > 0) & (first_value >= 0), sampled * (first_value / result), to_start)
            to_start = np.where(to_zero < to_start, to_zero, to_start)
        to_end = np.where(to_end >= near, spacing / 2, to_end)
        factor = (sampled + to_start + to_end) / sampled
        if per_second:
            factor = factor / ((matrix.end_ms - matrix.start_ms) / 1000)
        return result * factor, enough

    return found


def _instantaneous(per_second: bool) -> Callable[[Matrix], Result]:
    """irate and idelta: from the last two samples."""

    def found(matrix: Matrix) -> Result:
        window = matrix.window
        before = np.maximum(window.counts - 2, 0)[None, :]
        old, old_at = np.take_along_axis(window.values, before, 0)[0], np.take_along_axis(window.times, before, 0)[0]
        new, passed = _last(window), _last_time(window) - old_at
        result = np.where(new < old, new, new - old) / (passed / 1000) if per_second else new - old
        return result, (window.counts >= 2) & (passed > 0)

    return found


def regression(matrix: Matrix, origin_ms: Values) -> tuple[Values, Values]:
    """Return (slope per second, value at the origin) of the least squares line through the samples of each series."""
    window = matrix.window
    x = (window.times - origin_ms) / 1000
    y = window.values
    here = np.arange(len(y))[:, None] < window.counts
    flat = ((y == y[0]) | ~here).all(0)
    terms = (x, y, x * y, x * x)
    sum_x, sum_y, sum_xy, sum_xx = (sum(compensated.depth_sums(term, window.counts)) for term in terms)
    count_all = window.counts
    slope = (sum_xy - sum_x * sum_y / count_all) / (sum_xx - sum_x * sum_x / count_all)
    start = sum_y / count_all - slope * sum_x / count_all
    level = np.where(np.isinf(window.values[0]), np.nan, window.values[0])
    return np.where(flat, np.where(np.isnan(level), np.nan, 0.0), slope), np.where(flat, level, start)


def derivative(matrix: Matrix) -> Result:
    """Return the slope of the regression line, per second."""
    slope, _ = regression(matrix, matrix.window.times[0].astype(np.float64))
    return slope, matrix.window.counts >= 2


def prediction(matrix: Matrix, at_ms: int, ahead_s: float) -> Result:
    """Return the regression line's value `ahead_s` seconds after the evaluation time."""
    slope, start = regression(matrix, np.full(matrix.labels.size, float(at_ms)))
    return slope * ahead_s + start, matrix.window.counts >= 2


def quantile(matrix: Matrix, q: float) -> Result:
    """Return the q-quantile, interpolated; NaN is the smallest value."""
    window, n = matrix.window, matrix.labels.size
    if not 0 <= q <= 1:
        return np.full(n, np.nan if np.isnan(q) else np.inf if q > 1 else -np.inf), None
    beyond = np.arange(len(window.values))[:, None] >= window.counts
    order = np.lexsort((window.values, ~np.isnan(window.values), beyond), axis=0)
    ranked = np.take_along_axis(window.values, order, 0)
    rank = q * (window.counts - 1)
    low = np.floor(rank).astype(np.intp)
    high = np.minimum(low + 1, window.counts - 1)
    weight = rank - low
    return _at(ranked, low) * (1 - weight) + _at(ranked, high) * weight, None


def _at(ranked: Values, place: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> Values:
    return np.asarray(np.take_along_axis(ranked, place[None, :], 0)[0])


def smoothing(matrix: Matrix, factor: float, trend: float) -> Result:
    """Return the double exponential smoothing (Holt) of the samples."""
    window = matrix.window
    before, level = np.zeros(matrix.labels.size), _first(window).copy()
    slope = window.values[1] - window.values[0] if len(window.values) > 1 else np.zeros(matrix.labels.size)
    for k in range(1, len(window.values)):
        here = k < window.counts
        new_slope = slope if k == 1 else trend * (level - before) + (1 - trend) * slope
        new_level = factor * window.values[k] + (1 - factor) * (level + new_slope)
        slope = np.where(here, new_slope, slope)
        before, level = np.where(here, level, before), np.where(here, new_level, level)
    return level, window.counts >= 2


def _median_deviation(matrix: Matrix) -> Result:
    median, _ = quantile(matrix, 0.5)
    window = Window(matrix.window.times, np.abs(matrix.window.values - median), matrix.window.counts)
    found, _ = quantile(Matrix(matrix.labels, window, matrix.start_ms, matrix.end_ms), 0.5)
    here = np.arange(len(window.values))[:, None] < window.counts
    return np.where((np.isnan(matrix.window.values) & here).any(0), np.nan, found), None


def _time_of(beats: Callable[[Values, Values], Mask]) -> Callable[[Matrix], Result]:
    def found(matrix: Matrix) -> Result:
        window = matrix.window
        best, at = _first(window).copy(), window.times[0].copy()
        for k in range(1, len(window.values)):
            better = (k < window.counts) & (beats(window.values[k], best) | np.isnan(best))
            best, at = np.where(better, window.values[k], best), np.where(better, window.times[k], at)
        return at / 1000, None

    return found


PLAIN: dict[str, Callable[[Matrix], Result]] = {
    "rate": _extrapolated(counter=True, per_second=True),
    "increase": _extrapolated(counter=True, per_second=False),
    "delta": _extrapolated(counter=False, per_second=False),
    "irate": _instantaneous(per_second=True),
    "idelta": _instantaneous(per_second=False),
    "deriv": derivative,
    "changes": changes,
    "resets": resets,
    "avg_over_time": average,
    "min_over_time": _extreme(np.less),
    "max_over_time": _extreme(np.greater),
    "sum_over_time": total,
    "count_over_time": count,
    "stddev_over_time": deviation,
    "stdvar_over_time": variance,
    "last_over_time": last,
    "first_over_time": first,
    "present_over_time": present,
    "mad_over_time": _median_deviation,
    "ts_of_first_over_time": lambda matrix: (matrix.window.times[0] / 1000, None),
    "ts_of_last_over_time": lambda matrix: (_last_time(matrix.window) / 1000, None),
    "ts_of_max_over_time": _time_of(np.greater_equal),
    "ts_of_min_over_time": _time_of(np.less_equal),
}
KEEP_NAME = frozenset({"last_over_time", "first_over_time"})
