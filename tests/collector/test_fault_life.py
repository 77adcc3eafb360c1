from __future__ import annotations

import pytest

from collector.fault import ClockState, Fault, FaultState
from collector.sentence import fault_sentence
from collector.steps import ALLOWED, IllegalStep, UnknownFault
from config.language import use
from kit.incidents import Incident, device


def opened() -> Incident:
    i = Incident(device("core-1", role="core"), device("x"))
    i.down(0, "core-1")
    return i


def act(i: Incident, step: str, when: float = 60, note: str = "", **fields: str) -> Fault:
    i.keep(i.engine.act(i.only.id, step, "wang", i.at(when), note, **fields))
    return i.only


def test_whole_life() -> None:
    i = opened()
    assert act(i, "ack").state is FaultState.ACCEPTED
    fault = act(i, "assign", 70, to="li")
    assert (fault.state, fault.person) == (FaultState.ASSIGNED, "li")
    assert act(i, "arrive", 80).state is FaultState.ARRIVED
    act(i, "note", 85, "power cord was loose")
    i.up(100, "core-1")
    assert i.only.state is FaultState.RESTORED
    i.run(400)
    assert i.only.state is FaultState.OBSERVED
    fault = act(i, "confirm", 500)
    assert (fault.state, fault.confirmed_at) == (FaultState.CONFIRMED, i.at(500))
    fault = act(i, "close", 600)
    assert (fault.state, fault.closed_at) == (FaultState.CLOSED, i.at(600))
    assert i.steps(fault) == [
        "opened", "accepted", "assigned", "arrived", "note", "restored", "observed", "confirmed", "closed",
    ]  # fmt: skip
    written = [h for d in i.decisions for h in d.history if h.step == "note"]
    assert (written[0].person, written[0].note, written[0].at) == ("wang", "power cord was loose", i.at(85))


def test_healed_by_itself_waits_for_a_signature() -> None:
    i = opened()
    i.up(60, "core-1")
    i.run(86_400)
    assert i.only.state is FaultState.OBSERVED and i.only.closed_at is None
    assert act(i, "close", 90_000).state is FaultState.CLOSED


@pytest.mark.parametrize("state", [state for state in FaultState if state is not FaultState.MERGED])
def test_illegal_steps_name_what_is_allowed(state: FaultState) -> None:
    i = opened()
    way = {
        FaultState.OPENED: [],
        FaultState.ACCEPTED: ["ack"],
        FaultState.ASSIGNED: ["assign"],
        FaultState.ARRIVED: ["arrive"],
        FaultState.RESTORED: ["restore"],
        FaultState.OBSERVED: ["heal"],
        FaultState.CONFIRMED: ["restore", "confirm"],
        FaultState.CLOSED: ["restore", "close"],
        FaultState.REOPENED: ["restore", "reopen"],
    }[state]
    for step in way:
        if step == "heal":
            i.up(60, "core-1")
            i.run(500)
        else:
            act(i, step)
    assert i.only.state is state
    before = i.only
    for step in ("ack", "assign", "arrive", "restore", "confirm", "close", "reopen", "dance", ""):
        if step in ALLOWED[state]:
            continue
        with pytest.raises(IllegalStep) as caught:
            i.engine.act(i.only.id, step, "wang", i.at(600))
        assert caught.value.allowed == ALLOWED[state]
        assert all(name in str(caught.value) for name in ALLOWED[state])
    assert i.engine.faults == (before,) and not i.engine.tick(i.at(100))


def test_unknown_fault() -> None:
    with pytest.raises(UnknownFault):
        opened().engine.act("WK-20200101-0001", "ack", "wang", 0)


def test_restored_by_a_person_while_still_dark_is_found_out() -> None:
    i = opened()
    assert act(i, "restore", 60, "works again").state is FaultState.RESTORED
    i.run(359)
    assert i.only.state is FaultState.RESTORED
    i.run(360)
    assert (i.only.state, i.only.reopened) == (FaultState.REOPENED, 1)
    i.up(500, "core-1")
    assert (i.only.state, i.only.restored_at) == (FaultState.RESTORED, i.at(500))


def test_level_is_lowered_only_by_a_person_with_a_reason() -> None:
    i = opened()
    for note, level in (("", "D"), ("it is a spare", "Z"), ("it is a spare", "")):
        with pytest.raises(IllegalStep):
            i.engine.act(i.only.id, "level", "wang", i.at(10), note, level=level)
    due = i.only.clocks["restore"].due_at
    fault = act(i, "level", 10, "it is a spare", level="D")
    assert (fault.level, fault.level_reason, fault.clocks["restore"].due_at) == ("D", "it is a spare", due)
    fault = act(i, "level", 20, "it is not", level="A")
    assert fault.level == "A"


def test_not_satisfied_means_again() -> None:
    i = opened()
    i.up(60, "core-1")
    act(i, "close", 100)
    fault = act(i, "reopen", 200, "picture still poor")
    assert (fault.state, fault.reopened, fault.closed_at) == (FaultState.REOPENED, 1, None)
    assert fault.clocks["restore"].state is ClockState.RUNNING


def test_accept_is_ack() -> None:
    assert act(opened(), "accept").state is FaultState.ACCEPTED


def test_each_delivery_has_a_key_of_its_own() -> None:
    i = opened()
    for step in ("ack", "assign", "arrive", "restore", "confirm", "close"):
        act(i, step)
    keys = [d.key for decisions in i.decisions for d in decisions.deliveries]
    assert len(keys) == len(set(keys)) == 7


SENTENCES = [
    ([("down", "acc")], "acc does not answer"),
    ([("down", "acc", "cam-1")], "acc does not answer, 1 device lost with it"),
    ([("down", "acc", "cam-1", "cam-2")], "acc does not answer, 2 devices lost with it"),
    ([("UpsOnBattery", "ups")], "Mains lost at ups: on battery, 3 devices behind"),
    ([("UpsOnBattery", "ups"), ("down", "acc", "cam-1")], "Mains lost at ups: 2 of 3 devices behind are down"),
    ([("PictureLost", "cam-1")], "No usable picture from cam-1"),
    ([("FanFailed", "acc")], "fan failed at acc"),
    ([("blind",)], "Agent agent-1 reaches nothing: 4 devices are not watched"),
]


@pytest.mark.parametrize(("events", "sentence"), SENTENCES)
def test_sentence(events: list[tuple[str, ...]], sentence: str) -> None:
    i = Incident(
        device("acc"),
        device("ups", "ups", powers=["acc"]),
        device("cam-1", "camera", "acc"),
        device("cam-2", "camera", "acc"),
    )
    for at, (what, *names) in enumerate(events):
        if what == "down":
            i.down(at * 100, *names)
        elif what == "blind":
            i.apply(0, (), [i.word(0, "agent-1", "unknown", "agent-blind")])
        else:
            i.raise_(at * 100, names[0], what)
        i.run(at * 100 + 50)
    assert fault_sentence(i.only, "en") == sentence
    assert fault_sentence(i.only, "zh-CN")


def test_sentence_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    i = opened()
    monkeypatch.setattr("collector.sentence.translate", lambda text, tag: "{device} 无应答" if tag == "zh-CN" else text)
    assert fault_sentence(i.only, "zh-CN") == "core-1 无应答"
    use("en")
    assert fault_sentence(i.only) == "core-1 does not answer"
