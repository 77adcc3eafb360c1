"""Incident scripts of mains, agents, flaps, late news and size, and exactly which faults come of them."""

from __future__ import annotations

import itertools

import pytest

from collector.alarm import Suppression
from collector.fault import FaultState
from kit.incidents import START, Incident, device, power, tree

# Power


def test_mains_ups_switch_cameras_are_one_fault_whose_level_rises() -> None:
    i = Incident(*power(), contract="government-office")
    i.raise_(0, "ups-3", "UpsOnBattery")
    assert (i.only.device, i.only.problem, i.only.level, i.only.behind) == ("ups-3", "mains-lost", "3", 3)
    i.raise_(500, "ups-3", "BatteryLow")
    i.down(600, "acc-3", "ups-3", "cam-1", "cam-2")
    i.run(700)
    assert (i.only.device, i.only.level) == ("ups-3", "2")
    assert i.only.affected == ("acc-3", "cam-1", "cam-2", "ups-3")
    assert "level" in i.steps(i.only)


@pytest.mark.parametrize("order", list(itertools.permutations(["acc-3", "ups-3", "cam-1"])))
def test_power_chain_in_every_order(order: tuple[str, ...]) -> None:
    i = Incident(*power(), contract="government-office")
    i.raise_(0, "ups-3", "UpsOnBattery")
    for at, name in enumerate(order):
        i.down(600 + at, name)
    i.run(700)
    assert len(i.faults) == 1
    assert i.only.affected == ("acc-3", "cam-1", "ups-3")


def test_battery_alarm_that_ends_because_the_ups_is_dark_is_no_recovery() -> None:
    i = Incident(*power(), contract="government-office")
    i.raise_(0, "ups-3", "UpsOnBattery")
    i.down(600, "acc-3", "ups-3", "cam-1")
    i.clear(900, "ups-3", "UpsOnBattery")  # stale series, not mains
    i.run(1000)
    assert i.only.state is FaultState.OPENED
    i.up(2000, "acc-3", "ups-3", "cam-1")
    i.run(2059)
    assert i.only.state is FaultState.OPENED
    i.run(2060)
    assert (i.only.state, i.only.restored_at) == (FaultState.RESTORED, i.at(2000))


def test_still_on_battery_when_the_ups_is_back() -> None:
    i = Incident(*power(), contract="government-office")
    i.raise_(0, "ups-3", "UpsOnBattery")
    i.down(600, "acc-3", "ups-3")
    i.clear(900, "ups-3", "UpsOnBattery")
    i.up(2000, "acc-3", "ups-3")
    i.raise_(2030, "ups-3", "UpsOnBattery")
    i.run(2500)
    assert i.only.state is FaultState.OPENED


def test_mains_back_gives_devices_time_to_start() -> None:
    i = Incident(*power(), contract="government-office")
    i.raise_(0, "ups-3", "UpsOnBattery")
    i.down(600, "acc-3", "cam-1", "cam-2")
    i.run(700)
    i.clear(1000, "ups-3", "UpsOnBattery")
    i.run(1060)
    i.up(1060, "acc-3", "cam-1")
    i.run(1119)
    assert len(i.real) == 1
    i.run(1130)
    assert [(f.device, f.state.value) for f in i.real] == [("ups-3", "restored"), ("cam-2", "opened")]


def test_switch_dead_with_mains_present_is_the_switch() -> None:
    i = Incident(*power(), contract="government-office")
    i.down(0, "acc-3", "ups-3", "cam-1")
    i.run(30)
    assert (i.only.device, i.only.affected) == ("acc-3", ("acc-3", "cam-1", "ups-3"))


# Agents


def test_blind_agent_is_one_fault_and_devices_keep_theirs() -> None:
    i = Incident(*tree(), contract="crossing-video")
    i.down(0, "cam-1")
    i.run(60)
    blind = i.word(100, "agent-1", "unknown", "agent-blind", since=98)
    i.apply(100, (), [blind, *(i.word(100, name, "unknown", "agent-blind") for name in i.site.devices)])
    i.apply(150, [i.alert(150, "cam-1", kind="resolved")])  # no data is no recovery
    i.run(200)
    cam, agent = i.real
    assert cam.state is FaultState.OPENED
    assert (agent.device, agent.problem, agent.began_at) == ("agent-1", "agent-blind", i.at(98))
    assert agent.affected == ("acc-1", "agg-1", "cam-1", "cam-2", "core-1")
    assert agent.level == "2"
    i.apply(300, (), [i.word(300, "agent-1", "up", "recovered")])
    i.apply(301, (), [i.word(301, name, "up", "recovered") for name in i.site.devices])
    i.run(400)
    cam, agent = i.real
    assert (cam.state, cam.restored_at) == (FaultState.RESTORED, i.at(301))
    assert (agent.state, agent.restored_at) == (FaultState.RESTORED, i.at(300))


