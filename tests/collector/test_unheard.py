"""No answer is no news, over the real way: runs and verdicts into ingest, the shipped rules, the fault engine."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from collector import judging
from collector.app import LIBRARY, Collector
from collector.fault import Fault
from config.site import Device, Upstream
from kit.collecting import AGENT, START, AgentSide, collecting, site_of, with_devices
from kit.hand_clock import HandClock
from probes.reason import Reason
from probes.sample import ReachState, Run, Transition, series_key

SW, UPS = "access", "ups-1"
CLASSES = {SW: "switch", UPS: "ups"}


def told(device: str, at: int, reason: Reason = Reason.OK, **samples: float) -> Run:
    """A state run; `port_1=0.0` is interface_up of port 1, which is meant to be up."""
    labels = {"site": "north", "device": device, "class": CLASSES[device], "place": "x17"}
    keys, values = [], []
    for name, value in samples.items():
        metric, _, port = name.partition("_") if name.startswith("port_") else (name, "", "")
        if metric == "port":
            for each, number in (("interface_up", value), ("interface_admin_up", 1.0)):
                keys.append(series_key(each, labels | {"interface": f"Gi{port}"}))
                values.append(number)
        else:
            keys.append(series_key(metric, labels))
            values.append(value)
    keys.append(series_key("probe_success", labels | {"lane": "state"}))
    values.append(float(reason is Reason.OK))
    return Run(device, "state", at, 0.1, reason, b"\n".join(keys), values)


class Watch:
    """A collector, its agent's side, and time that passes second by second with a state run every 10 s."""

    def __init__(self, collector: Collector, clock: HandClock) -> None:
        self.collector, self.clock, self.agent = collector, clock, AgentSide()

    async def say(self, runs: Sequence[Run] = (), changes: Sequence[Transition] = ()) -> None:
        await self.collector.ingest(AGENT, self.agent.frame(runs, changes, self.clock.wall))

    async def word(self, state: str, *devices: str) -> None:
        at = self.clock.wall
        await self.say(
            (), [Transition(d, ReachState(state), "icmp", at - 2000 if state == "down" else at, at) for d in devices]
        )

    async def poll(self, device: str, seconds: int, reason: Reason = Reason.OK, **samples: float) -> None:
        """Let time pass with runs like this at its beginning and every 10 s."""
        for second in range(seconds):
            if second % 10 == 0:
                await self.say([told(device, self.clock.wall, reason, **samples)])
            await self.wait(1)

    async def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1)
            await self.say()
            await judging.tick(self.collector)

    @property
    def faults(self) -> list[Fault]:
        return [fault for fault in self.collector.writer.memory.faults.faults if fault.device != "other-agent"]  # type: ignore[attr-defined]

    def now(self) -> list[tuple[str, str, str]]:
        return [(fault.device, fault.problem, fault.state.value) for fault in self.faults]


@asynccontextmanager
async def watching(folder: Path, **options: Any) -> AsyncIterator[Watch]:
    clock = options.pop("clock", None) or HandClock(START)
    ups = Device(UPS, "127.0.0.9", "ups", place="x17", agent=AGENT, upstream=(Upstream(SW),), powers=(SW,))
    site = with_devices(site_of(folder), ups)
    paths = options.pop("rule_paths", sorted(LIBRARY.glob("*.yml")))
    async with collecting(folder, clock, site=site, timers=False, rule_paths=paths, **options) as collector:
        yield Watch(collector, clock)


ON_BATTERY = [(UPS, "mains-lost", "opened")]


async def opened(watch: Watch) -> None:
    await watch.word("up", SW, UPS)
    await watch.poll(UPS, 30, ups_on_battery=0.0)
    await watch.poll(UPS, 40, ups_on_battery=1.0)
    assert watch.now() == ON_BATTERY


@pytest.mark.parametrize("silence_s", [10, 60, 400])
async def test_failed_polls_neither_end_nor_restore_and_the_first_good_answer_dates_the_end(
    tmp_path: Path, silence_s: int
) -> None:
    async with watching(tmp_path) as watch:
        await opened(watch)
        await watch.poll(UPS, silence_s, Reason.TIMEOUT)
        mains = [each for each in watch.now() if each[1] == "mains-lost"]
        assert mains == ON_BATTERY
        good_at = watch.clock.wall
        await watch.poll(UPS, 30, ups_on_battery=0.0)
        (fault,) = (each for each in watch.faults if each.problem == "mains-lost")
        assert (fault.state.value, fault.restored_at, fault.reopened) == ("restored", good_at, 0)


@pytest.mark.parametrize("silence_s", [20, 400])
async def test_still_on_battery_when_it_answers_again_is_the_same_fault_all_along(tmp_path: Path, silence_s: int) -> None:
    async with watching(tmp_path) as watch:
        await opened(watch)
        began = watch.faults[0].began_at
        await watch.poll(UPS, silence_s, Reason.TIMEOUT)
        await watch.poll(UPS, 60, ups_on_battery=1.0)
        (fault,) = (each for each in watch.faults if each.problem == "mains-lost")
        assert (fault.state.value, fault.began_at, fault.reopened) == ("opened", began, 0)


