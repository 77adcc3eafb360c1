from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from collector.calendar import counts, deadline
from collector.clocks import advanced, dropped, met, next_due
from collector.fault import ClockRecord, ClockState
from config.contract import Allowance, Calendar
from kit.incidents import Incident, device

SHANGHAI = ZoneInfo("Asia/Shanghai")
WORKING = Calendar("working", (0, 1, 2, 3, 4), ((9 * 60, 12 * 60), (13 * 60, 18 * 60)))
DAY = Allowance(days=1, calendar="working")


def at(text: str, zone: ZoneInfo = SHANGHAI) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)


@pytest.mark.parametrize(
    ("start", "allowed", "due"),
    [
        ("2026-11-20T16:00", DAY, "2026-11-23T16:00"),  # Friday afternoon to Monday afternoon
        ("2026-11-21T11:00", DAY, "2026-11-23T18:00"),  # Saturday: all of Monday
        ("2026-11-23T08:00", DAY, "2026-11-23T18:00"),
        ("2026-11-23T12:30", DAY, "2026-11-24T12:00"),  # lunch does not count
        ("2026-11-23T09:00", Allowance(days=3, calendar="working"), "2026-11-25T18:00"),
        ("2026-11-20T17:00", Allowance(days=10, calendar="working"), "2026-12-04T17:00"),
        ("2026-11-23T11:00", Allowance(2 * 3600, calendar="working"), "2026-11-23T14:00"),
        ("2026-11-20T10:00", Allowance(days=1, end_of_day=True, calendar="working"), "2026-11-23T18:00"),
        ("2026-11-19T23:59", Allowance(days=1, end_of_day=True, calendar="working"), "2026-11-20T18:00"),
        ("2026-11-22T10:00", Allowance(days=2, end_of_day=True, calendar="working"), "2026-11-24T18:00"),
    ],
)
def test_working_time(start: str, allowed: Allowance, due: str) -> None:
    assert deadline(at(start), allowed, WORKING, SHANGHAI) == at(due)


def test_always_counts_over_a_change_of_the_clocks() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    start = at("2026-10-25T00:30", berlin)
    assert deadline(start, Allowance(4 * 3600), Calendar("24x7"), berlin) == start + 4 * 3_600_000


def test_calendar_without_working_time_is_refused() -> None:
    for allowed in (DAY, Allowance(days=1, end_of_day=True)):
        with pytest.raises(ValueError, match="no working time"):
            deadline(0, Allowance(60, 1, allowed.end_of_day, "none"), Calendar("none", ()), SHANGHAI)


def test_counts() -> None:
    assert counts(WORKING, at("2026-11-23T09:00"), SHANGHAI)
    assert not counts(WORKING, at("2026-11-23T12:00"), SHANGHAI)
    assert not counts(WORKING, at("2026-11-22T10:00"), SHANGHAI)


def running(due: int = 1000) -> ClockRecord:
    return ClockRecord("respond", ClockState.RUNNING, 0, due, due)


def test_warnings_come_once_each_and_a_hundred_is_missed() -> None:
    clock = running()
    assert next_due({"respond": clock}) == 500
    assert advanced(clock, 499) == (clock, 0)
    clock, warned = advanced(clock, 500)
    assert (warned, advanced(clock, 500)[1], next_due({"respond": clock})) == (50, 0, 800)
    clock, warned = advanced(clock, 2000)
    assert (warned, clock.state, next_due({"respond": clock})) == (100, ClockState.MISSED, None)


def test_met_in_time_and_too_late() -> None:
    assert met({"respond": running()}, "respond", 1000)["respond"].state is ClockState.MET
    late = met({"respond": running()}, "respond", 1001)["respond"]
    assert (late.state, late.ended_at) == (ClockState.MISSED, 1001)
    assert met({"respond": late}, "respond", 10)["respond"] == late
    assert met({}, "respond", 1) == {}


def test_missed_is_kept_when_the_rest_is_dropped() -> None:
    missed = advanced(running(), 1000)[0]
    assert dropped({"respond": missed}, ("respond",), "over")["respond"] is missed


