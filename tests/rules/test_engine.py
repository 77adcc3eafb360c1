from __future__ import annotations

import asyncio

import pytest

from collector.series import SeriesState
from rules.alert import AlertChange, Kind
from rules.engine import RuleEngine
from rules.load import load_text

T0 = 1_700_000_000_000
STEP = 10_000

BASIC = """
groups:
- name: reach
  interval: 10s
  rules:
  - alert: Down
    expr: device_up == 0
    for: 30s
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.device }} is down, value {{ $value }}"}
"""


class Site:
    """A state and an engine, driven step by step."""

    def __init__(self, rules: str, state: SeriesState | None = None) -> None:
        self.state = state or SeriesState()
        self.engine = RuleEngine(load_text(rules), self.state)
        self.now = T0

    def up(self, at: int | None = None, **devices: float) -> None:
        rows = self.state.rows("\n".join(f'device_up{{device="{name}",site="s"}}' for name in devices).encode())
        self.state.append(rows, list(devices.values()), self.now if at is None else at)

    def run(self, steps: int, **devices: float) -> list[tuple[str, str, int]]:
        found: list[AlertChange] = []
        for _ in range(steps):
            self.now += STEP
            if devices:
                self.up(at=self.now - STEP + 1, **devices)
            found += self.engine.evaluate(self.now)
        return [(change.kind.value, dict(change.labels).get("device", ""), change.at) for change in found]


def kinds(found: list[tuple[str, str, int]]) -> list[str]:
    return [kind for kind, _, _ in found]


def test_pending_firing_resolved_with_expanded_annotations() -> None:
    site = Site(BASIC)
    assert site.run(1, a=1.0) == []
    assert kinds(site.run(3, a=0.0)) == ["pending"]
    site.now += STEP
    site.up(at=site.now - STEP + 1, a=0.0)
    (fired,) = site.engine.evaluate(site.now)
    assert fired.kind is Kind.FIRING and fired.at - fired.active_at == 30_000
    assert fired.annotations == {"summary": "a is down, value 0"}
    assert fired.labels == (("alertname", "Down"), ("device", "a"), ("severity", "critical"), ("site", "s"))
    assert kinds(site.run(1, a=1.0)) == ["resolved"]
    assert kinds(site.run(1, a=0.0)) == ["pending"] and kinds(site.run(1, a=1.0)) == ["dropped"]


def test_for_zero_fires_at_once_and_a_kick_does_not_wait_for_the_slot() -> None:
    site = Site(BASIC.replace("for: 30s", "for: 0s"))
    site.run(1, a=1.0)
    site.up(at=site.now + 1500, a=0.0)
    assert site.engine.evaluate(site.now + 1500) == []
    (fired,) = site.engine.evaluate(site.now + 1500, metrics={"device_up"})
    assert fired.kind is Kind.FIRING and fired.at == site.now + 1500
    assert site.engine.evaluate(site.now + 1600, metrics={"other"}) == []


def test_groups_are_evaluated_at_their_slots_and_missed_ones_are_counted() -> None:
    site = Site(BASIC.replace("for: 30s", "for: 0s"))
    site.up(at=T0 - STEP, a=0.0)
    (first,) = site.engine.evaluate(T0)
    assert 0 <= T0 - first.at < STEP
    assert site.engine.evaluate(first.at + STEP - 1) == [] and site.engine.missed_slots == 0
    site.engine.evaluate(T0 + 5 * STEP)
    assert site.engine.missed_slots == 4
    assert site.engine.due_at(T0 + 5 * STEP) == first.at + 6 * STEP


def test_keep_firing_for() -> None:
    site = Site(BASIC.replace("for: 30s", "for: 0s\n    keep_firing_for: 20s"))
    assert kinds(site.run(1, a=0.0)) == ["firing"]
    assert site.run(2, a=1.0) == []
    assert site.run(1, a=0.0) == []  # came back meanwhile: starts over
    assert site.run(2, a=1.0) == []
    assert kinds(site.run(1, a=1.0)) == ["resolved"]


