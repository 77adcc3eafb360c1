"""Makes a block of many runs and reads it back: shared timelines, one packed column for each metric. Pure.

Runs with the same series share a timeline (a *group*); a series that was in several kinds of run is in several groups. A block
also holds the times at which series ended.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from collector.columns import ColumnError, Ints, pack_floats, pack_ints, running, unpack_floats, unpack_ints
from collector.store.samples import BlockRow
from rules.source import STALE, Times, Values


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
            group = self.groups.setdefault(keys, Group())
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


def build(gathered: Gathered, ids: Callable[[Sequence[bytes]], Sequence[int]]) -> BlockRow | None:
    """Return the block of what was gathered, None if there is nothing. `ids` gives series their numbers.

    About 1 us a sample, most of it compression, which lets other threads run.
    """
    groups = [(keys.split(b"\n"), *_matrix(group)) for keys, group in gathered.groups.items()]
    ends = [(key, at) for keys, at in gathered.ended for key in keys.split(b"\n")]
    if not groups and not ends:
        return None
    names = list(dict.fromkeys([key for keys, _, _ in groups for key in keys] + [key for key, _ in ends]))
    number = dict(zip(names, ids(names), strict=True))
    columns = _columns(groups, ends, number)
    every = np.concatenate([times for _, times, _ in groups] + [np.array([at for _, at in ends], np.int64)])
    samples = sum(values.size for _, _, values in groups) + len(ends)
    return BlockRow(int(every.min()), int(every.max()), samples, _pack_times([times for _, times, _ in groups]), columns)


def _matrix(group: Group) -> tuple[Times, Values]:
    """Return a group's times, ascending, and its values as (series, time)."""
    times = np.array(group.times, np.int64)
    order = np.argsort(times, kind="stable")
    return times[order], np.array(group.values, np.float64).reshape(len(times), -1)[order].T


def _pack_times(timelines: Sequence[Times]) -> bytes:
    counts = np.array([len(t) for t in timelines], np.int64)
    firsts = np.array([t[0] for t in timelines], np.int64)
    steps = [np.diff(np.diff(t), prepend=0) for t in timelines if len(t) > 1]
    flat = np.concatenate(steps) if steps else np.zeros(0, np.int64)
    return _encode(_Timelines(pack_ints(counts), pack_ints(np.diff(firsts, prepend=0)), pack_ints(flat)))


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


def _columns(
    groups: Sequence[tuple[list[bytes], Times, Values]], ends: Sequence[tuple[bytes, int]], number: Mapping[bytes, int]
) -> dict[str, bytes]:
    rows: dict[str, dict[int, list[int]]] = {}
    for index, (keys, _, _) in enumerate(groups):
        for row, key in enumerate(keys):
            rows.setdefault(metric_of(key), {}).setdefault(index, []).append(row)
    ended: dict[str, list[tuple[int, int]]] = {}
    for key, at in ends:
        ended.setdefault(metric_of(key), []).append((number[key], at))
    return {
        metric: _pack_column(metric, groups, rows.get(metric, {}), ended.get(metric, []), number)
        for metric in sorted(rows.keys() | ended.keys())
    }


def _pack_column(
    metric: str,
    groups: Sequence[tuple[list[bytes], Times, Values]],
    rows: Mapping[int, list[int]],
    ended: Sequence[tuple[int, int]],
    number: Mapping[bytes, int],
) -> bytes:
    where = np.array(list(rows), np.int64)
    sizes = np.array([len(chosen) for chosen in rows.values()], np.int64)
    ids = np.array([number[groups[index][0][row]] for index, chosen in rows.items() for row in chosen], np.int64)
    values = [groups[index][2][chosen].reshape(-1) for index, chosen in rows.items()]
    lengths = np.repeat(np.array([len(groups[index][1]) for index in rows], np.int64), sizes)
    measured = metric.endswith("_seconds")
    packed = pack_floats(np.concatenate(values), lengths, measured) if values else b""
    over = np.array(ended, np.int64).reshape(-1, 2)
    return _encode(
        _Column(
            pack_ints(np.diff(where, prepend=0)),
            pack_ints(sizes),
            pack_ints(np.diff(ids, prepend=0)),
            packed,
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
