"""The shipped profiles: all load, and every SNMP step of each compiles and works on a device that has what it asks for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from config.profile_load import load_profiles
from config.secret import Secret
from config.site import Credentials, Device, SnmpCredentials
from probes.snmp.get import compile_get
from probes.snmp.table import compile_table

COMPILERS = {"snmp_get": compile_get, "snmp_table": compile_table}
CLASSES = (
    *("switch", "router", "ups", "camera", "nvr", "projector", "codec", "printer", "server", "generic-snmp", "ping-only"),
    *("storage", "access-point", "environment-sensor"),
)
SITE: Any = SimpleNamespace(name="north")
PROFILES = load_profiles()


@pytest.mark.parametrize("name", PROFILES)
def test_every_snmp_step_compiles(name: str) -> None:
    device = Device("d", "127.0.0.1", name, Credentials("c", snmp=SnmpCredentials("2c", Secret("public", "file:/test"))))
    for step in PROFILES[name].steps:
        if step.probe in COMPILERS:
            COMPILERS[step.probe](SITE, device, step)


def test_every_class_has_its_profile() -> None:
    assert {profile.device_class for profile in PROFILES.values()} >= set(CLASSES)


def test_port_states_are_asked_where_it_is_urgent() -> None:
    lanes = {step.name: step.lane for step in PROFILES["switch"].steps}
    assert lanes["ports"] == "state"
    assert lanes["port-counters"] == "table"
