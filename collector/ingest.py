"""What one request of an agent does: open, plan, admit, then apply to ledger, series and facts. Never judges, never commits.

`prepare` raises `IngestRefused` before anything was changed; from `apply` on, the turn is committed or the memory thrown away.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from collector import history
from collector.admission import Admitted, IngestRefused
from collector.decisions import Decisions
from collector.history import Extra, Own
from collector.lanes import Ended
from collector.ledger import Accept, Conflict, Duplicate, EpochBook, Plan, Scattered, plan
from collector.memory import Memory
from collector.series import SeriesLimitError
from collector.store.audit import AuditEntry
from collector.store.rulestate import AlertId
from collector.store.samples import RawRow
from probes import wire
from probes.reason import Reason
from probes.sample import Batch, ReachState, Run, Transition, series_key
from rules.alert import AlertChange, AlertState

__all__ = ["VERDICT_METRICS", "IngestRefused", "Prepared", "Receipt", "Turn", "apply", "prepare"]

PACE_S = 0.005  # work between two chances for others
VERDICT_METRICS = ("device_up", "device_suspect", "agent_blind")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a request: records taken, and records that were taken before. It follows the commit."""

    accepted: int
    duplicate: int


@dataclass(slots=True)
class Turn:
    """One piece of the writer's work: the memory it changes and what is to be committed with it."""

    memory: Memory
    now: int
    touched: bool = False  # the memory was changed
    raw: list[RawRow] = field(default_factory=list)
    held: list[tuple[str, str, int, bytes]] = field(default_factory=list)
    facts: list[tuple[str, str, str, int]] = field(default_factory=list)
    own: list[Own] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    overtaken: list[AlertChange] = field(default_factory=list)  # by verdicts that later ones of the request contradict
    decisions: list[Decisions] = field(default_factory=list)
    alerts: list[AlertState] = field(default_factory=list)
    alerts_gone: list[AlertId] = field(default_factory=list)
    owners: list[tuple[str, str]] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        parts = (self.raw, self.held, self.facts, self.decisions, self.alerts, self.alerts_gone, self.owners, self.audit)
        return any(parts)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that may be applied: its batches with what is to be taken of each."""

    agent: str
    batches: tuple[tuple[Batch, Accept, Admitted, bytes], ...]
    duplicate: int


def prepare(memory: Memory, agent: str, body: bytes, now: int) -> Prepared:
    """Open and check a request. Changes nothing but counts of series. About 10 us a record with known series.

    Raises:
        IngestRefused: with the status that tells the agent what to do; nothing of the request is taken.
    """
    opened = memory.admission.open(agent, body)
    books = {epoch: copy.copy(book) for epoch, book in memory.ledger.books.get(agent, {}).items()}
    taken: list[tuple[Batch, Accept, Admitted, bytes]] = []
    duplicate = 0
    for batch, frame in opened:
        decided = plan(batch, books)
        if isinstance(decided, Duplicate):
            duplicate += batch.count
            continue
        accepted = _accepted(batch, decided)
        _note(books, batch, accepted)
        admitted = memory.admission.admit(batch, accepted.fresh, now)
        duplicate += batch.count - sum(after - first for first, after in accepted.fresh)
        taken.append((batch, accepted, admitted, frame))
    return Prepared(agent, tuple(taken), duplicate)


def _accepted(batch: Batch, decided: Plan) -> Accept:
    if isinstance(decided, Conflict):
        text = f"agent {batch.agent!a} began epoch {decided.newest}; another process still sends epoch {decided.epoch}"
        raise IngestRefused(409, text)
    if isinstance(decided, Scattered):
        raise IngestRefused(429, "too many holes in what was received of this epoch", retry_after_s=60.0)
    assert isinstance(decided, Accept)
    return decided


def _note(books: dict[int, EpochBook], batch: Batch, accepted: Accept) -> None:
    """Note a batch in the copied books, so that the next one of the same request sees it."""
    book = books.setdefault(batch.epoch, EpochBook())
    book.began_at = batch.created_at if book.began_at is None else min(book.began_at, batch.created_at)
    for span in accepted.fresh:
        book.take(span)
    if batch.previous is not None:
        before = books.setdefault(batch.previous[0], EpochBook())
        before.ends = batch.previous[1] if before.ends is None else before.ends


async def apply(turn: Turn, prepared: Prepared, judge: Callable[[Turn], Awaitable[None]]) -> Receipt:
    """Apply a request to the memory and note what is to be committed. Gives way every few milliseconds.

    `judge` is called before a verdict on a device takes the place of another one of the same request.
    """
    turn.touched = True
    memory = turn.memory
    memory.admission.settle()
    accepted = 0
    told: set[str] = set()  # devices with a verdict that no rule has seen yet
    for batch, taken, admitted, frame in prepared.batches:
        memory.ledger.record(batch, taken)
        extra = Extra([], [])
        await _apply_runs(turn, admitted.batch.runs, extra)
        for number, change in enumerate(admitted.batch.transitions):
            if change.state is not ReachState.SUSPECT:
                if change.device in told:
                    await judge(turn)
                    told.clear()
                told.add(change.device)
            _apply_transition(turn, prepared.agent, change, extra)
            if number % 100 == 99:
                await asyncio.sleep(0)
        kept = wire.encode(admitted.batch) if admitted.altered else frame
        if batch.count:
            turn.raw.append(RawRow(prepared.agent, turn.now, kept, history.pack_extra(extra)))
        turn.notes += admitted.notes
        accepted += sum(after - first for first, after in taken.fresh)
    _see(turn, prepared, accepted)
    return Receipt(accepted, prepared.duplicate)


async def _apply_runs(turn: Turn, runs: Sequence[Run], extra: Extra) -> None:
    lanes, began = turn.memory.lanes, time.perf_counter()
    for run in runs:
        try:
            ended = lanes.run(run, turn.now)
        except SeriesLimitError:
            turn.notes["over-cap"] += len(run.values)
            continue
        if ended is not None:
            extra.ended.append((ended.keys, ended.at))
        if run.facts:
            _apply_facts(turn, run, extra)
        if run.reason is Reason.OK and lanes.slow(run.lane):
            turn.held.append((run.device, run.lane, run.at, wire.encode(Batch("", 0, 0, run.at, (run,)))))
        if time.perf_counter() - began > PACE_S:
            await asyncio.sleep(0)
            began = time.perf_counter()


def _apply_facts(turn: Turn, run: Run, extra: Extra) -> None:
    known = turn.memory.facts.setdefault(run.device, {})
    new = {name: value for name, value in run.facts if known.get(name) != value}
    if not new:
        return
    known |= new
    turn.facts += [(run.device, name, value, run.at) for name, value in new.items()]
    own, ended = turn.memory.lanes.facts(run.device, known, min(run.at, turn.now))
    extra.own.extend(own)
    extra.ended.extend((each.keys, each.at) for each in ended)


def _apply_transition(turn: Turn, agent: str, change: Transition, extra: Extra) -> None:
    memory = turn.memory
    if change.device == agent and agent not in memory.site.devices:
        own = _apply_blindness(turn, agent, change)
        written: tuple[list[Own], list[Ended]] | None = None if own is None else (own, [])
    else:
        written = memory.lanes.transition(change, turn.now)
    if written is not None:
        extra.own.extend(written[0])
        extra.ended.extend((each.keys, each.at) for each in written[1])
        turn.transitions.append(change)


def _apply_blindness(turn: Turn, agent: str, change: Transition) -> list[Own] | None:
    """Note an agent's word about itself and return its sample, or None if a newer one is known."""
    memory, blind = turn.memory, int(change.state is ReachState.UNKNOWN)
    known = memory.ledger.agents.get(agent)
    if known is not None and change.at < known.blind_at:
        return None
    memory.ledger.seen(agent, turn.now, blind=blind, blind_at=change.at)
    memory.agent_values[agent, "agent_blind"] = float(blind)
    key = series_key("agent_blind", {"agent": agent, "site": memory.site.name})
    memory.series.append(memory.series.rows(key), (float(blind),), turn.now)
    return [Own(key, turn.now, (float(blind),))]


def _see(turn: Turn, prepared: Prepared, accepted: int) -> None:
    ledger, agent = turn.memory.ledger, prepared.agent
    before = ledger.seen(agent, turn.now)
    clamped = before.clamped + sum(admitted.notes["clamped"] for _, _, admitted, _ in prepared.batches)
    newest = max(ledger.books.get(agent, {}), default=None)
    live = [batch for batch, _, _, _ in prepared.batches if batch.epoch == newest]
    offset = max((batch.created_at - turn.now for batch in live), default=before.offset_ms)
    ledger.seen(agent, turn.now, records=before.records + accepted, clamped=clamped, epoch=newest, offset_ms=offset)
