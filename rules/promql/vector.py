"""The values an expression has on its way: vectors and matrices, labels as columns of codes. Evaluates nothing.

A vector refers to the columns of the table it came from through row numbers, so that a filter touches no label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rules.source import Codes, Index, Labels, Mask, Strings, Times, Values, Window

NAME = "__name__"
Keys = NDArray[np.int64]


class EvaluationError(ValueError):
    """What Prometheus would answer with an error too: ambiguous matches, two equal series in one result, bad parameters."""


class Columns:
    """The labels of n series: a column of codes for each name, seen through row numbers where given."""

    __slots__ = ("_base", "_rows", "size")

    def __init__(self, base: Mapping[str, Codes], size: int, rows: Index | None = None) -> None:
        """`base` columns have length `size`, or are seen through `rows` (of that length)."""
        self._base, self._rows, self.size = base, rows, size

    def names(self) -> list[str]:
        """Return the names of all columns (some may be empty), the metric name among them."""
        return list(self._base)

    def column(self, name: str) -> Codes:
        """Return the codes of one label, 0 where it is not set."""
        found = self._base.get(name)
        if found is None:
            return np.zeros(self.size, np.int32)
        return found if self._rows is None else found[self._rows]

    def take(self, rows: Index) -> Columns:
        """Return the labels of some of the series."""
        return Columns(self._base, len(rows), rows if self._rows is None else self._rows[rows])

    def only(self, names: Iterable[str]) -> Columns:
        """Return the labels restricted to these names."""
        return Columns({name: self._base[name] for name in names if name in self._base}, self.size, self._rows)

    def without(self, names: Iterable[str]) -> Columns:
        """Return the labels without these names."""
        gone = frozenset(names)
        return Columns({name: column for name, column in self._base.items() if name not in gone}, self.size, self._rows)

    def with_columns(self, new: Mapping[str, Codes]) -> Columns:
        """Return the labels with some columns set or replaced."""
        base = {name: self.column(name) for name in self._base if name not in new}
        return Columns({**base, **new}, self.size)


@dataclass(slots=True)
class Vector:
    """An instant vector. `drop` says where the metric name goes at the end; `distinct`: no two alike even without names."""

    labels: Columns
    values: Values
    times: Times | None = None  # of the samples, where they came straight from a selector
    drop: bool | Mask = False
    distinct: bool = False
    ordered: bool = False

    def take(self, rows: Index) -> Vector:
        """Return some of the elements."""
        drop = self.drop if isinstance(self.drop, bool) else self.drop[rows]
        times = None if self.times is None else self.times[rows]
        return Vector(self.labels.take(rows), self.values[rows], times, drop, self.distinct)

    def with_values(self, values: Values) -> Vector:
        """Return the same series with other values, their metric names to be dropped."""
        return Vector(self.labels, values, None, True, self.distinct)

    def drop_mask(self) -> Mask:
        """Return where names are to be dropped, as an array."""
        return np.full(len(self.values), self.drop) if isinstance(self.drop, bool) else self.drop


@dataclass(slots=True)
class Matrix:
    """A range vector: labels and samples in (start, end] for each series."""

    labels: Columns
    window: Window
    start_ms: int
    end_ms: int
    drop: bool | Mask = False
    distinct: bool = False


Value = Vector | Matrix | float | str


def empty(distinct: bool = True) -> Vector:
    """Return a vector without elements."""
    return Vector(Columns({}, 0), np.zeros(0), None, False, distinct)


def single(value: float, labels: Mapping[str, int] | None = None) -> Vector:
    """Return a vector of one element."""
    base = {name: np.array([code], np.int32) for name, code in (labels or {}).items()}
    return Vector(Columns(base, 1), np.array([value], np.float64), None, False, True)


def concat(parts: Sequence[Columns]) -> Columns:
    """Return the labels of all parts, one after another."""
    names = dict.fromkeys(name for part in parts for name in part.names())
    base = {name: np.concatenate([part.column(name) for part in parts]) for name in names}
    return Columns(base, sum(part.size for part in parts))


def join(first: Vector, second: Vector, distinct: bool) -> Vector:
    """Return the elements of both."""
    if not len(second.values):
        return first
    drop = first.drop if first.drop is second.drop else np.concatenate([first.drop_mask(), second.drop_mask()])
    times = None if first.times is None or second.times is None else np.concatenate([first.times, second.times])
    values = np.concatenate([first.values, second.values])
    return Vector(concat([first.labels, second.labels]), values, times, drop, distinct)


def pack(columns: Sequence[Codes], size: int) -> Keys:
    """Return one integer for each series, equal where all columns are equal. About 5 ns for each code."""
    keys, span = np.zeros(size, np.int64), 1
    if not size:
        return keys
    for column in columns:
        low = int(column.min())
        width = int(column.max()) - low + 1
        if width == 1:
            continue
        if span * width >= 1 << 62:
            keys = np.unique(keys, return_inverse=True)[1].astype(np.int64)
            span = int(keys.max()) + 1
        keys *= width
        keys += column
        keys -= low
        span *= width
    return keys


def has_duplicates(labels: Columns) -> bool:
    """Say whether two series have the same labels, metric name included."""
    if labels.size < 2:
        return False
    keys = pack([labels.column(name) for name in labels.names()], labels.size)
    keys.sort()
    return bool((keys[1:] == keys[:-1]).any())


def finish(vector: Vector) -> Vector:
    """Drop the metric names that are to be dropped, and refuse two equal series.

    Raises:
        EvaluationError: two elements have the same labels.
    """
    drop = vector.drop
    if isinstance(drop, bool):
        labels = vector.labels.without((NAME,)) if drop else vector.labels
    else:
        labels = vector.labels.with_columns({NAME: np.where(drop, 0, vector.labels.column(NAME)).astype(np.int32)})
    if not vector.distinct and has_duplicates(labels):
        raise EvaluationError("vector cannot contain metrics with the same labelset")
    return Vector(labels, vector.values, vector.times, False, True, vector.ordered)


def label_sets(labels: Columns, text: Callable[[int], str]) -> list[Labels]:
    """Return the labels of each series as sorted pairs of text. About 2 us a series."""
    names = sorted(labels.names())
    columns = [labels.column(name).tolist() for name in names]
    return [
        tuple((name, text(code)) for name, code in zip(names, codes, strict=True) if code)
        for codes in (zip(*columns, strict=True) if columns else [()] * labels.size)
    ]


class Texts:
    """Codes of label values during one evaluation: the state's own, and negative ones for texts it has never seen."""

    def __init__(self, strings: Strings) -> None:
        """Look through to the state's dictionary; never adds to it."""
        self._strings = strings
        self._codes: dict[str, int] = {}
        self._texts: list[str] = [""]
        self.based_on = len(strings)

    def code(self, text: str) -> int:
        """Return the code of a text."""
        found = self._strings.find(text)
        if found is None:
            found = self._codes.get(text)
            if found is None:
                found = self._codes[text] = -len(self._texts)
                self._texts.append(text)
        return found

    def text(self, code: int) -> str:
        """Return the text of a code."""
        return self._strings.text(code) if code >= 0 else self._texts[-code]

    @property
    def outdated(self) -> bool:
        """True when texts of our own may have got a code in the state since."""
        return bool(self._codes) and self.based_on != len(self._strings)
