"""Incident scripts: what happens when in a tree, on links, in a ring, and exactly which faults come of it."""

from __future__ import annotations

import itertools

import pytest

from collector.fault import FaultState
from collector.faults import FaultEngine
from config.contract import load_contract
from kit.incidents import Incident, device, ring, site, tree

# One device


def test_single_device_opens_at_once_with_its_true_times() -> None:
    i = Incident(device("core-1", role="core"), device("x", role="core"))
    i.down(10, "core-1")
    fault = i.only
    assert (fault.device, fault.problem, fault.reason) == ("core-1", "device-down", "icmp")
    assert (fault.began_at, fault.opened_at, fault.restored_at) == (i.at(8), i.at(10), None)
    assert fault.affected == ("core-1",)
    assert fault.id == "WK-20261122-0001"
    i.up(100, "core-1", learned=103)
    fault = i.only
    assert (fault.state, fault.restored_at) == (FaultState.RESTORED, i.at(100))
    assert [kind for kind, _fault in i.told()] == ["opened", "restored"]


def test_suspect_alone_opens_nothing() -> None:
    i = Incident(*tree())
    i.suspect(0, "core-1")
    i.apply(2, (), [i.word(2, "core-1", "up", "recovered")])
    i.run(60)
    assert i.faults == [] and i.told() == []


def test_pending_and_dropped_open_nothing_and_leave_nothing() -> None:
    i = Incident(*tree())
    i.apply(0, [i.alert(0, "acc-1", "TemperatureHigh", "pending", "minor")])
    i.apply(9, [i.alert(9, "acc-1", "TemperatureHigh", "dropped", "minor")])
    assert i.faults == [] and not i.engine.state().alarms


def test_resolved_that_was_never_fired_tells_nobody() -> None:
    i = Incident(*tree())
    i.clear(0, "acc-1", "TemperatureHigh")
    i.up(1, "acc-1")
    assert i.faults == [] and i.told() == []


def test_gone_again_while_it_waited_opens_nothing() -> None:
    i = Incident(*tree())
    i.down(0, "acc-1")
    i.up(0.4, "acc-1")
    i.run(30)
    assert i.faults == []


def test_indeterminate_never_opens_and_warning_only_what_the_contract_says() -> None:
    i = Incident(*tree())
    i.raise_(0, "acc-1", "PingLoss", "warning")
    i.raise_(0, "acc-1", "Something", "indeterminate")
    i.raise_(0, "acc-1", "Told", "info")
    i.run(60)
    assert i.faults == []
    i.raise_(61, "acc-1", "TemperatureHigh", "warning", sensor="1")
    assert (i.only.level, i.only.level_reason) == ("D", "severity warning")


# A tree


