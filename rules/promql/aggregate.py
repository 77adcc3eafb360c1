"""Aggregations: groups of series into one, or into some of them. About 0.1 us a series."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from rules.promql import compensated
from rules.promql.number import go_float
from rules.promql.tree import Aggregate
from rules.promql.vector import NAME, Columns, EvaluationError, Texts, Vector, empty, pack
from rules.source import Index, Mask, Values

Reduce = Callable[[Values, Index, int], Values]


def aggregate(node: Aggregate, vector: Vector, param: float | str | None, texts: Texts) -> Vector:
    """Return the aggregation of a vector.

    Raises:
        EvaluationError: the parameter cannot be used.
    """
    if node.op in ("topk", "bottomk"):
        return _extremes(node, vector, _whole(param))
    labels = _grouping(node, vector.labels)
    if node.op == "count_values":
        labels = _with_value_label(labels, str(param), vector.values, texts)
    if not len(vector.values):
        return empty()
    groups, firsts = _groups(labels)
    count = len(firsts)
    if node.op == "quantile":
        assert isinstance(param, float)
        values = _quantile(vector.values, groups, count, param)
    else:
        with np.errstate(all="ignore"):
            values = _REDUCE[node.op](vector.values, groups, count)
    return Vector(labels.take(firsts), values, None, _drop(vector, labels, groups, count), NAME not in labels.names())


def _grouping(node: Aggregate, labels: Columns) -> Columns:
    return labels.without((*node.labels, NAME)) if node.without else labels.only(node.labels)


def _groups(labels: Columns) -> tuple[Index, Index]:
    """Return (group of each series, first series of each group), groups in order of appearance."""
    names = labels.names()
    if not names:
        return np.zeros(labels.size, np.intp), np.zeros(1, np.intp)
    keys = pack([labels.column(name) for name in names], labels.size)
    if len(keys) and int(keys.max()) < 4 * len(keys) + 1024:  # few enough to count instead of sorting
        first_of = np.full(int(keys.max()) + 1, len(keys), np.intp)
        first_of[keys[::-1]] = np.arange(len(keys) - 1, -1, -1)
        present = np.flatnonzero(first_of < len(keys))
        place = np.empty(len(first_of), np.intp)
        place[present] = np.arange(len(present))
        firsts, groups = first_of[present], place[keys]
    else:
        _, firsts, groups = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    return rank[groups], firsts[order]


def _drop(vector: Vector, labels: Columns, groups: Index, count: int) -> bool | Mask:
    if NAME not in labels.names() or vector.drop is False:
        return False
    return np.bincount(groups, vector.drop_mask(), count) > 0


def _sum(values: Values, groups: Index, count: int) -> Values:
    return compensated.settle(*compensated.group_sums(values, groups, count))


def _count(values: Values, groups: Index, count: int) -> Values:
    return np.bincount(groups, minlength=count).astype(np.float64)


def _average(values: Values, groups: Index, count: int) -> Values:
    numbers = _count(values, groups, count)
    total, rest = compensated.group_sums(values, groups, count)
    mean = np.where(np.isinf(total), total / numbers, total / numbers + rest / numbers)
    overflowed = np.isinf(total) | np.isnan(total)
    if overflowed.any():  # scaled down by a power of two, sums of finite values stay finite
        small, small_rest = compensated.group_sums(values * 2.0**-64, groups, count)
        scaled = (small / numbers + small_rest / numbers) * 2.0**64
        finite = np.bincount(groups, ~np.isfinite(values), count) == 0
        mean = np.where(overflowed & finite, scaled, mean)
    return mean


def _extreme(better: np.ufunc, worst: float) -> Reduce:
    def found(values: Values, groups: Index, count: int) -> Values:
        best = np.full(count, worst)
        better.at(best, groups, np.where(np.isnan(values), worst, values))
        missing = np.bincount(groups, ~np.isnan(values), count) == 0
        return np.where(missing, np.nan, best)

    return found


def _variance(values: Values, groups: Index, count: int) -> Values:
    numbers = _count(values, groups, count)
    firsts = np.full(count, len(values), np.intp)
    np.minimum.at(firsts, groups, np.arange(len(values)))
    shifted = values - values[firsts][groups]
    mean = _sum(shifted, groups, count) / numbers
    return _sum((shifted - mean[groups]) ** 2, groups, count) / numbers


_REDUCE: dict[str, Reduce] = {
    "sum": _sum,
    "avg": _average,
    "count": _count,
    "count_values": _count,
    "group": lambda values, groups, count: np.ones(count),
    "min": _extreme(np.minimum, math.inf),
    "max": _extreme(np.maximum, -math.inf),
    "stdvar": _variance,
    "stddev": lambda values, groups, count: np.sqrt(_variance(values, groups, count)),
}


def _quantile(values: Values, groups: Index, count: int, q: float) -> Values:
    if not 0 <= q <= 1:
        return np.full(count, np.nan if math.isnan(q) else math.inf if q > 1 else -math.inf)
    ranked = values[np.lexsort((values, ~np.isnan(values), groups))]
    numbers = np.bincount(groups, minlength=count)
    starts = np.cumsum(numbers) - numbers
    rank = q * (numbers - 1)
    low = np.floor(rank).astype(np.intp)
    high = np.minimum(low + 1, numbers - 1)
    weight = rank - low
    with np.errstate(all="ignore"):
        return np.asarray(ranked[starts + low] * (1 - weight) + ranked[starts + high] * weight)


def _whole(param: float | str | None) -> int:
    assert isinstance(param, float)
    if math.isnan(param):
        raise EvaluationError("Parameter value is NaN")
    if param >= 2**63 or param <= -(2**63):
        raise EvaluationError(f"Scalar value {go_float(param)} overflows int64")
    return int(param)


def _extremes(node: Aggregate, vector: Vector, k: int) -> Vector:
    """topk and bottomk: the k first of each group by value, NaN last, the earlier series first among equals."""
    if k < 1 or not len(vector.values):
        return empty()
    groups, _ = _groups(_grouping(node, vector.labels))
    keyed = -vector.values if node.op == "topk" else vector.values
    missing = np.isnan(keyed)
    order = np.lexsort((np.where(missing, 0.0, keyed), missing, groups))
    numbers = np.bincount(groups)
    place = np.arange(len(order)) - np.repeat(np.cumsum(numbers) - numbers, numbers)
    found = vector.take(order[place < k])
    found.ordered = not node.labels and not node.without
    return found


def _with_value_label(labels: Columns, name: str, values: Values, texts: Texts) -> Columns:
    if not name or "�" in name or any(0xD800 <= ord(char) <= 0xDFFF for char in name):
        raise EvaluationError(f"invalid label name {name!r}")
    distinct, place = np.unique(values.view(np.int64), return_inverse=True)
    codes = np.array([texts.code(go_float(value)) for value in distinct.view(np.float64).tolist()], np.int32)
    return labels.with_columns({name: codes[place]})