def test_down_while_blind_opens_nothing_until_the_agent_sees() -> None:
    i = Incident(*tree())
    i.apply(0, (), [i.word(0, "agent-1", "unknown", "agent-blind")])
    i.down(1, "acc-1", "cam-1")
    i.run(100)
    assert i.only.device == "agent-1"
    alarms = i.engine.view(i.only.id).alarms
    assert {alarm.suppression for alarm in alarms if alarm.key.device != "agent-1"} == {Suppression.AGENT_BLIND}
    i.apply(200, (), [i.word(200, "agent-1", "up", "recovered")])
    i.run(300)
    assert [(f.device, f.affected) for f in i.real][1] == ("acc-1", ("acc-1", "cam-1"))


def test_silent_agent_joins_the_blind_one() -> None:
    i = Incident(*tree())
    i.apply(0, (), [i.word(0, "agent-1", "unknown", "agent-blind")])
    i.apply(60, [i.alert(60, "", "AgentSilent", agent="agent-1")])
    assert (i.only.device, i.only.level) == ("agent-1", "B")  # capped at the second level
    i.apply(90, [i.alert(90, "", "AgentSilent", "resolved", agent="agent-1")])
    assert i.only.state is FaultState.OPENED
    i.apply(95, (), [i.word(95, "agent-1", "up", "recovered")])
    assert i.only.state is FaultState.RESTORED


# Flaps and returns


def test_returning_within_the_window_is_the_same_fault_counted() -> None:
    i = Incident(*tree())
    i.down(0, "core-1")
    i.up(60, "core-1")
    i.run(100)
    i.down(600, "core-1")
    assert (i.only.state, i.only.reopened, i.only.restored_at) == (FaultState.REOPENED, 1, None)
    assert i.only.began_at == i.at(-2)
    i.up(700, "core-1")
    i.run(700 + 1790)
    i.down(700 + 1799, "core-1")
    assert i.only.reopened == 2
    i.up(3000, "core-1")
    i.run(3000 + 1900)
    i.down(5000, "core-1")
    assert [f.reopened for f in i.real] == [2, 0]


def test_closed_fault_that_returns_within_the_window_is_reopened() -> None:
    i = Incident(*tree())
    i.down(0, "core-1")
    i.up(60, "core-1")
    i.keep(i.engine.act(i.only.id, "close", "li", i.at(100)))
    i.down(300, "core-1")
    assert (i.only.state, i.only.reopened, i.only.closed_at) == (FaultState.REOPENED, 1, None)


def test_flapping_keeps_one_fault_open_without_a_storm() -> None:
    i = Incident(*tree())
    for at in range(40):
        (i.down if at % 2 == 0 else i.up)(10 * at, "core-1")
        i.run(10 * at + 9)
    assert i.only.flapping and i.only.state is FaultState.REOPENED
    assert i.only.reopened <= 3
    assert len(i.told()) <= 8
    i.run(390 + 600)
    assert (i.only.state, i.only.flapping, i.only.restored_at) == (FaultState.RESTORED, False, i.at(390))


def test_slow_changes_never_count_as_flapping() -> None:
    i = Incident(*tree())
    for at in range(40):
        (i.down if at % 2 == 0 else i.up)(94 * at, "core-1")
        i.run(94 * at + 90)
    assert not i.only.flapping and i.only.reopened == 19


# Learned late


def test_backlog_already_over_is_opened_restored_and_nobody_is_called() -> None:
    i = Incident(*tree())
    names = ("core-1", "agg-1", "acc-1", "cam-1")
    words = [i.word(100, name) for name in names] + [i.word(4000, name, "up", "recovered") for name in names]
    changes = [i.alert(100, name) for name in names] + [i.alert(4001, name, kind="resolved") for name in names]
    i.apply(86_400, reversed(changes), reversed(words))
    i.run(86_500)
    fault = i.only
    assert (fault.device, fault.affected) == ("core-1", ("acc-1", "agg-1", "cam-1", "core-1"))
    assert (fault.began_at, fault.restored_at, fault.opened_at) == (i.at(98), i.at(4000), i.at(86_400))
    assert fault.state is FaultState.RESTORED
    assert i.told() == []
    assert {name for name, clock in fault.clocks.items() if clock.state.value != "not-applicable"} == {"report"}


def test_backlog_still_wrong_has_its_true_beginning_and_clocks_from_now() -> None:
    i = Incident(*tree())
    i.down(100, "core-1", learned=86_400)
    assert (i.only.began_at, i.only.opened_at) == (i.at(98), i.at(86_400))
    assert i.only.clocks["respond"].due_at == i.at(86_400 + 600)
    assert [kind for kind, _f in i.told()] == ["opened"]


