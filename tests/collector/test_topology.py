from __future__ import annotations

import random

import pytest

from collector.flap import Damper
from collector.topology import Paths, Topology
from kit.incidents import device

DAMPER = Damper()


def graph(**ups: str) -> Topology:
    found = {name: device(name, up=tuple(above.split())) for name, above in ups.items()}
    return Topology(found)


def test_tree() -> None:
    t = graph(core="", agg="core", acc="agg", cam="acc", other="core")
    assert t.entries == {"core"}
    assert t.affected_by(["agg"]) == {"agg", "acc", "cam"}
    assert t.dependants("acc") == {"cam"}
    paths = Paths(t, {"agg", "acc", "cam"})
    assert [paths.roots(name) for name in ("cam", "acc", "agg", "other")] == [("agg",), ("agg",), ("agg",), ("other",)]


def test_pair_and_ring_need_all_ways_lost() -> None:
    t = graph(a="", b="", x="a b", r1="a r2", r2="r1 r3", r3="r2 b")
    assert t.affected_by(["a"]) == {"a"}
    assert t.affected_by(["a", "b"]) == {"a", "b", "x", "r1", "r2", "r3"}
    assert t.affected_by(["r1", "r3"]) == {"r1", "r2", "r3"}
    assert Paths(t, {"a"}).is_open("r1")
    assert not Paths(t, {"a", "b"}).is_open("r2")
    assert not Paths(t, {"b"}, {("a", "r1"), ("a", "x")}).is_open("r2")
    assert Paths(t, {"r1", "r2", "r3"}).roots("r2") == ("r1", "r3")
    cut = {("a", "r1"), ("b", "r3")}
    assert Paths(t, {"r1", "r2", "r3"}, cut).roots("r2") == ("r1", "r2", "r3")


def test_power_counts_with_what_is_behind() -> None:
    found = [device("core"), device("acc", up="core"), device("cam", up="acc"), device("ups", up="acc", powers=["acc", "gone"])]
    t = Topology({d.name: d for d in found})
    assert t.dependants("ups") == {"acc", "cam"}
    assert t.powered_by["acc"] == ["ups"]


def test_ring_without_an_entry_takes_its_core() -> None:
    found = [device("x", up="y"), device("y", up=["x", "z"], role="core"), device("z", up="y")]
    assert Topology({d.name: d for d in found}).entries == {"y"}
    assert graph(b="a", a="b").entries == {"a"}


def test_names_that_are_no_device_and_loops_are_left_out() -> None:
    t = graph(a="a nowhere", b="a a")
    assert (t.upstream["a"], t.upstream["b"], t.entries) == ((), ("a",), {"a"})
    assert t.leads_to("a", "p1") == ()


@pytest.mark.parametrize("seed", range(20))
def test_affected_by_agrees_with_plain_search(seed: int) -> None:
    dice = random.Random(seed)
    names = [f"d{n}" for n in range(25)]
    ups = {name: " ".join(dice.sample(names, dice.choice((0, 1, 1, 2)))) for name in names}
    t = graph(**ups)

    def reached(gone: set[str]) -> set[str]:
        found, stack = set(), [name for name in t.entries if name not in gone]
        while stack:
            at = stack.pop()
            if at not in found and at not in gone:
                found.add(at)
                stack += t.downstream.get(at, [])
        return found

    for _ in range(10):
        gone = set(dice.sample(names, dice.choice((1, 2, 3))))
        lost = reached(set()) - reached(gone)
        assert t.affected_by(gone) == lost | gone
        paths = Paths(t, gone)
        for name in names:
            if name not in gone:
                assert paths.is_open(name) == (name in reached(gone))
                assert (paths.roots(name) == (name,)) == (name in reached(gone))


def test_deep_chain_needs_no_recursion() -> None:
    names = [f"d{n}" for n in range(5000)]
    t = graph(**{name: names[at - 1] if at else "" for at, name in enumerate(names)})
    paths = Paths(t, set(names))
    assert paths.roots(names[-1]) == ("d0",) == paths.roots(names[77])
    assert Paths(t, {names[-1]}).is_open(names[-2])


def test_six_quick_transitions_flap_and_slow_ones_never_do() -> None:
    exponent = 0.0
    verdicts = []
    for n in range(7):
        exponent = DAMPER.struck(exponent, n * 1000 - 1000, n * 1000)
        verdicts.append(DAMPER.flaps(exponent, False))
    assert verdicts == [False] * 5 + [True, True]
    exponent = 0.0
    for n in range(1000):
        exponent = DAMPER.struck(exponent, (n - 1) * 94_000, n * 94_000)
        assert not DAMPER.flaps(exponent, False)


def test_flapping_ends_well_below_where_it_starts() -> None:
    exponent = 8.0
    end = DAMPER.calm_at(exponent, 1000)
    assert end == 1000 + 600_000
    assert DAMPER.flaps(DAMPER.faded(exponent, 1000, end - 1), True)
    assert not DAMPER.flaps(DAMPER.faded(exponent, 1000, end), True)
    assert DAMPER.struck(8.0, 0, 0) == 8.0 and DAMPER.calm_at(1.0, 5) == 5
    assert DAMPER.faded(4.0, 1000, 0) == 4.0