@pytest.mark.parametrize("gap", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("order", list(itertools.permutations(["core-1", "agg-1", "acc-1", "cam-1"])))
def test_core_dies_in_every_order_of_messages(order: tuple[str, ...], gap: float) -> None:
    i = Incident(*tree())
    for at, name in enumerate(order):
        i.down(at * gap, name)
    i.run(30)
    assert len(i.faults) == 1
    assert (i.only.device, i.only.affected) == ("core-1", ("acc-1", "agg-1", "cam-1", "core-1"))
    assert [kind for kind, _f in i.told()].count("opened") == 1


@pytest.mark.parametrize("order", list(itertools.permutations(["core-1", "agg-1", "acc-1"])))
def test_very_late_parents_still_leave_one_fault(order: tuple[str, ...]) -> None:
    i = Incident(*tree())
    for at, name in enumerate(order):
        i.down(at * 8.0, name)
    i.run(60)
    assert i.only.device == "core-1"
    assert i.only.affected == ("acc-1", "agg-1", "core-1")
    assert all(fault.merged_into == i.only.id for fault in i.faults if fault.state is FaultState.MERGED)


@pytest.mark.parametrize("order", list(itertools.permutations(["core-1", "agg-1", "acc-1", "cam-1"])))
def test_recovery_in_every_order_opens_nothing(order: tuple[str, ...]) -> None:
    i = Incident(*tree())
    i.down(0, *order)
    i.run(60)
    for at, name in enumerate(order):
        i.up(100 + 2 * at, name)
        i.run(100 + 2 * at + 1)
    i.run(200)
    assert i.only.state is FaultState.RESTORED
    assert i.only.affected == ("acc-1", "agg-1", "cam-1", "core-1")
    assert [kind for kind, _f in i.told()] == ["opened", "restored"]


def test_child_waits_no_longer_than_its_bound_for_a_suspect_upstream() -> None:
    i = Incident(*tree())
    i.suspect(0, "acc-1")
    i.down(1, "cam-1")
    i.run(3.9)
    assert i.faults == []
    i.run(4.0)
    assert (i.only.device, i.only.opened_at) == ("cam-1", i.at(4))


def test_child_that_was_dark_long_before_keeps_its_own_fault() -> None:
    i = Incident(*tree())
    i.down(0, "cam-1")
    i.run(600)
    i.down(600, "acc-1")
    i.run(700)
    assert [(f.device, f.state.value) for f in i.faults] == [("cam-1", "opened"), ("acc-1", "opened")]


def test_child_still_dark_opens_its_own_with_its_own_beginning() -> None:
    i = Incident(*tree())
    i.down(0, "acc-1", "cam-1", "cam-2")
    i.run(30)
    i.up(60, "acc-1", "cam-1")
    i.run(300)
    acc, cam = i.real
    assert (acc.device, acc.state, acc.restored_at) == ("acc-1", FaultState.RESTORED, i.at(60))
    assert (cam.device, cam.began_at, cam.opened_at) == ("cam-2", i.at(-2), i.at(135))


def test_agents_own_verdict_ends_the_wait_for_a_child() -> None:
    i = Incident(*tree())
    i.down(0, "acc-1", "cam-2", reason="behind")
    i.run(30)
    i.up(60, "acc-1")
    i.apply(63, (), [i.word(63, "cam-2", "down", "icmp", since=-2)])
    assert [(f.device, f.opened_at) for f in i.real] == [("acc-1", i.at(3)), ("cam-2", i.at(63))]


def test_child_alone_after_the_parents_fault_is_not_the_parents_fault_reopened() -> None:
    i = Incident(*tree())
    i.down(0, "acc-1", "cam-1")
    i.up(60, "acc-1", "cam-1")
    i.run(70)
    i.down(200, "cam-1")
    i.run(210)
    assert [(f.device, f.reopened) for f in i.real] == [("acc-1", 0), ("cam-1", 0)]


def test_parent_without_a_fired_rule_is_root_all_the_same() -> None:
    i = Incident(*tree())
    i.apply(0, (), [i.word(0, "acc-1")])
    i.apply(0, [i.alert(0, "cam-1")], [i.word(0, "cam-1", reason="behind")])
    i.run(30)
    assert (i.only.device, i.only.problem, i.only.affected) == ("acc-1", "device-down", ("acc-1", "cam-1"))
    i.apply(40, [i.alert(40, "acc-1")])
    assert i.only.device == "acc-1" and len(i.faults) == 1
    i.up(60, "acc-1", "cam-1")
    i.run(70)
    assert i.only.state is FaultState.RESTORED


def test_other_alarms_of_what_is_dark_join_and_are_judged_again() -> None:
    i = Incident(*tree())
    i.down(0, "acc-1", "cam-1")
    i.run(5)
    i.raise_(10, "cam-1", "PictureLost", "major")
    i.raise_(10, "acc-1", "TemperatureHigh", "minor", sensor="1")
    assert i.only.device == "acc-1"
    i.up(60, "acc-1", "cam-1")
    i.clear(61, "acc-1", "TemperatureHigh", "minor", sensor="1")
    i.run(300)
    assert [(f.device, f.problem) for f in i.real] == [("acc-1", "device-down"), ("cam-1", "picture-lost")]


def test_picture_lost_first_is_the_same_fault_as_camera_dark() -> None:
    i = Incident(*tree())
    i.raise_(0, "cam-1", "PictureLost")
    i.run(2)
    i.down(5, "cam-1")
    i.run(30)
    assert (i.only.device, i.only.problem) == ("cam-1", "device-down")


# Links


def test_port_and_the_device_behind_it_are_one_fault_whoever_comes_first() -> None:
    for first in ("port", "device"):
        for gap in (0.0, 1.0, 2.5, 20.0):
            i = Incident(*tree())
            for at, what in ((0, first), (gap, "device" if first == "port" else "port")):
                i.run(at)
                if what == "port":
                    i.raise_(at, "agg-1", "LinkDown", interface="Gi1/0/1")
                else:
                    i.down(at, "acc-1")
            i.run(60)
            assert (i.only.device, i.only.problem, i.only.component) == ("acc-1", "device-down", ""), (first, gap)
            i.up(100, "acc-1")
            i.run(101)
            assert i.only.state is FaultState.OPENED
            i.clear(110, "agg-1", "LinkDown", interface="Gi1/0/1")
            assert (i.only.state, i.only.restored_at) == (FaultState.RESTORED, i.at(110))


def test_port_that_leads_nowhere_known_is_its_own_fault() -> None:
    i = Incident(*tree())
    i.raise_(0, "core-1", "LinkDown", interface="Gi9")
    assert (i.only.device, i.only.component, i.only.level) == ("core-1", "Gi9", "D")


# A ring


def test_ring_survives_one_cut() -> None:
    i = Incident(*ring(), contract="broadcast-backbone")
    i.raise_(0, "core-a", "LinkDown", interface="to-n1")
    i.run(10)
    assert (i.only.effect.value, i.only.level, i.only.affected) == ("protection", "3", ("core-a",))


def test_two_cuts_are_two_records() -> None:
    i = Incident(*ring(), contract="broadcast-backbone")
    i.raise_(0, "core-a", "LinkDown", interface="to-n1")
    i.run(100)
    i.down(100, "n1", "n2", reason="behind")
    i.raise_(101, "n3", "LinkDown", interface="to-n2")
    i.run(200)
    first, second = i.real
    assert (first.device, first.component, first.effect.value, first.level) == ("core-a", "to-n1", "protection", "3")
    assert second.device in ("n1", "n2") and second.affected == ("n1", "n2")
    assert (second.effect.value, second.level, second.contributing) == ("outage", "1", (first.id,))
    i.clear(300, "core-a", "LinkDown", interface="to-n1")
    i.up(301, "n1", "n2")
    i.run(310)
    first, second = i.real
    assert (first.state, first.level) == (FaultState.RESTORED, "3")
    assert (second.state, second.level) == (FaultState.OPENED, "1")
    i.clear(400, "n3", "LinkDown", interface="to-n2")
    assert i.real[1].state is FaultState.RESTORED


@pytest.mark.parametrize("order", list(itertools.permutations(["n1", "n2", "n3"])))
def test_segment_between_two_unseen_cuts_is_one_fault(order: tuple[str, ...]) -> None:
    i = Incident(*ring(), contract="broadcast-backbone")
    for at, name in enumerate(order):
        i.down(at * 0.3, name)
    i.run(30)
    assert len(i.real) == 1
    assert i.only.affected == ("n1", "n2", "n3")


def test_device_with_two_upstreams_is_in_the_records_of_both() -> None:
    i = Incident(
        device("core-1", role="core"),
        device("agg-1", up="core-1", role="aggregation"),
        device("agg-2", up="core-1", role="aggregation"),
        device("acc", up=["agg-1", "agg-2"]),
    )
    i.down(0, "agg-1")
    i.run(60)
    assert i.only.affected == ("agg-1",)
    i.down(100, "agg-2", "acc")
    i.run(120)
    assert [(f.device, f.affected) for f in i.real] == [("agg-1", ("acc", "agg-1")), ("agg-2", ("acc", "agg-2"))]
    i.up(200, "agg-1", "acc")
    i.run(300)
    assert [(f.device, f.state.value) for f in i.real] == [("agg-1", "restored"), ("agg-2", "opened")]
    assert i.real[1].affected == ("agg-2",)


@pytest.mark.parametrize(("said", "began"), [(-9.0, -9.0), (-60.0, -2.0)])
def test_an_agent_killed_while_it_suspected_does_not_make_the_fault_younger(said: float, began: float) -> None:
    i = Incident(*tree())
    i.suspect(said, "acc-1")
    i.down(0, "acc-1")
    i.run(10)
    assert i.only.began_at == i.at(began)


def test_a_fault_that_comes_back_is_the_same_though_an_outage_above_lay_between() -> None:
    i = Incident(*tree())
    behind = ("acc-1", "cam-1", "cam-2")
    i.down(0, *behind)
    i.run(10)
    i.up(20, *behind)
    i.down(100, "core-1", "agg-1", *behind)
    i.run(110)
    i.up(120, "core-1", "agg-1", *behind)
    i.down(200, *behind)
    i.run(210)
    assert [(f.device, f.state.value, f.reopened) for f in i.real] == [("acc-1", "reopened", 1), ("core-1", "restored", 0)]
    assert i.real[0].affected == behind


def test_a_fault_ends_with_the_device_that_left_the_site_file() -> None:
    i = Incident(*tree())
    i.down(0, "cam-2")
    i.run(100)
    i.down(100, "agg-1", "acc-1", "cam-1")
    i.run(120)
    left = FaultEngine(site(*(each for each in tree() if each.name != "cam-2")), load_contract("campus-network"))
    left.load(i.engine.state())
    i.keep(left.retire(["cam-2", "cam-1"], i.at(130)))
    assert [(f.device, f.state.value) for f in i.real] == [("cam-2", "restored"), ("agg-1", "opened")]
    assert i.real[0].restored_at == i.at(130) and i.real[1].affected == ("acc-1", "agg-1", "cam-1")


def test_what_went_with_its_upstream_does_not_flap_and_is_not_missed_when_it_stays_dark() -> None:
    i = Incident(*tree())
    behind = ("acc-1", "cam-1", "cam-2")
    for start in (0, 40, 80):
        i.down(start, "agg-1", *behind)
        i.run(start + 10)
        i.up(start + 20, "agg-1", *behind)
        i.run(start + 30)
    i.down(120, *behind)
    i.run(130)
    i.up(140, "acc-1", "cam-2")
    i.run(300)
    assert [(f.device, f.state.value, f.flapping) for f in i.real if f.device != "agg-1"] == [
        ("acc-1", "restored", False),
        ("cam-1", "opened", False),
    ]
