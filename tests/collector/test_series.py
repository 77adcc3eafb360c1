from __future__ import annotations

import math
import random

import numpy as np
import pytest

from collector.series import SeriesKeyError, SeriesLimitError, SeriesState
from probes.sample import series_key
from rules.source import STALE, stale_mask

MINUTE = 60_000


def keys(*pairs: tuple[str, str]) -> bytes:
    return b"\n".join(series_key(metric, {"device": device}) for metric, device in pairs)


def instant(state: SeriesState, metric: str, at: int) -> dict[str, tuple[int, float]]:
    table = state.table(metric)
    assert table is not None
    rows, times, values = table.instant(at, 5 * MINUTE, None)
    names = [state.strings.text(int(code)) for code in table.columns["device"][rows]]
    return dict(zip(names, zip(times.tolist(), values.tolist(), strict=True), strict=True))


def window(state: SeriesState, metric: str, after: int, until: int) -> dict[str, list[tuple[int, float]]]:
    table = state.table(metric)
    assert table is not None
    rows, found = table.window(after, until, None)
    names = [state.strings.text(int(code)) for code in table.columns["device"][rows]]
    return {
        name: [(int(found.times[k, i]), float(found.values[k, i])) for k in range(int(found.counts[i]))]
        for i, name in enumerate(names)
    }


def test_the_newest_sample_within_the_look_back() -> None:
    state = SeriesState()
    state.append(state.rows(keys(("up", "a"), ("up", "b"))), [1.0, 0.0], 1000)
    state.append(state.rows(keys(("up", "b"))), [1.0], 2000)
    assert instant(state, "up", 2000) == {"a": (1000, 1.0), "b": (2000, 1.0)}
    assert instant(state, "up", 1999) == {"a": (1000, 1.0), "b": (1000, 0.0)}
    assert instant(state, "up", 1000 + 5 * MINUTE) == {"b": (2000, 1.0)}  # left-open
    assert state.newest(series_key("up", {"device": "b"})) == (2000, 1.0)
    assert state.newest(b"nothing") is None


def test_nan_stale_and_absent_are_three_things() -> None:
    state = SeriesState()
    rows = state.rows(keys(("up", "nan"), ("up", "stale"), ("up", "odd")))
    state.append(rows, [math.nan, 1.0, STALE], 1000)
    state.mark_stale(state.rows(keys(("up", "stale"))), 2000)
    found = instant(state, "up", 3000)
    assert set(found) == {"nan", "odd"}  # a NaN that a device sent is a value, whatever its bits
    assert not stale_mask(np.array([found["odd"][1]]))[0]
    assert set(instant(state, "up", 1500)) == {"nan", "stale", "odd"}
    state.mark_stale(state.rows(keys(("up", "stale"), ("up", "never"))), 4000)
    assert state.newest(series_key("up", {"device": "never"})) is None


def test_windows_are_left_open_and_without_stale_markers() -> None:
    state = SeriesState()
    state.retain({"x": 10 * MINUTE})
    rows = state.rows(keys(("x", "a")))
    for minute in range(1, 8):
        if minute == 4:
            state.mark_stale(rows, minute * MINUTE)
        else:
            state.append(rows, [float(minute)], minute * MINUTE)
    assert window(state, "x", MINUTE, 6 * MINUTE) == {"a": [(m * MINUTE, float(m)) for m in (2, 3, 5, 6)]}
    assert window(state, "x", 3 * MINUTE, 4 * MINUTE) == {}


def test_an_unread_metric_keeps_two_samples_and_a_read_one_what_is_read() -> None:
    state = SeriesState()
    state.retain({"read": 5 * MINUTE})
    rows = state.rows(keys(("read", "a"), ("unread", "a")))
    for second in range(0, 1200, 5):
        state.append(rows, [float(second)] * 2, second * 1000)
    assert len(window(state, "unread", -1, 10**9)["a"]) == 2
    read = window(state, "read", 1195_000 - 5 * MINUTE, 1195_000)["a"]
    assert [at for at, _ in read] == list(range(900_000, 1200_000, 5000))


