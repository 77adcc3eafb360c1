"""A few days of samples on disk, at three bytes each or less: raw batches first, packed into blocks every ten minutes.

A raw batch is exchanged for its block in one transaction, so nothing acknowledged is lost whenever the process dies. Owns how
history is packed, read and thinned out; the SQL is `collector.store.samples`'s, the bytes `collector.blocks`'s.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from collector import blocks
from collector.blocks import Gathered, metric_of
from collector.store import samples
from collector.store.database import Store
from collector.store.samples import RawRow
from config.site import Retention
from probes import wire
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
        for payload in wire.frames(row.frame):
            for run in wire.decode(payload).runs:
                into.add(run.keys, run.at, run.values)
                count += len(run.values)
        extra = unpack_extra(row.extra)
        for own in extra.own:
            into.add(own.keys, own.at, own.values)
            count += len(own.values)
        into.ended += extra.ended
    return count


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
    block = blocks.build(gathered, lambda keys: _name(store, keys, _newest(gathered)))
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
    parts = [*_of_blocks(connection, metric, first_at, last_at), *_of_raw(connection, metric)]
    return _joined(((key, times, values) for key, times, values in parts if wanted(key)), first_at, last_at)


def read_blocks(connection: sqlite3.Connection, metric: str, first_at: int, last_at: int) -> dict[bytes, tuple[Times, Values]]:
    """Return what `read` returns, without what is not in a block yet."""
    return _joined(_of_blocks(connection, metric, first_at, last_at), first_at, last_at)


def _joined(found: Iterable[tuple[bytes, Times, Values]], first_at: int, last_at: int) -> dict[bytes, tuple[Times, Values]]:
    parts: dict[bytes, list[tuple[Times, Values]]] = defaultdict(list)
    for key, times, values in found:
        inside = (times >= first_at) & (times <= last_at)
        if inside.any():
            parts[key].append((times[inside], values[inside]))
    return {key: _merged(part) for key, part in parts.items()}


def _of_blocks(
    connection: sqlite3.Connection, metric: str, first_at: int, last_at: int
) -> Iterator[tuple[bytes, Times, Values]]:
    keys: dict[int, bytes] = {}
    for block in samples.load_blocks(connection, first_at, last_at, (metric,)):
        if not keys:
            keys = {number: key.encode() for number, key in samples.series_keys(connection, metric)}
        for number, times, values in blocks.read(block, metric):
            yield keys.get(number, b""), times, values


def _of_raw(connection: sqlite3.Connection, metric: str) -> Iterator[tuple[bytes, Times, Values]]:
    gathered = Gathered()
    gather(samples.load_raw(connection), gathered)
    for joined, group in gathered.groups.items():
        for row, key in enumerate(joined.split(b"\n")):
            if metric_of(key) == metric:
                yield key, np.array(group.times, np.int64), np.array([values[row] for values in group.values])
    for joined, at in gathered.ended:
        for key in joined.split(b"\n"):
            if metric_of(key) == metric:
                yield key, np.array([at], np.int64), np.array([STALE])


def _merged(found: Sequence[tuple[Times, Values]]) -> tuple[Times, Values]:
    """Return all parts as one series; of samples with the same time the first part's is kept."""
    times, values = np.concatenate([t for t, _ in found]), np.concatenate([v for _, v in found])
    kept, where = np.unique(times, return_index=True)
    return kept, values[where]


def metrics(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all metrics the history has."""
    gathered = Gathered()
    gather(samples.load_raw(connection), gathered)
    raw = {metric_of(key) for joined in gathered.groups for key in joined.split(b"\n")}
    return sorted(raw | set(samples.column_metrics(connection)))
