"""One metric of the series state: its rows, their label columns, and reading samples as of a time.

Owns the rows of one metric and answers the evaluator (`rules.source.SeriesTable`). Never writes a sample.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from collector.series_arena import MAX_RING, Arena, Slab
from rules.source import NEVER, Codes, Index, Mask, Strings, Times, Values, Window, stale_mask


class Table:
    """All series of one metric. Freed rows are reused; `version` changes with every row that comes or goes."""

    def __init__(self, metric: str, number: int, arena: Arena, strings: Strings) -> None:
        """Make an empty table with its own slab in the arena."""
        self.metric = metric
        self.number = number
        self.version = 0
        self.keys: list[bytes | None] = []
        self.keep_ms = 0  # how far back rules read this metric; 0: nobody does
        self._arena, self._strings = arena, strings
        strings.code(metric)  # results carry the name as a label
        self._slab: Slab = arena.slab()
        self._columns: dict[str, Codes] = {}
        self._free: list[int] = []

    @property
    def slab(self) -> Slab:
        """Where this table lies in the arena (its numbers change when the arena moves it)."""
        return self._slab

    @property
    def size(self) -> int:
        """Number of rows, free ones included."""
        return len(self.keys)

    @property
    def live(self) -> int:
        """Number of rows in use."""
        return len(self.keys) - len(self._free)

    @property
    def columns(self) -> Mapping[str, Codes]:
        """One column of label value codes for each label name (0: not set)."""
        return {name: column[: len(self.keys)] for name, column in self._columns.items()}

    def add(self, key: bytes, labels: Iterable[tuple[str, str]]) -> int:
        """Return a row for a new series."""
        if self._free:
            row = self._free.pop()
            self.keys[row] = key
            self._columns = {name: column.copy() for name, column in self._columns.items()}  # readers may hold the old ones
        else:
            row = len(self.keys)
            self.keys.append(key)
            if row >= self._slab.cap:
                self._grow_rows()
        for column in self._columns.values():
            column[row] = 0
        for name, value in labels:
            self._column(name)[row] = self._strings.code(value)
        self.version += 1
        return row

    def _grow_rows(self) -> None:
        cap = 2 * self._slab.cap if self._slab.cap < 4096 else self._slab.cap * 5 // 4
        self._arena.resize(self._slab, cap, self._slab.ring)
        for name, old in self._columns.items():
            self._columns[name] = np.zeros(cap, np.int32)
            self._columns[name][: len(old)] = old

    def _column(self, name: str) -> Codes:
        if name not in self._columns:
            self._columns[name] = np.zeros(self._slab.cap, np.int32)
        return self._columns[name]

    def remove(self, row: int) -> None:
        """Free a row and forget its samples."""
        self.keys[row] = None
        self._free.append(row)
        self._arena.clear_row(self._slab, row)
        self.version += 1

    def lengthen(self) -> None:
        """Make the rings of this table longer, because samples still needed are about to be overwritten."""
        ring = self._slab.ring
        self._arena.resize(self._slab, self._slab.cap, min(MAX_RING, 2 * ring if ring < 16 else ring * 3 // 2))

    def rewind(self, now_ms: int) -> None:
        """Forget the samples later than `now_ms`."""
        times, values = self.newest()
        ring_t, ring_v = self._arena.ring(self._slab)
        for row in np.flatnonzero(times > now_ms).tolist():
            head = int(self._arena.head[self._slab.start + row])
            order = (head + np.arange(len(ring_t))) % len(ring_t)
            kept = order[ring_t[order, row] <= now_ms]
            ring_t[: len(kept), row], ring_v[: len(kept), row] = ring_t[kept, row], ring_v[kept, row]
            ring_t[len(kept) :, row] = NEVER
            self._arena.head[self._slab.start + row] = len(kept) % len(ring_t)
            times[row], values[row] = (ring_t[len(kept) - 1, row], ring_v[len(kept) - 1, row]) if len(kept) else (NEVER, 0.0)

    def newest(self) -> tuple[Times, Values]:
        """Return views (times, values) of the newest samples of all rows; NEVER where there is none."""
        rows = slice(self._slab.start, self._slab.start + len(self.keys))
        return self._arena.newest_t[rows], self._arena.newest_v[rows]

    def instant(self, at_ms: int, lookback_ms: int, rows: Index | None) -> tuple[Index, Times, Values]:
        """See `rules.source.SeriesTable.instant`. About 8 ns a row."""
        times, values = self.newest()
        if rows is not None:
            times, values = times[rows], values[rows]
        late = times > at_ms
        if late.any():
            times, values = self._before(at_ms, times, values, late, rows)
        found = np.flatnonzero((times > at_ms - lookback_ms) & ~stale_mask(values))
        return found if rows is None else rows[found], times[found], values[found]

    def _before(self, at_ms: int, times: Times, values: Values, late: Mask, rows: Index | None) -> tuple[Times, Values]:
        """Replace what is later than `at_ms` by the newest ring sample that is not."""
        times, values = times.copy(), values.copy()
        where = np.flatnonzero(late)
        local = where if rows is None else rows[where]
        ring_t, ring_v = self._arena.ring(self._slab)
        sub = ring_t[:, local]
        sub = np.where(sub <= at_ms, sub, NEVER)
        best = sub.argmax(0)
        times[where] = sub[best, np.arange(len(local))]
        values[where] = ring_v[best, local]
        return times, values

    def window(self, after_ms: int, until_ms: int, rows: Index | None) -> tuple[Index, Window]:
        """See `rules.source.SeriesTable.window`. About 10 ns for each sample in the rings and 10 for each one found."""
        slab = self._slab
        ring_t, ring_v = self._arena.ring(slab)
        local = np.arange(len(self.keys)) if rows is None else rows
        sub_t = ring_t[:, : len(local)] if rows is None else ring_t[:, local]
        skip, upto = _count(sub_t <= after_ms), _count(sub_t <= until_ms)
        counts = upto - skip
        some = np.flatnonzero(counts)
        if len(some) < len(local):
            local, counts, skip = local[some], counts[some], skip[some]
        first = self._arena.head[slab.start + local] + skip  # oldest cells, then those too old, then those wanted
        cell = first + np.arange(int(counts.max(initial=0)))[:, None]
        np.subtract(cell, slab.ring, out=cell, where=cell >= slab.ring)
        np.subtract(cell, slab.ring, out=cell, where=cell >= slab.ring)  # beyond a row's count, still within the slab
        cell *= slab.cap
        cell += local
        times, values = ring_t.reshape(-1).take(cell), ring_v.reshape(-1).take(cell)
        return _without_stale(local, times, values, counts)


def _count(mask: Mask) -> Index:
    """Return how many are true in each column."""
    found: Index = mask.view(np.int8).sum(0, dtype=np.int32).astype(np.intp)
    return found


def _without_stale(local: Index, times: Times, values: Values, counts: Index) -> tuple[Index, Window]:
    """Close the holes that stale markers leave, and leave out series with nothing else."""
    stale = stale_mask(values) & (np.arange(len(values))[:, None] < counts)
    if not stale.any():
        return local, Window(times, values, counts)
    kept = (np.arange(len(values))[:, None] < counts) & ~stale
    order = np.argsort(~kept, axis=0, kind="stable")
    counts = kept.sum(0)
    some = np.flatnonzero(counts)
    times, values = np.take_along_axis(times, order, 0), np.take_along_axis(values, order, 0)
    depth = int(counts.max(initial=0))
    return local[some], Window(times[:depth, some], values[:depth, some], counts[some])
