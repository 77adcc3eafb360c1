"""The columnar state of all series: the newest samples and as much history as the loaded rules read.

Owns what the collector knows of every series now. A poll with the same series costs one look-up by digest and one vectorised
write. Never keeps long-term history, never judges. Single-threaded: belongs to the event loop's thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from collector.series_arena import MAX_RING, Arena
from collector.series_table import Table
from probes.sample import parse_key, series_key
from rules.source import NAN_BITS, NEVER, STALE, Index, Labels, Mask, Strings, Times, Values, stale_mask

SLACK_MS = 60_000  # samples kept beyond what rules read: late evaluations and jittering polls
_NAN = np.array([NAN_BITS], np.int64).view(np.float64)[0]


class SeriesKeyError(ValueError):
    """Bytes that are not a series key; the text shows their beginning."""


class SeriesLimitError(ValueError):
    """More series than this state may hold; nothing of the request was taken."""


class Rows:
    """The rows of some series keys, resolved once. Stays valid: it resolves itself again after rows moved or were freed."""

    __slots__ = ("_place", "_seen", "keys")

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Remember the keys; their rows are found at the first write."""
        self.keys = keys
        self._seen: tuple[int, int] | None = None
        self._place: Index | None = None  # a `_Place`, one row for each of its fields

    def __len__(self) -> int:
        return len(self.keys)


class _Place(NamedTuple):
    """Where rows lie now: global row, first ring cell, ring stride, ring length, milliseconds to keep; table number, row.

    Kept as one array for all seven: there are as many as devices times lanes.
    """

    row: Index
    base: Index
    stride: Index
    ring: Index
    keep: Times
    table: Index
    local: Index


