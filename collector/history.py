"""A few days of samples on disk, at three bytes each or less: raw batches first, packed into blocks every five minutes.

A raw batch is exchanged for its block in one transaction, so nothing acknowledged is lost whenever the process dies. Owns how
history is packed, read and thinned out; the SQL is `collector.store.samples`'s, the bytes `collector.blocks`'s.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from collector import blocks
from collector.blocks import Gathered, metric_of
from collector.store import samples
from collector.store.database import Store
from collector.store.samples import RawRow
from config.site import Retention
from probes import wire
from probes.sample import Run
from rules.source import STALE, Times, Values

BLOCK_SAMPLES = 4_000_000  # at most, in one block
_IDS_AT_ONCE = 2_000  # series named in one transaction
_SEEN_SLACK_MS = 6 * 3_600_000
_ROWS_AT_ONCE = 8 << 20  # bytes of raw batches read under one lock


class Own(msgspec.Struct, array_like=True, frozen=True):
    """Samples the collector made itself: keys joined by line feeds, event time, a value for each."""

    keys: bytes
    at: int
    values: tuple[float, ...]


class Extra(msgspec.Struct, array_like=True, frozen=True):
    """What the collector adds to a batch: its own samples, and series (joined keys, at) that ended with it."""

    own: list[Own]
    ended: list[tuple[bytes, int]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Extra).decode


def pack_extra(extra: Extra) -> bytes | None:
    """Return the packed extra, None for an empty one."""
    return zlib.compress(_encode(extra), 1) if extra.own or extra.ended else None


def unpack_extra(data: bytes | None) -> Extra:
    """Return what `pack_extra` packed."""
    return Extra([], []) if data is None else _decode(zlib.decompress(data))


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one compaction did."""

    batches: int
    samples: int
    bytes: int


def gather(rows: Iterable[RawRow], into: Gathered) -> int:
    """Add the samples of raw batches to what goes into a block; returns how many there were. About 20 us a run."""
    count = 0
    for row in rows:
        for run in gather_row(row, into):
            count += len(run.values)
    return count


def gather_row(row: RawRow, into: Gathered) -> Iterator[Run]:
    """Add the samples of one raw batch; yields its runs."""
    for payload in wire.frames(row.frame):
        for run in wire.decode(payload).runs:
            into.add(run.keys, run.at, run.values)
            yield run
    extra = unpack_extra(row.extra)
    for own in extra.own:
        into.add(own.keys, own.at, own.values)
    into.ended += extra.ended


def compact(store: Store, step: Callable[[str], None] = lambda step: None) -> Compacted:
    """Exchange the raw batches there are for a block. For a thread: takes seconds for millions of samples.

    `step` is called between the steps, for tests that end the process there.

    Raises:
        StoreError: as `Store.transaction`.
    """
    gathered, first, last, batches, count = Gathered(), 0, 0, 0, 0
    while count < BLOCK_SAMPLES:
        with store.reading() as connection:
            rows = samples.load_raw(connection, after=last, max_bytes=_ROWS_AT_ONCE)
        if not rows:
            break
        first, last, batches = first or rows[0].id, rows[-1].id, batches + len(rows)
        count += gather(rows, gathered)
    if not batches:
        return Compacted(0, 0, 0)
    step("gathered")
    newest = _newest(gathered)
    block = blocks.build(gathered, lambda keys: _name(store, keys, newest))
    step("built")
    with store.transaction() as connection:
        samples.replace_raw(connection, (first, last), block)
        step("replaced")
    return Compacted(batches, block.samples if block else 0, block.bytes if block else 0)


def waiting(store: Store, since: int) -> bool:
    """Say if there is a raw batch that came before `since` (ms)."""
    with store.reading() as connection:
        oldest = samples.oldest_raw(connection)
    return oldest is not None and oldest <= since


def _newest(gathered: Gathered) -> int:
    return max((max(group.times) for group in gathered.groups.values()), default=0)


def _name(store: Store, keys: Sequence[bytes], at: int) -> list[int]:
    found: list[int] = []
    for start in range(0, len(keys), _IDS_AT_ONCE):
        with store.transaction() as connection:
            part = [key.decode() for key in keys[start : start + _IDS_AT_ONCE]]
            found += samples.series_ids(connection, part, at, _SEEN_SLACK_MS)
    return found


def retain(store: Store, retention: Retention, now: int) -> int:
    """Delete blocks beyond the age or, oldest first, until the database is within its size; returns how many.

    Raises:
        StoreError: as `Store.transaction`.
    """
    with store.transaction() as connection:
        gone = samples.expire(connection, now - int(retention.max_age_s * 1000))
    while store.used_bytes() > retention.max_bytes:
        with store.transaction() as connection:
            deleted = samples.delete_oldest(connection)
        if not deleted:
            break
        gone += deleted
    if gone:
        with store.transaction() as connection:
            oldest = samples.first_block(connection)
            samples.forget_series(connection, (now if oldest is None else oldest) - 2 * _SEEN_SLACK_MS)
        store.shrink()
    return gone


