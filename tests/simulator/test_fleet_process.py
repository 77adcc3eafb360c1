"""A fleet in its own process: it says its ports, plays, obeys, and is gone when its parent wants it."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from kit.fleet import HEAD
from simulator.fleet import FleetError
from simulator.process import FleetProcess
from simulator.spec import StepSpec

BODY = """\
fleet:
  - {name: pj, class: projector, address: 127.44.0.1}
  - {name: sw, class: switch, address: 127.44.0.2, credentials: read-only}
timeline:
  - {at: 1s, do: lamp-fails, on: pj}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(HEAD + BODY)
    return path


async def heard(steps: list[StepSpec], count: int) -> list[str]:
    async with asyncio.timeout(5):
        while len(steps) < count:
            await asyncio.sleep(0.01)
    return [step.do for step in steps]


async def test_it_plays_and_obeys(path: Path) -> None:
    steps: list[StepSpec] = []
    fleet = FleetProcess(path, on_step=steps.append)
    ports = await fleet.start()
    try:
        reader, writer = await asyncio.open_connection("127.44.0.1", ports["pjlink"])
        assert await reader.readuntil(b"\r") == b"PJLINK 0\r"
        writer.close()
        fleet.play(speed=20)
        assert await heard(steps, 1) == ["lamp-fails"]
        fleet.do(StepSpec(0.0, "port-down", "sw", port="GigabitEthernet1/0/1"))
        assert await heard(steps, 2) == ["lamp-fails", "port-down"]
    finally:
        await fleet.stop()
    await fleet.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.44.0.1", ports["pjlink"])


async def test_two_at_a_time_take_different_ports(path: Path) -> None:
    path.write_text(path.read_text().replace("snmp: 0", "snmp: 10163").replace("pjlink: 0", "pjlink: 14353"))
    one, other = FleetProcess(path), FleetProcess(path)
    try:
        first, second = await one.start(), await other.start()
        assert not set(first.values()) & set(second.values())
    finally:
        await one.stop()
        await other.stop()


async def test_it_ends_with_its_parent(path: Path) -> None:
    fleet = FleetProcess(path)
    await fleet.start()
    process = fleet._process
    assert process is not None and process.stdin is not None
    process.stdin.close()
    async with asyncio.timeout(5):
        assert await process.wait() == 0
    await fleet.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


async def test_a_wrong_scenario_is_told(path: Path) -> None:
    path.write_text("name: x\nfleet: []\n")
    with pytest.raises(FleetError, match="fleet"):
        await FleetProcess(path).start()


def test_wildcard_socket_is_loopbacks_alone() -> None:
    from simulator.udp import loopback_only

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        loopback_only(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") in (b"lo", b"")