def test_two_outages_an_hour_apart_in_one_backlog_are_two_faults() -> None:
    i = Incident(*tree())
    changes, words = [], []
    for start in (0, 7200):
        words += [i.word(start, "core-1"), i.word(start + 600, "core-1", "up", "recovered")]
        changes += [i.alert(start, "core-1"), i.alert(start + 600, "core-1", kind="resolved")]
    i.apply(86_400, changes, words)
    assert [(f.began_at - START, f.restored_at - START) for f in i.real] == [(-2000, 600_000), (7_198_000, 7_800_000)]


def test_older_words_change_nothing() -> None:
    i = Incident(*tree())
    i.up(100, "core-1")
    i.apply(101, (), [i.word(50, "core-1")])
    i.run(200)
    assert i.faults == []


# Size


def test_ten_thousand_dark_at_once_are_one_fault_and_one_delivery() -> None:
    leaves = [device(f"d{n}", "camera", f"a{n % 100}") for n in range(9899)]
    i = Incident(
        device("core-1", role="core"), *(device(f"a{n}", up="core-1", role="aggregation") for n in range(100)), *leaves
    )
    i.down(0, *reversed(list(i.site.devices)))
    i.run(10)
    assert len(i.only.affected) == 10_000 and i.only.level == "A"
    assert [kind for kind, _f in i.told()] in (["opened"], ["opened", "level"])
    i.up(60, *i.site.devices)
    i.run(90)
    assert i.only.state is FaultState.RESTORED and len(i.faults) == 1


def test_blind_agent_by_its_word_and_by_the_rule_ends_with_its_word() -> None:
    i = Incident(*tree())
    i.apply(0, (), [i.word(0, "agent-1", "down", "agent-blind")])
    i.apply(1, [i.alert(1, "", "AgentBlind", agent="agent-1")])
    i.apply(60, (), [i.word(60, "agent-1", "up", "recovered")])
    assert (i.only.state, i.only.restored_at) == (FaultState.RESTORED, i.at(60))
    i.apply(65, [i.alert(65, "", "AgentBlind", "resolved", agent="agent-1")])
    i.run(300)
    assert (i.only.restored_at, i.only.reopened) == (i.at(60), 0)


def test_one_name_with_two_severities_is_one_alarm() -> None:
    i = Incident(*tree())
    i.raise_(0, "acc-1", "TemperatureHigh", "minor", sensor="1")
    i.raise_(5, "acc-1", "TemperatureHigh", "critical", sensor="1")
    assert i.only.severity.value == "critical"
    i.clear(10, "acc-1", "TemperatureHigh", "critical", sensor="1")
    assert i.only.state is FaultState.OPENED
    i.clear(20, "acc-1", "TemperatureHigh", "minor", sensor="1")
    assert (i.only.state, i.only.restored_at) == (FaultState.RESTORED, i.at(20))


def test_flapping_device_behind_others_is_not_forgotten() -> None:
    i = Incident(*tree())
    for at in range(20):
        (i.down if at % 2 == 0 else i.up)(0.1 * at, "acc-1")
    assert i.faults == []
    i.down(10, "acc-1")
    i.run(15)
    assert (i.only.device, i.only.flapping) == ("acc-1", True)


def test_upstream_that_turns_dark_while_a_child_settles_prolongs_the_wait() -> None:
    i = Incident(*tree())
    i.down(0, "cam-1")
    i.apply(0.3, (), [i.word(0.3, "acc-1", "suspect")])
    i.run(2.9)
    assert i.faults == []
    i.run(3.0)
    assert (i.only.device, i.only.opened_at) == ("cam-1", i.at(3.0))


def test_what_a_silent_agent_brings_later_is_true() -> None:
    i = Incident(*tree())
    i.apply(100, [i.alert(100, "", "AgentSilent", agent="agent-1")])
    words = [i.word(200, "acc-1"), i.word(900, "acc-1", "up", "recovered"), i.word(3000, "cam-1")]
    changes = [i.alert(200, "acc-1"), i.alert(900, "acc-1", kind="resolved"), i.alert(3000, "cam-1")]
    i.apply(4000, changes, words)
    i.apply(4001, [i.alert(4001, "", "AgentSilent", "resolved", agent="agent-1")])
    i.run(4100)
    assert [(f.device, f.state.value, f.began_at) for f in i.real] == [
        ("agent-1", "restored", i.at(100)),
        ("acc-1", "restored", i.at(198)),
        ("cam-1", "opened", i.at(2998)),
    ]


def test_alarms_know_what_a_person_did() -> None:
    i = Incident(*tree())
    i.down(0, "core-1", "agg-1")
    name = i.only.id
    i.keep(i.engine.act(name, "ack", "wang", i.at(10)))
    assert {alarm.operator.value for alarm in i.engine.view(name).alarms} == {"acknowledged"}
    i.up(60, "core-1", "agg-1")
    i.keep(i.engine.act(name, "close", "wang", i.at(100)))
    assert {alarm.operator.value for alarm in i.engine.view(name).alarms} == {"closed"}
    i.down(300, "core-1")
    assert [a.operator.value for a in i.engine.view(name).alarms if a.key.device == "core-1"] == ["none"]
