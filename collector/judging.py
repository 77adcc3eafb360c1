"""What the collector does on its own time: rules that are due, faults that wait, agents that fall silent, gaps that stay.

Works in turns of the writer. The judgements are the engines'; here is when they are asked and what they are told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from collector.history import Own
from collector.ingest import VERDICT_METRICS, IngestRefused, Turn
from collector.memory import Memory
from collector.ownership import agents_of
from collector.store.audit import AuditEntry
from collector.store.rulestate import alert_id
from probes.sample import ReachState, Transition, series_key
from rules.alert import AlertChange, AlertState, Gone, Kind, Phase
from rules.source import LOOKBACK_MS

if TYPE_CHECKING:
    from collector.app import Collector

TICK_S = 1.0
WAIT_S = 0.1  # how late a wait of the fault engine may end
HOLD_MS = 60_000
AGENT_MS = 15_000  # how often the collector's own series about agents are written
GAP_MS = 5_000
GAP_GRACE_MS = 120_000
MANY = 100  # changes that are decided on in a thread, not to hold up the event loop
SUSPICION_METRICS = ("device_suspect",)
CONFLICT_MS = 600_000  # how long a refused second process stays visible


async def tick(collector: Collector) -> None:
    """Do what is due: about once a second. A turn without anything to do commits nothing."""
    async with collector.writer.turn() as turn:
        memory, pace = turn.memory, turn.memory.pace
        if pace.due("hold", turn.now, HOLD_MS):
            for _ in memory.lanes.hold(turn.now, _silent_devices(memory, turn.now)):
                await asyncio.sleep(0)
        if pace.due("gaps", turn.now, GAP_MS):
            memory.ledger.check_gaps(turn.now, GAP_GRACE_MS)
        kicked = _agents(turn, pace.due("agents", turn.now, AGENT_MS))
        await decide(collector, turn, kicked)


def changed_by(transitions: Sequence[Transition]) -> Collection[str]:
    """Return the metrics that verdicts change: a mere suspicion leaves `device_up` as it was."""
    suspicion = all(change.state is ReachState.SUSPECT for change in transitions)
    return SUSPICION_METRICS if suspicion else VERDICT_METRICS


async def decide(collector: Collector, turn: Turn, metrics: Collection[str], *, timed: bool = True) -> None:
    """Evaluate what is due and what reads `metrics`, and let the fault engine decide on what changed.

    Without `timed` only the latter: an urgent word waits for no rule that does not read it.
    """
    memory, began = turn.memory, time.perf_counter()
    turn.touched = True
    changes = turn.overtaken
    if timed:
        changes = changes + await memory.rules.evaluate_paced(turn.now)
    if metrics:
        changes = changes + await memory.rules.evaluate_paced(turn.now, metrics)
    collector.metrics.rules_s.observe(time.perf_counter() - began)
    word = (changes, turn.transitions, turn.now, bool(turn.overtaken))
    if len(changes) + len(turn.transitions) > MANY:
        turn.decisions.append(await asyncio.to_thread(memory.faults.apply, *word))
    elif changes or turn.transitions:
        turn.decisions.append(memory.faults.apply(*word))
    elif (due := memory.faults.next_due()) is not None and due <= turn.now:
        turn.decisions.append(memory.faults.tick(turn.now))
    collector.faults_due = memory.faults.next_due()
    _note_alerts(turn)


async def end_waits(collector: Collector) -> None:
    """Let the fault engine do what is due now: a wait of half a second is not to last until the next tick."""
    due = collector.faults_due
    if due is None or due > collector.clock.now():
        return
    async with collector.writer.turn() as turn:
        turn.touched = True
        turn.decisions.append(turn.memory.faults.tick(turn.now))
        collector.faults_due = turn.memory.faults.next_due()


async def judge_overtaken(turn: Turn) -> None:
    """Let the rules see verdicts that later ones of the same request overtake; what they say is dated to those verdicts.

    An outage that was over before it was learned would otherwise never be seen: only the newest value of a series is.
    """
    at = max(change.at for change in turn.transitions)
    for change in await turn.memory.rules.evaluate_paced(turn.now, VERDICT_METRICS):
        turn.overtaken.append(replace(change, at=min(change.at, at), active_at=min(change.active_at, at)))


def _note_alerts(turn: Turn) -> None:
    """Note which alert instances differ from what is stored. 1 us for each active one."""
    memory = turn.memory
    now = {alert_id(state): state for state in memory.rules.snapshot()}
    turn.alerts += [state for name, state in now.items() if memory.alerts.get(name) != state]
    turn.alerts_gone += [name for name in memory.alerts if name not in now]
    memory.alerts = now


async def settle(collector: Collector) -> None:
    """After a start or a new site file: note whose devices are whose, end the alerts whose rule or device is gone."""
    async with collector.writer.turn() as turn:
        memory = turn.memory
        turn.touched = True
        turn.owners = memory.ownership.pairs()
        gone = [_ended(state, memory, turn.now) for state in memory.orphans if state.phase is Phase.FIRING]
        memory.orphans = []
        if gone:
            turn.decisions.append(memory.faults.apply(gone, (), turn.now))
        turn.decisions.append(memory.faults.retire(memory.ownership.gone(), turn.now))
        for agent in agents_of(memory.site):
            if agent not in memory.ledger.agents:
                memory.ledger.seen(agent, turn.now)
        _note_alerts(turn)


def _ended(state: AlertState, memory: Memory, now: int) -> AlertChange:
    device = dict(state.labels).get("device", "")
    why = Gone.RULE if device in {"", *memory.site.devices, *agents_of(memory.site)} else Gone.DEVICE
    return AlertChange(
        Kind.RESOLVED, state.rule, state.labels, state.annotations, state.active_at, now, state.value, reason=why
    )


# agents


def silent(memory: Memory, agent: str, now: int) -> bool:
    """Say if an agent was not heard for longer than the site allows.

    The time in which the collector did not run does not count, but one that was silent before stays so until it is heard.
    """
    row = memory.ledger.agents.get(agent)
    if row is not None and row.silent and row.seen_at < memory.started_at:
        return True
    heard = max(memory.started_at, row.seen_at if row else 0)
    return now - heard > memory.site.collector.agent_silent_s * 1000


def _silent_devices(memory: Memory, now: int) -> set[str]:
    """Return the devices of agents that are silent: what they last said is not repeated any more."""
    return {
        device
        for agent in agents_of(memory.site)
        if silent(memory, agent, now - LOOKBACK_MS)
        for device in memory.ownership.devices(agent)
    }


def _agents(turn: Turn, due: bool) -> set[str]:
    """Write what is known of each agent when it changes or is due; returns the metrics that changed."""
    memory, changed = turn.memory, set()
    for agent in agents_of(memory.site):
        row = memory.ledger.agents.get(agent)
        conflict = row is not None and row.conflict_at is not None and turn.now - row.conflict_at < CONFLICT_MS
        quiet = silent(memory, agent, turn.now)
        if row is not None and bool(row.silent) != quiet:
            memory.ledger.seen(agent, 0, silent=int(quiet))
        values = {"agent_up": float(not quiet), "agent_epoch_conflict": float(conflict)}
        if row is not None and row.blind_at and not quiet:
            values["agent_blind"] = float(row.blind)
        for metric, value in values.items():
            before = memory.agent_values.get((agent, metric))
            if due or value != before:
                key = series_key(metric, {"agent": agent, "site": memory.site.name})
                memory.series.append(memory.series.rows(key), (value,), turn.now)
                memory.agent_values[agent, metric] = value
            if value != before:
                changed.add(metric)
                turn.own.append(Own(key, turn.now, (value,)))
    return changed


async def refused(collector: Collector, agent: str, refusal: IngestRefused, peer: str) -> None:
    """Put a refusal that concerns security on record; a second process under one name shows as a series too."""
    if refusal.status == 409:
        async with collector.writer.turn() as turn:
            turn.touched = True
            turn.memory.ledger.seen(agent, 0, conflict_at=turn.now)
            turn.audit.append(AuditEntry(turn.now, agent, peer, "epoch-conflict", refusal.detail))
            await decide(collector, turn, _agents(turn, False))
    elif refusal.status == 403:
        await collector.writer.note(AuditEntry(collector.clock.now(), agent, peer, "ingest-refused", refusal.detail))
