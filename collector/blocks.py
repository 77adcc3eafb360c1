"""Makes a block of many runs and reads it back: shared timelines, one packed column for each metric. Pure.

Runs with the same series share a timeline (a *group*); a series that was in several kinds of run is in several groups. A block
also holds the times at which series ended.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from collector.columns import ColumnError, Ints, pack_floats, pack_ints, unpack_floats, unpack_ints
from collector.store.samples import BlockRow
from rules.source import STALE, Times, Values


@dataclass(slots=True)
class Group:
    """Runs with the same series: `keys` joined by line feeds, a time and a row of values for each run."""

    times: list[int] = field(default_factory=list)
    values: list[Sequence[float]] = field(default_factory=list)


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
            group.values.append(values)


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
    return times[order], np.array(group.values, np.float64)[order].T


def _pack_times(timelines: Sequence[Times]) -> bytes:
    counts = np.array([len(t) for t in timelines], np.int64)
    firsts = np.array([t[0] for t in timelines], np.int64)
    steps = [np.diff(np.diff(t), prepend=0) for t in timelines if len(t) > 1]
    flat = np.concatenate(steps) if steps else np.zeros(0, np.int64)
    return _encode(_Timelines(pack_ints(counts), pack_ints(np.diff(firsts, prepend=0)), pack_ints(flat)))


def _unpack_times(data: bytes) -> list[Times]:
    packed = _timelines(data)
    counts, firsts = unpack_ints(packed.counts), np.cumsum(unpack_ints(packed.firsts))
    steps = unpack_ints(packed.steps)
    ends = np.cumsum(counts - 1)
    found = []
    for count, first, end in zip(counts.tolist(), firsts.tolist(), ends.tolist(), strict=True):
        gaps = np.cumsum(steps[end - count + 1 : end])
        found.append(np.concatenate(([first], first + np.cumsum(gaps))).astype(np.int64))
    return found


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


def read(block: BlockRow, metric: str) -> Iterator[tuple[int, Times, Values]]:
    """Yield (series id, times, values) of one metric; a series may come several times, and its end comes as a stale marker.

    Raises:
        ColumnError: the bytes are damaged.
    """
    try:
        yield from _read(_unpack_times(block.timelines), _column(block.columns[metric]))
    except (msgspec.DecodeError, ValueError, IndexError) as error:
        raise ColumnError(f"block {block.id}: {error}") from None


def _read(timelines: Sequence[Times], column: _Column) -> Iterator[tuple[int, Times, Values]]:
    where, sizes = np.cumsum(unpack_ints(column.groups)), unpack_ints(column.sizes)
    ids = np.cumsum(unpack_ints(column.ids))
    owners = np.repeat(where, sizes)
    lengths: Ints = np.array([len(timelines[group]) for group in owners.tolist()], np.int64)
    values = unpack_floats(column.values, lengths) if len(ids) else np.zeros(0)
    stops = np.cumsum(lengths)
    for number, group, length, stop in zip(ids.tolist(), owners.tolist(), lengths.tolist(), stops.tolist(), strict=True):
        yield number, timelines[group], values[stop - length : stop]
    ended = zip(
        np.cumsum(unpack_ints(column.ended_ids)).tolist(), np.cumsum(unpack_ints(column.ended_at)).tolist(), strict=True
    )
    for number, at in ended:
        yield number, np.array([at], np.int64), np.array([STALE])
