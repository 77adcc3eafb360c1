"""The one writer: takes turns, one after the other, and commits each before anyone is told of it.

A turn changes the memory and then the database. If anything fails between the two, the memory is thrown away and made anew
from the database before the next turn, exactly as after a restart. While the disk is full no turn begins.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from collector.history import Extra, pack_extra
from collector.ingest import IngestRefused, Turn
from collector.memory import Memory
from collector.store import agents, audit, faults, identity, rulestate, samples
from collector.store.audit import AuditEntry
from collector.store.database import Hook, Store, StoreError, StoreFullError
from config.clock import Clock

log = logging.getLogger(__name__)


class Refusal(Exception):
    """Raised inside a turn to end it without a trace: nothing was changed, nothing is committed."""


class Writer:
    """Serialises everything that changes memory and database.

    Attributes:
        memory: the working state; between a failure and the next turn it may be ahead of the database, and is only read.
        full: the disk is full, and no turn begins until `room_made`.
        rebuilds: how often the memory was made anew after a failure.
    """

    def __init__(self, store: Store, clock: Clock, load: Callable[[], Memory], hook: Hook) -> None:
        """`load` makes the memory from the database, in a thread; `hook` is called with the name of each step."""
        self._store, self._clock, self._load, self._hook = store, clock, load, hook
        self._lock = asyncio.Lock()
        self._sound = False
        self.full = False
        self.rebuilds = 0
        self.memory = load()
        self._sound = True

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Have the memory for oneself; what was noted in the turn is committed when the block ends.

        Raises:
            IngestRefused: 503, the disk is full or the database failed; nothing of the turn is kept.
        """
        async with self._lock:
            if self.full:
                raise IngestRefused(503, "the disk is full", retry_after_s=10.0)
            await self._make_sound()
            turn = Turn(self.memory, self._clock.now())
            try:
                yield turn
                self._hook("turn")
                await self._commit(turn)
            except (IngestRefused, Refusal):
                self._sound = not turn.touched
                raise
            except StoreError as error:
                self._sound = False
                self.full = isinstance(error, StoreFullError)
                log.error("a commit failed, the working state is made anew: %s", error)
                raise IngestRefused(503, "the database failed", retry_after_s=5.0) from error
            except BaseException:
                self._sound = False
                raise

    async def _make_sound(self) -> None:
        if self._sound:
            return
        self.rebuilds += 1
        try:
            self.memory = await asyncio.to_thread(self._load)
        except StoreError as error:
            raise IngestRefused(503, "the database failed", retry_after_s=5.0) from error
        self._sound = True

    async def replace(self, load: Callable[[], Memory]) -> None:
        """Make the memory anew with another loader: for a new site file.

        Raises:
            IngestRefused: 503, the database failed; the next turn tries again.
        """
        async with self._lock:
            self._load = load
            self._sound = False
            await self._make_sound()

    async def alone(self, work: Callable[[], object]) -> None:
        """Run something on the database in a thread while no turn is under way."""
        async with self._lock:
            await asyncio.to_thread(work)

    async def _commit(self, turn: Turn) -> None:
        turn.touched = True
        if turn.own or turn.ended:
            extra = Extra(turn.own, [(each.keys, each.at) for each in turn.ended])
            turn.raw.append(samples.RawRow("", turn.now, b"", pack_extra(extra)))
        await asyncio.to_thread(self._write, turn)

    def _write(self, turn: Turn) -> None:
        ledger, changed = turn.memory.ledger, turn.memory.ledger.take_changes()
        step = self._hook
        if not (changed or turn):
            return
        with self._store.transaction() as connection:
            agents.store_agents(connection, [ledger.agents[name] for name in changed.agents])
            agents.store_epochs(connection, [ledger.epoch_row(*each) for each in changed.epochs])
            for (agent, epoch), ranges in changed.received.items():
                agents.store_received(connection, agent, epoch, ranges)
            agents.store_gaps(connection, changed.gaps)
            step("ledger stored")
            samples.add_raw(connection, turn.raw)
            samples.store_held(connection, turn.held)
            step("samples stored")
            identity.store_facts(connection, turn.facts)
            identity.store_owners(connection, turn.owners)
            for decisions in turn.decisions:
                faults.store_decisions(connection, decisions)
            step("decisions stored")
            rulestate.store_alerts(connection, turn.alerts, turn.alerts_gone)
            for entry in turn.audit:
                audit.add_audit(connection, entry)
            step("alerts stored")

    async def note(self, entry: AuditEntry) -> None:
        """Append to the audit in a transaction of its own, after a refusal; a failure is only logged."""

        def add() -> None:
            with self._store.transaction() as connection:
                audit.add_audit(connection, entry)

        try:
            await asyncio.to_thread(add)
        except StoreError as error:
            log.error("the audit could not be written: %s", error)

    def room_made(self) -> None:
        """Let turns begin again after the disk was full."""
        self.full = False
