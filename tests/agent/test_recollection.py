"""Who answered before a restart: known for a while, within one boot, and never in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import recollection
from agent.recollection import FILE, HOLDS_S, Recollection, answering, recall
from kit.hand_clock import HandClock
from kit.reach_world import ReachWorld
from probes.sample import ReachState


def test_a_restarted_agent_calls_down_at_once_what_answered_before() -> None:
    before = ReachWorld()
    for name in "abcd":
        before.add(name)
    before.dark.add("d")
    before.run(20)
    assert sorted(answering(before.reach)) == ["a", "b", "c"]
    after = ReachWorld()
    for name in "abcd":
        after.add(name)
    recall(after.reach, frozenset("abc"))
    assert sorted(answering(after.reach)) == ["a", "b", "c"]
    after.dark |= {"c", "d"}
    found = {change.device: change for change in after.run(30) if change.state is ReachState.DOWN}
    assert found["c"].at - found["c"].since < 8_000 < found["d"].at - found["d"].since


def test_it_holds_for_a_while_and_for_this_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    kept = Recollection(tmp_path, clock)
    kept.save(["b", "a"])
    assert kept.load() == {"a", "b"} == Recollection(tmp_path, clock).load()
    clock.advance(HOLDS_S + 1)
    assert kept.load() == frozenset()
    kept.save(["a"])
    monkeypatch.setattr(recollection, "_boot", lambda: "another")
    assert Recollection(tmp_path, clock).load() == frozenset()
    monkeypatch.setattr(recollection, "_boot", lambda: "")
    nowhere = Recollection(tmp_path, clock)
    nowhere.save(["a"])
    assert nowhere.load() == frozenset()


def test_no_file_or_a_spoilt_one_counts_as_empty(tmp_path: Path) -> None:
    kept = Recollection(tmp_path, HandClock())
    assert kept.load() == frozenset()
    kept.save(["switch-1"])
    whole = (tmp_path / FILE).read_bytes()
    for cut in range(len(whole)):
        (tmp_path / FILE).write_bytes(whole[:cut])
        assert kept.load() == frozenset()
    for place in range(len(whole)):
        (tmp_path / FILE).write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        kept.load()
