"""The memory of the series state: newest samples and rings of all series in a few flat arrays.

Owns layout only: a table (one metric) has a slab of rows in the flat arrays and a slab of ring cells, time-major
(``ring_base + position * cap + row``), so that one write serves series of many metrics, and one table is a contiguous view.
Never knows what a key or a label is. Relocating a table changes `moves`; whoever remembers positions asks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.source import NEVER, Times, Values

FIRST_ROWS = 8
FIRST_RING = 2
MAX_RING = 100_000


@dataclass(slots=True)
class Slab:
    """Where one table lies: rows [start, start + cap), ring cells [ring_base, ring_base + cap * ring)."""

    start: int
    cap: int
    ring_base: int
    ring: int


class Arena:
    """Flat arrays, grown by doubling, packed again once a third is holes. 16 bytes per ring cell, 20 per row."""

    def __init__(self) -> None:
        """Start empty."""
        self.newest_t: Times = np.full(1024, NEVER, np.int64)
        self.newest_v: Values = np.zeros(1024)
        self.head: NDArray[np.int32] = np.zeros(1024, np.int32)  # the ring position written next, which is the oldest
        self.ring_t: Times = np.full(4096, NEVER, np.int64)
        self.ring_v: Values = np.zeros(4096)
        self.moves = 0
        self._rows_end = self._cells_end = 0
        self._slabs: list[Slab] = []

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        return sum(a.nbytes for a in (self.newest_t, self.newest_v, self.head, self.ring_t, self.ring_v))

    def slab(self) -> Slab:
        """Return a new slab for a table."""
        slab = Slab(0, 0, 0, FIRST_RING)
        self._slabs.append(slab)
        self.resize(slab, FIRST_ROWS, FIRST_RING)
        return slab

    def resize(self, slab: Slab, cap: int, ring: int) -> None:
        """Move a slab to a larger place (cap and ring never shrink here), samples kept in order."""
        old = Slab(slab.start, slab.cap, slab.ring_base, slab.ring)
        self._reserve(cap, cap * ring)
        slab.start, slab.cap, slab.ring_base, slab.ring = self._rows_end, cap, self._cells_end, ring
        self._rows_end += cap
        self._cells_end += cap * ring
        self._copy(old, slab)
        self.moves += 1
        self._pack_if_sparse()

    def _copy(self, old: Slab, new: Slab) -> None:
        rows, cells = slice(new.start, new.start + new.cap), slice(new.ring_base, new.ring_base + new.cap * new.ring)
        self.newest_t[rows], self.newest_v[rows], self.head[rows] = NEVER, 0.0, 0
        self.ring_t[cells], self.ring_v[cells] = NEVER, 0.0
        n = old.cap
        if not n:
            return
        before, after = slice(old.start, old.start + n), slice(new.start, new.start + n)
        self.newest_t[after], self.newest_v[after] = self.newest_t[before], self.newest_v[before]
        old_t, old_v = self._ring(old)
        new_t, new_v = self._ring(new)
        if new.ring == old.ring:
            new_t[:, :n], new_v[:, :n], self.head[after] = old_t, old_v, self.head[before]
            return
        order = (self.head[before][None, :] + np.arange(old.ring)[:, None]) % old.ring  # oldest first
        new_t[: old.ring, :n] = np.take_along_axis(old_t, order, 0)
        new_v[: old.ring, :n] = np.take_along_axis(old_v, order, 0)
        self.head[after] = old.ring

    def _ring(self, slab: Slab) -> tuple[Times, Values]:
        cells = slice(slab.ring_base, slab.ring_base + slab.cap * slab.ring)
        return self.ring_t[cells].reshape(slab.ring, slab.cap), self.ring_v[cells].reshape(slab.ring, slab.cap)

    def ring(self, slab: Slab) -> tuple[Times, Values]:
        """Return views (times, values) of a slab's ring, shape (ring, cap); a row's oldest cell is at its `head`."""
        return self._ring(slab)

    def clear_row(self, slab: Slab, row: int) -> None:
        """Forget all samples of a row."""
        at = slab.start + row
        self.newest_t[at], self.newest_v[at], self.head[at] = NEVER, 0.0, 0
        times, _ = self._ring(slab)
        times[:, row] = NEVER

    def _reserve(self, rows: int, cells: int) -> None:
        need = self._rows_end + rows
        if need > len(self.newest_t):
            size = max(need, 2 * len(self.newest_t))
            self.newest_t, self.newest_v = _grown(self.newest_t, size), _grown(self.newest_v, size)
            self.head = _grown(self.head, size)
        need = self._cells_end + cells
        if need > len(self.ring_t):
            size = max(need, int(1.25 * len(self.ring_t)))
            self.ring_t, self.ring_v = _grown(self.ring_t, size), _grown(self.ring_v, size)

    def _pack_if_sparse(self) -> None:
        cells = sum(s.cap * s.ring for s in self._slabs)
        if self._cells_end <= max(1.5 * cells, 65_536):
            return
        newest_t, newest_v, head, ring_t, ring_v = self.newest_t, self.newest_v, self.head, self.ring_t, self.ring_v
        old = [(s, s.start, s.ring_base) for s in self._slabs]
        rows_all = sum(s.cap for s in self._slabs)
        self.newest_t, self.newest_v = np.full(rows_all, NEVER, np.int64), np.zeros(rows_all)
        self.head = np.zeros(rows_all, np.int32)
        self.ring_t, self.ring_v = np.full(cells, NEVER, np.int64), np.zeros(cells)
        self._rows_end = self._cells_end = 0
        for slab, start, base in old:
            slab.start, slab.ring_base = self._rows_end, self._cells_end
            self._rows_end += slab.cap
            self._cells_end += slab.cap * slab.ring
            rows_to, rows_from = slice(slab.start, self._rows_end), slice(start, start + slab.cap)
            self.newest_t[rows_to], self.newest_v[rows_to] = newest_t[rows_from], newest_v[rows_from]
            self.head[rows_to] = head[rows_from]
            cells_to, cells_from = slice(slab.ring_base, self._cells_end), slice(base, base + slab.cap * slab.ring)
            self.ring_t[cells_to], self.ring_v[cells_to] = ring_t[cells_from], ring_v[cells_from]
        self.moves += 1


def _grown(old: NDArray[Any], size: int) -> NDArray[Any]:
    new = np.empty(size, old.dtype)
    new[: len(old)] = old
    return new
