"""Series with all their samples, held whole: the state that rule tests and conformance scripts are evaluated against.

Owns samples of any age, in any order of arrival. Not for a running collector, which keeps rings (`collector.series`).
"""

from __future__ import annotations

import bisect
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from rules.source import NEVER, STALE, Codes, Index, Labels, Strings, Times, Values, Window, stale_mask

_BEFORE_ALL = NEVER + 1


class SampleTable:
    """All series of one metric, every sample kept."""

    def __init__(self, metric: str, strings: Strings) -> None:
        """Start empty."""
        self.metric = metric
        self.version = 0
        self._strings = strings
        strings.code(metric)
        self._labels: list[Labels] = []
        self._samples: list[tuple[list[int], list[float]]] = []
        self._columns: dict[str, Codes] = {}
        self._built: tuple[Times, Values] | None = None

    @property
    def size(self) -> int:
        """Number of series."""
        return len(self._labels)

    @property
    def columns(self) -> Mapping[str, Codes]:
        """Columns of label codes."""
        if not self._columns and self._labels:
            names = sorted({name for labels in self._labels for name, _ in labels})
            sets = [dict(labels) for labels in self._labels]
            self._columns = {n: np.array([self._strings.code(s.get(n, "")) for s in sets], np.int32) for n in names}
        return self._columns

    def add(self, labels: Labels) -> int:
        """Return the row of a new series."""
        self._labels.append(labels)
        self._samples.append(([], []))
        self._columns, self._built = {}, None
        self.version += 1
        return len(self._labels) - 1

    def write(self, row: int, at_ms: int, value: float) -> None:
        """Keep one sample; a second one at the same time is left out, as the first stands."""
        times, values = self._samples[row]
        place = bisect.bisect_left(times, at_ms)
        if place == len(times) or times[place] != at_ms:
            times.insert(place, at_ms)
            values.insert(place, value)
            self._built = None

    def rewind(self, now_ms: int) -> None:
        """Forget samples later than `now_ms`."""
        for times, values in self._samples:
            place = bisect.bisect_right(times, now_ms)
            del times[place:], values[place:]
        self._built = None

    def _arrays(self) -> tuple[Times, Values]:
        """Return (times, values) of shape (depth, size), oldest first, padded with NEVER at the front."""
        if self._built is None:
            depth = max((len(times) for times, _ in self._samples), default=0)
            all_times = np.full((depth, self.size), NEVER, np.int64)
            all_values = np.zeros((depth, self.size))
            for row, (times, values) in enumerate(self._samples):
                if times:
                    all_times[-len(times) :, row], all_values[-len(times) :, row] = times, values
            self._built = all_times, all_values
        return self._built

    def instant(self, at_ms: int, lookback_ms: int, rows: Index | None) -> tuple[Index, Times, Values]:
        """See `rules.source.SeriesTable.instant`."""
        times, values = self._arrays()
        chosen = np.arange(self.size) if rows is None else rows
        if not len(times):
            return chosen[:0], times[:0].reshape(0), values[:0].reshape(0)
        newest = np.where(times[:, chosen] <= at_ms, times[:, chosen], NEVER).argmax(0)
        found_t, found_v = times[newest, chosen], values[newest, chosen]
        alive = (found_t > max(at_ms - lookback_ms, _BEFORE_ALL)) & (found_t <= at_ms) & ~stale_mask(found_v)
        return chosen[alive], found_t[alive], found_v[alive]

    def window(self, after_ms: int, until_ms: int, rows: Index | None) -> tuple[Index, Window]:
        """See `rules.source.SeriesTable.window`."""
        times, values = self._arrays()
        chosen = np.arange(self.size) if rows is None else rows
        times, values = times[:, chosen], values[:, chosen]
        kept = (times > max(after_ms, _BEFORE_ALL)) & (times <= until_ms) & ~stale_mask(values)
        counts = kept.sum(0)
        order = np.argsort(~kept, axis=0, kind="stable")[: counts.max(initial=0)]
        some = np.flatnonzero(counts)
        times, values = np.take_along_axis(times, order, 0), np.take_along_axis(values, order, 0)
        return chosen[some], Window(times[:, some], values[:, some], counts[some])


class SampleHandle:
    """The rows of some series of one metric."""

    def __init__(self, table: SampleTable, rows: Sequence[int]) -> None:
        """Remember them."""
        self.table, self.rows = table, rows


class SampleSource:
    """All series by metric. Implements `rules.source.SeriesSource`."""

    layout = 0

    def __init__(self) -> None:
        """Start empty."""
        self.strings = Strings()
        self._tables: dict[str, SampleTable] = {}
        self._rows: dict[tuple[str, Labels], int] = {}

    def table(self, metric: str) -> SampleTable | None:
        """Return the table of a metric."""
        return self._tables.get(metric)

    def metrics(self) -> Collection[str]:
        """Return all metric names."""
        return self._tables.keys()

    def retain(self, spans: Mapping[str, int]) -> None:
        """Do nothing: all samples are kept."""

    def handle(self, metric: str, labels: Sequence[Labels]) -> SampleHandle:
        """Return a handle on series of one metric."""
        table = self._tables.get(metric)
        if table is None:
            table = self._tables[metric] = SampleTable(metric, self.strings)
        for each in labels:
            if (metric, each) not in self._rows:
                self._rows[(metric, each)] = table.add(each)
        return SampleHandle(table, [self._rows[(metric, each)] for each in labels])

    def append(self, rows: SampleHandle, values: Iterable[float], at_ms: int) -> None:
        """Write one sample for each series of the handle."""
        for row, value in zip(rows.rows, values, strict=True):
            rows.table.write(row, at_ms, float(value))

    def mark_stale(self, rows: SampleHandle, at_ms: int) -> None:
        """Write a stale marker for each series of the handle."""
        self.append(rows, np.full(len(rows.rows), STALE), at_ms)

    def rewind(self, now_ms: int) -> None:
        """Forget samples later than `now_ms`."""
        for table in self._tables.values():
            table.rewind(now_ms)

    def load(self, metric: str, labels: Labels, samples: Iterable[tuple[int, float]]) -> None:
        """Keep samples of one series."""
        handle = self.handle(metric, [labels])
        for at, value in samples:
            handle.table.write(handle.rows[0], at, value)
