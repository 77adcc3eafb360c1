"""The agent: wires spool, sender, schedule, runner and reachability, and owns their start, stop and reload."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from contextlib import AsyncExitStack
from functools import partial

from agent.disk import Disk
from agent.fleet import Fleet, devices_of, reach_methods
from agent.journal import Journal
from agent.metrics import AgentMetrics
from agent.reach_lane import ReachLane
from agent.recollection import Recollection, answering, recall
from agent.runner import Runner
from agent.schedule import Schedule
from agent.self_report import EVERY_S, SelfReport
from agent.sender import Sender
from agent.server import Server
from agent.sink import Sink
from agent.spool import Spool
from agent.supervise import Workers
from config.clock import Clock
from config.profile import LANES
from config.site import Site
from probes.net import Net
from probes.sample import ReachState, Transition

log = logging.getLogger(__name__)

STALL_EVERY_S = 0.1
SILENT_S = 120.0  # without a delivery for so long, /healthz says so
LAST_DELIVERY_S = 1.0
RECOLLECT_EVERY_S = 2.0
REFRESH_TURNS = 30


class Agent:
    """One agent of a site. `sink` takes what it learns; `net` is opened and closed here unless one is given."""

    def __init__(self, site: Site, clock: Clock, sink: Sink, net: Net | None = None) -> None:
        """Prepare; nothing is opened before `start`."""
        self.site = site
        self.metrics = AgentMetrics(site.agent.name)
        self.fleet = Fleet()
        self._clock = clock
        self._sink = sink
        self._given_net = net
        self._stack = AsyncExitStack()
        self._stall_s = 0.0
        self._reloading = asyncio.Lock()

    async def start(self) -> None:
        """Open the spool, compile the questions, begin to ask.

        Raises:
            SpoolError: the spool folder cannot be used, or another process uses it (an OSError).
            OSError: `agent.listen` is taken.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        agent, clock, metrics = self.site.agent, self._clock, self.metrics
        disk = Disk()
        self._stack.callback(disk.close)
        self.spool = await disk.run(Spool, agent.spool, clock)
        self._stack.push_async_callback(disk.run, self.spool.close)
        metrics.watch(self.spool)
        net = self._given_net
        if net is None:
            net = await self._stack.enter_async_context(Net(clock))
        self.net = net
        self.sender = Sender(self.spool, disk, self._sink, clock, metrics)
        self.journal = Journal(agent.name, self.spool, disk, clock, self.sender.take)
        self._stack.push_async_callback(self.journal.flush)
        self.reach = ReachLane(agent, net, clock, metrics, self.journal.run, self._changed)
        self.runner = Runner(net, clock, metrics, self.journal.run, self._state_of, agent.max_in_flight)
        self.schedule = Schedule(clock, metrics)
        self.workers = Workers(metrics)
        self._report = SelfReport(self.site, self.spool, clock)
        if agent.listen:
            server = Server(agent.listen, metrics, self._wrong)
            await server.start()
            self._stack.push_async_callback(server.stop)
        await self._load(self.site, None)
        self._recollection = Recollection(agent.spool.path, clock)
        recall(self.reach.reach, await disk.run(self._recollection.load))
        self._stack.push_async_callback(self._quiet)
        self.schedule.start()
        for name, work in (
            ("journal", self.journal.work),
            ("send-changes", self.sender.send_changes),
            ("send-rest", self.sender.send_rest),
            ("reach", self.reach.work),
            ("sick", self.runner.work_sick),
            ("clock", self.schedule.watch),
            ("loop", self._watch_loop),
            ("report", self._report_self),
            ("recollection", partial(self._recollect, disk)),
        ):
            self.workers.start(name, work)

    async def _quiet(self) -> None:
        """Stop asking, spool what was learned, give the sender a moment, end the workers."""
        await self.schedule.stop()
        await self.runner.stop()
        await self.reach.stop()
        await self.journal.flush()
        await self._last_delivery()
        await self.workers.stop()

    async def _last_delivery(self) -> None:
        for _ in range(round(LAST_DELIVERY_S / 0.02)):
            if not self.spool.backlog_records or not self.sender.healthy:
                return
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop within two seconds; everything learned is in the spool, and delivered if the collector takes it at once."""
        await self._stack.aclose()

    async def reload(self, site: Site) -> None:
        """Go on with a new site. Devices that did not change keep their state; name, spool and listen need a restart."""
        async with self._reloading:
            before, self.site = self.site, site
            if (before.agent.name, before.agent.spool, before.agent.listen) != (
                site.agent.name,
                site.agent.spool,
                site.agent.listen,
            ):
                log.warning("agent name, spool and listen take effect at the next start")
            self.net.snmp.forget_engines()  # a reload accepts replaced SNMPv3 devices
            await self._load(site, before)

    async def _load(self, site: Site, before: Site | None) -> None:
        self.runner.forget(await self.fleet.load(site, before))
        self.reach.set_devices(site, [(device, reach_methods(site, device)) for device in devices_of(site, site.agent.name)])
        for lane in LANES:
            settings = site.agent.lanes.get(lane)
            if settings is None:
                self.schedule.assign(lane, 1.0, {}, self.runner.fire)
            elif lane == "reach":
                self.schedule.assign(lane, settings.interval_s, self.reach.targets, self.reach.sweep)
            else:
                self.schedule.assign(lane, settings.interval_s, self.fleet.lanes(lane), self.runner.fire)

    def _changed(self, change: Transition) -> None:
        self.journal.transition(change)
        if change.state is ReachState.UP:
            self.runner.recovered(self.fleet.of(change.device))
        elif change.state is ReachState.DOWN:
            self.runner.lost(self.fleet.of(change.device))

    def _state_of(self, device: str) -> ReachState | None:
        target = self.reach.targets.get(device)
        return target.watch.state if target is not None else None

    def _wrong(self) -> str:
        """Return what /healthz has to say."""
        last = self.sender.last_success
        if self.spool.stuck:
            return "the spool cannot be written"
        if last is None or self._clock.monotonic() - last > SILENT_S:
            return "nothing was delivered to the collector of late"
        return ""

    async def _watch_loop(self) -> None:
        while True:
            before = self._clock.monotonic()
            await asyncio.sleep(STALL_EVERY_S)
            stall_s = max(0.0, self._clock.monotonic() - before - STALL_EVERY_S)
            self.metrics.stall.observe(stall_s)
            self._stall_s = max(self._stall_s, stall_s)

    async def _recollect(self, disk: Disk) -> None:
        """Keep who answers, for the process after this one."""
        kept: list[str] = []
        for turn in itertools.count():
            await asyncio.sleep(RECOLLECT_EVERY_S)
            names = answering(self.reach.reach)
            if names != kept or turn % REFRESH_TURNS == 0:
                with contextlib.suppress(OSError):  # a full disk is told by the spool
                    await disk.run(self._recollection.save, names)
                    kept = names

    async def _report_self(self) -> None:
        while True:
            self.journal.run(self._report.run(self._stall_s))
            self._stall_s = 0.0
            await asyncio.sleep(EVERY_S)
