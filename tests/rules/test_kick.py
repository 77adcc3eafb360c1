"""A kick evaluates what reads what changed, and nothing else; the rest of the group keeps its slot."""

from __future__ import annotations

from collector.series import SeriesState
from rules.engine import RuleEngine
from rules.load import load_text

T0 = 1_700_000_000_000
RULES = """
groups:
- name: mixed
  interval: 30s
  rules:
  - {record: dark, expr: device_up == 0}
  - {alert: Dark, expr: dark == 0}
  - {alert: Counted, expr: 'ALERTS{alertname="Dark"} == 1'}
  - {alert: Hot, expr: temperature_celsius > 50}
"""


def site(text: str = RULES) -> tuple[SeriesState, RuleEngine]:
    state = SeriesState()
    return state, RuleEngine(load_text(text), state)


def put(state: SeriesState, metric: str, value: float, at: int) -> None:
    state.append(state.rows(f'{metric}{{device="a",site="s"}}'.encode()), [value], at)


def fired(engine: RuleEngine, now: int, metrics: set[str] | None = None) -> list[str]:
    return [change.rule for change in engine.evaluate(now, metrics)]


def test_a_kick_evaluates_only_what_reads_what_changed() -> None:
    state, engine = site()
    engine.evaluate(T0)
    put(state, "device_up", 0.0, T0 + 900)
    put(state, "temperature_celsius", 90.0, T0 + 900)
    assert fired(engine, T0 + 1000, {"device_up"}) == ["Dark", "Counted"], "through a recorded metric, and through an alert"
    assert fired(engine, T0 + 2000, {"temperature_celsius"}) == ["Hot"]


def test_a_kick_takes_no_slot_from_the_others() -> None:
    state, engine = site()
    engine.evaluate(T0)
    slot = engine.due_at(T0)
    put(state, "device_up", 0.0, slot - 100)
    put(state, "temperature_celsius", 90.0, slot - 100)
    assert fired(engine, slot + 50, {"device_up"}) == ["Dark", "Counted"]  # just before the slot's own turn
    assert fired(engine, slot + 100) == ["Hot"]
    health = {each.rule: each.evaluated_at for each in engine.health()}
    assert health["Dark"] == slot + 50, "never again as of an earlier time"
    assert health["Hot"] == slot
