"""Which rules an agent's word makes urgent."""

from __future__ import annotations

import pytest

from collector.judging import changed_by
from probes.sample import ReachState, Transition


def word(state: ReachState, device: str = "a") -> Transition:
    return Transition(device, state, "icmp", 1, 2)


def test_a_suspicion_leaves_device_up_alone() -> None:
    assert set(changed_by([word(ReachState.SUSPECT), word(ReachState.SUSPECT, "b")])) == {"device_suspect"}


@pytest.mark.parametrize("state", [ReachState.UP, ReachState.DOWN, ReachState.UNKNOWN])
def test_every_other_word_may_change_all(state: ReachState) -> None:
    assert set(changed_by([word(ReachState.SUSPECT), word(state)])) == {"device_up", "device_suspect", "agent_blind"}
