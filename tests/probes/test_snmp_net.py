"""SNMP as the agent uses it: through the registry, the guard and one Net, on a real snmpd."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from config.profile_load import load_profiles
from config.site import Credentials, Device
from kit.snmpd import SYS_NAME, Snmpd
from probes.net import Net
from probes.reason import Reason
from probes.registry import compile_plan
from probes.sample import parse_key

SITE: Any = SimpleNamespace(name="north")
PROFILES = load_profiles()


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_compiles_whole(name: str, snmpd: Snmpd) -> None:
    device = Device("d", "127.0.0.1", name, Credentials("c", snmp=snmpd.credentials()))
    plan = compile_plan(SITE, device, PROFILES[name])
    assert len(plan.steps) + len(plan.left_out) == len(PROFILES[name].steps)


@pytest.mark.parametrize(("version", "auth", "priv"), [("1", "", ""), ("2c", "", ""), ("3", "sha256", "aes128")])
async def test_a_server_by_its_profile(snmpd: Snmpd, version: str, auth: str, priv: str) -> None:
    device = Device("d", snmpd.address, "server", Credentials("c", snmp=snmpd.credentials(version, auth, priv)))
    metrics: set[str] = set()
    facts: dict[str, str] = {}
    async with Net() as net:
        for compiled in compile_plan(SITE, device, PROFILES["server"]).steps:
            for _ in range(2):
                outcome = await compiled.question.ask(net, 5)
            assert outcome.reason is Reason.OK, (compiled.step.name, outcome)
            metrics |= {parse_key(key)[0] for key in outcome.keys.split(b"\n") if key}
            facts |= dict(outcome.facts)
        assert not net.internal_errors
    assert metrics >= {"device_uptime_seconds", "device_reboots_total", "interface_up", "memory_used_ratio"}
    assert facts["sys_name"] == SYS_NAME
