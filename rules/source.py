"""What the evaluator needs to see of the series state, and the bit patterns that are not ordinary numbers.

Owns the protocol between `rules` and whoever keeps the samples; keeps none itself. Times are integer milliseconds since the
epoch. A stored NaN, a stale marker and "no sample" are three different things: the first is a value, the second ends a
series, the third is the absence of both.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Labels = tuple[tuple[str, str], ...]  # sorted by name, no empty values
Codes = NDArray[np.int32]
Index = NDArray[np.intp]
Times = NDArray[np.int64]
Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
Handle: TypeAlias = Any  # rows of a state that belong together, resolved once and written often; each state has its own

NEVER = -(1 << 62)  # the time of a sample that does not exist
STALE_BITS = 0x7FF0_0000_0000_0002  # Prometheus's StaleNaN
NAN_BITS = 0x7FF8_0000_0000_0001  # Prometheus's NormalNaN
STALE: float = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]
LOOKBACK_MS = 300_000  # Prometheus's default look-back


def stale_mask(values: Values) -> Mask:
    """Return where the values are stale markers (by bit pattern; other NaNs are values)."""
    bits: NDArray[np.int64] = np.ascontiguousarray(values).view(np.int64)
    return np.equal(bits, STALE_BITS)


class Strings:
    """The dictionary of label values: text <-> code. Code 0 is the empty string, which is also "label not set"."""

    def __init__(self) -> None:
        """Start with the empty string alone."""
        self._codes: dict[str, int] = {"": 0}
        self._texts: list[str] = [""]

    def __len__(self) -> int:
        return len(self._texts)

    def code(self, text: str) -> int:
        """Return the code of a text, giving it one if it has none."""
        found = self._codes.get(text)
        if found is None:
            found = self._codes[text] = len(self._texts)
            self._texts.append(text)
        return found

    def find(self, text: str) -> int | None:
        """Return the code of a text, or None if it was never seen."""
        return self._codes.get(text)

    def text(self, code: int) -> str:
        """Return the text of a code."""
        return self._texts[code]


@dataclass(frozen=True, slots=True)
class Window:
    """The samples of n series in a left-open span of time, oldest first, stale markers left out.

    `times` and `values` have shape (K, n): sample k of series i is ``[k, i]`` and exists where ``k < counts[i]``; what lies
    beyond is undefined. Time-major, so that a step over samples is one operation over all series.
    """

    times: Times
    values: Values
    counts: Index


class SeriesTable(Protocol):
    """All series of one metric. A row may be free; a free row never has a sample."""

    metric: str
    version: int  # changes when a row comes, goes or is reused

    @property
    def size(self) -> int:
        """Number of rows, free ones included."""
        ...

    @property
    def columns(self) -> Mapping[str, Codes]:
        """One column of codes for each label name ever set in this table (length `size`; 0: not set)."""
        ...

    def instant(self, at_ms: int, lookback_ms: int, rows: Index | None) -> tuple[Index, Times, Values]:
        """Return (rows, times, values) of the newest samples in (at - look-back, at], without series that have none.

        A series whose newest sample in that span is a stale marker has none. `rows` (ascending) narrows the search. A table
        may shorten the look-back of a series to a multiple of its own poll interval.
        """
        ...

    def window(self, after_ms: int, until_ms: int, rows: Index | None) -> tuple[Index, Window]:
        """Return the samples in (after, until] of the rows (ascending; None: all) that have any there."""
        ...


class SeriesSource(Protocol):
    """The state as the rule engine sees it: read by metric, write the outputs of rules."""

    strings: Strings

    @property
    def layout(self) -> int:
        """A number that changes whenever rows were freed: what remembers rows must ask again."""
        ...

    def table(self, metric: str) -> SeriesTable | None:
        """Return the table of a metric, or None if no series of it was ever seen."""
        ...

    def metrics(self) -> Iterable[str]:
        """Return the names of all metrics that have a table."""
        ...

    def retain(self, spans: Mapping[str, int]) -> None:
        """Say how far back rules read: milliseconds by metric name (``"*"``: every metric). Replaces what was said before."""
        ...

    def handle(self, metric: str, labels: Sequence[Labels]) -> Handle:
        """Return a handle on the series with these label sets, creating what does not exist."""
        ...

    def append(self, rows: Handle, values: Sequence[float] | Values, at_ms: int) -> None:
        """Write one sample for each row of the handle."""
        ...

    def mark_stale(self, rows: Handle, at_ms: int) -> None:
        """End the series of the handle: they have no current value from `at_ms` on."""
        ...

    def rewind(self, now_ms: int) -> None:
        """Forget samples later than `now_ms`: the clock was set back."""
        ...
