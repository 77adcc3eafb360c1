"""Caps on series: by device and metric, by device, agent and metric; counted anew as they were counted before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collector.keys import Key
from collector.limits import Limits
from collector.quota import Quota
from collector.series import SeriesState
from probes.sample import series_key

WIDE = Limits()


def keys(device: str, metric: str, count: int, first: int = 0) -> list[Key]:
    named = [series_key(metric, {"device": device, "row": str(first + n)}) for n in range(count)]
    return [Key(key, metric) for key in named]


def kept(quota: Quota, device: str, metric: str, count: int, first: int = 0) -> int:
    return sum(quota.take("agent", device, keys(device, metric, count, first)))


@pytest.mark.parametrize(
    ("limits", "same", "other_metric", "other_device"),
    [
        (replace(WIDE, series_per_device_metric=5), 0, 3, 3),
        (replace(WIDE, series_per_device=5), 0, 0, 3),
        (replace(WIDE, series_per_metric=5), 0, 3, 0),
        (replace(WIDE, series_per_agent=5), 0, 0, 0),
    ],
    ids=["device and metric", "device", "metric", "agent"],
)
@pytest.mark.parametrize("settled", [False, True], ids=["same request", "next request"])
def test_each_cap_holds(limits: Limits, same: int, other_metric: int, other_device: int, settled: bool) -> None:
    quota = Quota(limits, lambda key: False)
    quota.begin()
    assert kept(quota, "a", "m", 7) == 5
    if settled:
        quota.settle()
    assert kept(quota, "a", "m", 3, first=100) == same
    assert kept(quota, "a", "other", 3) == other_metric
    assert kept(quota, "b", "m", 3) == other_device


def test_what_was_not_applied_counts_for_nothing() -> None:
    quota = Quota(replace(WIDE, series_per_device=5), lambda key: False)
    quota.begin()
    assert kept(quota, "a", "m", 7) == 5
    quota.begin()
    assert kept(quota, "a", "m", 7) == 5


@pytest.mark.parametrize("cap", ["series_per_device_metric", "series_per_device", "series_per_metric", "series_per_agent"])
def test_counted_anew_the_caps_are_as_full_as_before(cap: str) -> None:
    series = SeriesState()
    quota = Quota(replace(WIDE, **{cap: 5}), series.__contains__)
    series.rows(b"\n".join(key.key for key in keys("a", "m", 4)))
    quota.recount(series.tables(), series.strings, lambda device: "agent")
    assert kept(quota, "a", "m", 4) == 4, "those that exist"
    assert kept(quota, "a", "m", 3, first=100) == 1