def read(
    connection: sqlite3.Connection,
    metric: str,
    first_at: int,
    last_at: int,
    wanted: Callable[[bytes], bool] = lambda key: True,
) -> dict[bytes, tuple[Times, Values]]:
    """Return the samples of one metric's series in [first_at, last_at] ms, by series key: times ascending, values.

    A stale marker (`rules.source.STALE`) says that the series ended there. `wanted` chooses by key.
    """
    parts = _of_blocks(connection, (metric,), first_at, last_at).get(metric, [])
    gathered = Gathered()
    gather(samples.load_raw(connection), gathered)
    keys: dict[int, bytes] = {number: key.encode() for number, key in samples.series_keys(connection, metric)}
    raw_keys, raw = flat_of(gathered, lambda key: metric_of(key) == metric)
    shift = max(keys, default=0) + 1  # numbers for what has none yet
    numbers = {key: number for number, key in keys.items()}
    known = np.array([numbers.get(key, shift + n) for n, key in enumerate(raw_keys)], np.int64)
    keys |= {shift + n: key for n, key in enumerate(raw_keys) if key not in numbers}
    if len(raw.ids):
        parts.append(Flat(known[raw.ids], raw.times, raw.values))
    return _by_key(sorted_flat(parts, first_at, last_at), {n: key for n, key in keys.items() if wanted(key)})


@dataclass(frozen=True, slots=True)
class Flat:
    """Samples of many series: the number of its series, time (ms) and value of each."""

    ids: NDArray[np.int64]
    times: Times
    values: Values


def _of_blocks(
    connection: sqlite3.Connection, names: Sequence[str] | None, first_at: int, last_at: int
) -> dict[str, list[Flat]]:
    """Return what the blocks that touch a span of time hold of some metrics (None: all)."""
    found: dict[str, list[Flat]] = defaultdict(list)
    for block in samples.load_blocks(connection, first_at, last_at, names):
        timelines = blocks.timelines_of(block)
        for metric in block.columns:
            found[metric].append(Flat(*blocks.read(block, timelines, metric)))
    return found


def flat_of(gathered: Gathered, wanted: Callable[[bytes], bool] = lambda key: True) -> tuple[list[bytes], Flat]:
    """Return series keys, and the samples gathered of them; series are numbered by their place in the list."""
    numbers: dict[bytes, int] = {}
    parts: list[Flat] = []
    for joined, group in gathered.groups.items():
        rows = [(row, key) for row, key in enumerate(joined.split(b"\n")) if wanted(key)]
        if rows:
            ids = np.array([numbers.setdefault(key, len(numbers)) for _, key in rows], np.int64)
            times = np.array(group.times, np.int64)
            values = np.array(group.values).reshape(len(times), -1)[:, [row for row, _ in rows]]
            parts.append(Flat(np.tile(ids, len(times)), np.repeat(times, len(ids)), values.reshape(-1)))
    ends = [
        (numbers.setdefault(key, len(numbers)), at) for keys, at in gathered.ended for key in keys.split(b"\n") if wanted(key)
    ]
    if ends:
        over = np.array(ends, np.int64)
        parts.append(Flat(over[:, 0], over[:, 1], np.full(len(over), STALE)))
    return list(numbers), _concatenated(parts)


def _concatenated(parts: Sequence[Flat]) -> Flat:
    if not parts:
        return Flat(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Flat(*(np.concatenate(each) for each in zip(*((p.ids, p.times, p.values) for p in parts), strict=True)))


def sorted_flat(parts: Sequence[Flat], first_at: int, last_at: int) -> Flat:
    """Return all samples in [first_at, last_at] by series and time; of two at the same time the first part's."""
    every = _concatenated(parts)
    inside = (every.times >= first_at) & (every.times <= last_at)
    ids, times, values = every.ids[inside], every.times[inside], every.values[inside]
    order = np.lexsort((times, ids))
    ids, times, values = ids[order], times[order], values[order]
    new = np.ones(len(ids), bool)
    new[1:] = (ids[1:] != ids[:-1]) | (times[1:] != times[:-1])
    return Flat(ids[new], times[new], values[new])


def _by_key(every: Flat, keys: Mapping[int, bytes]) -> dict[bytes, tuple[Times, Values]]:
    numbers, starts = np.unique(every.ids, return_index=True)
    ends = [*starts.tolist(), len(every.ids)][1:]
    return {
        keys[number]: (every.times[start:end], every.values[start:end])
        for number, start, end in zip(numbers.tolist(), starts.tolist(), ends, strict=True)
        if number in keys
    }


def recent(connection: sqlite3.Connection, first_at: int, last_at: int) -> Iterator[tuple[str, list[bytes], Flat]]:
    """Yield (metric, keys, samples) of what the blocks hold since `first_at`: ids count the keys, samples are sorted."""
    for metric, parts in _of_blocks(connection, None, first_at, last_at).items():
        every = sorted_flat(parts, first_at, last_at)
        names = {number: key.encode() for number, key in samples.series_keys(connection, metric)}
        numbers, places = np.unique(every.ids, return_inverse=True)
        yield metric, [names.get(number, b"") for number in numbers.tolist()], Flat(places, every.times, every.values)


def metrics(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all metrics the history has."""
    gathered = Gathered()
    gather(samples.load_raw(connection), gathered)
    raw = {metric_of(key) for joined in gathered.groups for key in joined.split(b"\n")}
    return sorted(raw | set(samples.column_metrics(connection)))
