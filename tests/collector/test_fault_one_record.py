"""One record for one thing, whoever speaks first: a port and what it leads to, mains and what they feed; and while it flaps."""

from __future__ import annotations

import itertools

import pytest

from collector.engine_settings import EngineSettings
from collector.fault import FaultState
from collector.fault_json import fault_json
from collector.faults import FaultEngine
from collector.flap import Damper
from collector.steps import IllegalStep
from config.contract import load_contract
from config.site import Device
from kit.incidents import Incident, device, site, tree
from rules.alert import Gone

PORT = "Gi1/0/17"
DARK = ("cam-1", "cam-2", "x17-sw", "x17-ups")


def crossing() -> list[Device]:
    feeds = ["x17-sw", "cam-1", "cam-2"]
    return [
        device("core-1", role="core"),
        device("x17-sw", up=[("core-1", PORT)], place="x17"),
        device("x17-ups", "ups", [("x17-sw", "Gi1/0/8")], place="x17", powers=feeds),
        device("cam-1", "camera", [("x17-sw", "Gi1/0/1")], place="x17"),
        device("cam-2", "camera", [("x17-sw", "Gi1/0/2")], place="x17"),
    ]


def say(i: Incident, what: str, when: float) -> None:
    i.run(when)
    if what == "port":
        i.raise_(when, "core-1", "LinkDown", interface=PORT)
    elif what == "mains":
        i.raise_(when, "x17-ups", "UpsOnBattery")
    elif what == "switch":
        i.down(when, "x17-sw")
    else:
        i.down(when, "x17-ups", "cam-1", "cam-2", reason="behind")


def last(i: Incident, name: str) -> str:
    """Return the fault that another ended up in."""
    into = {fault.id: fault.merged_into for fault in i.faults}
    while into[name]:
        name = into[name]
    return name


@pytest.mark.parametrize("gap", [0.0, 0.3, 1.0, 2.9, 3.1, 5.0, 8.0])
@pytest.mark.parametrize("order", list(itertools.permutations(["port", "mains", "switch", "rest"])))
def test_port_switch_mains_and_battery_end_are_one_fault_in_every_order(order: tuple[str, ...], gap: float) -> None:
    i = Incident(*crossing(), contract="crossing-video")
    for at, what in enumerate(order):
        say(i, what, at * gap)
    i.run(60)
    fault = i.only
    assert (fault.device, fault.problem, fault.affected) == ("x17-ups", "mains-lost", DARK)
    assert {last(i, each.id) for each in i.faults} == {fault.id}
    i.clear(100, "core-1", "LinkDown", interface=PORT)
    i.up(101, "x17-sw", "x17-ups", "cam-1", "cam-2")
    i.clear(102, "x17-ups", "UpsOnBattery")
    i.run(300)
    assert (i.only.state, i.only.affected, i.only.reopened) == (FaultState.RESTORED, DARK, 0)


@pytest.mark.parametrize("gap", [0.0, 0.3, 1.0, 2.9, 3.1, 5.0, 8.0])
@pytest.mark.parametrize("order", list(itertools.permutations(["port", "switch", "rest"])))
def test_port_and_switch_without_news_of_the_mains_are_one_fault_too(order: tuple[str, ...], gap: float) -> None:
    i = Incident(*crossing(), contract="crossing-video")
    for at, what in enumerate(order):
        say(i, what, at * gap)
    i.run(60)
    assert (i.only.device, i.only.problem, i.only.affected) == ("x17-sw", "device-down", DARK)


def test_a_port_waits_for_the_verdict_on_what_it_leads_to() -> None:
    i = Incident(*crossing())
    i.raise_(0, "core-1", "LinkDown", interface=PORT)
    i.suspect(2, "x17-sw")
    i.run(4)
    assert i.faults == []
    i.down(5.5, "x17-sw")
    i.run(20)
    assert (i.only.device, len(i.faults)) == ("x17-sw", 1), "not even one that is merged"


def test_a_port_does_not_wait_for_ever() -> None:
    i = Incident(*crossing())
    i.raise_(0, "core-1", "LinkDown", interface=PORT)
    i.suspect(2, "x17-sw")
    i.run(30)
    assert (i.only.device, i.only.opened_at) == ("core-1", i.at(6))


def test_a_port_that_led_to_what_died_later_keeps_its_own_fault() -> None:
    i = Incident(*crossing())
    i.raise_(0, "core-1", "LinkDown", interface=PORT)
    i.run(600)
    i.down(600, "x17-sw")
    i.run(700)
    assert [(f.device, f.problem) for f in i.real] == [("core-1", "link-down"), ("x17-sw", "device-down")]


def test_after_a_move_of_the_root_only_what_is_dark_is_affected() -> None:
    i = Incident(*tree())
    i.raise_(0, "agg-1", "LinkDown", interface="Gi1/0/1")
    i.run(4)
    assert (i.only.device, i.only.affected) == ("agg-1", ("agg-1",))
    i.down(5, "acc-1", "cam-1", "cam-2")
    i.run(30)
    assert (i.only.device, i.only.affected, i.only.recovered) == ("acc-1", ("acc-1", "cam-1", "cam-2"), ())
    i.up(60, "acc-1", "cam-1", "cam-2")
    i.clear(61, "agg-1", "LinkDown", interface="Gi1/0/1")
    i.run(300)
    assert (i.only.state, i.only.affected) == (FaultState.RESTORED, ("acc-1", "cam-1", "cam-2"))


