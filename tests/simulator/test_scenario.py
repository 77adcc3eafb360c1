"""Scenario files: what they spread out to, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigErrors
from kit.fleet import scenario
from simulator.action import ACTIONS, FLEET_ACTIONS, MODEL_ACTIONS, classes_with
from simulator.scenario import load_scenario, shipped_scenario
from simulator.templates import CLASSES

FLEET = """
- {name: core, class: switch, address: 127.43.0.1, credentials: read-only}
- {name: "cam-{n}", class: camera, count: 3, address: 127.43.0.254, upstream: {device: core, port: "GigabitEthernet1/0/{n}"}}
- {name: ups, class: ups, runtime: 1h30m, address: 127.43.9.1, upstream: core, powers: [core]}
- {name: pj, class: projector, address: 127.43.9.2, upstream: [core, ups]}
"""


def test_a_pattern_becomes_devices(tmp_path: Path) -> None:
    devices = scenario(tmp_path, FLEET).devices
    assert [devices[f"cam-{n}"].address for n in (1, 2, 3)] == ["127.43.0.254", "127.43.1.1", "127.43.1.2"]
    assert devices["cam-3"].upstream[0].port == "GigabitEthernet1/0/3"
    assert devices["ups"].runtime_s == 5400


def test_steps_are_sorted_and_spread(tmp_path: Path) -> None:
    timeline = """
    timeline:
      - {at: 1m, do: loss, on: [core, pj], value: 0.1, for: 30s}
      - {at: 2s, do: port-flaps, on: core, port: GigabitEthernet1/0/2, every: 1s, for: 3s}
    """
    steps = scenario(tmp_path, FLEET, timeline).timeline
    assert [(step.at_s, step.do) for step in steps[:6]] == [
        (2.0, "port-down"), (2.5, "port-up"), (3.0, "port-down"), (3.5, "port-up"), (4.0, "port-down"), (4.5, "port-up"),
    ]  # fmt: skip
    assert [(step.at_s, step.on, step.value) for step in steps[6:]] == [
        (60.0, "core", 0.1), (60.0, "pj", 0.1), (90.0, "core", 0.0), (90.0, "pj", 0.0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fleet", "more", "said"),
    [
        ("- {name: a, class: swich, address: 127.0.0.2}", "", "swich is no device class. Did you mean 'switch'?"),
        ("- {name: a, class: switch, address: 10.0.0.1}", "", "the fleet lives on loopback"),
        ("- {name: a, class: switch}", "", "fleet[0].address: is missing"),
        ("- {name: a, class: switch, address: 127.0.0.2, colour: red}", "", "fleet[0].colour: unknown key"),
        ("- {name: a, class: switch, count: 2, address: 127.0.0.2}", "", "a name for several devices holds {n}"),
        ("- {name: a, class: switch, address: 127.0.0.2, credentials: none}", "", "there are no credentials none"),
        ("- {name: a, class: switch, address: 127.0.0.2, upstream: b}", "", "b is no device of the fleet"),
        ("- {name: a, class: switch, address: 127.0.0.2, powers: a}", "", "only a ups powers devices"),
        (FLEET + '- {name: core, class: ups, address: 127.43.0.1}', "", "127.43.0.1 is another device's"),
        (FLEET, "timeline: [{at: soon, do: loss, on: core}]", "timeline[0].at: not a duration"),
        (FLEET, "timeline: [{at: 1s, do: main-fails, on: ups}]", "Did you mean 'mains-fails'?"),
        (FLEET, "timeline: [{at: 1s, do: mains-fails, on: core}]", "core is a switch; mains-fails is for ups"),
        (FLEET, "timeline: [{at: 1s, do: device-dies, on: cam-4}]", "Did you mean 'cam-"),
        (FLEET, "timeline: [{at: 1s, do: port-down, on: core}]", "port-down needs port"),
        (FLEET, "timeline: [{at: 1s, do: port-down, on: core, port: eth9}]", "core has no port eth9"),
        (FLEET, "timeline: [{at: 1s, do: device-dies, on: core, value: 1}]", "device-dies does not take value"),
        (FLEET, "timeline: [{at: 1s, do: loss, on: core, value: 30}]", "a share lies between 0 and 1"),
        (FLEET, "timeline: [{at: 1s, do: link-cut, on: core}]", "core has no upstream"),
        (FLEET, "timeline: [{at: 1s, do: link-cut, on: pj, to: cam-1}]", "cam-1 is no upstream of pj"),
        (FLEET, "timeline: [{at: 1s, do: projector-error, on: pj, part: nose, value: 1}]", "pj has no nose"),
        (FLEET, "expect: [{device: nobody}]", "expect[0].device: nobody is no device"),
        (FLEET, "persona: [{device: core, step: dance, after: 1s, person: x}]", "persona[0].step"),
        (FLEET, "seed: [", "not valid YAML"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(tmp_path: Path, fleet: str, more: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        scenario(tmp_path, fleet, more)
    assert said in str(caught.value)
    assert f"{tmp_path / 'scenario.yaml'}:" in str(caught.value)
    assert all(error.line > 0 for error in caught.value.errors)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        scenario(tmp_path, "- {name: a, class: x, address: 127.0.0.2, upstream: b, powers: c}")
    assert len(caught.value.errors) == 4


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="cannot be read"):
        load_scenario(tmp_path / "none.yaml")


def test_every_action_has_somebody_who_does_it() -> None:
    done = {action for model in CLASSES.values() for action in model.actions}
    assert done == set(MODEL_ACTIONS)
    assert not done & set(FLEET_ACTIONS)
    assert all(classes_with(action) for action in ACTIONS)


def test_the_demo_is_right() -> None:
    demo = load_scenario(shipped_scenario("demo"))
    assert 35 <= len(demo.devices) <= 50
    assert demo.timeline[-1].at_s <= 75
