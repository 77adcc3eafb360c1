"""Uptime and counters: a wrap is no reboot, a reset is no traffic, and what cannot be known is not told."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.counters import TICKS_WRAP_S, Change, RateReason, Reading, Uptime, UptimeTracker, rate, uptime_change

DAY_S = 86400.0


@pytest.mark.parametrize("step_s", [60, 300, 3600])
def test_a_wrap_of_uptime_is_no_reboot(step_s: int) -> None:
    tracker, age = UptimeTracker(), TICKS_WRAP_S - 10 * step_s
    for number in range(40):
        tracker.observe(Uptime(sys=(age + number * step_s) % TICKS_WRAP_S), number * step_s)
    assert tracker.reboots == 0
    assert math.isclose(tracker.uptime_s() or 0, age + 39 * step_s)


@pytest.mark.parametrize("booted_ago_s", [1, 100, 299])
def test_a_reboot_just_before_the_wrap_is_one_reboot(booted_ago_s: float) -> None:
    tracker = UptimeTracker()
    tracker.observe(Uptime(sys=497.0 * DAY_S), 0)
    assert tracker.observe(Uptime(sys=booted_ago_s), 300) is Change.REBOOTED
    tracker.observe(Uptime(sys=booted_ago_s + 300), 600)
    assert tracker.reboots == 1


@pytest.mark.parametrize(
    ("old", "new", "elapsed_s", "change"),
    [
        (Uptime(sys=100), Uptime(sys=160), 60, Change.WENT_ON),
        (Uptime(sys=100), Uptime(sys=20), 60, Change.REBOOTED),
        (Uptime(sys=10), Uptime(sys=3000), 3600, Change.REBOOTED),  # younger than when it was last seen
        (Uptime(sys=100), Uptime(), 60, Change.UNKNOWN),
        (Uptime(), Uptime(sys=5), 60, Change.UNKNOWN),
        (Uptime(sys=9000, host=9000), Uptime(sys=5, host=9060), 60, Change.AGENT_RESTARTED),
        (Uptime(sys=9000, host=9000), Uptime(sys=5, host=6), 60, Change.REBOOTED),
        (Uptime(sys=9000, boots=3), Uptime(sys=9060, boots=4), 60, Change.REBOOTED),
        (Uptime(sys=9000, engine=9000), Uptime(sys=9060, engine=3), 60, Change.REBOOTED),
        (Uptime(sys=TICKS_WRAP_S - 10, engine=50e6), Uptime(sys=50, engine=50e6 + 60), 60, Change.WRAPPED),
    ],
)
def test_what_happened_between_two_readings(old: Uptime, new: Uptime, elapsed_s: float, change: Change) -> None:
    assert uptime_change(old, new, elapsed_s) is change


def test_silence_is_no_reboot() -> None:
    tracker = UptimeTracker()
    tracker.observe(Uptime(sys=1000), 0)
    tracker.observe(Uptime(sys=8200), 7200)  # nothing was heard for two hours
    assert tracker.reboots == 0


STEPS = st.lists(
    st.tuples(
        st.integers(1, 400),  # seconds to the next answered poll
        st.floats(0, 1),  # share of the line rate
        st.sampled_from(["", "", "", "", "", "reboot", "discontinuity", "cached"]),
    ),
    min_size=1,
    max_size=12,
)


def _follow(bits: int, line_rate: float, first: int, steps: list[tuple[int, float, str]]) -> None:
    """Simulate a counter, and compare every rate with the truth."""
    true, at, uptime, mark = first, 0, 1000.0, 0
    old = Reading(true % (1 << bits), 0, uptime, mark)
    for seconds, load, event in steps:
        at += seconds
        moved = 0 if event == "cached" else int(load * line_rate * seconds)
        true, uptime = true + moved, uptime + (0 if event == "cached" else seconds)
        if event in ("reboot", "discontinuity"):
            true = int(load * line_rate * min(seconds, 3))
            mark += event == "discontinuity"
            uptime = 3.0 if event == "reboot" else uptime
        new = Reading(true % (1 << bits), at, uptime, mark)
        found = rate(old, new, bits=bits, line_rate=line_rate, rebooted=event == "reboot")
        if found.per_second is not None:
            assert event not in ("reboot", "discontinuity")
            assert 0 <= found.per_second <= line_rate * 1.1
            assert math.isclose(found.per_second, moved / seconds, rel_tol=0.01, abs_tol=1e-6)
        elif event == "" and (bits == 64 or seconds < (1 << 32) / line_rate / 2):
            raise AssertionError(f"no rate where there is one: {found}")
        old = new


def _check(bits: int, line_rate: float, first: int, steps: list[tuple[int, float, str]]) -> None:
    _follow(bits, line_rate, first % (1 << bits) if bits == 32 else first % (1 << 62), steps)


RATES = st.sampled_from([1.25e6, 12.5e6, 125e6, 1.25e9, 12.5e9])
FIRST = st.one_of(st.integers(0, 1 << 33), st.integers((1 << 32) - 10_000_000, 1 << 32), st.integers(0, 1 << 62))


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([32, 64]), RATES, FIRST, STEPS)
def test_a_rate_is_true_or_there_is_none(bits: int, line_rate: float, first: int, steps: list[tuple[int, float, str]]) -> None:
    _check(bits, line_rate, first, steps)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=100_000, deadline=None)
@given(st.sampled_from([32, 64]), RATES, FIRST, STEPS)
def test_a_hundred_thousand_counters(bits: int, line_rate: float, first: int, steps: list[tuple[int, float, str]]) -> None:
    _check(bits, line_rate, first, steps)


@pytest.mark.parametrize(
    ("old", "new", "bits", "line_rate", "reason"),
    [
        (None, Reading(1, 0), 64, None, RateReason.FIRST),
        (Reading(5, 0, 10), Reading(5, 10, 10), 64, None, RateReason.CACHED),
        (Reading(5, 0, 10), Reading(5, 10, 20), 64, None, RateReason.OK),
        (Reading(5, 0), Reading(4, 10), 64, None, RateReason.RESET),
        (Reading(5, 0), Reading(4, 10), 32, None, RateReason.RESET),
        (Reading((1 << 32) - 5, 0), Reading(5, 10), 32, 125e6, RateReason.WRAPPED),
        (Reading(3_000_000_000, 0), Reading(5, 10), 32, 1.25e6, RateReason.RESET),
        (Reading(5, 0), Reading(9, 60), 32, 125e6, RateReason.AMBIGUOUS),
        (Reading(5, 10), Reading(9, 10), 64, None, RateReason.AMBIGUOUS),
        (Reading(5, 0), Reading(10**12, 1), 64, 125e6, RateReason.RESET),
    ],
)
def test_why_there_is_a_rate_or_none(
    old: Reading | None, new: Reading, bits: int, line_rate: float | None, reason: RateReason
) -> None:
    assert rate(old, new, bits=bits, line_rate=line_rate).reason is reason
