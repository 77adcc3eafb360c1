"""What runs and verdicts do to the series: values, ends, and what is held because nobody asks again soon."""

from __future__ import annotations

from collector.hearing import LaneHearing
from collector.lanes import HOLD_LAG_MS, Lanes
from collector.series import SeriesState
from kit.collecting import START, down, key, run, up
from probes.reason import Reason
from probes.sample import Labels, ReachState, Run, Transition, series_key

LABELS: Labels = (("class", "switch"), ("device", "core"), ("place", "x17"), ("site", "north"))
TEMPERATURE, SUCCESS = key("temperature_celsius", "core"), key("probe_success", "core", lane="state")


def lanes() -> tuple[SeriesState, Lanes]:
    series = SeriesState()
    return series, Lanes(series, {"state": 30.0, "inventory": 21_600.0}, {"core": LABELS})


def test_when_a_good_run_leaves_a_series_out_then_it_ended() -> None:
    series, made = lanes()
    assert made.run(run("core", START, temperature_celsius=40.0, fan_ok=1.0), START) is None
    ended = made.run(run("core", START + 1000, temperature_celsius=41.0), START + 1000)
    assert ended is not None
    assert (ended.at, ended.keys) == (START + 1000, key("fan_ok", "core"))
    assert series.newest(key("fan_ok", "core")) is None
    assert series.newest(TEMPERATURE) == (START + 1000, 41.0)


def test_when_runs_fail_then_what_was_said_stands_for_a_while_and_then_ends_once() -> None:
    series, made = lanes()
    made.run(run("core", START), START)
    for late in (30_000, 60_000, 75_000):
        assert made.run(run("core", START + late, reason=Reason.TIMEOUT, fan_ok=1.0), START + late) is None
    assert series.newest(TEMPERATURE) == (START, 40.0), "two and a half intervals"
    assert series.newest(SUCCESS) == (START + 75_000, 0.0)
    ended = made.run(run("core", START + 90_000, reason=Reason.TIMEOUT, fan_ok=1.0), START + 90_000)
    assert ended is not None and ended.keys == TEMPERATURE
    assert series.newest(key("fan_ok", "core")) == (START + 90_000, 1.0), "what was answered before it failed"
    assert made.run(run("core", START + 120_000, reason=Reason.TIMEOUT, fan_ok=1.0), START + 120_000) is None
    assert made.run(run("core", START + 150_000), START + 150_000) is not None
    assert series.newest(TEMPERATURE) == (START + 150_000, 40.0), "and it is back"


def test_when_a_device_is_down_then_what_it_said_ended_at_once_and_is_unheard_until_it_answers() -> None:
    series, made = lanes()
    ears, asked = LaneHearing(made), {"temperature_celsius"}
    made.run(run("core", START), START)
    assert not ears.unheard(asked, LABELS, START) and ears.silent(LABELS), "no verdict yet"
    found = made.transition(down("core", START + 4000), START + 4000)
    assert found is not None and [each.keys for each in found[1]] == [TEMPERATURE]
    assert series.newest(TEMPERATURE) is None and series.newest(SUCCESS) is not None
    assert ears.unheard(asked, LABELS, START + 4000) and ears.silent(LABELS)
    made.transition(up("core", START + 9000), START + 9000)
    made.run(run("core", START + 9500, reason=Reason.TIMEOUT, fan_ok=1.0), START + 9500)
    assert ears.unheard(asked, LABELS, START + 9600), "it pings, but has not answered"
    made.run(run("core", START + 11_000), START + 11_000)
    assert not ears.unheard(asked, LABELS, START + 11_000)
    assert ears.unheard(asked, LABELS, START + 10_000), "as of a moment before"


def test_when_the_reach_lane_told_of_a_device_before_its_verdict_then_the_verdict_is_there_at_once() -> None:
    series, made = lanes()
    verdict, loss = series_key("device_up", LABELS), series_key("icmp_loss_ratio", LABELS)
    made.run(Run("core", "reach", START, 0.01, Reason.OK, verdict + b"\n" + loss, (1.0, 0.0)), START)
    found = made.transition(down("core", START + 4000), START + 4000)
    assert found is not None and [each.keys for each in found[1]] == [loss]
    assert series.newest(verdict) == (START + 4000, 0.0)


def test_when_a_device_was_down_then_what_its_slow_lanes_said_is_held_on() -> None:
    series, made = lanes()
    made.run(run("core", START, "inventory", lamp=1.0), START)
    made.transition(down("core", START + 4000), START + 4000)
    made.transition(up("core", START + 60_000), START + 60_000)
    list(made.hold(START + 3_600_000))
    assert series.newest(key("lamp", "core")) == (START + 3_600_000 - HOLD_LAG_MS, 1.0)


