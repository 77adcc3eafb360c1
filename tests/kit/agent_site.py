"""Sites for the agent's tests, made in memory, and sinks that remember what was delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from agent.sink import DeliveryError
from config.profile import Profile, Step
from config.site import AgentSettings, CollectorSettings, Device, LaneSettings, Site, SpoolSettings, Upstream
from kit.batches import decode_frame
from probes.sample import Run, Transition

LANES = {"reach": LaneSettings(1.0, 1.0), "state": LaneSettings(1.0, 0.5), "table": LaneSettings(60.0, 20.0)}


def device_of(name: str, address: str, *upstreams: str, reach: tuple[str, ...] = ("icmp",), agent: str = "") -> Device:
    return Device(name, address, "box", upstream=tuple(Upstream(up) for up in upstreams), reach=reach, agent=agent)


def site_of(
    folder: Path,
    devices: Sequence[Device],
    steps: tuple[Step, ...] = (),
    lanes: dict[str, LaneSettings] | None = None,
    **agent: object,
) -> Site:
    spool = SpoolSettings(folder / "spool")
    settings = AgentSettings("a1", spool, lanes or LANES, gateway="none", **agent)  # type: ignore[arg-type]
    return Site(
        "north",
        "campus-network",
        folder / "site.yaml",
        {device.name: device for device in devices},
        settings,
        CollectorSettings(folder),
        profiles={"box": Profile("box", "box", steps, ("icmp",))},
    )


class RecordingSink:
    """Takes everything while `up`; otherwise refuses. `wait_for` waits for a transition."""

    def __init__(self) -> None:
        self.up = True
        self.requests: list[list[bytes]] = []
        self.runs: list[Run] = []
        self.changes: list[Transition] = []
        self.delay_s = 0.0
        self._news = asyncio.Event()

    async def deliver(self, frames: Sequence[bytes]) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if not self.up:
            raise DeliveryError("network")
        self.requests.append(list(frames))
        for frame in frames:
            batch = decode_frame(frame)
            self.runs += batch.runs
            self.changes += batch.transitions
        self._news.set()

    async def wait_for(self, device: str, state: str, timeout_s: float = 10.0) -> Transition:
        async with asyncio.timeout(timeout_s):
            while True:
                for change in self.changes:
                    if (change.device, change.state.value) == (device, state):
                        return change
                self._news.clear()
                await self._news.wait()
