"""A running fleet: endpoints behind their sockets, a timeline that is played, topology worked out anew after each change.

Lives on the event loop it is started on. `FleetProcess` (simulator.process) runs one in a process of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import TypeVar

from simulator.endpoint import Endpoint
from simulator.harbour import FleetError, Harbour
from simulator.mib import Mib
from simulator.snmp_agent import SnmpAgent
from simulator.spec import CredentialsSpec, Scenario, StepSpec
from simulator.templates import CLASSES
from simulator.topology import Damage, Topology, View

__all__ = ["Fleet", "FleetError"]

T = TypeVar("T")

TICK_S = 0.2
UNNAMED = CredentialsSpec("")


class Fleet:
    """The devices of a scenario. `start()`, then `play()` the timeline or `do()` single steps, then `stop()`."""

    def __init__(self, scenario: Scenario, *, on_step: Callable[[StepSpec], None] | None = None) -> None:
        """Make the devices; nothing is opened yet. `on_step` hears of every step that was done."""
        self.scenario = scenario
        self._on_step = on_step
        self._began = time.monotonic()
        self._mibs: dict[tuple[object, ...], Mib] = {}
        self.endpoints = {name: self._endpoint(name) for name in scenario.devices}
        self._topology = Topology(scenario.devices.values())
        self._damage = Damage()
        self._view = self._topology.view(self._damage, self._powering)
        self._harbour = Harbour(self.endpoints, self.now, SnmpAgent(), scenario.certificate_days)
        self._ticker: asyncio.Task[None] | None = None

    def now(self) -> float:
        """Return seconds since the fleet was made."""
        return time.monotonic() - self._began

    @property
    def ports(self) -> dict[str, int]:
        """Return the port of each protocol; empty before the start."""
        return self._harbour.ports

    @property
    def answered(self) -> int:
        """Return how many datagrams have been answered."""
        return self._harbour.answered

    async def start(self) -> None:
        """Open the sockets and answer.

        Raises:
            FleetError: a socket cannot be opened.
        """
        try:
            self._harbour.open(self.scenario.ports)
        except BaseException:
            await self._harbour.close()
            raise
        self._ticker = asyncio.create_task(self._tick(), name="fleet-ticker")

    async def stop(self) -> None:
        """Close every socket. May be called at any time, more than once."""
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
            self._ticker = None
        await self._harbour.close()

    async def play(self, speed: float = 1.0) -> None:
        """Do the timeline's steps, each at its second from now on, `speed` times as fast; return after the last."""
        began = self.now()
        for step in self.scenario.timeline:
            await asyncio.sleep(max(0.0, began + step.at_s / speed - self.now()))
            self.do(step)

    def do(self, step: StepSpec) -> None:
        """Do one step at once."""
        now = self.now()
        if not self._damaged(step, now):
            self.endpoints[step.on].model.act(step, now)
        self._refresh(now)
        if self._on_step is not None:
            self._on_step(step)

    def _endpoint(self, name: str) -> Endpoint:
        spec = self.scenario.devices[name]
        model = CLASSES[spec.device_class](spec, self.scenario.seed)
        mib = self._mibs.get(model.shape)
        if mib is None:
            mib = self._mibs[model.shape] = Mib(model.entries())
        credentials = self.scenario.credentials.get(spec.credentials, UNNAMED)
        return Endpoint(model, mib, credentials, random.Random(f"{self.scenario.seed}/loss/{name}"))  # noqa: S311

    def _powering(self, name: str) -> bool:
        return self.endpoints[name].model.powering

    def _damaged(self, step: StepSpec, now: float) -> bool:
        """Do what changes the fleet as a whole; return False where the step belongs to the device's model."""
        name, damage = step.on, self._damage
        if step.do == "device-reboots":
            self.endpoints[name].model.reboot(now)
        elif step.do == "loss":
            damage.loss[name] = step.value
        elif step.do in ("device-dies", "device-returns"):
            _toggle(damage.dead, {name}, step.do == "device-dies")
        elif step.do in ("port-down", "port-up"):
            _toggle(damage.closed, {(name, step.port)}, step.do == "port-down")
        elif step.do in ("link-cut", "link-mends"):
            upstream = [step.to] if step.to else [link.device for link in self.scenario.devices[name].upstream]
            _toggle(damage.cut, {(name, device) for device in upstream}, step.do == "link-cut")
        else:
            return False
        return True

    def _refresh(self, now: float) -> None:
        before, after = self._view, self._topology.view(self._damage, self._powering)
        self._view = after
        for name in after.on - before.on:
            self.endpoints[name].model.reboot(now)
        for device, port in before.dark ^ after.dark:
            interfaces = self.endpoints[device].model.interfaces
            index = interfaces.index_of(port)
            if index is not None:
                interfaces.set_link(index, (device, port) not in after.dark, now)
        self._hush(before, after)

    def _hush(self, before: View, after: View) -> None:
        for name, loss in after.paths.items():
            self.endpoints[name].loss = loss
        for name in before.paths.keys() - after.paths.keys():
            self.endpoints[name].silent = True
            self._harbour.silence(name)
        for name in after.paths.keys() - before.paths.keys():
            self.endpoints[name].silent = False
            self._harbour.speak(name)

    async def _tick(self) -> None:
        """Let batteries drain; a UPS that ends takes what it feeds along."""
        feeding = [name for name, spec in self.scenario.devices.items() if spec.powers or spec.device_class == "ups"]
        powering = {name: self._powering(name) for name in feeding}
        while True:
            await asyncio.sleep(TICK_S)
            now = self.now()
            for name in feeding:
                self.endpoints[name].model.advance(now)
            current = {name: self._powering(name) for name in feeding}
            if current != powering:
                powering = current
                self._refresh(now)


def _toggle(held: set[T], named: set[T], present: bool) -> None:
    if present:
        held |= named
    else:
        held -= named
