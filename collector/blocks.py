"""Makes a block of many runs and reads it back: shared timelines, one packed column for each metric. Pure.

Runs with the same series share a timeline (a *group*); a series that was in several kinds of run is in several groups. A block
also holds the times at which series ended.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from collector.columns import ColumnError, Ints, pack_floats, pack_ints, running, unpack_floats, unpack_ints
from collector.store.samples import BlockRow
from rules.source import STALE, Times, Values

NAMED_AT_ONCE = 2_000  # series whose numbers are asked for in one go


@dataclass(slots=True)
class Group:
    """Runs with the same series: a time for each run, and the values of one run after the other."""

    times: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class Gathered:
    """What goes into a block: groups by their joined keys, and (keys, at) of series that ended."""

    groups: dict[bytes, Group] = field(default_factory=dict)
    ended: list[tuple[bytes, int]] = field(default_factory=list)

    def add(self, keys: bytes, at: int, values: Sequence[float]) -> None:
        """Take one run's samples."""
        if keys:
            group = self.groups.get(keys)
            if group is None:
                group = self.groups[keys] = Group()
            group.times.append(at)
            group.values.extend(values)


class _Timelines(msgspec.Struct, array_like=True):
    counts: bytes  # runs of each group
    firsts: bytes  # first time of each group, differences
    steps: bytes  # differences of differences of the times after the first


class _Column(msgspec.Struct, array_like=True):
    groups: bytes  # index of each group that has the metric, differences
    sizes: bytes  # series of the metric in that group
    ids: bytes  # series ids in this order, differences
    values: bytes
    ended_ids: bytes
    ended_at: bytes


_encode = msgspec.msgpack.Encoder().encode
_timelines = msgspec.msgpack.Decoder(_Timelines).decode
_column = msgspec.msgpack.Decoder(_Column).decode


def metric_of(key: bytes) -> str:
    """Return the metric name of a series key."""
    return key.partition(b"{")[0].decode()


@dataclass(slots=True)
class _Laid:
    """What was gathered as a few long arrays: groups one after the other, in each its series one after the other."""

    counts: array[int] = field(default_factory=lambda: array("q"))  # runs of each group
    times: array[int] = field(default_factory=lambda: array("q"))
    owners: array[int] = field(default_factory=lambda: array("q"))  # the group of each series
    metrics: array[int] = field(default_factory=lambda: array("q"))  # its metric, by number
    ids: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    names: dict[str, int] = field(default_factory=dict)  # metrics by name


def build(gathered: Gathered, ids: Callable[[Sequence[bytes]], Sequence[int]]) -> BlockRow | None:
    """Return the block of what was gathered, None if there is nothing. `ids` gives series their numbers, some at a time.

    Empties `gathered` as it goes: text is never there for all series at once. About 1 us a sample, most of it compression,
    which lets other threads run.
    """
    ends = [(key, at) for keys, at in gathered.ended for key in keys.split(b"\n")]
    if not gathered.groups and not ends:
        return None
    laid = _lay_out(gathered, ids)
    ended: dict[str, list[tuple[int, int]]] = {}
    for (key, at), number in zip(ends, ids([key for key, _ in ends]) if ends else (), strict=True):
        ended.setdefault(metric_of(key), []).append((number, at))
    every = np.concatenate((_whole(laid.times), np.array([at for _, at in ends], np.int64)))
    samples = len(laid.values) + len(ends)
    return BlockRow(int(every.min()), int(every.max()), samples, _pack_times(laid), _columns(laid, ended))


def _lay_out(gathered: Gathered, ids: Callable[[Sequence[bytes]], Sequence[int]]) -> _Laid:
    laid, unnamed = _Laid(), []
    groups = list(gathered.groups.items())[::-1]
    gathered.groups.clear()
    while groups:
        joined, group = groups.pop()
        keys = joined.split(b"\n")
        times, values = _matrix(group)
        laid.owners.extend(itertools.repeat(len(laid.counts), len(keys)))
        laid.counts.append(len(times))
        laid.times.frombytes(times.tobytes())
        laid.values.frombytes(values.tobytes())
        laid.metrics.extend(laid.names.setdefault(metric_of(key), len(laid.names)) for key in keys)
        unnamed += keys
        if len(unnamed) >= NAMED_AT_ONCE or not groups:
            laid.ids.extend(ids(unnamed))
            unnamed = []
    return laid


def _matrix(group: Group) -> tuple[Times, Values]:
    """Return a group's times, ascending, and its values as (series, time)."""
    times = _whole(group.times)
    order = np.argsort(times, kind="stable")
    return times[order], np.frombuffer(group.values, np.float64).reshape(len(times), -1)[order].T


def _whole(numbers: array[int]) -> Ints:
    return np.frombuffer(numbers, np.int64) if numbers else np.zeros(0, np.int64)


