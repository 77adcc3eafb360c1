"""Sums that do not lose small numbers beside large ones (Kahan, Neumaier), over windows and over groups."""

from __future__ import annotations

import numpy as np

from rules.source import Index, Values


def add(increment: Values, total: Values, rest: Values) -> tuple[Values, Values]:
    """Return (total, compensation) after one compensated addition, element by element."""
    after = total + increment
    lost = np.where(np.abs(total) >= np.abs(increment), (total - after) + increment, (increment - after) + total)
    return after, np.where(np.isinf(after), 0.0, rest + lost)


def settle(total: Values, rest: Values) -> Values:
    """Return the sum that a total and its compensation stand for."""
    return np.where(np.isinf(total), total, total + rest)


def depth_sums(values: Values, counts: Index) -> tuple[Values, Values]:
    """Return (total, compensation) over the first axis, as many as `counts` says: pairwise, so that depth costs no steps."""
    total = np.where(np.arange(len(values))[:, None] < counts, values, 0.0)
    rest = np.zeros_like(total)
    while len(total) > 1:
        half = len(total) // 2
        odd_total, odd_rest = total[2 * half :], rest[2 * half :]
        paired, lost = add(total[1 : 2 * half : 2], total[0 : 2 * half : 2], np.zeros(()))
        lost = np.where(np.isinf(paired), 0.0, lost + rest[1 : 2 * half : 2] + rest[0 : 2 * half : 2])
        total, rest = np.concatenate([paired, odd_total]), np.concatenate([lost, odd_rest])
    return total[0], rest[0]


def group_sums(values: Values, groups: Index, count: int) -> tuple[Values, Values]:
    """Return (total, compensation) of the values of each group: pairwise, compensated. About 60 ns a value."""
    if _exact(values):
        return np.asarray(np.bincount(groups, values, count), np.float64), np.zeros(count)
    if count == 1:
        return depth_sums(values[:, None], np.array([len(values)]))
    order = np.argsort(groups, kind="stable")
    total, rest, owner = values[order], np.zeros(len(values)), groups[order]
    while len(owner) > count:
        total, rest, owner = _halve(total, rest, owner)
    sums, rests = np.zeros(count), np.zeros(count)
    sums[owner], rests[owner] = total, rest
    return sums, rests


def _exact(values: Values) -> bool:
    """Say whether plain addition is exact in any order: whole numbers whose absolute sum is far below 2**53."""
    if not len(values):
        return True
    largest = np.abs(values).max()
    return bool(largest * len(values) < 2**52 and (values == np.floor(values)).all())


def _halve(total: Values, rest: Values, owner: Index) -> tuple[Values, Values, Index]:
    """Add up neighbours of the same group, two by two; every group keeps at least one element."""
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    place = np.arange(len(owner)) - np.repeat(starts, np.diff(np.r_[starts, len(owner)]))
    left = np.flatnonzero(place % 2 == 0)
    right = left + 1
    paired = (right < len(owner)) & (owner[np.minimum(right, len(owner) - 1)] == owner[left])
    mate = np.where(paired, right, left)
    more, extra = np.where(paired, total[mate], 0.0), np.where(paired, rest[mate], 0.0)
    total_new, rest_new = add(more, total[left], rest[left])
    rest_new = np.where(np.isinf(total_new), 0.0, rest_new + extra)
    return np.where(paired, total_new, total[left]), np.where(paired, rest_new, rest[left]), owner[left]