async def test_down_and_back_but_mute_restores_nothing_until_it_answers_on_that_lane(tmp_path: Path) -> None:
    async with watching(tmp_path) as watch:
        await opened(watch)
        await watch.word("suspect", UPS, SW)
        await watch.wait(2)
        await watch.word("down", SW, UPS)
        await watch.poll(UPS, 120, Reason.TIMEOUT)
        assert watch.now() == ON_BATTERY
        await watch.word("up", SW, UPS)
        await watch.poll(UPS, 200, Reason.TIMEOUT)
        assert [each for each in watch.now() if each[1] == "mains-lost"] == ON_BATTERY, "it pings; what its mains do is unknown"
        good_at = watch.clock.wall
        await watch.poll(UPS, 60, ups_on_battery=0.0)
        (fault,) = (each for each in watch.faults if each.problem == "mains-lost")
        assert (fault.state.value, fault.restored_at) == ("restored", good_at)


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_silence_does_only_a_good_answer_restores(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    async with watching(tmp_path) as watch:
        await opened(watch)
        for _ in range(12):
            kind = dice.choice(["fail", "fail", "suspect", "down", "up", "quiet", "bad", "unknown"])
            if kind == "fail":
                await watch.poll(UPS, dice.choice([5, 10, 30]), dice.choice([Reason.TIMEOUT, Reason.UNREACHABLE, Reason.AUTH]))
            elif kind == "quiet":
                await watch.wait(dice.choice([3, 40]))
            elif kind == "bad":
                await watch.poll(UPS, 5, ups_on_battery=1.0)
            else:
                await watch.word(kind, UPS)
                await watch.wait(3)
            held = [each for each in watch.faults if each.problem == "mains-lost"]
            assert [(each.restored_at, each.reopened) for each in held] == [(None, 0)], kind
        await watch.word("up", UPS)
        good_at = watch.clock.wall
        await watch.poll(UPS, 40, ups_on_battery=0.0)
        (fault,) = (each for each in watch.faults if each.problem == "mains-lost")
        assert (fault.state.value, fault.restored_at, fault.reopened) == ("restored", good_at, 0)


async def test_over_a_restart_silence_is_still_silence(tmp_path: Path) -> None:
    clock = HandClock(START)
    async with watching(tmp_path, clock=clock) as watch:
        await opened(watch)
        await watch.poll(UPS, 60, Reason.TIMEOUT)
        agent = watch.agent
    async with watching(tmp_path, clock=clock) as watch:
        watch.agent = agent
        await watch.poll(UPS, 420, Reason.TIMEOUT)
        held = [each for each in watch.faults if each.problem == "mains-lost"]
        assert [(each.restored_at, each.reopened) for each in held] == [(None, 0)]
        good_at = watch.clock.wall
        await watch.poll(UPS, 30, ups_on_battery=0.0)
        (fault,) = (each for each in watch.faults if each.problem == "mains-lost")
        assert (fault.state.value, fault.reopened) == ("restored", 0)
        assert abs((fault.restored_at or 0) - good_at) <= 10_000


async def test_a_failed_poll_raises_nothing_and_does_not_begin_a_wait_anew(tmp_path: Path) -> None:
    async with watching(tmp_path) as watch:
        await watch.word("up", SW, UPS)
        await watch.poll(SW, 60, port_1=1.0)
        await watch.poll(SW, 40, Reason.TIMEOUT)
        assert watch.now() == []
        await watch.poll(SW, 30, port_1=1.0)
        assert watch.now() == []


@pytest.mark.parametrize("silence", ["none", "failed", "down"])
async def test_a_port_that_is_gone_in_a_good_answer_ends_its_alarm_and_says_so(tmp_path: Path, silence: str) -> None:
    async with watching(tmp_path) as watch:
        await watch.word("up", SW, UPS)
        await watch.poll(SW, 60, port_1=1.0, port_2=1.0)
        await watch.poll(SW, 60, port_1=0.0, port_2=1.0)
        assert watch.now() == [(SW, "link-down", "opened")]
        if silence == "failed":
            await watch.poll(SW, 120, Reason.TIMEOUT)
        elif silence == "down":
            await watch.word("down", SW)
            await watch.wait(90)
            await watch.word("up", SW)
        link = [each for each in watch.faults if each.problem in ("link-down", "device-down")]
        assert [each.problem for each in link if each.restored_at is None] or silence == "down"
        await watch.poll(SW, 60, port_2=1.0)
        assert all(fault.restored_at is not None for fault in watch.faults)
        reasons = [
            row[0]
            for row in watch.collector.store.connection.execute("SELECT fields FROM fault_history WHERE step = 'alarm-gone'")
        ]
        assert reasons and all("no longer there" in each for each in reasons)


async def test_a_rule_or_a_device_that_is_removed_leaves_no_fault_behind(tmp_path: Path) -> None:
    for what in ("rule", "device"):
        folder = tmp_path / what
        folder.mkdir()
        async with watching(folder) as watch:
            await opened(watch)
            await watch.word("down", UPS)
            await watch.wait(20)
            site = watch.collector.site
            if what == "rule":
                watch.collector._rule_paths = [path for path in LIBRARY.glob("*.yml") if path.name != "ups.yml"]
            else:
                site = with_devices(site, without=[UPS])
            await watch.collector.reload(site)
            await watch.wait(150)  # what it explained is given time to be judged for itself
            mains = [each for each in watch.faults if each.problem == "mains-lost"]
            assert [each.restored_at is not None for each in mains] == [True], what
            assert not [
                each
                for each in watch.collector.writer.memory.alerts.values()
                if dict(each.labels).get("alertname") == "UpsOnBattery"
            ]


async def test_a_fault_closed_long_ago_takes_a_note(tmp_path: Path) -> None:
    async with watching(tmp_path) as watch:
        await opened(watch)
        await watch.poll(UPS, 30, ups_on_battery=0.0)
        name = watch.faults[0].id
        await watch.collector.act(name, "close", "li")
        watch.clock.advance(4000)
        await watch.wait(2)
        assert watch.collector.writer.memory.faults.view(name) is None
        view = await watch.collector.act(name, "note", "li", "the breaker was replaced")
        assert view is not None
        assert (view.fault.state.value, view.history[-1].note) == ("closed", "the breaker was replaced")