def test_when_a_slow_lane_fails_then_its_good_word_is_held_but_not_what_it_said_of_itself() -> None:
    series, made = lanes()
    made.run(run("core", START, "inventory", lamp=1.0), START)
    made.run(run("core", START + 21_600_000, "inventory", Reason.TIMEOUT, fan_ok=1.0), START + 21_600_000)
    now = START + 22_000_000
    list(made.hold(now))
    assert series.newest(key("lamp", "core")) == (now - HOLD_LAG_MS, 1.0)
    assert series.newest(key("probe_success", "core", lane="inventory")) == (START + 21_600_000, 0.0)


def test_when_only_some_is_missing_then_only_that_is_unheard() -> None:
    _series, made = lanes()
    ears = LaneHearing(made)
    both = {"temperature_celsius": 1.0, "fan_ok": 1.0}
    made.run(run("core", START, **both), START)
    made.run(run("core", START + 1, reason=Reason.TIMEOUT, fan_ok=1.0), START + 1)
    assert ears.unheard({"temperature_celsius"}, LABELS, START + 1)
    assert not ears.unheard({"fan_ok"}, LABELS, START + 1)
    assert not ears.unheard({"temperature_celsius"}, (("device", "other"),), START + 1)
    assert ears.unheard({"temperature_celsius"}, (("place", "x17"),), START + 1), "an alert about a place"
    made.run(run("core", START + 2, fan_ok=1.0), START + 2)
    assert not ears.unheard({"temperature_celsius"}, LABELS, START + 2), "a good answer without it: it is gone"


def test_when_a_run_comes_late_then_it_changes_nothing() -> None:
    series, made = lanes()
    made.run(run("core", START + 5000), START + 5000)
    assert made.run(run("core", START, temperature_celsius=1.0, fan_ok=1.0), START + 5000) is None
    assert series.newest(TEMPERATURE) == (START + 5000, 40.0)
    assert series.newest(key("fan_ok", "core")) is None


def test_when_a_lane_is_slow_then_its_word_is_held_until_it_is_old() -> None:
    series, made = lanes()
    made.run(run("core", START, "inventory", tls_certificate_expiry_seconds=9.0), START)
    expiry = key("tls_certificate_expiry_seconds", "core")
    for hours in (1, 6, 14):
        now = START + hours * 3_600_000
        list(made.hold(now))
        assert series.newest(expiry) == (now - HOLD_LAG_MS, 9.0)
    last = series.newest(expiry)
    list(made.hold(START + 16 * 3_600_000))
    assert series.newest(expiry) == last, "two and a half intervals have passed"


def test_when_a_new_run_comes_right_after_a_hold_then_it_is_taken() -> None:
    series, made = lanes()
    made.run(run("core", START, "inventory", lamp=1.0), START)
    now = START + 3_600_000
    list(made.hold(now))
    made.run(run("core", now - HOLD_LAG_MS - 500, "inventory", lamp=2.0), now)
    found = series.newest(key("lamp", "core"))
    assert found is not None
    assert found[1] == 2.0


def test_when_a_verdict_stands_then_it_is_held_and_an_older_one_does_not_change_it() -> None:
    series, made = lanes()
    name = key("device_up", "core")
    assert made.transition(up("core", START), START)
    assert made.transition(down("core", START + 5000), START + 5000)
    assert made.transition(up("core", START + 2000), START + 6000) is None
    assert series.newest(name) == (START + 5000, 0.0)
    list(made.hold(START + 600_000))
    assert series.newest(name) == (START + 600_000 - HOLD_LAG_MS, 0.0)
    list(made.hold(START + 700_000, {"core"}))
    assert series.newest(name) == (START + 600_000 - HOLD_LAG_MS, 0.0), "nobody looks at it any more"


def test_when_the_agent_cannot_say_then_there_is_no_verdict() -> None:
    series, made = lanes()
    made.transition(Transition("core", ReachState.SUSPECT, "icmp", START, START), START)
    assert series.newest(key("device_suspect", "core")) == (START, 1.0)
    assert series.newest(key("device_up", "core")) == (START, 1.0)
    made.transition(Transition("core", ReachState.UNKNOWN, "agent-blind", START + 1, START + 1), START + 1)
    assert series.newest(key("device_up", "core")) is None
    assert made.transition(up("stranger", START), START) is None


def test_when_a_device_says_who_it_is_then_one_info_series_says_so() -> None:
    series, made = lanes()
    own, ended = made.facts("core", {"vendor": "H3C", "serial": "1", "odd": "x"}, START)
    assert (len(own), ended) == (1, [])
    assert own[0].keys == key("device_info", "core", vendor="H3C", serial="1")
    own, ended = made.facts("core", {"vendor": "H3C", "serial": "2"}, START + 1000)
    assert [each.keys for each in ended] == [key("device_info", "core", vendor="H3C", serial="1")]
    assert series.newest(key("device_info", "core", vendor="H3C", serial="2")) == (START + 1000, 1.0)
