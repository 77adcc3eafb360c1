"""A restart at any moment changes nothing: the same script, with and without, leaves the same tables."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from collector.decisions import Decisions
from collector.fault import FaultState
from collector.fault_json import fault_json
from collector.faults import FaultEngine
from collector.steps import STEPS, IllegalStep
from collector.store.faults import (
    SCHEMA,
    get_fault,
    list_faults,
    load_state,
    open_counts,
    pending_deliveries,
    store_decisions,
)
from config.contract import load_contract
from kit.incidents import Incident, device

TABLES = ("faults", "fault_affected", "fault_history", "alarms", "fault_alarms", "alarm_history", "outbox", "device_reach")


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.executescript(SCHEMA)
        yield opened


def network() -> list:
    return [
        device("core-1", role="core"),
        device("core-2", role="core"),
        device("agg-1", up=["core-1", "core-2"], role="aggregation"),
        device("agg-2", up=["core-1", "core-2"], role="aggregation"),
        device("acc-1", up=[("agg-1", "p1"), ("agg-2", "p1")]),
        device("acc-2", up=[("agg-1", "p2")]),
        device("ups-2", "ups", "acc-2", powers=["acc-2"]),
        device("cam-1", "camera", "acc-1", place="hall"),
        device("cam-2", "camera", "acc-2", place="gate"),
    ]


class Restarting(Incident):
    """An incident whose decisions are stored, and whose engine starts anew before every call if it is to."""

    def __init__(self, connection: sqlite3.Connection, restarts: bool, contract: str = "campus-network") -> None:
        super().__init__(*network(), contract=contract)
        self.connection, self.restarts = connection, restarts

    def keep(self, decisions: Decisions) -> Decisions:
        store_decisions(self.connection, decisions)
        self.connection.commit()
        if self.restarts:
            self.engine = FaultEngine(self.site, load_contract(self.site.contract))
            self.engine.load(load_state(self.connection))
        return super().keep(decisions)


def script(i: Restarting, seed: int) -> None:
    """Let things fail and come back at random, with persons at work, for an hour or two."""
    dice = random.Random(seed)
    now, dark, raised = 0.0, set(), set()
    for _ in range(60):
        now += dice.choice((0.2, 0.7, 3, 20, 100, 400))
        i.run(now)
        name = dice.choice(list(i.site.devices))
        move = dice.random()
        if move < 0.45:
            names = {name, *(n for n in i.site.devices if dice.random() < 0.2)}
            for each in sorted(names):
                if each in dark:
                    i.up(now, each)
                else:
                    i.down(now, each, reason=dice.choice(("icmp", "behind")))
                dark ^= {each}
        elif move < 0.7:
            rule, labels = dice.choice(
                [
                    ("UpsOnBattery", {}),
                    ("LinkDown", {"interface": "p1"}),
                    ("TemperatureHigh", {"sensor": "s"}),
                    ("PictureLost", {}),
                ]
            )
            key = (name, rule)
            (i.clear if key in raised else i.raise_)(now, name, rule, "minor", **labels)
            raised ^= {key}
        elif move < 0.8:
            state = dice.choice(("unknown", "up"))
            i.apply(now, (), [i.word(now, "agent-1", state, "agent-blind" if state == "unknown" else "recovered")])
        elif i.faults:
            fault = dice.choice(i.faults)
            try:
                fields = {"level": "A"} if dice.random() < 0.5 else {}
                i.keep(i.engine.act(fault.id, dice.choice(STEPS), "wang", i.at(now), "as seen", **fields))
            except (IllegalStep, KeyError):
                continue
    i.run(now + 4000)


def dump(connection: sqlite3.Connection) -> dict[str, list[tuple]]:
    return {table: sorted(connection.execute(f"SELECT * FROM {table}").fetchall()) for table in TABLES}


@pytest.mark.parametrize("seed", range(12))
def test_restart_before_every_call_changes_nothing(seed: int) -> None:
    dumps = []
    for restarts in (False, True):
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(SCHEMA)
            incident = Restarting(connection, restarts)
            script(incident, seed)
            dumps.append(dump(connection))
            assert load_state(connection).counter is not None
    for table in TABLES:
        assert dumps[0][table] == dumps[1][table], table


@pytest.mark.parametrize("seed", range(100, 112))
def test_what_is_stored_is_consistent(seed: int, connection: sqlite3.Connection) -> None:
    incident = Restarting(connection, restarts=False)
    script(incident, seed)
    told: dict[str, list[str]] = {}
    for delivery in pending_deliveries(connection):
        told.setdefault(delivery.fault, []).append(delivery.kind)
    for view in list_faults(connection, "all"):
        numbers = [entry.number for entry in view.history]
        assert numbers == list(range(1, view.fault.history_count + 1))
        assert view.fault.affected == tuple(sorted(view.fault.affected))
        kinds = told.get(view.fault.id, ["opened"])
        assert kinds[0] == "opened" and kinds.count("opened") == 1
        if view.fault.state in (FaultState.RESTORED, FaultState.OBSERVED):
            assert view.fault.restored_at is not None
        assert view.fault.began_at <= view.fault.opened_at
        steps = [entry.step for entry in view.history]
        assert steps.count("reopened") == view.fault.reopened


def test_reading_faults_back(connection: sqlite3.Connection) -> None:
    i = Restarting(connection, restarts=True)
    i.down(0, "core-1", "core-2", "agg-1", "agg-2", "acc-1", "cam-1")
    i.raise_(1, "acc-2", "TemperatureHigh", "minor", sensor="1")
    i.run(10)
    views = list_faults(connection)
    assert {view.fault.device for view in views} >= {"core-1", "core-2"}
    assert [view.fault.level for view in list_faults(connection, level="A")] == ["A", "A"]
    assert list_faults(connection, "closed") == [] and list_faults(connection, "restored") == []
    assert sum(open_counts(connection).values()) == len(views)
    assert get_fault(connection, "WK-none") is None
    view = get_fault(connection, views[-1].fault.id)
    assert view is not None
    record = fault_json(view)
    assert record["level_name"] == "class A" and record["affected"] == sorted(record["affected"])  # type: ignore[type-var]
    assert {alarm["rule"] for alarm in record["alarms"]} >= {"DeviceDown"}  # type: ignore[union-attr]
    assert record["began_at"] == "2026-11-22T01:59:58.000Z" and record["restored_at"] is None
    assert view.history[0].step == "opened"


def test_contract_exchanged_under_open_faults(connection: sqlite3.Connection) -> None:
    i = Restarting(connection, restarts=False)
    i.down(0, "core-1")
    state = i.engine.state()
    other = FaultEngine(i.site, load_contract("government-office"))
    other.load(state)
    decisions = other.tick(i.at(1))
    assert [(fault.level, fault.state.value) for fault in decisions.faults] == [("1", "opened")]


def test_memory_stays_flat(connection: sqlite3.Connection) -> None:
    i = Restarting(connection, restarts=False)
    for at in range(0, 200_000, 4000):
        i.down(at, "core-1", "cam-2")
        i.run(at + 60)
        i.up(at + 100, "core-1", "cam-2")
        i.run(at + 120)
        for fault in i.engine.faults:
            if fault.state is FaultState.RESTORED:
                i.keep(i.engine.act(fault.id, "close", "li", i.at(at + 130)))
        i.run(at + 3000)
    state = i.engine.state()
    assert state.faults == () and state.alarms == ()
    assert len(list_faults(connection, "all")) == 100