def _pack_times(laid: _Laid) -> bytes:
    counts, times = _whole(laid.counts), _whole(laid.times)
    starts = np.cumsum(counts) - counts
    gaps = np.diff(times, prepend=0)
    gaps[starts] = 0
    steps = np.delete(np.diff(gaps, prepend=0), starts)
    return _encode(_Timelines(pack_ints(counts), pack_ints(np.diff(times[starts], prepend=0)), pack_ints(steps)))


@dataclass(frozen=True, slots=True)
class Timelines:
    """The times of all groups of a block, one group after the other; `starts` and `counts` say where each lies."""

    times: Times
    starts: Ints
    counts: Ints


def timelines_of(block: BlockRow) -> Timelines:
    """Return a block's timelines.

    Raises:
        ColumnError: the bytes are damaged.
    """
    try:
        packed = _timelines(block.timelines)
        counts, firsts = unpack_ints(packed.counts), np.cumsum(unpack_ints(packed.firsts))
        starts = np.cumsum(counts) - counts
        first = np.zeros(int(counts.sum()), bool)
        first[starts] = True
        gaps = np.zeros(len(first), np.int64)
        gaps[~first] = unpack_ints(packed.steps)
        gaps = running(gaps, starts, counts)
        gaps[starts] = firsts
        return Timelines(running(gaps, starts, counts), starts, counts)
    except (msgspec.DecodeError, ValueError, IndexError) as error:
        raise ColumnError(f"block {block.id}: {error}") from None


def _columns(laid: _Laid, ended: Mapping[str, Sequence[tuple[int, int]]]) -> dict[str, bytes]:
    owners, metrics = _whole(laid.owners), _whole(laid.metrics)
    lengths = _whole(laid.counts)[owners]
    series = _Series(owners, lengths, np.cumsum(lengths) - lengths, _whole(laid.ids))
    values = np.frombuffer(laid.values, np.float64) if laid.values else np.zeros(0)
    columns = {}
    for metric in sorted(laid.names.keys() | ended.keys()):
        chosen = np.flatnonzero(metrics == laid.names.get(metric, -1))
        columns[metric] = _pack_column(metric, series, chosen, values, ended.get(metric, ()))
    return columns


class _Series(NamedTuple):
    """Of each series: its group, how many values it has and where they begin, its number."""

    owners: Ints
    lengths: Ints
    starts: Ints
    ids: Ints


def _pack_column(metric: str, series: _Series, chosen: Ints, values: Values, ended: Sequence[tuple[int, int]]) -> bytes:
    where, sizes = np.unique(series.owners[chosen], return_counts=True)
    lengths = series.lengths[chosen]
    shifts = series.starts[chosen] - (np.cumsum(lengths) - lengths)
    own = values[np.repeat(shifts, lengths) + np.arange(int(lengths.sum()))]
    over = np.array(ended, np.int64).reshape(-1, 2)
    return _encode(
        _Column(
            pack_ints(np.diff(where, prepend=0)),
            pack_ints(sizes),
            pack_ints(np.diff(series.ids[chosen], prepend=0)),
            pack_floats(own, lengths, metric.endswith("_seconds")) if len(own) else b"",
            pack_ints(np.diff(over[:, 0], prepend=0)),
            pack_ints(np.diff(over[:, 1], prepend=0)),
        )
    )


def read(block: BlockRow, timelines: Timelines, metric: str) -> tuple[Ints, Times, Values]:
    """Return (series ids, times, values) of all samples of one metric, in no particular order of time.

    A series' end comes as a stale marker. About 0.1 us a sample.

    Raises:
        ColumnError: the bytes are damaged.
    """
    try:
        column = _column(block.columns[metric])
        ids, times, values = _samples(timelines, column)
        ended = np.cumsum(unpack_ints(column.ended_ids)), np.cumsum(unpack_ints(column.ended_at))
    except (msgspec.DecodeError, ValueError, IndexError) as error:
        raise ColumnError(f"block {block.id}: {error}") from None
    if not len(ended[0]):
        return ids, times, values
    stale = np.full(len(ended[0]), STALE)
    return np.concatenate((ids, ended[0])), np.concatenate((times, ended[1])), np.concatenate((values, stale))


def _samples(timelines: Timelines, column: _Column) -> tuple[Ints, Times, Values]:
    where, sizes = np.cumsum(unpack_ints(column.groups)), unpack_ints(column.sizes)
    ids = np.cumsum(unpack_ints(column.ids))
    if not len(ids):
        return ids, np.zeros(0, np.int64), np.zeros(0)
    owners = np.repeat(where, sizes)
    lengths = timelines.counts[owners]
    ends = np.cumsum(lengths)
    index = np.arange(int(ends[-1])) + np.repeat(timelines.starts[owners] - (ends - lengths), lengths)
    return np.repeat(ids, lengths), timelines.times[index], unpack_floats(column.values, lengths)
