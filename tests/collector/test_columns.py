"""Columns come back as they went in, whatever the numbers, and take few bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.blocks import Gathered, build, read, timelines_of
from collector.columns import ColumnError, pack_floats, pack_ints, unpack_floats, unpack_ints
from rules.source import stale_mask

INT64 = st.integers(-(1 << 62), (1 << 62) - 1)
FLOATS = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-(10**12), 10**12).map(float),
    st.integers(-(10**6), 10**6).map(lambda n: n / 10),
    st.sampled_from([0.0, -0.0, 1e300, 5e-324, float(1 << 53), float("inf")]),
)


@given(st.lists(INT64, max_size=200))
def test_when_integers_are_packed_then_they_come_back(values: list[int]) -> None:
    array = np.array(values, np.int64)
    assert (unpack_ints(pack_ints(array)) == array).all()


@settings(deadline=None)
@given(st.lists(st.lists(FLOATS, min_size=1, max_size=12), min_size=1, max_size=8))
def test_when_floats_are_packed_then_every_bit_comes_back(series: list[list[float]]) -> None:
    lengths = np.array([len(each) for each in series], np.int64)
    values = np.array([value for each in series for value in each])
    back = unpack_floats(pack_floats(values, lengths, measured=False), lengths)
    assert back.tobytes() == values.tobytes()


def test_when_seconds_were_measured_then_they_come_back_to_the_microsecond() -> None:
    values = np.random.default_rng(1).uniform(0.0001, 5, 100)
    back = unpack_floats(pack_floats(values, np.array([60, 40], np.int64), measured=True), np.array([60, 40], np.int64))
    assert np.abs(back - values).max() <= 0.5e-6


@given(st.binary(max_size=200))
def test_when_a_column_is_damaged_then_it_says_so(data: bytes) -> None:
    try:
        unpack_floats(data, np.array([3, 2], np.int64))
    except ColumnError:
        return
    assert True


def test_when_a_block_is_built_then_all_its_runs_come_back() -> None:
    gathered = Gathered()
    for at, value in ((1000, 1.5), (61_003, 2.5), (120_999, 2.25)):
        gathered.add(b'a{device="x"}\nb{device="x"}', at, (value, 7.0))
    gathered.add(b'a{device="y"}', 500, (3.0,))
    gathered.ended.append((b'a{device="x"}\nb{device="x"}', 200_000))
    names: dict[bytes, int] = {}
    block = build(gathered, lambda keys: [names.setdefault(key, 10 * len(names) + 3) for key in keys])
    assert block is not None
    assert (block.first_at, block.last_at, block.samples) == (500, 200_000, 9)
    ids, times, values = read(block, timelines_of(block), "a")
    assert list(zip(ids.tolist(), times.tolist(), strict=True)) == [
        (3, 1000), (3, 61_003), (3, 120_999), (23, 500), (3, 200_000),
    ]  # fmt: skip
    assert values[:4].tolist() == [1.5, 2.5, 2.25, 3.0]
    assert stale_mask(values).tolist() == [False] * 4 + [True]
    assert read(block, timelines_of(block), "b")[2][:3].tolist() == [7.0, 7.0, 7.0]


def test_when_runs_come_out_of_order_then_a_block_has_them_in_order() -> None:
    gathered = Gathered()
    for at in (3000, 1000, 2000):
        gathered.add(b"a", at, (float(at),))
    block = build(gathered, lambda keys: range(len(keys)))
    assert block is not None
    _, times, values = read(block, timelines_of(block), "a")
    assert times.tolist() == [1000, 2000, 3000] == values.tolist()


def test_when_there_is_nothing_then_there_is_no_block() -> None:
    assert build(Gathered(), lambda keys: range(len(keys))) is None


def test_when_a_block_is_damaged_then_reading_says_so() -> None:
    gathered = Gathered()
    gathered.add(b"a", 1, (1.0,))
    block = build(gathered, lambda keys: range(len(keys)))
    assert block is not None
    block.columns["a"] = block.columns["a"][:-3]
    with pytest.raises(ColumnError):
        read(block, timelines_of(block), "a")
