"""The catalogue of Simplified Chinese against the code: complete, current, every field kept; and the choice of a language."""

from __future__ import annotations

import ast
import re
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

from collector.alarm import Condition, Suppression
from collector.fault import ClockState, FaultState
from collector.observation import problem_word
from collector.steps import STEPS
from config.contract import CLOCKS
from config.language import CATALOGUES, LANGUAGES, from_environment, normalise, noted, translate, use
from probes.reason import Reason
from simulator.action import ACTIONS
from simulator.scenario import load_scenario, shipped_scenario

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agent", "cli", "collector", "config", "probes", "rules", "simulator")
FILES = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
CHINESE = CATALOGUES / "zh_CN" / "LC_MESSAGES" / "watchkeeper.po"
FIELD = re.compile(r"\{[^{}]*\}|%\([a-z_]+\)[rsd]|%[rsd]|`[^`]*`")
HAN = re.compile(r"[\u4e00-\u9fff]")
SAME = {"ICMP", "Python"}  # read the same in both


def read(path: Path, language: str | None = None) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=language)


def messages(catalogue: Catalog) -> dict[str, str]:
    return {str(message.id): str(message.string) for message in catalogue if message.id}


@pytest.fixture(scope="module")
def chinese() -> dict[str, str]:
    return messages(read(CHINESE, "zh_CN"))


@pytest.fixture(scope="module")
def extracted() -> set[str]:
    keywords = {"_": None, "noted": None}
    return {str(found[2]) for room in ROOMS for found in extract_from_dir(ROOT / room, keywords=keywords)}


def test_the_catalogue_is_what_the_code_says(chinese: dict[str, str], extracted: set[str]) -> None:
    """`make messages` brings the catalogue up to date; what is new then waits for its translation."""
    assert chinese.keys() - extracted == set()
    assert extracted - chinese.keys() == set()
    assert messages(read(CATALOGUES / "watchkeeper.pot")).keys() == extracted


def test_nothing_is_left_untranslated(chinese: dict[str, str]) -> None:
    assert [text for text, told in chinese.items() if not told] == []
    assert [message.id for message in read(CHINESE, "zh_CN") if message.fuzzy and message.id] == []
    same = [text for text, told in chinese.items() if told == text]
    assert {text for text in same if re.search(r"[A-Za-z]{2}", FIELD.sub("", text))} == SAME


def test_every_field_is_kept(chinese: dict[str, str]) -> None:
    for text, told in chinese.items():
        assert sorted(FIELD.findall(told)) == sorted(FIELD.findall(text)), text


def test_shapes_are_kept(chinese: dict[str, str]) -> None:
    for text, told in chinese.items():
        assert told.count("\n") == text.count("\n"), text
        assert told.endswith("\n") == text.endswith("\n"), text
        assert "�" not in told


def test_no_half_width_marks_among_chinese(chinese: dict[str, str]) -> None:
    wrong = re.compile(r"[\u4e00-\u9fff][,;?!]|[\u4e00-\u9fff]\.(?!\w)")
    assert [told for told in chinese.values() if wrong.search(told)] == []


def test_the_compiled_catalogue_is_current() -> None:
    with CHINESE.with_suffix(".mo").open("rb") as file:
        compiled = messages(read_mo(file))
    fresh = BytesIO()
    write_mo(fresh, read(CHINESE, "zh_CN"))
    fresh.seek(0)
    assert compiled == messages(read_mo(fresh))


WORDS = [
    *(word.value for word in FaultState),
    *(word.value for word in ClockState),
    *(word.value for word in Condition),
    *(word.value for word in Suppression if word is not Suppression.NONE),
    *(word.value for word in Reason),
    *CLOCKS,
    *STEPS,
    *(word.replace("-", " ") for word in ACTIONS),
    *(action.means for action in ACTIONS.values()),
]


@pytest.mark.parametrize("word", sorted(set(WORDS)))
def test_every_fixed_word_has_its_translation(word: str) -> None:
    assert HAN.search(translate(word, "zh-CN"))
    assert translate(word, "en") == word


def test_every_problem_of_the_library_has_its_translation() -> None:
    for path in (ROOT / "rules" / "library").glob("*.yml"):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    word = problem_word(rule["annotations"].get("problem") or rule["alert"])
                    assert HAN.search(translate(word, "zh-CN")), word
                    assert HAN.search(rule["annotations"]["summary_zh"]), word


def test_every_note_of_the_demo_has_its_translation() -> None:
    for step in load_scenario(shipped_scenario("demo")).persona:
        assert not step.note or HAN.search(translate(step.note, "zh-CN")), step.note


def calls(tree: ast.AST, inside: bool = False) -> list[tuple[ast.Call, bool]]:
    """Return the calls of `_` and `noted` with whether each is made at run time rather than at import."""
    found = []
    for node in ast.iter_child_nodes(tree):
        later = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "noted"):
            found.append((node, inside))
        found += calls(node, later)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_texts_are_translated_when_they_are_shown(path: Path) -> None:
    for call, at_run_time in calls(ast.parse(path.read_text(encoding="utf-8"))):
        text, name = call.args[0], call.func.id  # type: ignore[attr-defined]
        assert not isinstance(text, ast.JoinedStr), f"{path}:{call.lineno}: an f-string is not in the catalogue"
        assert at_run_time or name == "noted", f"{path}:{call.lineno}: the language is not known at import"
        assert isinstance(text, ast.Constant) or name == "_", f"{path}:{call.lineno}: only a constant is extracted"


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh-CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_CN", "LANG": "en_US.UTF-8"}, "zh-CN"),
        ({"LC_ALL": "", "LANG": "zh"}, "zh-CN"),
    ],
)
def test_language_of_an_environment(environ: dict[str, str], language: str) -> None:
    assert from_environment(environ) == language


def test_language_in_force() -> None:
    use("zh_CN.UTF-8")
    try:
        assert translate(noted("no answer")) == "无应答"
        assert translate(noted("no answer"), "en") == "no answer"
        assert translate("no such text anywhere") == "no such text anywhere"
        assert translate("") == ""
    finally:
        use("en")
    assert [normalise(tag) for tag in ("zh-Hans-CN", "zh_TW", "en-GB", "", "C")] == ["zh-CN", "zh-CN", "en", "en", "en"]
    assert LANGUAGES == ("en", "zh-CN")