# Flaps


def test_six_quick_transitions_are_a_flap_and_the_fault_stays_open_until_it_is_calm() -> None:
    i = Incident(*tree())
    for turn in range(20):
        (i.raise_ if turn % 2 == 0 else i.clear)(2 * turn, "acc-1", "LinkDown", interface="Gi1/0/9")
        i.run(2 * turn + 1.9)
        if turn == 5:
            assert i.only.flapping and i.only.state is FaultState.REOPENED, "its sixth change was a recovery: not believed"
    steps = i.steps(i.only)
    assert (steps.count("reopened"), steps.count("restored"), steps.count("flapping")) == (2, 2, 1)
    assert fault_json(i.engine.view(i.only.id))["reopened"] == 2  # type: ignore[arg-type]
    i.run(2 * 19 + 599)
    assert i.only.flapping
    i.run(2 * 19 + 601)
    assert (i.only.state, i.only.restored_at, i.only.flapping) == (FaultState.RESTORED, i.at(38), False)


@pytest.mark.parametrize(("every", "told"), [(10, 6), (30, 8)])
def test_a_port_every_ten_seconds_or_a_camera_every_thirty_is_one_record(every: int, told: int) -> None:
    i = Incident(*tree())
    for turn in range(180 // every):
        when = turn * every
        if every == 10:
            (i.raise_ if turn % 2 == 0 else i.clear)(when, "acc-1", "LinkDown", interface="Gi1/0/9")
        else:
            (i.down if turn % 2 == 0 else i.up)(when, "cam-1")
        i.run(when + every - 1)
    assert len(i.faults) == 1
    assert len(i.told()) <= told, i.told()
    assert [step for step in i.steps(i.only) if step == "level"] == []
    assert i.only.flapping is (every == 10), "a change every half minute is one short of it after three minutes"


def test_the_dampers_figures_are_settings() -> None:
    quick = EngineSettings(damper=Damper(half_life_s=10.0, start=5.0, stop=3.0))
    i = Incident(*tree(), settings=quick)
    for turn in range(4):
        (i.raise_ if turn % 2 == 0 else i.clear)(turn, "acc-1", "LinkDown", interface="Gi1/0/9")
    assert i.only.flapping
    i.run(30)
    assert i.only.state is FaultState.RESTORED


# Ends that nobody saw


def test_an_alarm_whose_rule_is_gone_ends_even_if_its_device_is_silent() -> None:
    i = Incident(*tree())
    i.raise_(0, "acc-1", "TemperatureHigh", sensor="1")
    i.run(10)
    i.apply(20, (), [i.word(20, "acc-1", "suspect")])
    end = i.alert(30, "acc-1", "TemperatureHigh", "resolved", "major", sensor="1")
    i.apply(30, [type(end)(end.kind, end.rule, end.labels, end.annotations, end.active_at, end.at, 0.0, Gone.RULE)])
    assert i.only.state is FaultState.RESTORED
    told = [h for d in i.decisions for h in d.history if h.step == "alarm-gone"]
    assert [h.fields["reason"] for h in told] == ["its rule was removed"]


def test_when_devices_leave_the_site_then_no_fault_of_theirs_hangs() -> None:
    for gone in (["acc-1"], ["acc-1", "cam-1", "cam-2"], ["agg-1"], ["core-1", "agg-1", "acc-1"]):
        i = Incident(*tree())
        i.raise_(0, "agg-1", "TemperatureHigh", sensor="1")
        i.down(1, "acc-1", "cam-1", "cam-2")
        i.run(60)
        left = site(*(each for each in tree() if each.name not in gone))
        engine = FaultEngine(left, load_contract("campus-network"))
        engine.load(i.engine.state())
        i.engine = engine
        i.keep(engine.retire(gone, i.at(70)))
        i.run(400)
        still = {
            fault.device
            for fault in i.real
            if fault.state is not FaultState.RESTORED and fault.state is not FaultState.OBSERVED
        }
        assert still.isdisjoint(gone), gone
        assert set(still) <= {"agg-1", "acc-1", "cam-1", "cam-2"}


# Steps long after


def test_a_fault_over_long_ago_may_be_noted_and_reopened() -> None:
    i = Incident(*tree())
    i.down(0, "core-1")
    i.up(60, "core-1")
    i.keep(i.engine.act(i.only.id, "close", "li", i.at(100)))
    i.run(5000)
    old = i.only
    assert i.engine.view(old.id) is None
    for step, allowed in (("ack", False), ("note", True), ("confirm", False), ("reopen", True)):
        i.engine.recall(i.only) if i.engine.view(old.id) is None else None
        if not allowed:
            with pytest.raises(IllegalStep) as caught:
                i.engine.act(old.id, step, "li", i.at(6000))
            assert caught.value.allowed == ("reopen", "note")
            assert i.engine.view(old.id) is None, "nothing is left behind"
            continue
        i.keep(i.engine.act(old.id, step, "li", i.at(6000), "seen again"))
    assert (i.only.state, i.only.reopened, i.only.by_hand) == (FaultState.REOPENED, 1, True)
    i.run(9000)
    i.keep(i.engine.act(old.id, "restore", "li", i.at(9000)))
    assert i.only.state is FaultState.RESTORED
