"""Spans, plans and gaps as pure decisions, against a model that simply remembers every number."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from collector import spans
from collector.ledger import MAX_SPANS, Accept, Conflict, Duplicate, EpochBook, Ledger, Scattered, plan
from probes.reason import Reason
from probes.sample import Batch, Run

RUN = Run("d", "state", 1, 0.1, Reason.OK)


def batch(seq: int, count: int, epoch: int = 1, at: int = 1000, previous: tuple[int, int] | None = None) -> Batch:
    return Batch("a", epoch, seq, at, (RUN,) * count, (), previous)


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8)).map(lambda pair: (pair[0], pair[0] + pair[1])), max_size=12)


@given(SPANS)
def test_when_spans_are_added_in_any_order_then_they_hold_the_same_numbers(added: list[tuple[int, int]]) -> None:
    held: spans.Spans = []
    model: set[int] = set()
    for first, after in added:
        model |= set(range(first, after))
        held, merged = spans.add(held, (first, after))
        assert merged[0] <= first
        assert merged[1] >= after
        assert {n for a, b in held for n in range(a, b)} == model
        assert all(b < c for (_, b), (c, _) in itertools.pairwise(held)), "merged, ascending, not touching"
    holes = {n for a, b in spans.missing(held, 3, 45) for n in range(a, b)}
    assert holes == set(range(3, 45)) - model
    assert spans.size(held) == len(model)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), max_size=20))
def test_when_batches_come_in_any_order_then_each_number_is_taken_once(batches: list[tuple[int, int]]) -> None:
    ledger, taken = Ledger(), []
    for seq, count in batches:
        made = batch(seq, count)
        decided = ledger.plan(made)
        if isinstance(decided, Accept):
            taken += [n for first, after in decided.fresh for n in range(first, after)]
            ledger.record(made, decided)
    assert len(set(taken)) == len(taken)
    assert set(taken) == {n for seq, count in batches for n in range(seq, seq + count)}


def test_when_a_later_epoch_named_the_end_then_numbers_beyond_it_are_anothers() -> None:
    books = {1: EpochBook(1000, 10, [(0, 5)]), 2: EpochBook(2000, None, [(0, 1)])}
    assert plan(batch(5, 5), books) == Accept(((5, 10),)), "its backlog, whenever it was made"
    assert plan(batch(5, 5, at=9000), books) == Accept(((5, 10),))
    assert plan(batch(8, 5), books) == Conflict(1, 2)
    assert plan(batch(0, 5), books) == Duplicate()
    assert plan(batch(0, 1, epoch=2), books) == Duplicate()


def test_when_no_end_was_named_then_the_time_decides() -> None:
    books = {1: EpochBook(1000, None, [(0, 5)]), 2: EpochBook(2000, None, [(0, 1)])}
    assert plan(batch(5, 1, at=1999), books) == Accept(((5, 6),))
    assert plan(batch(5, 1, at=2001), books) == Conflict(1, 2)


def test_when_a_batch_is_empty_then_it_is_accepted_or_known_but_never_a_conflict() -> None:
    books = {2: EpochBook(2000, None, [(0, 1)])}
    assert plan(batch(1, 0, epoch=2), books) == Accept(())
    assert plan(batch(1, 0, epoch=1, at=9000), books) == Duplicate()


def test_when_holes_never_end_then_no_more_are_made() -> None:
    books = {1: EpochBook(1000, None, [(2 * n, 2 * n + 1) for n in range(MAX_SPANS + 1)])}
    assert plan(batch(9 * MAX_SPANS, 1), books) == Scattered()
    assert plan(batch(1, 1), books) == Accept(((1, 2),)), "filling one is welcome"


def test_when_a_hole_grows_then_the_new_part_is_a_gap_of_its_own() -> None:
    ledger = Ledger()
    for made in (batch(0, 1), batch(5, 1)):
        ledger.record(made, Accept(((made.seq, made.seq + made.count),)))
    assert ledger.check_gaps(0, 100) == []
    (first,) = ledger.check_gaps(100, 100)
    assert (first.first, first.next, first.missing) == (1, 5, 4)
    later = batch(9, 1)
    ledger.record(later, Accept(((9, 10),)))
    assert ledger.check_gaps(150, 100) == []
    (second,) = ledger.check_gaps(300, 100)
    assert (second.first, second.next) == (6, 9)
    assert ledger.missing_of("a") == 7
