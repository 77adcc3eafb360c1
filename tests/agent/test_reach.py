"""The pure reach core: when it says down, why, behind what, and when it doubts itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.watch import Phase
from kit.reach_world import START_AT, ReachWorld
from probes.reason import Reason
from probes.sample import ReachState, Transition


def brief(changes: list[Transition]) -> list[tuple[str, str, str]]:
    return [(c.device, c.state.value, c.reason) for c in changes]


def world_of(*names: str, **options: float) -> ReachWorld:
    world = ReachWorld(**options)  # type: ignore[arg-type]
    for name in names:
        world.add(name)
    return world


def test_the_first_answer_announces_each_device_and_the_agent() -> None:
    world = world_of("a", "b", "c", "d")
    changes = world.run(5)
    assert brief(changes)[0] == ("a1", "up", "first-answer")
    assert sorted(brief(changes)[1:]) == [(name, "up", "first-answer") for name in "abcd"]


def test_one_lost_packet_is_a_suspicion_and_no_more() -> None:
    world = world_of("a", "b", "c", "d")
    world.run(5)
    world.dark.add("a")
    while not (changes := world.run(0.1)):
        pass
    world.dark.clear()
    changes += world.run(5)
    assert brief(changes) == [("a", "suspect", "icmp"), ("a", "up", "recovered")]
    assert world.reach.watches["a"].phase is Phase.QUIET


def test_silence_is_down_within_the_promise() -> None:
    world = world_of("a", "b", "c", "d")
    world.run(5)
    world.dark.add("a")
    changes = world.run(10)
    assert brief(changes) == [("a", "suspect", "icmp"), ("a", "down", "icmp")]
    suspect, down = changes
    assert down.since == suspect.since
    assert (down.at - down.since) / 1000 <= 3.5
    assert world.run(60) == []


def test_two_good_answers_are_a_return_with_the_time_of_the_first() -> None:
    world = world_of("a", "b", "c", "d")
    world.run(5)
    world.dark.add("a")
    world.run(10)
    back = world.at
    world.dark.clear()
    (change,) = world.run(5)
    assert (change.state, change.reason) == (ReachState.UP, "recovered")
    assert back <= change.since <= change.at <= change.since + 1000


def test_one_answer_of_a_dark_device_is_no_return() -> None:
    world = world_of("a", "b", "c", "d")
    world.run(5)
    world.dark.add("a")
    world.run(10)
    world.reach.answered(world.reach.watches["a"], "icmp", world.now, world.at, 0.001, routine=True)
    world._after()
    assert world.run(5) == []


def test_a_device_that_never_answered_is_down_after_the_grace() -> None:
    world = world_of("b", "c", "d")
    world.dark.add("a")
    world.add("a")
    changes = [change for change in world.run(9.9) if change.device == "a"]
    assert changes == []
    (change,) = world.run(6)
    assert (change.device, change.reason, change.since) == ("a", "icmp", START_AT)


def test_filtered_icmp_is_up_and_asked_otherwise() -> None:
    world = world_of("a", "b", "c", "d")
    world.run(5)
    world.deaf.add(("a", "icmp"))
    changes = world.run(10)
    assert brief(changes)[0] == ("a", "suspect", "icmp")
    assert {change.state for change in changes[1:]} == {ReachState.UP}
    assert "filtered" in changes[-1].detail
    assert world.run(300) == [], "not a suspect every two seconds"
    assert world.reach.watches["a"].method == "snmp"
    world.dark.add("a")
    assert brief(world.run(10)) == [("a", "suspect", "snmp-silent"), ("a", "down", "icmp")]


@pytest.mark.parametrize(("methods", "reason"), [(("icmp",), "icmp"), (("snmp",), "snmp-silent"), (("tcp:554",), "tcp-silent")])
def test_one_method_is_enough(methods: tuple[str, ...], reason: str) -> None:
    world = world_of("b", "c", "d")
    world.add("a", methods=methods)
    world.run(5)
    world.dark.add("a")
    assert brief(world.run(10)) == [("a", "suspect", reason), ("a", "down", reason)]
    world.dark.clear()
    assert brief(world.run(10)) == [("a", "up", "recovered")]


def test_a_child_is_behind_and_never_before_its_parent() -> None:
    for seed in range(20):
        world = ReachWorld(seed=seed)
        world.add("core")
        world.add("other")
        world.add("sw", "core")
        for n in range(10):
            world.add(f"cam{n}", "sw")
        world.run(5)
        world.dark |= {"sw", *(f"cam{n}" for n in range(10))}
        downs = [change for change in world.run(10) if change.state is ReachState.DOWN]
        assert downs[0].device == "sw" and downs[0].reason == "icmp"
        assert {(c.reason, c.via) for c in downs[1:]} == {("behind", "sw")}
        assert len(downs) == 11
        assert all(down.at - down.since <= 5000 for down in downs)


def test_the_nearest_dark_upstream_is_named() -> None:
    world = ReachWorld()
    world.add("other")
    world.add("core")
    world.add("sw", "core")
    world.add("cam", "sw")
    world.run(5)
    world.dark |= {"core", "sw", "cam"}
    downs = [change for change in world.run(10) if change.state is ReachState.DOWN]
    assert [(c.device, c.reason, c.via) for c in downs] == [
        ("core", "icmp", ""), ("sw", "behind", "core"), ("cam", "behind", "sw")
    ]  # fmt: skip


def test_with_two_ways_both_must_be_dark() -> None:
    world = ReachWorld()
    for name in ("left", "right"):
        world.add(name)
    world.add("leaf", "left", "right")
    world.run(5)
    world.dark |= {"left", "leaf"}
    assert {(c.device, c.reason) for c in world.run(10) if c.state is ReachState.DOWN} == {("left", "icmp"), ("leaf", "icmp")}


def test_a_ring_of_upstreams_ends() -> None:
    world = ReachWorld()
    world.add("far")
    world.add("a", "b", "far")
    world.add("b", "a", "far")
    world.run(5)
    world.dark |= {"a", "b"}
    assert {(c.device, c.reason) for c in world.run(10) if c.state is ReachState.DOWN} == {("a", "icmp"), ("b", "icmp")}


def test_who_stays_silent_behind_a_return_is_down_for_itself_after_the_grace() -> None:
    world = ReachWorld()
    world.add("other")
    world.add("sw")
    cam = world.add("cam", "sw")
    world.run(5)
    world.dark |= {"sw", "cam"}
    world.run(10)
    since = cam.since
    world.dark.remove("sw")
    assert brief(world.run(50)) == [("sw", "up", "recovered")]
    (change,) = world.run(30)
    assert (change.device, change.reason, change.since) == ("cam", "icmp", since)


def test_everything_silent_is_the_agents_own_blindness() -> None:
    world = world_of("a", "b", "c")
    world.add("d", "a")
    world.run(5)
    world.dark |= {"a", "b", "c", "d"}
    changes = world.run(20)
    assert [c for c in changes if c.state is ReachState.DOWN] == [c for c in changes if c.device == "a1"]
    assert {c.device for c in changes if c.state is ReachState.UNKNOWN} == {"a", "b", "c", "d"}
    world.dark = {"b"}
    changes = world.run(20)
    assert brief(changes)[0] == ("a1", "up", "recovered")
    assert {name for name, state, _ in brief(changes) if state == "up"} == {"a1", "a", "c", "d"}
    assert ("b", "down", "icmp") in brief(changes)


def test_down_devices_stay_down_through_blindness_and_are_announced_again() -> None:
    world = world_of("a", "b", "c", "d")
    world.run(5)
    world.dark.add("a")
    since = world.run(10)[-1].since
    world.dark |= {"b", "c", "d"}
    changes = world.run(20)
    assert "a" not in {c.device for c in changes}
    world.dark = {"a"}
    again = [c for c in world.run(20) if c.device == "a"]
    assert [(c.state, c.reason, c.since) for c in again] == [(ReachState.DOWN, "icmp", since)]


def test_a_lone_root_is_down_unless_a_witness_is_silent_too() -> None:
    for witnesses, expected in (([], "core"), (["gw"], "core"), (["gw-dead"], "a1")):
        world = ReachWorld()
        world.reach.set_witnesses(witnesses)
        world.add("core")
        world.add("sw", "core")
        for witness in world.reach.witnesses:
            world.reach.answered(witness, "icmp", 0.0, world.at, 0.001)
        world.run(5)
        world.dark |= {"core", "sw", "gw-dead"}
        downs = [c for c in world.run(10) if c.state is ReachState.DOWN]
        assert downs[0].device == expected
        assert downs[0].reason == ("agent-blind" if expected == "a1" else "icmp")


def test_no_route_at_all_is_blindness_even_with_one_device() -> None:
    world = world_of("only")
    world.run(5)
    world.dark.add("only")
    world.local.add("only")
    assert ("a1", "down", "agent-blind") in brief(world.run(10))
    assert world.state("only") == "unknown"


def test_what_may_not_be_asked_is_not_down() -> None:
    world = world_of("b", "c", "d")
    only, both = world.add("only", methods=("icmp",)), world.add("both")
    world.run(5)
    for watch in (only, both):
        world.reach.missed(watch, "icmp", world.now, world.at, Reason.NO_PERMISSION, routine=True)
    world._after()
    world.run(60)
    assert world.state("both") == "up"
    assert (world.state("only"), only.reason) == ("unknown", "no_permission")
    assert both.method == "snmp"
    assert world.reach.add("both", ("icmp", "snmp"), (), world.now, world.at) is both


def test_a_name_server_that_fails_is_no_device_that_fails() -> None:
    world = world_of("a", "b", "c", "d")
    world.run(5)
    for _ in range(50):
        world.reach.missed(world.reach.watches["a"], "icmp", world.now, world.at, Reason.RESOLVE, routine=True)
    assert world.run(20) == []


def test_ten_thousand_at_once_are_paced() -> None:
    world = ReachWorld(interval_s=5)
    world.add("alive")
    for n in range(10_000):
        world.reach.add(f"d{n}", ("icmp",), (), 0.0, START_AT)
    world.reach.connect()
    world.run(6)
    most = 0
    for n in range(10_000):
        watch = world.reach.watches[f"d{n}"]
        world.dark.add(watch.name)
        watch.state, watch.ever = ReachState.UP, True
        world.reach.missed(watch, "icmp", world.now, world.at, Reason.TIMEOUT, routine=True)
    world._after()
    for _ in range(400):
        world.run(0.05)
        most = max(most, world.reach._bursts)
    assert most <= world.reach.settings.most_bursts
    assert sum(w.state is ReachState.DOWN for w in world.reach.watches.values()) == 10_000


@pytest.mark.parametrize(
    ("loss", "devices", "hours"),
    [
        (0.05, 40, 1.0),
        pytest.param(0.05, 1000, 2.0, marks=pytest.mark.slow),
        pytest.param(0.10, 500, 1.0, marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(900)
def test_random_loss_is_no_false_down(loss: float, devices: int, hours: float) -> None:
    world = ReachWorld(loss=loss)
    for n in range(devices):
        world.add(f"d{n}", *(["d0"] if n % 3 == 1 else []))
    changes = world.run(hours * 3600)
    assert world.asked > devices * hours * 1800
    assert [c for c in changes if c.state in (ReachState.DOWN, ReachState.UNKNOWN)] == []


events = st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.floats(0.01, 8.0)), max_size=30)


@settings(max_examples=60, deadline=None)
@given(events, st.integers(0, 1000), st.floats(0, 0.3))
def test_whatever_happens_states_alternate_and_truth_wins(plan: list[tuple[str, bool, float]], seed: int, loss: float) -> None:
    world = ReachWorld(seed=seed, loss=loss)
    tree = {"a": (), "b": ("a",), "c": ("a", "b"), "d": ("c",), "e": (), "f": ()}
    for name, upstreams in tree.items():
        world.add(name, *upstreams)
    for name, dark, seconds in plan:
        (world.dark.add if dark else world.dark.discard)(name)
        world.run(seconds)
    world.lost = 0.0
    world.run(120)
    last: dict[str, Transition] = {}
    for change in world.changes:
        before = last.get(change.device)
        assert change.since <= change.at
        if before is not None and change.state is ReachState.SUSPECT:
            assert before.state is ReachState.UP
        last[change.device] = change
    if not world.reach.blind:
        for name in tree:
            assert world.state(name) == ("down" if name in world.dark else "up")
    else:
        assert world.dark >= {"a", "e", "f"}
    assert world.reach._bursts == 0 and not world.reach._active
