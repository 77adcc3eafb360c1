"""Power and paths: what a dead switch, a dead UPS and a cut line make of everything behind them."""

from __future__ import annotations

import pytest

from simulator.spec import DeviceSpec, LinkSpec
from simulator.topology import Damage, Topology


def device(name: str, *upstream: str | LinkSpec, powers: tuple[str, ...] = ()) -> DeviceSpec:
    links = tuple(LinkSpec(link) if isinstance(link, str) else link for link in upstream)
    return DeviceSpec(name, "switch", "127.9.9.9", upstream=links, powers=powers)


TREE = Topology(
    [
        device("core"),
        device("sw", LinkSpec("core", "p1")),
        device("cam", LinkSpec("sw", "p1")),
        device("ups", LinkSpec("sw", "p2"), powers=("sw", "cam")),
        device("ups-2", LinkSpec("core", "p3"), powers=("cam",)),
        device("far", "cam"),
    ]
)
RING = Topology([device("core"), device("a", "core", "b"), device("b", "a", "c"), device("c", "b", "core")])


def reachable(topology: Topology, damage: Damage, dark: frozenset[str] = frozenset()) -> set[str]:
    return set(topology.view(damage, lambda name: name not in dark).paths)


EVERYTHING = {"core", "sw", "cam", "ups", "ups-2", "far"}


@pytest.mark.parametrize(
    ("damage", "without"),
    [
        (Damage(), set()),
        (Damage(dead={"sw"}), {"sw", "cam", "ups", "far"}),
        (Damage(dead={"cam"}), {"cam", "far"}),
        (Damage(dead={"ups"}), {"ups", "sw", "cam", "far"}),  # the camera has current from the other one, but no way
        (Damage(dead={"ups-2"}), {"ups-2"}),
        (Damage(cut={("sw", "core")}), {"sw", "cam", "ups", "far"}),
        (Damage(closed={("sw", "p1")}), {"cam", "far"}),
        (Damage(closed={("sw", "p9")}), set()),
        (Damage(dead={"core"}), EVERYTHING),
    ],
)
def test_what_falls_silent(damage: Damage, without: set[str]) -> None:
    assert reachable(TREE, damage) == EVERYTHING - without


def test_an_empty_battery_is_dark_itself() -> None:
    assert reachable(TREE, Damage(), frozenset({"ups"})) == {"core", "ups-2"}


def test_two_feeds_are_better_than_one() -> None:
    view = TREE.view(Damage(), lambda name: name != "ups")
    assert "cam" in view.on
    assert "cam" not in TREE.view(Damage(dead={"ups-2"}), lambda name: name != "ups").on


def test_a_ring_survives_one_cut_and_not_two() -> None:
    assert reachable(RING, Damage(cut={("a", "core")})) == {"core", "a", "b", "c"}
    assert reachable(RING, Damage(cut={("a", "core"), ("b", "c")})) == {"core", "c"}
    assert reachable(RING, Damage(dead={"b"})) == {"core", "a", "c"}


def test_loss_adds_up_along_the_way() -> None:
    paths = TREE.view(Damage(loss={"sw": 0.5, "cam": 0.5}), lambda name: True).paths
    assert paths["core"] == 0
    assert paths["sw"] == pytest.approx(0.5)
    assert paths["far"] == pytest.approx(0.75)


def test_ports_go_dark_with_what_hangs_on_them() -> None:
    assert TREE.view(Damage(), lambda name: True).dark == set()
    assert ("sw", "p1") in TREE.view(Damage(dead={"cam"}), lambda name: True).dark
    assert ("core", "p1") in TREE.view(Damage(cut={("sw", "core")}), lambda name: True).dark
    assert TREE.view(Damage(closed={("core", "p7")}), lambda name: True).dark == {("core", "p7")}
