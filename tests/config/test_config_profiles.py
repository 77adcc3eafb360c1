"""Profiles: the shipped ones load, the operator's replace them by name, and what is wrong with one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigErrors
from config.load import find_profile
from config.profile import Profile, Step
from config.profile_load import SHIPPED, load_profiles
from config.site import Device
from kit.site_files import HEAD, load, mistakes, site_folder


def profiles_of(folder: Path, **files: str) -> dict[str, Profile]:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return load_profiles(folder)


def errors_of(folder: Path, **files: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        profiles_of(folder, **files)
    return [str(error).replace(f"{folder}/", "") for error in caught.value.errors]


def test_the_shipped_profiles_load() -> None:
    assert set(load_profiles()) >= {
        path.stem for path in SHIPPED.glob("*.yaml") if f"profile: {path.stem}\n" in path.read_text()
    }


def test_options_are_the_probes_own(tmp_path: Path) -> None:
    text = (
        "profile: p\nclass: c\nreach: [icmp, tcp]\nsteps:\n"
        "  - {probe: x, lane: state, name: n, oid: 1.3.6.1.2.1, count: 3,\n"
        "     ratio: 0.5, deep: {a: [true, no, null, 'null']}, text: '3'}\n"
    )
    profile = profiles_of(tmp_path, p=text)["p"]
    options = {"oid": "1.3.6.1.2.1", "count": 3, "ratio": 0.5, "deep": {"a": [True, "no", None, "null"]}, "text": "3"}
    assert profile == Profile("p", "c", (Step("x", "state", "n", options),), ("icmp", "tcp"))


def test_extending_takes_steps_over_and_replaces_them_by_name(tmp_path: Path) -> None:
    base = "profile: base\nclass: c\nreach: [snmp]\n"
    base += "steps: [{probe: x, lane: state, name: a}, {probe: x, lane: table, name: b}]\n"
    own = "profile: own\nextends: [base]\nsteps:\n  - {probe: y, lane: shell, name: c}\n  - {probe: y, lane: state, name: a}\n"
    profile = profiles_of(tmp_path, base=base, own=own)["own"]
    assert [(step.name, step.probe) for step in profile.steps] == [("a", "y"), ("b", "x"), ("c", "y")]
    assert (profile.device_class, profile.reach) == ("c", ("snmp",))


def test_the_operators_profile_wins_by_name(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "profiles" / "switch.yaml").write_text(
        "profile: switch\nclass: switch\nsteps: [{probe: icmp, lane: reach, name: own}]\n"
    )
    (folder / "profiles" / "lift.yml").write_text("profile: otis\nclass: lift\nsteps: []\n")
    text = "devices:\n  - {name: a, address: a.example, class: switch}\n  - {name: b, address: b.example, class: lift}\n"
    site = load(folder, HEAD + text)
    assert [step.name for step in find_profile(site.devices["a"], site.profiles).steps] == ["own"]
    assert find_profile(site.devices["b"], site.profiles).name == "otis"


def test_a_device_may_name_its_profile() -> None:
    profiles = {"a": Profile("a", "c", ()), "b": Profile("b", "c", ()), "c": Profile("c", "d", ())}
    assert find_profile(Device("x", "x", "c", profile="b"), profiles).name == "b"
    assert find_profile(Device("x", "x", "c"), profiles).name == "a"
    with pytest.raises(KeyError):
        find_profile(Device("x", "x", "zzz"), profiles)


STEP = "  - {probe: x, lane: state, name: n}\n"
LANES = "reach, state, table, inventory, picture, shell"
WRONG = {
    "lane": (
        "profile: p\nclass: c\nsteps:\n" + STEP.replace("state", "stat"),
        [f"p.yaml:4: steps[n].lane: 'stat' is none of: {LANES}. Did you mean 'state'?"],
    ),
    "step key missing": (
        "profile: p\nclass: c\nsteps:\n  - {lane: state, name: n}\n",
        ["p.yaml:4: steps[n]: 'probe' is missing."],
    ),
    "step is text": ("profile: p\nclass: c\nsteps: [a]\n", ["p.yaml:3: steps[0]: expected a mapping, found text."]),
    "unknown key": (
        "profile: p\nclas: c\nsteps: []\n",
        ["p.yaml:1: 'class' is missing.", "p.yaml:2: clas: unknown key. Did you mean 'class'?"],
    ),
    "two steps": ("profile: p\nclass: c\nsteps:\n" + STEP + STEP, ["p.yaml:4: steps: two steps have the name 'n'."]),
    "unknown base": ("profile: p\nclass: c\nextends: [zq]\n", ["p.yaml:3: extends: there is no profile 'zq'."]),
    "itself": ("profile: p\nclass: c\nextends: [p]\n", ["p.yaml:3: extends: a profile extends itself: p -> p."]),
    "empty": ("", ["p.yaml: the file is empty."]),
    "list": ("[]", ["p.yaml:1: expected a mapping, found a list."]),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_in_a_profile_has_its_text(name: str, tmp_path: Path) -> None:
    text, expected = WRONG[name]
    assert errors_of(tmp_path, p=text) == expected


def test_one_name_in_two_files(tmp_path: Path) -> None:
    text = "profile: p\nclass: c\n"
    (error,) = errors_of(tmp_path, a=text, b=text)
    assert error.startswith("b.yaml:1: profile: profile 'p' is also in ")


def test_a_wrong_profile_is_an_error_of_the_site_and_makes_no_class_unknown(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "profiles" / "lift.yaml").write_text("profile: lift\nclass: lift\nsteps: {}\n")
    assert mistakes(folder, HEAD + "devices: [{name: a, address: a.example, class: elevator}]\n") == [
        "profiles/lift.yaml:3: steps: expected a list, found a mapping."
    ]
