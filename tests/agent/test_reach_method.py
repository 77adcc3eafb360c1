"""How a device is asked whether it is there: what is compiled, what is left out, what is shared."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import pytest

from agent.metrics import AgentMetrics
from agent.reach_lane import ReachLane
from agent.reach_method import compile_method, compile_methods
from config.clock import SystemClock
from config.secret import Secret
from config.site import Credentials, SnmpCredentials
from kit.asking import one_device
from probes.net import Net
from probes.reason import Reason
from probes.sample import ReachState
from probes.snmp.get import GetQuestion

SNMP = Credentials("read-only", snmp=SnmpCredentials("2c", Secret("public", "file:/test")))


def asked(question: Any) -> GetQuestion:
    assert isinstance(question, GetQuestion)
    return question


def test_devices_share_what_the_question_means(tmp_path: Path) -> None:
    site, first = one_device(tmp_path, credentials=SNMP)
    second = replace(first, name="core-2", address="127.0.0.2")
    one, other = (asked(compile_method(site, device, "snmp")) for device in (first, second))
    assert one._recorder.objects is other._recorder.objects
    assert one._parts[0] is other._parts[0]


def test_what_cannot_be_asked_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    site, device = one_device(tmp_path)
    assert compile_methods(site, device, ("icmp", "snmp", "tcp:443", "smoke")).keys() == {"tcp:443"}
    assert "unknown reach method 'smoke'" in caplog.text


async def test_a_reload_compiles_only_what_changed(tmp_path: Path) -> None:
    site, first = one_device(tmp_path, credentials=SNMP)
    second = replace(first, name="core-2", address="127.0.0.2")
    settings: Any = SimpleNamespace(name="agent", gateway="none", references=(), lanes={})
    site = replace(site, agent=settings)
    lane = ReachLane(settings, cast(Net, None), SystemClock(), AgentMetrics("agent"), Mock(), Mock())
    lane.set_devices(site, [(first, ("icmp", "snmp")), (second, ("icmp", "snmp"))])
    before = dict(lane.targets)
    again, moved = replace(first), replace(second, address="127.0.0.3")
    lane.set_devices(site, [(again, ("icmp", "snmp")), (moved, ("icmp", "snmp"))])
    assert lane.targets["core-1"].questions is before["core-1"].questions
    assert lane.targets["core-1"].report is before["core-1"].report
    assert lane.targets["core-1"].watch is before["core-1"].watch
    assert lane.targets["core-2"].questions is not before["core-2"].questions
    assert lane.targets["core-2"].watch is not before["core-2"].watch
    lane.set_devices(replace(site, name="south"), [(again, ("icmp", "snmp"))])
    assert lane.targets["core-1"].report is not before["core-1"].report, "its series carry the site's name"
    assert lane.targets.keys() == {"core-1"}


async def test_everybody_is_asked_at_the_start_without_waiting_for_the_interval(tmp_path: Path) -> None:
    site, first = one_device(tmp_path)
    settings: Any = SimpleNamespace(name="agent", gateway="none", references=(), lanes={})
    site = replace(site, agent=settings)
    devices = [replace(first, name=f"d{n}", address=f"127.0.1.{n}") for n in range(1, 251)]
    asked: list[str] = []

    async def sweep(addresses: list[str], _timeout_s: float, done: Any) -> None:
        asked.extend(addresses)
        for index in range(len(addresses)):
            done(index, Reason.OK, 0.001)

    net: Any = SimpleNamespace(icmp=SimpleNamespace(sweep=sweep))
    told = Mock()
    lane = ReachLane(settings, net, SystemClock(), AgentMetrics("agent"), Mock(), told)
    lane.set_devices(site, [(device, ("icmp",)) for device in devices])
    work = asyncio.create_task(lane.work())
    async with asyncio.timeout(5):
        while told.call_count < len(devices) + 1:
            await asyncio.sleep(0.01)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    await lane.stop()
    assert sorted(asked) == sorted(device.address for device in devices), "each once"
    assert {call.args[0].state for call in told.call_args_list} == {ReachState.UP}
