"""The parts of the demo that decide and show: the scripted operator, the judgement of a run, the lines on the screen."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
from rich.console import Console

from cli.badge import SHAPES, badge
from cli.desk import Clock, FaultRow
from cli.judgement import judge
from cli.persona import Persona
from cli.screen import Screen, changes, clocks
from config.contract import load_contract
from simulator.spec import ExpectedFault, PersonaStep, StepSpec

AT = "2026-11-22T02:00:00.000Z"


def fault(device: str = "sw", state: str = "opened", **more: object) -> FaultRow:
    fields = {"id": "WK-1", "problem": "device-down", "level": "2", "reason": "icmp", "began_at": AT, "opened_at": AT, **more}
    return FaultRow(device=device, state=state, **fields)  # type: ignore[arg-type]


def step(name: str, after_s: float = 2.0, device: str = "sw") -> PersonaStep:
    return PersonaStep(device, name, after_s, "Li Wei")


def names(persona: Persona, row: FaultRow, now: float) -> list[str]:
    return [act.step.step for act in persona.due([row], now)]


def test_the_operator_waits_and_follows_the_fault() -> None:
    persona = Persona([step("ack"), step("arrive", 5), step("confirm"), step("close", 1)])
    assert names(persona, fault(), 10.0) == []
    assert names(persona, fault(), 12.0) == ["ack"]
    assert names(persona, fault(state="accepted"), 13.0) == []
    assert names(persona, fault(state="accepted"), 17.0) == ["arrive"]
    assert names(persona, fault(state="arrived"), 60.0) == [], "it is not over yet"
    assert names(persona, fault(state="restored"), 61.0) == ["confirm"]
    assert names(persona, fault(state="confirmed"), 62.0) == ["close"]
    assert persona.idle


def test_what_healed_before_he_came_needs_no_visit() -> None:
    persona = Persona([step("ack"), step("arrive"), step("close")])
    assert names(persona, fault(), 0.0) == []
    assert names(persona, fault(state="restored"), 3.0) == ["close"]


def test_he_leaves_other_faults_alone() -> None:
    persona = Persona([step("ack", 0)])
    assert names(persona, fault("other"), 5.0) == []
    assert names(persona, fault(state="merged"), 5.0) == []


@dataclass
class Case:
    expected: ExpectedFault
    found: FaultRow
    missing: int
    strange: int


@pytest.mark.parametrize(
    "case",
    [
        Case(ExpectedFault("sw"), fault(), 0, 0),
        Case(ExpectedFault("sw", "device-down", "2", "opened"), fault(), 0, 0),
        Case(ExpectedFault("sw", level="1"), fault(), 1, 0),
        Case(ExpectedFault("sw", "link-down"), fault(), 1, 1),
        Case(ExpectedFault("other"), fault(), 1, 1),
        Case(ExpectedFault("sw"), fault("other", state="merged"), 1, 0),
        Case(ExpectedFault("sw", affected=("a", "b")), fault(affected=("b", "a")), 0, 0),
        Case(ExpectedFault("sw", affected=("a",)), fault(affected=("b", "a")), 1, 0),
    ],
)
def test_a_run_is_judged(case: Case) -> None:
    missing, strange = judge([case.expected], [case.found])
    assert (len(missing), len(strange)) == (case.missing, case.strange)


def test_changes_in_words() -> None:
    before = fault()
    assert changes(None, before) == ["opened"]
    after = fault(state="accepted", level="1", affected=("a", "b"))
    assert changes(before, after) == ["level 2 becomes 1", "accepted", "2 affected"]


def test_clocks_in_words() -> None:
    row = fault(clocks={"respond": Clock(AT, "met"), "arrive": Clock(AT, "running"), "report": Clock(None, "paused")})
    assert clocks(row).startswith("respond met · arrive by ")
    assert "arrive" not in clocks(fault(closed_at=AT, clocks=row.clocks))


def test_levels_differ_without_colour() -> None:
    assert len({badge(rank, "x").plain for rank in range(len(SHAPES))}) == len(SHAPES)
    assert badge(9, "x").plain == badge(3, "x").plain


def test_lines_and_table_hold_what_devices_say_as_text() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=200, highlight=False), load_contract("crossing-video"))
    row = fault(summary="[red]sw[/red] does not answer", level_name="general")
    screen.script(8.0, StepSpec(8.0, "device-dies", "sw"))
    screen.change(9.0, None, row)
    screen.person(11.0, row, step("ack"))
    screen.summary([row], ["gone"], ["strange"])
    text = out.getvalue()
    assert "[red]sw[/red] does not answer" in text
    assert "▲ 2 general" in text
    assert "Li Wei (scripted): ack WK-1" in text
    assert "expected and not seen: gone" in text
