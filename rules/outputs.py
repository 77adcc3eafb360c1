"""What rules write back: recorded series, ALERTS and ALERTS_FOR_STATE, with a stale marker for each series that ends."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from rules.alert import Phase
from rules.machine import Active
from rules.promql.vector import NAME, Columns, EvaluationError, Texts, Vector, has_duplicates, label_sets
from rules.source import Codes, Handle, Labels, SeriesSource


class Output:
    """The series of one metric that one rule writes; remembered, so that writing the same ones again is one operation."""

    def __init__(self, source: SeriesSource, metric: str) -> None:
        """Write to a state."""
        self._source, self._metric = source, metric
        self._labels: dict[Labels, None] = {}
        self._handle: Handle = None
        self._print: bytes | None = None

    def write(self, labels: list[Labels], values: Iterable[float], at: int, fingerprint: bytes | None = None) -> None:
        """Write one sample for each label set and end the series that were written before and are not now."""
        now = dict.fromkeys(labels)
        ended = [each for each in self._labels if each not in now]
        if ended:
            self._source.mark_stale(self._source.handle(self._metric, ended), at)
        self._labels, self._print = now, fingerprint
        self._handle = self._source.handle(self._metric, labels) if labels else None
        self.again(values, at)

    def prepare(self, labels: list[Labels]) -> None:
        """Make series that will be written soon."""
        self._source.handle(self._metric, labels)

    def again(self, values: Iterable[float], at: int) -> None:
        """Write one sample for each of the series that were written last, in the same order."""
        if self._handle is not None:
            self._source.append(self._handle, np.fromiter(values, np.float64, len(self._labels)), at)

    def known(self, fingerprint: bytes) -> bool:
        """Say whether the series of this fingerprint are the ones written last."""
        return fingerprint == self._print

    def end(self, at: int) -> None:
        """End all series."""
        self.write([], [], at)


class Recorder:
    """The output of a recording rule."""

    def __init__(self, source: SeriesSource, metric: str, labels: tuple[tuple[str, str], ...]) -> None:
        """`labels` are set on every series; an empty one removes the label."""
        self._output = Output(source, metric)
        self._labels = labels

    def write(self, vector: Vector, texts: Texts, at: int, limit: int) -> None:
        """Write a result.

        Raises:
            EvaluationError: two series would be the same, or there are more than `limit`.
        """
        if limit and len(vector.values) > limit:
            raise EvaluationError(f"exceeded the limit of {limit} with {len(vector.values)} series")
        columns = self._columns(vector.labels, texts)
        names = columns.names()
        codes = [columns.column(name) for name in names]
        mark: bytes | None = repr(names).encode() + b"".join(column.tobytes() for column in codes)
        if any(len(column) and column.min() < 0 for column in codes):
            mark = None  # texts that have no lasting code
        if mark is None or not self._output.known(mark):
            if has_duplicates(columns):
                raise EvaluationError("vector contains metrics with the same labelset after applying rule labels")
            self._output.write(label_sets(columns, texts.text), vector.values, at, mark)
        else:
            self._output.again(vector.values, at)

    def _columns(self, labels: Columns, texts: Texts) -> Columns:
        found = labels.without((NAME,))
        if not self._labels:
            return found
        new: dict[str, Codes] = {name: np.full(labels.size, texts.code(text), np.int32) for name, text in self._labels}
        return found.with_columns(new)

    def end(self, at: int) -> None:
        """End all series."""
        self._output.end(at)


class Reporter:
    """ALERTS and ALERTS_FOR_STATE of an alerting rule."""

    def __init__(self, source: SeriesSource) -> None:
        """Write to a state."""
        self._alerts = Output(source, "ALERTS")
        self._for_state = Output(source, "ALERTS_FOR_STATE")

    def prepare(self, labels: list[Labels], phase: Phase) -> None:
        """Make the series of alerts that are about to be written, so that the writing itself is short."""
        self._alerts.prepare([_with_state(each, phase) for each in labels])
        self._for_state.prepare(labels)

    def write(self, active: Iterable[Active], at: int, same: bool = False) -> None:
        """Write the series of all active alerts; `same` says that alerts and states are those of the last time."""
        alerts = list(active)
        since = [alert.active_at / 1000 for alert in alerts]
        if same:
            self._alerts.again([1.0] * len(alerts), at)
            self._for_state.again(since, at)
            return
        self._alerts.write([_with_state(alert.labels, alert.phase) for alert in alerts], [1.0] * len(alerts), at)
        self._for_state.write([alert.labels for alert in alerts], since, at)


def _with_state(labels: Labels, phase: Phase) -> Labels:
    return tuple(sorted({**dict(labels), "alertstate": str(phase)}.items()))
