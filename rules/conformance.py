"""Runs Prometheus's promqltest scripts against the evaluator: ``python -m rules.conformance FILE.test...``.

Prints every failure with its line and difference, and ``N passed, M failed, K outside the profile`` at the end. Outside are
cases that use what this evaluator refuses (native histograms, experimental functions); warnings and infos are not compared.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rules.notation import NotationError, Series
from rules.promql.evaluate import Context, evaluate, selectors
from rules.promql.match import accepts
from rules.promql.parse import ExpressionError, Unsupported, parse
from rules.promql.tree import Node, Selector
from rules.promql.vector import EvaluationError, Matrix, Value, Vector, label_sets
from rules.samples import SampleSource
from rules.script import Clear, Command, Eval, Load, commands
from rules.source import Labels, SeriesSource, stale_mask

_TOLERANCE = 1e-6
_SMALLEST = 2.2250738585072014e-308
Points = dict[int, float]
Found = dict[Labels, Points]


@dataclass(slots=True)
class Tally:
    """What came of a script."""

    passed: list[int] = field(default_factory=list)
    failed: list[tuple[int, str]] = field(default_factory=list)
    outside: list[tuple[int, str]] = field(default_factory=list)


class Mismatch(Exception):
    """The result is not what was expected; the text is the difference."""


class Script:
    """Runs the commands of one script over a fresh state."""

    def __init__(self, new_source: Callable[[], SeriesSource] = SampleSource) -> None:
        """`new_source` makes the state; samples are written in order of time."""
        self._new_source = new_source
        self.tally = Tally()
        self._clear()

    def _clear(self) -> None:
        self._source = self._new_source()
        self._histograms: list[Labels] = []

    def run(self, steps: Iterable[Command]) -> Tally:
        """Run the commands and return the tally."""
        for step in steps:
            if isinstance(step, Clear):
                self._clear()
            elif isinstance(step, Load):
                self._load(step)
            else:
                self._check(step)
        return self.tally

    def _load(self, load: Load) -> None:
        samples: list[tuple[int, Series, float]] = []
        for series in {(series.metric, series.labels): series for series in load.series}.values():  # the last line counts
            if series.histogram:
                self._histograms.append((("__name__", series.metric), *series.labels))
            if load.with_nhcb:
                base = re.sub(r"_(?:bucket|sum|count)$", "", series.metric)
                self._histograms.append((("__name__", base), *(pair for pair in series.labels if pair[0] != "le")))
            samples += [(k * load.step_ms, series, value) for k, value in enumerate(series.points) if value is not None]
        for at, series, value in sorted(samples, key=lambda sample: sample[0]):
            handle = self._source.handle(series.metric, [series.labels])
            if _is_stale(value):
                self._source.mark_stale(handle, at)
            else:
                self._source.append(handle, [value], at)

    def _check(self, case: Eval) -> None:
        try:
            node = parse(case.expr)
        except Unsupported as error:
            self.tally.outside.append((case.line, str(error)))
            return
        except ExpressionError as error:
            self._count(case, self._of_error(case, str(error)))
            return
        try:
            self._compare(case, node)
            difference = ""
        except EvaluationError as error:
            difference = self._of_error(case, str(error))
        except Mismatch as found:
            difference = str(found)
        reads = self._reads_histogram(node, case)
        if difference and reads:  # floats alone do not decide it
            self.tally.outside.append((case.line, reads))
        else:
            self._count(case, difference)

    def _count(self, case: Eval, difference: str) -> None:
        if difference:
            self.tally.failed.append((case.line, f"{case.expr}\n    {difference}"))
        else:
            self.tally.passed.append(case.line)

    def _reads_histogram(self, node: Node, case: Eval) -> str:
        if any(series.histogram for series in case.series):
            return "expects a native histogram"
        for selector in selectors(node):
            if any(_selects(selector, dict(labels)) for labels in self._histograms):
                return "reads a native histogram"
        return ""

    @staticmethod
    def _of_error(case: Eval, error: str) -> str:
        """Return what is wrong with a case that ended in an error: nothing, if it was to."""
        if not case.fails:
            return f"error: {error}"
        if case.message is not None and not _says(error, case.message):
            return f"failed with {error!r}, expected {case.message[1]!r}"
        return ""

    def _compare(self, case: Eval, node: Node) -> None:
        context = Context(self._source)
        if case.step_ms:
            found: Found = {}
            for at in range(case.start_ms, case.end_ms + 1, case.step_ms):
                value = evaluate(node, at, context, (case.start_ms, case.end_ms))
                for labels, point in _instant(value, context).items():
                    found.setdefault(labels, {})[at] = point
            _refuse_success(case)
            _equal(found, _expected(case, case.start_ms, case.step_ms))
            return
        value = evaluate(node, case.start_ms, context)
        _refuse_success(case)
        if isinstance(value, Matrix):
            first, _, step = case.grid or (0, 0, 1)
            _equal(_ranges(value, context), _expected(case, first, step))
        elif isinstance(value, Vector):
            _equal_instant(case, value, context)
        elif value != case.text if isinstance(value, str) else case.scalar is None or not close(value, case.scalar):
            raise Mismatch(f"got {value!r}, expected {case.text if case.text is not None else case.scalar!r}")


def _refuse_success(case: Eval) -> None:
    if case.fails:
        raise Mismatch("gave a result, expected an error")


def _is_stale(value: float) -> bool:
    return bool(stale_mask(np.array([value]))[0])


def _selects(selector: Selector, labels: dict[str, str]) -> bool:
    if selector.metric is not None and labels["__name__"] != selector.metric:
        return False
    return all(accepts(matcher, labels.get(matcher.name, "")) for matcher in selector.matchers)


def _says(error: str, message: tuple[str, str]) -> bool:
    kind, text = message
    text = text[1:-1] if text.startswith('"') and text.endswith('"') else text
    return re.search(text, error) is not None if kind == "regex" else error == text or text in error


def _instant(value: Value, context: Context) -> dict[Labels, float]:
    if isinstance(value, float):
        return {(): value}
    assert isinstance(value, Vector)
    return dict(zip(label_sets(value.labels, context.texts.text), value.values.tolist(), strict=True))


def _ranges(matrix: Matrix, context: Context) -> Found:
    window = matrix.window
    return {
        labels: {int(window.times[k, i]): float(window.values[k, i]) for k in range(int(window.counts[i]))}
        for i, labels in enumerate(label_sets(matrix.labels, context.texts.text))
    }


def _named(series: Series) -> Labels:
    return tuple(sorted((*series.labels, ("__name__", series.metric)))) if series.metric else series.labels


def _expected(case: Eval, first: int, step: int) -> Found:
    wanted = {
        _named(series): {first + k * step: point for k, point in enumerate(series.points) if point is not None}
        for series in case.series
    }
    return {labels: points for labels, points in wanted.items() if points}


def _equal_instant(case: Eval, vector: Vector, context: Context) -> None:
    found = _instant(vector, context)
    wanted = {_named(series): float(series.points[0] or 0.0) for series in case.series}
    if case.ordered and list(found) != list(wanted):
        raise Mismatch(f"got the order {list(found)}, expected {list(wanted)}")
    _equal({k: {0: v} for k, v in found.items()}, {k: {0: v} for k, v in wanted.items()})


def _equal(found: Found, wanted: Found) -> None:
    for labels in found.keys() | wanted.keys():
        ours, theirs = found.get(labels, {}), wanted.get(labels, {})
        if ours.keys() != theirs.keys() or not all(close(ours[at], theirs[at]) for at in ours):
            raise Mismatch(f"{dict(labels)}: got {ours or 'nothing'}, expected {theirs or 'nothing'}")


def close(a: float, b: float) -> bool:
    """Say whether two results count as equal: NaN equals NaN, else within one millionth of their sum."""
    if (math.isnan(a) and math.isnan(b)) or a == b:
        return True
    total, difference = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or total < _SMALLEST:
        return difference < _TOLERANCE * _SMALLEST
    return difference / min(total, sys.float_info.max) < _TOLERANCE


def run_file(path: Path, new_source: Callable[[], SeriesSource] = SampleSource) -> Tally:
    """Run one script.

    Raises:
        NotationError: the file is not in the format.
        OSError: it cannot be read.
    """
    return Script(new_source).run(commands(path.read_text()))


def main(argv: list[str] | None = None) -> int:
    """Run the scripts named on the command line; return 1 if a case failed, 2 if a file could not be read."""
    parser = argparse.ArgumentParser(prog="python -m rules.conformance", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE.test")
    parser.add_argument("-v", "--verbose", action="store_true", help="say why cases are outside the profile")
    options = parser.parse_args(argv)
    passed = failed = outside = 0
    for path in options.files:
        try:
            tally = run_file(path)
        except (NotationError, OSError) as error:
            sys.stderr.write(f"{path}: {error}\n")
            return 2
        for line, difference in tally.failed:
            sys.stdout.write(f"{path}:{line}: {difference}\n")
        for line, reason in tally.outside if options.verbose else []:
            sys.stdout.write(f"{path}:{line}: outside the profile: {reason}\n")
        passed, failed, outside = passed + len(tally.passed), failed + len(tally.failed), outside + len(tally.outside)
    sys.stdout.write(f"{passed} passed, {failed} failed, {outside} outside the profile\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