def test_a_restart_in_the_middle_of_for_neither_loses_nor_counts_the_downtime() -> None:
    site = Site(BASIC)
    site.run(1, a=1.0, b=0.0)
    site.run(2, a=0.0, b=0.0)  # a is pending for 10 s, b for 20 s
    states = site.engine.snapshot()
    again = Site(BASIC)
    again.now = site.now + 3_600_000
    assert again.engine.restore(states, again.now) == []
    assert again.run(1) == []  # nothing was polled yet: nobody resolves, nobody fires
    assert [found[:2] for found in again.run(1, a=0.0, b=0.0)] == [("firing", "b")]
    assert [found[:2] for found in again.run(1, a=0.0, b=0.0)] == [("firing", "a")]


def test_a_restored_firing_alert_waits_for_its_inputs_and_then_resolves() -> None:
    site = Site(BASIC.replace("for: 30s", "for: 0s"))
    site.run(1, a=0.0, b=0.0)
    states = site.engine.snapshot()
    again = Site(BASIC.replace("for: 30s", "for: 0s"))
    again.now = site.now + 60_000
    again.engine.restore(states, again.now)
    assert again.run(3) == []
    assert [found[:2] for found in again.run(1, a=1.0)] == [("resolved", "a")]
    assert [state.labels for state in again.engine.snapshot()] == [states[1].labels]
    assert [found[:2] for found in again.run(40)] == [("resolved", "b")]  # never polled again: the grace has an end


def test_a_restart_never_judges_what_lay_before_it() -> None:
    site = Site(BASIC.replace("for: 30s", "for: 0s"))
    site.run(1, a=0.0)
    site.up(at=site.now + 2000, a=1.0)
    assert kinds([(c.kind.value, "", c.at) for c in site.engine.evaluate(site.now + 2000, ("device_up",))]) == ["resolved"]
    again = Site(BASIC.replace("for: 30s", "for: 0s"), site.state)
    restarted = site.now + 5000
    again.engine.restore(site.engine.snapshot(), restarted)
    assert again.engine.evaluate(restarted) == []
    again.up(at=restarted + 1000, a=0.0)
    assert [change.kind for change in again.engine.evaluate(site.now + 2 * STEP)] == [Kind.FIRING]


def test_a_restored_alert_that_is_seen_again_makes_no_second_change() -> None:
    site = Site(BASIC.replace("for: 30s", "for: 0s"))
    site.run(1, a=0.0)
    states = site.engine.snapshot()
    again = Site(BASIC.replace("for: 30s", "for: 0s"))
    again.now = site.now + 60_000
    again.engine.restore(states, again.now)
    assert again.run(2, a=0.0) == []
    (state,) = again.engine.snapshot()
    assert state.active_at == states[0].active_at and state.fired_at == states[0].fired_at


def test_a_reload_keeps_state_by_name_and_labels_and_ends_what_is_gone() -> None:
    site = Site(BASIC.replace("for: 30s", "for: 0s"))
    site.run(1, a=0.0)
    changed = BASIC.replace("for: 30s", "for: 0s").replace("device_up == 0", "device_up < 1")
    assert site.engine.reload(load_text(changed), site.now) == []
    assert site.run(1, a=0.0) == []
    gone = site.engine.reload(load_text(changed.replace("critical", "minor")), site.now)
    assert [change.kind for change in gone] == [Kind.RESOLVED]
    assert kinds(site.run(1, a=0.0)) == ["firing"]


