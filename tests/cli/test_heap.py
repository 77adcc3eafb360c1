"""The garbage collector's manners: what is old is set aside, what leaks is found, everything is given back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator

import pytest

from cli import heap
from cli.heap import Heap
from config.clock import SystemClock


class Knot:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.itself = self


def knots() -> int:
    return sum(isinstance(each, Knot) for each in gc.get_objects())


@pytest.fixture
def tended() -> Iterator[Heap]:
    gc.collect()
    with Heap(SystemClock()) as found:
        yield found
    gc.collect()


def test_the_collectors_own_manners_come_back() -> None:
    before = gc.get_threshold()
    with Heap(SystemClock()):
        assert gc.get_threshold() != before
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_garbage_of_the_day_is_found(tended: Heap) -> None:
    kept = [Knot() for _ in range(100)]
    kept.clear()
    gc.collect()
    gc.unfreeze()
    assert knots() == 0


def test_what_was_set_aside_is_looked_at_once_too_much_gathers(tended: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    gc.freeze()
    assert not tended.weigh()
    kept = [Knot() for _ in range(1000)]
    gc.freeze()
    kept.clear()
    assert not tended.weigh(), "a thousand are not worth a halt"
    monkeypatch.setattr(heap, "LEAK", 1.0)
    assert tended.weigh()
    gc.unfreeze()
    assert knots() == 0


async def test_tending_sets_aside_while_starting_and_collects_afterwards(tended: Heap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "STARTING_S", 0.02)
    monkeypatch.setattr(heap, "START_EVERY_S", 0.01)
    monkeypatch.setattr(heap, "EVERY_S", 0.01)
    task = asyncio.create_task(tended.tend())
    await asyncio.sleep(0.1)
    Knot()
    count = gc.get_stats()[2]["collections"]
    await asyncio.sleep(0.1)
    assert gc.get_stats()[2]["collections"] > count
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    gc.unfreeze()
    assert knots() == 0
