"""A small fleet for tests: written as YAML text, served on loopback in the test's own event loop, stopped at its end.

async with running_fleet(tmp_path, "- {name: sw-1, class: switch, address: 127.40.1.1}") as fleet:
    ... fleet.ports["snmp"] ...
    fleet.do(step("device-dies", "sw-1"))
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

from simulator.fleet import Fleet
from simulator.scenario import load_scenario
from simulator.spec import Scenario, StepSpec

HEAD = """\
name: test
ports: {snmp: 0, sip: 0, http: 0, https: 0, rtsp: 0, pjlink: 0, banner: 0}
credentials:
  read-only: {snmp: {version: 2c, community: test-read}}
  old: {snmp: {version: 1, community: test-read}}
  secure: {snmp: {version: 3, user: noc, auth: {sha256: test-auth-phrase}, priv: {aes128: test-priv-phrase}}}
  rooms: {pjlink: {password: panel}}
  cameras: {snmp: {version: 2c, community: test-read}, http: {username: admin, password: picture}}
"""


def scenario(folder: Path, fleet: str, more: str = "") -> Scenario:
    """Return the scenario with these devices (YAML list items) and further keys."""
    path = folder / "scenario.yaml"
    path.write_text(HEAD + "fleet:\n" + textwrap.indent(textwrap.dedent(fleet), "  ") + "\n" + textwrap.dedent(more))
    return load_scenario(path)


@contextlib.asynccontextmanager
async def running_fleet(folder: Path, fleet: str, more: str = "") -> AsyncIterator[Fleet]:
    """Serve the fleet while the block runs. Every protocol is on a free port: see `fleet.ports`."""
    running = Fleet(scenario(folder, fleet, more))
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def step(do: str, on: str, **values: object) -> StepSpec:
    """Return one step to be done now."""
    return StepSpec(0.0, do, on, **values)  # type: ignore[arg-type]
