"""The evaluator: walks a tree at one time and returns a value. Knows the order of things; the work is in its neighbours.

Times are integer milliseconds. A subtree that was evaluated before at the same time is taken from the context.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np

from rules.promql import aggregate, functions, histogram, operators, over_time, relabel
from rules.promql.match import Matches
from rules.promql.tree import END, START, Aggregate, Binary, Call, Negate, Node, Number, Range, Selector, Subquery, walk
from rules.promql.vector import (
    NAME,
    Columns,
    EvaluationError,
    Keys,
    Matrix,
    Texts,
    Value,
    Vector,
    concat,
    empty,
    finish,
    pack,
    single,
)
from rules.source import LOOKBACK_MS, Index, SeriesSource, SeriesTable, Times, Values, Window

DEFAULT_STEP_MS = 60_000  # of a subquery without one
MAX_STEPS = 11_000  # of one subquery, as Prometheus limits a query's points


class Context:
    """What evaluations at the same state share: matched rows, texts of their own, results of subtrees that occur often."""

    def __init__(self, source: SeriesSource, shared: frozenset[int] = frozenset()) -> None:
        """`shared` are the ids of the nodes worth remembering within one tick; equal ones must be the same object."""
        self.source = source
        self.matches = Matches(source.strings)
        self.shared = shared
        self.refresh()

    def refresh(self) -> None:
        """Forget results: the state has changed, or another tick begins."""
        self.texts = Texts(self.source.strings)
        self.results: dict[tuple[int, int], Value] = {}
        self.layout = self.source.layout

    def settle(self) -> None:
        """Forget results if what they refer to is not there any more."""
        if self.texts.outdated or self.layout != self.source.layout:
            self.refresh()


def evaluate(node: Node, at_ms: int, context: Context, span: tuple[int, int] | None = None) -> Value:
    """Return the value of an expression at a time: vector (names dropped, no duplicates), matrix, scalar or string.

    `span` is the query's (start, end), for ``@ start()``; the time itself if not given.

    Raises:
        EvaluationError: what Prometheus would answer with an error too.
    """
    start, end = span or (at_ms, at_ms)
    found = Evaluation(context, at_ms, start, end).value(node)
    if isinstance(found, Vector):
        return finish(found)
    if isinstance(found, Matrix) and found.drop is not False:
        found.labels = finish(Vector(found.labels, found.window.values[0], None, found.drop, found.distinct)).labels
    return found


class Evaluation:
    """One walk at one time."""

    def __init__(self, context: Context, at_ms: int, start: int, end: int) -> None:
        """Evaluate at `at_ms`, within a query from start to end."""
        self._context, self._at, self._start, self._end = context, at_ms, start, end
        self._texts = context.texts

    def value(self, node: Node) -> Value:
        """Return the value of a node."""
        if id(node) in self._context.shared:
            key = (id(node), self._at)
            found = self._context.results.get(key)
            if found is None:
                found = self._context.results[key] = self._fresh(node)
            return found
        return self._fresh(node)

    def _fresh(self, node: Node) -> Value:
        match node:
            case Selector():
                return self._instant(node)
            case Number():
                return node.value
            case Binary():
                return self._binary(node)
            case Call():
                return self._call(node)
            case Aggregate():
                param = None if node.param is None else self.value(node.param)
                return aggregate.aggregate(node, self._vector(node.expr), cast("float | str | None", param), self._texts)
            case Range() | Subquery():
                return self._matrix(node)
            case Negate():
                inner = self.value(node.expr)
                return -inner if isinstance(inner, float) else cast(Vector, inner).with_values(-cast(Vector, inner).values)
        return node.value

    def _vector(self, node: Node) -> Vector:
        return cast(Vector, self.value(node))

    def _scalar(self, node: Node) -> float:
        return cast(float, self.value(node))

    def _string(self, node: Node) -> str:
        return cast(str, self.value(node))

    # selectors

    def _time(self, node: Selector | Subquery) -> int:
        at = {None: self._at, START: self._start, END: self._end}.get(node.at, node.at)  # type: ignore[arg-type]
        return cast(int, at) - node.offset_ms

    def _tables(self, selector: Selector) -> list[tuple[SeriesTable, Index | None]]:
        source = self._context.source
        names = [selector.metric] if selector.metric is not None else sorted(source.metrics())
        found = []
        for name in names:
            table = source.table(name)
            if table is not None:
                rows = self._context.matches.rows(table, selector.matchers)
                if rows is None or len(rows):
                    found.append((table, rows))
        return found

    def _instant(self, selector: Selector) -> Vector:
        at = self._time(selector)
        parts = []
        for table, rows in self._tables(selector):
            where, times, values = table.instant(at, LOOKBACK_MS, rows)
            if len(where):
                parts.append((self._labels(table, where), times, values))
        if len(parts) == 1:
            return Vector(parts[0][0], parts[0][2], parts[0][1], False, distinct=True)
        if not parts:
            return empty()
        labels, times_of, values_of = zip(*parts, strict=True)
        return Vector(concat(labels), np.concatenate(values_of), np.concatenate(times_of))

    def _labels(self, table: SeriesTable, rows: Index) -> Columns:
        name = np.broadcast_to(np.int32(self._texts.code(table.metric)), (table.size,))
        return Columns({**table.columns, NAME: name}, len(rows), rows)

    def _matrix(self, node: Range | Subquery) -> Matrix:
        if isinstance(node, Subquery):
            return self._subquery(node)
        end = self._time(node.selector)
        start = end - node.range_ms
        parts = []
        for table, rows in self._tables(node.selector):
            where, window = table.window(start, end, rows)
            if len(where):
                parts.append((self._labels(table, where), window))
        if len(parts) == 1:
            return Matrix(parts[0][0], parts[0][1], start, end, False, distinct=True)
        if not parts:
            return Matrix(Columns({}, 0), _windows([]), start, end, False, distinct=True)
        return Matrix(concat([labels for labels, _ in parts]), _windows([window for _, window in parts]), start, end)

    def _subquery(self, node: Subquery) -> Matrix:
        end = self._time(node)
        start, step = end - node.range_ms, node.step_ms or DEFAULT_STEP_MS
        if node.range_ms // step > MAX_STEPS:
            raise EvaluationError(f"a subquery of more than {MAX_STEPS} steps")
        first = (start // step + 1) * step
        vectors = []
        for at in range(first, end + 1, step):
            found = Evaluation(self._context, at, self._start, self._end).value(node.expr)
            vectors.append((at, single(found) if isinstance(found, float) else cast(Vector, found)))
        labels, window, drop = _stitched(vectors)
        return Matrix(labels, window, start, end, drop)

    # operators

    def _binary(self, node: Binary) -> Value:
        left, right = self.value(node.lhs), self.value(node.rhs)
        if isinstance(left, float) and isinstance(right, float):
            return operators.scalars(node.op, left, right)
        if isinstance(right, float):
            return operators.with_scalar(node.op, cast(Vector, left), right, False, node.returns_bool)
        if isinstance(left, float):
            return operators.with_scalar(node.op, cast(Vector, right), left, True, node.returns_bool)
        one, other = cast(Vector, left), cast(Vector, right)
        if node.matching.card == "many-to-many":
            return operators.sets(node.op, one, other, node.matching)
        return operators.vectors(node.op, one, other, node.matching, node.returns_bool, self._texts)

    # functions

    def _call(self, node: Call) -> Value:
        name, args = node.name, node.args
        if name in over_time.PLAIN:
            matrix = cast(Matrix, self.value(args[0]))
            return self._reduced(name, matrix, over_time.PLAIN[name])
        if name in functions.ELEMENTWISE:
            return functions.elementwise(functions.ELEMENTWISE[name], self._vector(args[0]))
        if name in functions.CALENDAR:
            vector = self._vector(args[0]) if args else single(self._at / 1000)
            return functions.elementwise(functions.CALENDAR[name], vector)
        return _SPECIAL[name](self, args)

    def _reduced(self, name: str, matrix: Matrix, function: over_time.Function) -> Vector:
        if not matrix.labels.size:
            return empty()
        with np.errstate(all="ignore"):
            values, has = function(matrix)
        drop = matrix.drop if name in over_time.KEEP_NAME else True
        whole = Vector(matrix.labels, values, None, drop, matrix.distinct)
        return whole if has is None or has.all() else whole.take(np.flatnonzero(has))

    def _predict(self, args: tuple[Node, ...]) -> Vector:
        ahead = self._scalar(args[1])
        return self._with_param("predict_linear", args[0], lambda matrix: over_time.prediction(matrix, self._at, ahead))

    def _with_param(self, name: str, node: Node, function: over_time.Function) -> Vector:
        return self._reduced(name, cast(Matrix, self.value(node)), function)

    def _smoothing(self, args: tuple[Node, ...]) -> Vector:
        factor, trend = self._scalar(args[1]), self._scalar(args[2])
        for what, value in (("smoothing", factor), ("trend", trend)):
            if not 0 < value < 1:
                raise EvaluationError(f"invalid {what} factor. Expected: 0 < {what[0]}f < 1, got: {value:f}")
        return self._with_param("", args[0], lambda matrix: over_time.smoothing(matrix, factor, trend))

    def _quantile_over_time(self, args: tuple[Node, ...]) -> Vector:
        q = self._scalar(args[0])
        return self._with_param("", args[1], lambda matrix: over_time.quantile(matrix, q))

    def _timestamp(self, args: tuple[Node, ...]) -> Vector:
        vector = self._vector(args[0])
        if isinstance(args[0], Selector) and vector.times is not None:
            return vector.with_values(vector.times / 1000)
        return vector.with_values(np.full(len(vector.values), self._at / 1000))

    def _absent(self, args: tuple[Node, ...]) -> Vector:
        found = self.value(args[0])
        size = found.labels.size if isinstance(found, Vector | Matrix) else 1
        if size:
            return empty()
        inner = args[0].selector if isinstance(args[0], Range) else args[0]
        known: dict[str, int] = {}
        if isinstance(inner, Selector):
            times = [m.name for m in inner.matchers]
            for matcher in inner.matchers:
                if matcher.op == "=" and times.count(matcher.name) == 1 and matcher.name != NAME:
                    known[matcher.name] = self._texts.code(matcher.value)
        return single(1.0, known)

    def _to_scalar(self, args: tuple[Node, ...]) -> float:
        values = self._vector(args[0]).values
        return float(values[0]) if len(values) == 1 else math.nan

    def _clamp(self, args: tuple[Node, ...]) -> Vector:
        return functions.clamp(self._vector(args[0]), self._scalar(args[1]), self._scalar(args[2]))

    def _clamp_min(self, args: tuple[Node, ...]) -> Vector:
        return functions.clamp(self._vector(args[0]), self._scalar(args[1]), math.inf)

    def _clamp_max(self, args: tuple[Node, ...]) -> Vector:
        return functions.clamp(self._vector(args[0]), -math.inf, self._scalar(args[1]))

    def _round(self, args: tuple[Node, ...]) -> Vector:
        return functions.rounded(self._vector(args[0]), self._scalar(args[1]) if len(args) > 1 else 1.0)

    def _label_replace(self, args: tuple[Node, ...]) -> Vector:
        target, template, source, pattern = (self._string(arg) for arg in args[1:])
        return relabel.label_replace(self._vector(args[0]), target, template, source, pattern, self._texts)

    def _label_join(self, args: tuple[Node, ...]) -> Vector:
        target, separator, *sources = (self._string(arg) for arg in args[1:])
        return relabel.label_join(self._vector(args[0]), target, separator, sources, self._texts)

    def _histogram_quantile(self, args: tuple[Node, ...]) -> Vector:
        q = self._scalar(args[0])
        return histogram.histogram(self._vector(args[1]), self._texts, lambda buckets: histogram.quantile(q, buckets))

    def _histogram_fraction(self, args: tuple[Node, ...]) -> Vector:
        low, high = self._scalar(args[0]), self._scalar(args[1])
        return histogram.histogram(self._vector(args[2]), self._texts, lambda buckets: histogram.fraction(low, high, buckets))


_SPECIAL: dict[str, Callable[[Evaluation, tuple[Node, ...]], Value]] = {
    "time": lambda self, args: self._at / 1000,
    "pi": lambda self, args: math.pi,
    "vector": lambda self, args: single(self._scalar(args[0])),
    "scalar": Evaluation._to_scalar,
    "timestamp": Evaluation._timestamp,
    "absent": Evaluation._absent,
    "absent_over_time": Evaluation._absent,
    "predict_linear": Evaluation._predict,
    "quantile_over_time": Evaluation._quantile_over_time,
    "double_exponential_smoothing": Evaluation._smoothing,
    "clamp": Evaluation._clamp,
    "clamp_min": Evaluation._clamp_min,
    "clamp_max": Evaluation._clamp_max,
    "round": Evaluation._round,
    "sort": lambda self, args: functions.sort(self._vector(args[0]), descending=False),
    "sort_desc": lambda self, args: functions.sort(self._vector(args[0]), descending=True),
    "label_replace": Evaluation._label_replace,
    "label_join": Evaluation._label_join,
    "histogram_quantile": Evaluation._histogram_quantile,
    "histogram_fraction": Evaluation._histogram_fraction,
}


def _windows(parts: list[Window]) -> Window:
    """Return the windows side by side, padded to the deepest."""
    depth = max((len(part.values) for part in parts), default=0)
    width = sum(len(part.counts) for part in parts)
    times, values = np.zeros((depth, width), np.int64), np.zeros((depth, width))
    at = 0
    for part in parts:
        rows = slice(at, at + len(part.counts))
        times[: len(part.times), rows], values[: len(part.values), rows] = part.times, part.values
        at += len(part.counts)
    counts = np.concatenate([part.counts for part in parts]) if parts else np.zeros(0, np.intp)
    return Window(times, values, counts)


def _stitched(vectors: list[tuple[int, Vector]]) -> tuple[Columns, Window, bool | np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Return the series of several instants as windows, oldest first."""
    filled = [(at, vector) for at, vector in vectors if len(vector.values)]
    if not filled:
        return Columns({}, 0), _windows([]), False
    labels = concat([vector.labels for _, vector in filled])
    keys: Keys = pack([labels.column(name) for name in labels.names()], labels.size)
    _, firsts, series = np.unique(keys, return_index=True, return_inverse=True)
    sizes = [len(vector.values) for _, vector in filled]
    at_all: Times = np.repeat(np.array([at for at, _ in filled], np.int64), sizes)
    values: Values = np.concatenate([vector.values for _, vector in filled])
    order = np.argsort(series, kind="stable")
    counts = np.bincount(series)
    place = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    if len(np.unique(np.stack([series, at_all]), axis=1).T) != len(series):
        raise EvaluationError("vector cannot contain metrics with the same labelset")
    window = Window(np.zeros((counts.max(), len(firsts)), np.int64), np.zeros((counts.max(), len(firsts))), counts)
    window.times[place, series[order]], window.values[place, series[order]] = at_all[order], values[order]
    drop = np.concatenate([vector.drop_mask() for _, vector in filled])
    return labels.take(firsts), window, np.bincount(series, drop) > 0


def selectors(node: Node) -> list[Selector]:
    """Return all selectors of an expression."""
    return [found for found in walk(node) if isinstance(found, Selector)]
