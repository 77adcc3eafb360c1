"""A site with one device, and asking it one question of a profile, as the agent does."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from config.profile import Profile, Step
from config.secret import Secret
from config.site import AgentSettings, CollectorSettings, Credentials, Device, Site, SshCredentials
from probes.net import Net
from probes.outcome import Outcome, Question
from probes.registry import compile_plan


def secret(value: str) -> Secret:
    return Secret(value, "env:TEST")


def one_device(path: Path, **fields: Any) -> tuple[Site, Device]:
    device = Device(**{"name": "core-1", "address": "127.0.0.1", "device_class": "switch"} | fields)
    site = Site(
        name="north",
        contract="campus",
        path=path / "site.yaml",
        devices={device.name: device},
        agent=cast(AgentSettings, None),
        collector=cast(CollectorSettings, None),
    )
    return site, device


def question(site: Site, device: Device, probe: str, **options: Any) -> Question:
    profile = Profile("test", device.device_class, (Step(probe, "state", f"the {probe} step", options),))
    plan = compile_plan(site, device, profile)
    assert not plan.left_out, plan.left_out
    return plan.steps[0].question


def ssh_credentials(**fields: Any) -> Credentials:
    return Credentials("shell", ssh=SshCredentials(**{"username": "monitor", "platform": "huawei_vrp"} | fields))


@asynccontextmanager
async def bare_net() -> AsyncIterator[Net]:
    """A Net without its engines, for probes over TCP."""
    net = Net()
    try:
        yield net
    finally:
        await net.__aexit__()


async def timed(question: Question, net: Net, timeout_s: float) -> tuple[Outcome, float]:
    began = time.monotonic()
    outcome = await question.ask(net, timeout_s)
    return outcome, time.monotonic() - began