class SeriesState:
    """All series, by metric. Implements `rules.source.SeriesSource`."""

    def __init__(self, max_series: int = 2_000_000) -> None:
        """Start empty; more than `max_series` series are refused with `SeriesLimitError`."""
        self.strings = Strings()
        self.layout = 0
        self.late_samples = 0  # older than the newest of their series, not taken
        self._arena = Arena()
        self._tables: list[Table] = []
        self._by_metric: dict[str, Table] = {}
        self._index: dict[bytes, int] = {}  # key -> table number << 32 | row
        self._polls: dict[bytes, Rows] = {}  # digest of joined keys -> rows
        self._spans: Mapping[str, int] = {}
        self._max = max_series
        self._slabs = np.zeros((0, 5), np.int64)  # start, ring base, cap, ring, keep of every table
        self._located = -1  # the arena's moves when `_slabs` was taken
        self._seen = (0, 0)  # layout and moves as the last rows found them

    def __len__(self) -> int:
        return len(self._index)

    def __contains__(self, key: bytes) -> bool:
        return key in self._index

    @property
    def sample_bytes(self) -> int:
        """Bytes held for samples (rings and newest values), without keys and labels."""
        return self._arena.nbytes

    # reading

    def table(self, metric: str) -> Table | None:
        """Return the table of a metric, or None if no series of it was ever seen."""
        return self._by_metric.get(metric)

    def metrics(self) -> Collection[str]:
        """Return the names of all metrics that have a table."""
        return self._by_metric.keys()

    def newest(self, key: bytes) -> tuple[int, float] | None:
        """Return (time, value) of a series' newest sample, or None: unknown, without samples, or ended."""
        packed = self._index.get(key)
        if packed is None:
            return None
        times, values = self._tables[packed >> 32].newest()
        at, value = times[packed & 0xFFFF_FFFF], values[packed & 0xFFFF_FFFF : (packed & 0xFFFF_FFFF) + 1]
        return None if at == NEVER or stale_mask(value)[0] else (int(at), float(value[0]))

    def tables(self) -> Iterator[Table]:
        """Yield the tables, sorted by metric name: for /metrics, with `Table.keys` and `Table.newest`."""
        for name in sorted(self._by_metric):
            yield self._by_metric[name]

    # finding rows

    def rows(self, keys: bytes) -> Rows:
        """Return the rows of series keys joined by line feeds, creating series that are new.

        Raises:
            SeriesKeyError: one of them is not a series key.
            SeriesLimitError: they would be more series than allowed.
        """
        digest = hashlib.blake2b(keys, digest_size=16).digest()
        found = self._polls.get(digest)
        if found is None:
            found = Rows(keys.split(b"\n") if keys else [])
            self._resolve(found)
            if len(self._polls) > max(4096, 2 * len(self._index)):
                self._polls.clear()
            self._polls[digest] = found
        return found

    def handle(self, metric: str, labels: Sequence[Labels]) -> Rows:
        """Return the rows of the series of one metric with these label sets, creating what does not exist."""
        keys = [series_key(metric, each) for each in labels]
        missing = [(key, metric, each) for key, each in zip(keys, labels, strict=True) if key not in self._index]
        if missing:
            self._add(missing)
        return Rows(keys)

    def _resolve(self, rows: Rows) -> _Place:
        index = self._index
        missing = [key for key in rows.keys if key not in index]
        if missing:
            self._create(dict.fromkeys(missing))
        packed = np.array([index[key] for key in rows.keys], np.int64)
        if missing:  # keep one copy of the bytes of a key
            rows.keys = [self._tables[n >> 32].keys[n & 0xFFFF_FFFF] or b"" for n in packed.tolist()]
        return self._locate(rows, packed >> 32, packed & 0xFFFF_FFFF)

    def _locate(self, rows: Rows, table: Index, local: Index) -> _Place:
        if self._located != self._arena.moves:
            slabs = [(t.slab.start, t.slab.ring_base, t.slab.cap, t.slab.ring, t.keep_ms) for t in self._tables]
            self._slabs, self._located = np.array(slabs, np.int64).reshape(-1, 5), self._arena.moves
        rows._place = place = np.empty((len(_Place._fields), len(local)), np.int64)
        place[:5], place[5], place[6] = self._slabs[table].T, table, local
        place[:2] += local
        if (seen := (self.layout, self._arena.moves)) != self._seen:
            self._seen = seen
        rows._seen = self._seen
        return _Place(*place)

    def _create(self, keys: Iterable[bytes]) -> None:
        parsed = []
        for key in keys:
            try:
                parsed.append((key, *_parsed(key)))
            except (ValueError, IndexError):
                raise SeriesKeyError(f"not a series key: {key[:80]!r}") from None
        self._add(parsed)

    def _add(self, series: Sequence[tuple[bytes, str, Labels]]) -> None:
        if len(self._index) + len(series) > self._max:
            raise SeriesLimitError(f"{len(self._index)} series, and {len(series)} more; at most {self._max} are held")
        for key, metric, labels in series:
            if key not in self._index:
                table = self._by_metric.get(metric) or self._new_table(metric)
                self._index[key] = table.number << 32 | table.add(key, labels)

    def _new_table(self, metric: str) -> Table:
        table = Table(metric, len(self._tables), self._arena, self.strings)
        self._tables.append(table)
        self._by_metric[metric] = table
        table.keep_ms = self._keep(metric)
        return table

    # writing

    def append(self, rows: Rows, values: Sequence[float] | Values, at_ms: int) -> None:
        """Write one sample for each row, all with the same event time. About 12 us, and 0.05 us for each row.

        A sample that is not newer than its series' newest is counted in `late_samples` and not taken.
        """
        taken = np.array(values, np.float64)
        odd = np.isnan(taken)
        if odd.any():
            taken[odd] = _NAN
        self._write(rows, taken, at_ms)

    def append_each(self, rows: Rows, values: Values, times: Times) -> None:
        """Write one sample for each row, each with an event time of its own: for taking back what was stored."""
        self._write(rows, values, times)

    def mark_stale(self, rows: Rows, at_ms: int) -> None:
        """Write a stale marker for each row: the series has no current value from `at_ms` on."""
        if len(rows):
            place = self._placed(rows)
            open_ends = ~stale_mask(self._arena.newest_v[place.row]) & (self._arena.newest_t[place.row] != NEVER)
            if open_ends.any():
                self._write(rows, np.full(len(rows), STALE), at_ms)

    def _placed(self, rows: Rows) -> _Place:
        if rows._place is None or rows._seen is None or rows._seen[0] != self.layout:
            return self._resolve(rows)
        if rows._seen[1] != self._arena.moves:
            return self._locate(rows, *rows._place[5:])
        return _Place(*rows._place)

    def _write(self, rows: Rows, values: Values, at_ms: int | Times) -> None:
        if not len(rows):
            return
        place, arena = self._placed(rows), self._arena
        head = arena.head[place.row]
        cell = place.base + head * place.stride
        crowded = arena.ring_t[cell] > at_ms - place.keep
        if crowded.any() and self._lengthened(place, crowded & (arena.newest_t[place.row] < at_ms)):
            self._write(rows, values, at_ms)
            return
        where, ring = place.row, place.ring
        fresh = arena.newest_t[where] < at_ms
        if not fresh.all():
            self.late_samples += len(where) - int(fresh.sum())
            where, ring, head, cell, values = where[fresh], ring[fresh], head[fresh], cell[fresh], values[fresh]
            at_ms = at_ms if isinstance(at_ms, int) else at_ms[fresh]
        arena.ring_t[cell], arena.ring_v[cell] = at_ms, values
        head += 1
        arena.head[where] = np.where(head >= ring, 0, head)
        arena.newest_t[where], arena.newest_v[where] = at_ms, values

    def _lengthened(self, place: _Place, crowded: Mask) -> bool:
        """Lengthen the rings in which a sample that rules still read is about to be overwritten; say if there was one."""
        crowded &= place.ring < MAX_RING
        numbers = np.unique(place.table[crowded]).tolist()
        for number in numbers:
            self._tables[number].lengthen()
        return bool(numbers)

    # keeping

    def retain(self, spans: Mapping[str, int]) -> None:
        """Say how far back rules read, in milliseconds by metric name (``"*"``: every metric); the rest keeps two samples."""
        self._spans = dict(spans)
        for table in self._tables:
            table.keep_ms = self._keep(table.metric)
        self._located = -1
        self._arena.moves += 1

    def keep_ms(self, metric: str) -> int:
        """Return how many milliseconds of a metric's samples are kept because rules read them; 0: nobody does."""
        return self._keep(metric)

    def _keep(self, metric: str) -> int:
        span = max(self._spans.get(metric, -1), self._spans.get("*", -1))
        return 0 if span < 0 else span + SLACK_MS

    def drop(self, rows: Rows) -> None:
        """Forget the series of these rows; their rows are free for others. Unknown keys are not an error."""
        self._forget(rows.keys)

    def sweep(self, before_ms: int) -> int:
        """Forget the series without a sample since `before_ms`; return how many. About 0.1 us a series."""
        old: list[bytes] = []
        for table in self._tables:
            times, _ = table.newest()
            old += [key for row in np.flatnonzero(times < before_ms).tolist() if (key := table.keys[row]) is not None]
        self._forget(old)
        return len(old)

    def _forget(self, keys: Iterable[bytes]) -> None:
        gone = [packed for key in keys if (packed := self._index.pop(key, None)) is not None]
        for packed in gone:
            self._tables[packed >> 32].remove(packed & 0xFFFF_FFFF)
        if gone:
            self.layout += 1
            self._polls.clear()

    def rewind(self, now_ms: int) -> None:
        """Forget samples later than `now_ms`: after a clock was set back they would hide everything that follows."""
        for table in self._tables:
            table.rewind(now_ms)

    # for /metrics

    def exposition_chunks(self, size: int = 5000) -> Iterator[tuple[str, list[bytes], Times, Values]]:
        """Yield (metric, keys, times, values) of the series that have a current value, at most `size` rows at a time.

        Sorted by metric; a caller may give way between chunks (what comes or goes meanwhile may be in or out).
        """
        for table in list(self.tables()):
            for first in range(0, table.size, size):
                times, values = table.newest()
                chosen = first + np.flatnonzero(
                    (times[first : first + size] != NEVER) & ~stale_mask(values[first : first + size])
                )
                keys = [table.keys[row] or b"" for row in chosen.tolist()]
                yield table.metric, keys, times[chosen], values[chosen]


def _parsed(key: bytes) -> tuple[str, Labels]:
    """Return (metric, labels) of a key: 2 us where nothing is escaped, else `parse_key`."""
    text = key.decode()
    metric, brace, inner = text.partition("{")
    if not brace or "\\" in text or not inner.endswith('"}'):
        return parse_key(key)
    pairs = [each.partition('="') for each in inner[:-2].split('",')]
    if not all(middle and name and '"' not in value for name, middle, value in pairs):
        raise ValueError(text)
    return metric, tuple((name, value) for name, _, value in pairs)
