"""The shipped profiles on recorded devices of others: whatever these answer, it is an outcome with proper series."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.profile_load import load_profiles
from kit.hostile_snmp import SITE, device
from kit.reference import reference
from probes.reason import Reason
from probes.sample import parse_key
from probes.snmp.get import compile_get
from probes.snmp.table import compile_table
from probes.walkfile import WalkError, WalkSnmp, read_walk

CLASSES = {
    "envsensor": "environment-sensor",
    "wireless": "access-point",
    **dict.fromkeys(("switch", "ups", "printer", "server", "camera", "nvr", "storage")),
}
PROFILES = load_profiles()
FINE = (Reason.OK, Reason.NO_SUCH_OBJECT)


async def _check(path: Path) -> int:
    """Ask all of a class's steps three times (found out, learned, repeated); return how many samples there were."""
    try:
        recording = read_walk(path)
    except WalkError:
        assert not any(line[:1].isdigit() for line in path.read_bytes().split(b"\n"))
        return 0
    profile = PROFILES[CLASSES.get(path.parent.name, "generic-snmp") or path.parent.name]
    samples = 0
    async with WalkSnmp(recording) as engine:
        net: Any = SimpleNamespace(snmp=engine)
        for step in profile.steps:
            compiler: Any = {"snmp_get": compile_get, "snmp_table": compile_table}.get(step.probe)
            if compiler is None:
                continue
            question = compiler(SITE, device(161), step)
            outcomes = [await question.ask(net, 5) for _ in range(3)]
            assert all(outcome.reason in FINE for outcome in outcomes), (step.name, outcomes)
            keys = outcomes[0].keys.split(b"\n") if outcomes[0].keys else []
            assert len(set(keys)) == len(keys) == len(outcomes[0].values)
            assert [outcome.keys for outcome in outcomes[1:]] == [outcomes[0].keys] * 2
            assert all(parse_key(key)[0] for key in keys)
            samples += len(keys)
    return samples


@pytest.mark.parametrize("folder", ["switch", "ups", "printer", "server", "camera", "nvr", "envsensor", "wireless"])
async def test_some_recorded_devices_of_each_class(folder: str) -> None:
    paths = sorted(reference("walks", folder).glob("*.snmprec"))
    assert sum([await _check(path) for path in paths[:: max(1, len(paths) // 8)]]) > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_all_recorded_devices() -> None:
    for path in sorted(reference("walks").rglob("*.snmprec")):
        await _check(path)