def test_late_samples_are_counted_and_not_taken() -> None:
    state = SeriesState()
    both = state.rows(keys(("up", "a"), ("up", "b")))
    state.append(both, [1.0, 1.0], 1000)
    state.append(state.rows(keys(("up", "a"))), [0.0], 3000)
    state.append(both, [5.0, 5.0], 2000)
    assert instant(state, "up", 4000) == {"a": (3000, 0.0), "b": (2000, 5.0)}
    state.append(both, [7.0, 7.0], 2000)
    assert state.late_samples == 3


def test_freed_rows_are_reused_and_old_handles_find_their_way() -> None:
    state = SeriesState()
    a, b = state.rows(keys(("up", "a"))), state.rows(keys(("up", "b")))
    state.append(a, [1.0], 1000)
    state.append(b, [2.0], 1000)
    state.drop(a)
    c = state.rows(keys(("up", "c")))
    state.append(c, [3.0], 2000)
    table = state.table("up")
    assert table is not None and table.size == 2
    state.append(b, [4.0], 3000)
    state.append(a, [5.0], 3000)  # the device is back: its series is new, nobody else's row is touched
    assert instant(state, "up", 3000) == {"a": (3000, 5.0), "b": (3000, 4.0), "c": (2000, 3.0)}
    assert state.sweep(2500) == 1 and set(instant(state, "up", 3000)) == {"a", "b"}


def test_after_a_clock_is_set_back_samples_are_taken_again() -> None:
    state = SeriesState()
    state.retain({"up": 5 * MINUTE})
    rows = state.rows(keys(("up", "a")))
    for at in (1000, 2000, 9_000_000):
        state.append(rows, [float(at)], at)
    state.rewind(2500)
    state.append(rows, [3.0], 3000)
    assert window(state, "up", 0, 10**8) == {"a": [(2000, 2000.0), (3000, 3.0)]}  # 1000 had given way


def test_bad_keys_and_too_many_are_refused_whole() -> None:
    state = SeriesState(max_series=2)
    with pytest.raises(SeriesKeyError, match="not a series key"):
        state.rows(b'up{device="a"}\nup{device="')
    with pytest.raises(SeriesKeyError):
        state.rows(b"\xff{")
    state.rows(keys(("up", "a"), ("up", "b")))
    with pytest.raises(SeriesLimitError, match="at most 2"):
        state.rows(keys(("up", "c")))
    assert len(state) == 2


def test_exposition_gives_current_values_only_in_pieces() -> None:
    state = SeriesState()
    rows = state.rows(b"\n".join(series_key("up", {"device": f"d{n}"}) for n in range(12)))
    state.append(rows, [float(n) for n in range(12)], 1000)
    state.mark_stale(state.rows(keys(("up", "d3"))), 2000)
    chunks = list(state.exposition_chunks(5))
    assert [len(chunk[1]) for chunk in chunks] == [4, 5, 2]
    assert b'up{device="d3"}' not in [key for _, each, _, _ in chunks for key in each]


def test_against_a_plain_model() -> None:
    """Random writes, drops and growth against lists of samples."""
    rng = random.Random(7)
    state, model = SeriesState(), {}
    state.retain({"m0": 3 * MINUTE, "m1": 40_000})
    at = 0
    for _ in range(3000):
        at += rng.choice((1, 500, 1000, 7000))
        chosen = rng.sample([(f"m{m}", f"d{d}") for m in range(3) for d in range(30)], rng.randint(1, 12))
        rows = state.rows(keys(*chosen))
        action = rng.random()
        if action < 0.02:
            state.drop(rows)
            for pair in chosen:
                model.pop(pair, None)
        else:
            values = [rng.random() for _ in chosen]
            state.append(rows, values, at)
            for pair, value in zip(chosen, values, strict=True):
                model.setdefault(pair, []).append((at, value))
    for metric, span in (("m0", 3 * MINUTE), ("m1", 40_000)):
        wanted = {}
        for (name, device), samples in model.items():
            inside = [s for s in samples if at - span < s[0] <= at]
            if name == metric and inside:
                wanted[device] = inside
        assert window(state, metric, at - span, at) == wanted
    assert instant(state, "m2", at) == {
        d: s[-1] for (m, d), s in model.items() if m == "m2" and s and s[-1][0] > at - 5 * MINUTE
    }