def test_warnings_are_told_with_the_clock_and_the_percent() -> None:
    i = Incident(device("core-1", role="core"))
    i.down(0, "core-1")
    i.run(601)
    told = [
        (d.at - i.at(0), d.kind, d.payload["percent"])
        for decisions in i.decisions
        for d in decisions.deliveries
        if d.payload.get("clock") == "respond"
    ]
    assert told == [(300_000, "clock-warning", "50"), (480_000, "clock-warning", "80"), (600_000, "clock-missed", "100")]
    i.keep(i.engine.act(i.only.id, "ack", "wang", i.at(700)))
    assert (i.only.clocks["respond"].state, i.only.clocks["respond"].ended_at) == (ClockState.MISSED, i.at(700))


def test_every_step_meets_its_clock() -> None:
    i = Incident(device("core-1", role="core"), contract="government-office")
    i.down(0, "core-1")
    name = i.only.id
    for step, when in (("ack", 30), ("remote", 200), ("arrive", 800)):
        i.keep(i.engine.act(name, step, "wang", i.at(when)))
    states = {clock: record.state.value for clock, record in i.only.clocks.items()}
    assert states == {
        "respond": "met",
        "remote": "met",
        "arrive": "met",
        "restore": "not-applicable",
        "report": "not-applicable",
    }


def test_rise_takes_the_earlier_of_old_deadline_and_rise_plus_new_allowance() -> None:
    projectors = [device(f"pj-{n}", "projector", "acc") for n in range(12)]
    i = Incident(device("core", role="core"), device("acc", up="core"), *projectors)
    i.down(0, "acc")
    i.run(1)
    fault = i.only
    assert (fault.level, fault.clocks["respond"].due_at, fault.clocks["arrive"].due_at) == ("C", i.at(1800.5), i.at(7200.5))
    i.down(600, *(f"pj-{n}" for n in range(11)))
    clocks = i.only.clocks
    assert i.only.level == "B"
    assert (clocks["respond"].due_at, clocks["respond"].first_due_at) == (i.at(1200), i.at(1800.5))
    assert (clocks["arrive"].due_at, clocks["arrive"].first_due_at) == (i.at(4200), i.at(7200.5))
    assert (clocks["report"].state, clocks["report"].due_at) == (ClockState.RUNNING, i.at(600 + 86_400))


def test_rise_late_keeps_a_deadline_that_is_earlier() -> None:
    projectors = [device(f"pj-{n}", "projector", "acc") for n in range(12)]
    i = Incident(device("core", role="core"), device("acc", up="core"), *projectors)
    i.down(0, "acc")
    i.run(1700)
    i.down(1700, *(f"pj-{n}" for n in range(11)))
    assert i.only.clocks["respond"].due_at == i.at(1800.5)


def test_reopened_restore_has_a_new_deadline_beside_the_first() -> None:
    i = Incident(device("core-1", role="core"), device("x"), contract="crossing-video")
    i.down(0, "core-1")
    i.keep(i.engine.act(i.only.id, "ack", "wang", i.at(60)))
    i.up(600, "core-1")
    assert i.only.clocks["restore"].state is ClockState.MET
    assert (i.only.clocks["report"].state, i.only.clocks["report"].due_at) == (ClockState.RUNNING, i.at(660))
    i.down(1200, "core-1")
    clocks = i.only.clocks
    assert (clocks["restore"].due_at, clocks["restore"].first_due_at) == (i.at(1200 + 4 * 3600), i.at(4 * 3600))
    assert clocks["respond"].state is ClockState.MET


def test_restored_before_anybody_came_needs_nobody() -> None:
    i = Incident(device("core-1", role="core"), device("x"))
    i.down(0, "core-1")
    i.up(60, "core-1")
    i.run(4000)
    states = {name: clock.state.value for name, clock in i.only.clocks.items()}
    assert states == {
        "respond": "not-applicable",
        "remote": "not-applicable",
        "arrive": "not-applicable",
        "restore": "met",
        "report": "running",
    }


def test_report_clock_that_starts_on_arrival() -> None:
    i = Incident(device("codec", "codec"), contract="conference-rooms")
    i.down(0, "codec")
    assert (i.only.clocks["report"].state, i.only.clocks["report"].reason) == (ClockState.PAUSED, "starts when arrived")
    i.keep(i.engine.act(i.only.id, "arrive", "wang", i.at(1000)))
    assert i.only.clocks["report"].due_at == i.at(1000 + 86_400)
    i.keep(i.engine.act(i.only.id, "report", "wang", i.at(2000)))
    assert i.only.clocks["report"].state is ClockState.MET
