"""Processes killed with SIGKILL while devices fall silent and come back: nothing lost, nothing twice, true times."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.campus import Campus, Desk, campus, seconds, steady
from kit.firewall import Firewall, firewall
from kit.site import command, environment, free_tcp_port, site_file, until

TOKEN = "0123456789abcdef0123"


class Halves:
    """Agent and collector as processes that can be killed and started again."""

    def __init__(self, folder: Path, made: Campus, wall: Firewall) -> None:
        self.campus, self.wall, self.folder = made, wall, folder
        port = free_tcp_port()
        own = f"gateway: none, name: a1, collector: 'http://127.0.0.1:{port}', token: env:WATCHKEEPER_TOKEN"
        access = "agents: {a1: {token: env:WATCHKEEPER_TOKEN}}"
        self.site = site_file(folder, made.lines(), port=port, snmp_port=made.port, agent=own, collector=access)
        self.desk = Desk(port, folder / "watchkeeper-data")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, role: str) -> None:
        with (self.folder / f"{role}.log").open("ab") as log:
            self.processes[role] = subprocess.Popen(
                command(role, "-c", self.site),
                env=environment({"WATCHKEEPER_TOKEN": TOKEN}),
                stdout=log,
                stderr=log,
                cwd="/",
            )

    def kill(self, role: str) -> None:
        assert self.processes[role].poll() is None, f"{role} ended by itself"
        self.processes[role].kill()
        self.processes[role].wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        assert [process.wait(15) for process in self.processes.values()] == [0] * len(self.processes)
        for role in self.processes:
            assert "Traceback" not in (self.folder / f"{role}.log").read_text()

    def delivered(self) -> bool:
        """Say if nothing waits in the spool and nothing is missing."""
        (agent,) = self.desk.get("/api/v1/agents")["agents"]
        return agent["missing"] == 0 and self.desk.get("/api/v1/gaps")["gaps"] == []


@pytest.fixture
def halves(tmp_path: Path) -> Iterator[Halves]:
    with campus(tmp_path, f"127.{80 + os.getpid() % 50}", 3, 6) as made, firewall(f"wk_e2e_killed_{os.getpid()}") as wall:
        both = Halves(tmp_path, made, wall)
        for role in ("collector", "agent"):
            both.start(role)
        both.desk.settled(len(made.address))
        yield both
        both.stop()


def test_a_fault_begins_and_another_ends_while_the_collector_is_dead(halves: Halves) -> None:
    made, wall, desk = halves.campus, halves.wall, halves.desk
    wall.cut(made.at(["host-2-2"]))
    until("a fault", lambda: desk.roots() == ["host-2-2"], 20)
    halves.kill("collector")
    cut_at = time.time()
    wall.cut(made.at(made.below("acc-1")))
    wall.mend(made.at(["host-2-2"]))
    time.sleep(7)
    halves.start("collector")
    until("the fault of the switch alone", lambda: desk.get("/healthz") and desk.roots() == ["acc-1"], 30)
    steady(desk)
    opened = {fault["device"]: fault for fault in desk.faults()}
    assert sorted(opened) == ["acc-1", "host-2-2"]
    assert -0.5 <= seconds(opened["acc-1"]["began_at"]) - cut_at <= 2.5
    assert cut_at - 0.5 <= seconds(opened["host-2-2"]["restored_at"]) <= cut_at + 5
    assert opened["acc-1"]["affected"] == made.below("acc-1")
    assert halves.delivered()


@pytest.mark.slow
def test_an_agent_killed_while_a_device_falls_silent_tells_soon_and_once(halves: Halves) -> None:
    made, wall, desk = halves.campus, halves.wall, halves.desk
    time.sleep(3)
    cut_at = time.time()
    wall.cut(made.at(made.below("acc-1")))
    time.sleep(1.5)
    halves.kill("agent")
    halves.start("agent")
    until("the fault", lambda: desk.roots() == ["acc-1"], 15)
    (fault,) = desk.faults()
    assert seconds(fault["began_at"]) - cut_at <= 6
    halves.kill("agent")
    wall.mend(made.at(made.below("acc-1")))
    halves.start("agent")
    until("the end of the fault", lambda: not desk.roots(), 20)
    time.sleep(3)
    assert len(desk.faults()) == 1
    assert halves.delivered()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
def test_killed_at_random_for_a_minute(halves: Halves, seed: int) -> None:
    made, wall, desk, chance = halves.campus, halves.wall, halves.desk, random.Random(seed)
    over = threading.Event()

    def kill(role: str, own: random.Random) -> None:
        while not over.wait(own.uniform(0.3, 7)):
            halves.kill(role)
            time.sleep(own.choice([0, 0, 1, 3]))
            halves.start(role)

    killers = [
        threading.Thread(target=kill, args=(role, random.Random(seed * 10 + n))) for n, role in enumerate(halves.processes)
    ]
    for killer in killers:
        killer.start()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        dark = chance.choice([made.below("acc-1"), ["host-2-1"], ["host-3-2"]])
        wall.cut(made.at(dark))
        time.sleep(chance.uniform(3, 14))
        wall.mend(made.at(dark))
        time.sleep(chance.uniform(2, 5))
    wall.cut(made.at(made.below("acc-2")))
    over.set()
    for killer in killers:
        killer.join()
    until("what is dark is known", lambda: desk.roots() == ["acc-2"], 40)
    steady(desk)
    (fault,) = [fault for fault in desk.faults() if not fault["restored_at"]]
    assert fault["affected"] == made.below("acc-2")
    wall.mend(made.at(made.below("acc-2")))
    until("nothing is wrong", lambda: not desk.roots(), 30)
    assert until("everything is delivered", halves.delivered, 20)
    spans: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for each in desk.faults():
        if not each["merged_into"]:
            what = (each["device"], each["component"], each["problem"])
            spans.setdefault(what, []).append((seconds(each["began_at"]), seconds(each["restored_at"])))
    for each_spans in spans.values():
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(each_spans))
