from __future__ import annotations

from pathlib import Path

import pytest

from config.contract import CLOCKS, load_contract
from config.contract_load import contract_names
from config.errors import ConfigErrors

PRESETS = ("broadcast-backbone", "campus-network", "conference-rooms", "crossing-video", "government-office")

GOOD = """\
name: mine
title: {en: Mine}
calendars:
  working: {days: [mon-thu, sat], hours: ["08:30-12:00", "13:00-17:00"]}
starts: {report: restored}
warnings: {open: false, never: [ping-*]}
complex: [{problem: mains-lost}]
levels:
  - id: high
    name: {en: high, zh: 高}
    when: [{effect: outage, root: {role: core, lost: true}, during: working}]
    clocks: {respond: at once, arrive: {urban: 30 min, county: 1.5 h}, restore: 2 working days, report: next working day}
  - id: low
    name: {en: low, zh: 低}
    when: [{}]
    clocks: {respond: 1 d, restore: "-"}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_presets_are_shipped() -> None:
    assert contract_names() == sorted(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_preset_is_whole(name: str) -> None:
    contract = load_contract(name)
    assert contract.name == name
    assert contract.title["en"] and contract.title["zh"]
    assert len({level.id for level in contract.levels}) == len(contract.levels) >= 3
    for level in contract.levels:
        assert level.name["en"] and level.name["zh"]
        assert level.when and set(level.clocks) <= set(CLOCKS)


# contract, level -> (respond, remote, arrive urban, arrive county, restore simple, restore complex, report), seconds;
# None where there is no such clock, (days, ends with the day) in working days
CLOCK_TABLE = {
    ("crossing-video", "1"): (600, None, 1800, 3600, 14400, 21600, 60),
    ("crossing-video", "2"): (600, None, 1800, 3600, 14400, 21600, 60),
    ("crossing-video", "3"): (600, None, 1800, 3600, 14400, 21600, 60),
    ("government-office", "1"): (60, 300, 900, 900, None, None, None),
    ("government-office", "2"): (60, 300, 1800, 1800, None, None, None),
    ("government-office", "3"): (60, 600, 3600, 3600, None, None, None),
    ("government-office", "4"): (60, 600, 7200, 7200, None, None, None),
    ("conference-rooms", "1"): (3600, None, None, None, (10, False), (10, False), 86400),
    ("conference-rooms", "2"): (3600, None, None, None, (10, False), (10, False), 86400),
    ("conference-rooms", "3"): (14400, None, None, None, (10, False), (10, False), 86400),
    ("conference-rooms", "4"): ((1, True), None, None, None, (10, False), (10, False), 86400),
    ("campus-network", "A"): (600, None, 1800, 1800, 14400, 14400, 86400),
    ("campus-network", "B"): (600, None, 3600, 3600, 21600, 21600, 86400),
    ("campus-network", "C"): (1800, None, 7200, 7200, (1, False), (1, False), None),
    ("campus-network", "D"): (3600, None, (1, True), (1, True), (3, False), (3, False), None),
    ("broadcast-backbone", "1"): (60, None, 1800, 3600, None, None, None),
    ("broadcast-backbone", "2"): (60, None, 1800, 3600, None, None, None),
    ("broadcast-backbone", "3"): (1800, None, 1800, 3600, None, None, None),
    ("broadcast-backbone", "4"): (None, None, 1800, 3600, None, None, None),
}


@pytest.mark.parametrize(("name", "level"), CLOCK_TABLE)
def test_clocks_are_the_contracts(name: str, level: str) -> None:
    contract = load_contract(name)
    asked = (
        ("respond", "urban", "simple"),
        ("remote", "urban", "simple"),
        ("arrive", "urban", "simple"),
        ("arrive", "county", "simple"),
        ("restore", "urban", "simple"),
        ("restore", "urban", "complex"),
        ("report", "urban", "simple"),
    )
    found: list[object] = []
    for clock, region, complexity in asked:
        allowed = contract.allowance(level, clock, region, complexity)
        if allowed is None:
            found.append(None)
        else:
            found.append((allowed.days, allowed.end_of_day) if allowed.days else allowed.seconds)
    assert tuple(found) == CLOCK_TABLE[name, level]


def test_own_contract(tmp_path: Path) -> None:
    contract = load_contract(write(tmp_path, GOOD))
    assert [level.id for level in contract.levels] == ["high", "low"]
    assert contract.calendars["working"].weekdays == (0, 1, 2, 3, 5)
    assert contract.calendars["working"].day_seconds == 7.5 * 3600
    assert contract.allowance("high", "arrive", "county", "simple").seconds == 5400  # type: ignore[union-attr]
    assert contract.allowance("low", "restore", "urban", "simple") is None
    assert not contract.warnings.opens
    assert contract.rank("low") == 1
    with pytest.raises(KeyError):
        contract.rank("middle")


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("name: mine", "nme: mine", 1, "unknown key 'nme'"),
        ("effect: outage", "effect: outrage", 11, "'outrage' is not one of outage"),
        ("30 min", "30 minutes", 12, "'30 minutes' is no time"),
        ("lost: true", "lost: yes", 11, "'yes' is not one of true"),
        ("during: working", "during: teaching", 11, "'teaching' is not one of"),
        ("[mon-thu, sat]", "[mon-tho]", 4, "'tho' is not one of"),
        ("08:30-12:00", "12:30-12:00", 4, "begin before they end"),
        ("report: restored}", "report: soon}", 5, "'soon' is not one of"),
        ("id: low", "id: high", 13, "level high is there twice"),
        ("when: [{}]", "when: [{effect: outage}]", 13, "the lowest level must take every fault"),
        ("respond: 1 d", "reply: 1 d", 16, "unknown key 'reply'"),
        ("  working: {", "  worked: {", 11, "'working' is not one of"),
    ],
)
def test_error_names_its_line(tmp_path: Path, old: str, new: str, line: int, word: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigErrors) as caught:
        load_contract(write(tmp_path, GOOD.replace(old, new, 1)))
    assert (line, True) in {(error.line, word in error.message) for error in caught.value.errors}, str(caught.value)


def test_all_errors_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("effect: outage", "effect: outrage").replace("1 d", "one day").replace("open: false", "open: no")
    with pytest.raises(ConfigErrors) as caught:
        load_contract(write(tmp_path, text))
    assert [error.line for error in caught.value.errors] == [6, 11, 16]


@pytest.mark.parametrize(
    "text", ["", "- a\n- b\n", "just words", "name: x\nlevels: []\n", "levels: {a: b}\nname: x\n", "a: [b\n"]
)
def test_what_is_no_contract(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigErrors):
        load_contract(write(tmp_path, text))


def test_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_contract("campus-netwrok")
    assert caught.value.errors[0].suggestion == "campus-network"
    for name in ("../contracts/campus-network", "a\0b", "x" * 5000, ""):
        with pytest.raises(ConfigErrors):
            load_contract(name)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors):
        load_contract(tmp_path / "none.yaml")