def test_alerts_series_and_recording_rules_are_seen_by_later_rules_of_the_same_evaluation() -> None:
    site = Site("""
groups:
- name: g
  interval: 10s
  rules:
  - record: site:down:count
    expr: count by (site) (device_up == 0)
    labels: {kind: sum}
  - alert: Down
    expr: device_up == 0
  - alert: Many
    expr: site:down:count{kind="sum"} > 1 and on () count(ALERTS{alertname="Down",alertstate="firing"}) == 2
""")
    assert kinds(site.run(1, a=0.0, b=0.0)) == ["firing"] * 3
    assert set(kinds(site.run(1, a=0.0, b=1.0))) == {"resolved"}
    assert site.state.newest(b'ALERTS{alertname="Down",alertstate="firing",device="b",site="s"}') is None
    assert site.state.newest(b'ALERTS_FOR_STATE{alertname="Down",device="a",site="s"}') is not None
    site.run(1, a=1.0, b=1.0)
    assert site.state.newest(b'site:down:count{kind="sum",site="s"}') is None


def test_an_error_leaves_the_alerts_as_they_were() -> None:
    site = Site("""
groups:
- name: g
  interval: 10s
  rules:
  - alert: Odd
    expr: device_up * on (site) group_left () switch == 0
""")
    rows = site.state.rows(b'switch{site="s",x="1"}')
    site.state.append(rows, [1.0], T0)
    assert kinds(site.run(1, a=0.0)) == ["firing"]
    site.state.append(site.state.rows(b'switch{site="s",x="2"}'), [1.0], site.now)
    assert site.run(1, a=1.0) == []
    assert "found duplicate series" in site.engine.health()[0].error
    assert len(site.engine.snapshot()) == 1


def test_two_results_that_make_one_alert_are_an_error_and_limits_hold() -> None:
    site = Site("""
groups:
- name: g
  interval: 10s
  limit: 2
  rules:
  - alert: Same
    expr: device_up == 0
    labels: {device: ""}
  - alert: Many
    expr: device_up == 0
""")
    assert set(kinds(site.run(1, a=0.0, b=0.0, c=0.0))) == {"firing", "resolved"}
    same, many = site.engine.health()
    assert "same alert" in same.error and "limit of 2 with 3" in many.error
    assert site.engine.snapshot() == []


def test_a_clock_set_back_stops_nothing_and_a_long_sleep_ages_nothing() -> None:
    site = Site(BASIC)
    site.run(2, a=0.0)
    site.now -= 3_600_000
    site.state.rewind(site.now)
    found = site.run(4, a=0.0)
    assert kinds(found) == ["firing"]
    other = Site(BASIC)
    other.run(2, a=0.0)
    other.now += 3_600_000
    assert other.run(1, a=0.0) == []
    assert kinds(other.run(3, a=0.0)) == ["firing"]


def test_a_changing_annotation_is_an_update() -> None:
    site = Site(BASIC.replace("for: 30s", "for: 0s").replace("== 0", "< 1"))
    site.run(1, a=0.0)
    assert kinds(site.run(1, a=0.5)) == ["updated"]
    assert site.run(1, a=0.5) == []


async def test_paced_evaluation_gives_way_and_finds_the_same() -> None:
    rules = "groups:\n- name: g\n  interval: 10s\n  rules:\n" + "".join(
        f'  - alert: A{n}\n    expr: device_up == 0\n    annotations: {{summary: "{{{{ $labels.device }}}}"}}\n'
        for n in range(5)
    )
    paced, plain = Site(rules), Site(rules)
    devices = {f"d{n}": 0.0 for n in range(500)}
    for site in (paced, plain):
        site.up(at=T0 - STEP, **devices)
    turns = 0

    async def neighbour() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(neighbour())
    found = await paced.engine.evaluate_paced(T0)
    task.cancel()
    assert turns >= 20
    assert found == plain.engine.evaluate(T0) and len(found) == 2500


@pytest.mark.parametrize("phase", ["pending", "firing"])
def test_a_kick_between_slots_is_not_undone_by_the_next_slot(phase: str) -> None:
    site = Site(BASIC if phase == "pending" else BASIC.replace("for: 30s", "for: 0s"))
    site.run(1, a=1.0)
    site.up(at=site.now + 4000, a=0.0)
    assert [change.kind.value for change in site.engine.evaluate(site.now + 4000, {"device_up"})] == [phase]
    assert site.engine.evaluate(site.now + 4001) == []
    assert site.run(1, a=0.0) == []
