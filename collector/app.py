"""The collector: one site, one database, one writer, a few timers and an HTTP server. Wires them; decides nothing itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import rules
from collector import judging, upkeep
from collector.access import Access, operator_token
from collector.api import make_app
from collector.engine_settings import EngineSettings
from collector.fault import Fault, FaultView
from collector.faults import FaultEngine
from collector.ingest import IngestRefused, Receipt, apply, prepare
from collector.limits import Limits
from collector.memory import Makers, Memory, load
from collector.own_metrics import OwnMetrics
from collector.server import Server, ServerError
from collector.steps import IllegalStep, UnknownFault
from collector.store import faults as fault_store
from collector.store.audit import AuditEntry
from collector.store.database import RESERVE_BYTES, Hook, Store, StoreError, no_hook
from collector.writer import Refusal, Writer
from config.clock import Clock
from config.contract import Contract, load_contract
from config.errors import ConfigErrors
from config.site import Site
from rules.engine import RuleEngine
from rules.load import RuleErrors, load_rules
from rules.rule import RuleSet

__all__ = ["Collector", "CollectorStartError", "InProcessSink"]

log = logging.getLogger(__name__)

LIBRARY = Path(rules.__file__).with_name("library")


class CollectorStartError(OSError):
    """The collector cannot start; the text says why and what to do."""


class Collector:
    """One running collector.

    Attributes:
        site: the site in force.
        store: its database, once started.
        writer: the one that changes anything, once started.
        metrics: its own metrics.
        port: the TCP port it listens on, once started (0 if it does not listen).
        faults_due: when the fault engine has something to do (ms), None for never.
    """

    def __init__(
        self,
        site: Site,
        clock: Clock,
        *,
        rule_paths: Sequence[Path] | None = None,
        contract: Contract | None = None,
        limits: Limits | None = None,
        waits: EngineSettings | None = None,
        listen: bool = True,
        timers: bool = True,
        reserve_bytes: int = RESERVE_BYTES,
        hook: Hook = no_hook,
    ) -> None:
        """Nothing runs before `start`.

        Args:
            site: what to collect.
            clock: wall and monotonic time.
            rule_paths: rule files instead of the shipped ones and the site's.
            contract: instead of the one the site names.
            limits: bounds of what agents may send.
            waits: how long the fault engine waits for what, instead of its own and the site's.
            listen: open the HTTP server.
            timers: run the periodic jobs; without, their owner calls `judging.tick` and the rest himself.
            reserve_bytes: size of the file that keeps room on the disk.
            hook: called with the name of each step of a turn; a test raises there.
        """
        self.site, self.clock = site, clock
        self.limits, self.metrics = limits or Limits(), OwnMetrics()
        self.store: Store
        self.reader: Store
        self.writer: Writer
        self.access: Access
        self.sound: bool | None = None
        self.port = 0
        self.faults_due: int | None = None
        self._rule_paths, self._contract, self._waits = rule_paths, contract, waits
        self._listen, self._timers, self._reserve_bytes, self._hook = listen, timers, reserve_bytes, hook
        self._server: Server | None = None
        self._jobs: list[asyncio.Task[None]] = []
        self._closing = contextlib.ExitStack()

    # life

    async def start(self) -> None:
        """Open the database, take back the working state, begin to judge and to listen.

        Raises:
            CollectorStartError: another process has the data folder, the port is taken, a rule file is wrong ...
        """
        try:
            await self._start()
        except (StoreError, ServerError, RuleErrors, ConfigErrors) as error:
            await self.stop()
            raise CollectorStartError(str(error)) from error
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        await asyncio.to_thread(self._open)
        await judging.settle(self)
        if self._listen:
            self._server = Server(make_app(self), self.site.collector)
            await self._server.start()
            self.port = self._server.port
        if self._timers:
            self._jobs = self._start_jobs()

    def _start_jobs(self) -> list[asyncio.Task[None]]:
        jobs = [
            asyncio.create_task(upkeep.forever(self, name, work, every_s), name=name)
            for name, work, every_s in (
                ("judging", judging.tick, judging.TICK_S),
                ("waits", judging.end_waits, judging.WAIT_S),
                ("room", upkeep.keep_room, upkeep.ROOM_S),
                ("retention", upkeep.retain, upkeep.RETAIN_S),
                ("compaction", upkeep.compact, upkeep.COMPACT_S),
                ("sweep", upkeep.sweep, upkeep.SWEEP_S),
            )
        ]
        jobs.append(asyncio.create_task(upkeep.watch_loop(self), name="loop"))
        jobs.append(asyncio.create_task(upkeep.check_integrity(self), name="integrity"))
        return jobs

    def _open(self) -> None:
        makers, self.contract = self._makers(self.site)
        self.store = Store.open(self.site.collector.data, reserve_bytes=self._reserve_bytes, hook=self._hook)
        self._closing.callback(self.store.close)
        self.reader = Store.open_read_only(self.site.collector.data)
        self._closing.callback(self.reader.close)
        self.access = Access(self.site.collector, operator_token(self.site.collector.data))
        self.writer = Writer(self.store, self.clock, lambda: self._load(self.site, makers), self._hook)

    def _makers(self, site: Site) -> tuple[Makers, Contract]:
        contract = self._contract or load_contract(site.contract)
        found: RuleSet = load_rules(self.rule_files(site))
        makers = Makers(
            lambda series, hearing: RuleEngine(found, series, hearing),
            lambda: FaultEngine(site, contract, self._waits),
        )
        return makers, contract

    def rule_files(self, site: Site) -> list[Path]:
        """Return the rule files in force: those given, or the shipped ones and the site's own."""
        if self._rule_paths is not None:
            return list(self._rule_paths)
        return [*sorted(path for path in LIBRARY.glob("*.yml")), *site.rules]

    def _load(self, site: Site, makers: Makers) -> Memory:
        return load(self.store, site, makers, self.limits, self.clock.now())

    async def stop(self) -> None:
        """Finish what is under way and close. What is committed stays, the rest the agents still have."""
        if self._server is not None:
            await self._server.stop()
            self._server = None
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)
        self._jobs = []
        await asyncio.to_thread(self._closing.close)

    async def reload(self, site: Site) -> bool:
        """Go on with another site file. Wrong rule files or an unknown contract are logged, leave everything as it was: False.

        `collector.listen`, its certificate and `collector.data` need a restart.
        """
        try:
            makers, contract = await asyncio.to_thread(self._makers, site)
        except (RuleErrors, ConfigErrors, OSError) as error:
            log.error("the new site file was not taken, the running configuration stays: %s", error)
            self.metrics.reload_ok.set(0)
            return False
        token = await asyncio.to_thread(operator_token, self.site.collector.data)
        try:
            await self.writer.replace(lambda: self._load(site, makers))
        except IngestRefused as error:
            log.error("the new site file was read, but the database failed: %s", error)
            self.metrics.reload_ok.set(0)
            return False
        self.site, self.contract, self.access = site, contract, Access(site.collector, token)
        await judging.settle(self)
        self.metrics.reload_ok.set(1)
        return True

    # what is asked of it

    async def ingest(self, agent: str, frames: bytes, peer: str = "") -> Receipt:
        """Take an agent's frames (none: a sign of life). Returns when they are committed.

        A caller that is cancelled does not stop what has begun.

        Raises:
            IngestRefused: nothing was taken; says what the agent should do.
        """
        return await asyncio.shield(asyncio.ensure_future(self._ingest(agent, frames, peer)))

    async def _ingest(self, agent: str, frames: bytes, peer: str) -> Receipt:
        began = time.perf_counter()
        try:
            receipt = await self._take(agent, frames)
        except IngestRefused as refused:
            self.metrics.requests.labels(refused.reason).inc()
            await judging.refused(self, agent, refused, peer)
            raise
        self.metrics.requests.labels("ok").inc()
        self.metrics.records.labels("accepted").inc(receipt.accepted)
        self.metrics.records.labels("duplicate").inc(receipt.duplicate)
        self.metrics.ingest_s.observe(time.perf_counter() - began)
        return receipt

    async def _take(self, agent: str, frames: bytes) -> Receipt:
        async with self.writer.turn() as turn:
            prepared = await asyncio.to_thread(prepare, turn.memory, agent, frames, turn.now)
            receipt = await apply(turn, prepared, judging.judge_overtaken)
            if turn.transitions:
                await judging.decide(self, turn, judging.changed_by(turn.transitions), timed=False)
        for why, count in turn.notes.items():
            self.metrics.changed.labels(why).inc(count)
        return receipt

    async def act(
        self, fault_id: str, step: str, person: str, note: str = "", peer: str = "", fields: Iterable[tuple[str, str]] = ()
    ) -> FaultView | None:
        """Take a person's step with a fault; returns the fault as it is then.

        Raises:
            UnknownFault, IllegalStep: as `FaultEngine.act`; nothing was changed.
            IngestRefused: 503, it could not be committed.
        """
        async with self.writer.turn() as turn:
            try:
                if (old := await self._over(turn.memory, fault_id)) is not None:
                    turn.memory.faults.recall(old)
                decisions = turn.memory.faults.act(fault_id, step, person, turn.now, note=note, **dict(fields))
            except (UnknownFault, IllegalStep, TypeError) as error:
                raise Refusal from error
            turn.decisions.append(decisions)
            turn.audit.append(AuditEntry(turn.now, person, peer, "fault-step", f"{fault_id} {step}"))
        return await self.fault(fault_id)

    async def _over(self, memory: Memory, fault_id: str) -> Fault | None:
        """Return a fault that is over and out of the engine's hand, None for any other."""
        if memory.faults.view(fault_id) is not None:
            return None
        found = await self.fault(fault_id)
        return found.fault if found is not None else None

    async def fault(self, fault_id: str) -> FaultView | None:
        """Return a fault as it is in the database, None if there is none."""

        def read() -> FaultView | None:
            with self.reader.reading() as connection:
                return fault_store.get_fault(connection, fault_id)

        return await asyncio.to_thread(read)


class InProcessSink:
    """The way of an agent in the same process: what HTTP carries otherwise, without HTTP and without a token."""

    def __init__(self, collector: Collector, agent: str) -> None:
        """Deliver as this agent."""
        self._collector, self._agent = collector, agent

    async def deliver(self, frames: Sequence[bytes]) -> None:
        """Return when the frames are committed.

        Raises:
            IngestRefused: they are not.
        """
        await self._collector.ingest(self._agent, b"".join(frames), "in process")
