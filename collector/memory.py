"""Everything the collector keeps in memory that the database can give back: ledger, series, rule state, faults.

There is one way to make it, `load`, at the start and after any failed commit alike: memory is never ahead of the database.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from collector import history
from collector.admission import Admission
from collector.blocks import Gathered
from collector.decisions import Decisions, EngineState
from collector.fault import Fault, FaultView
from collector.hearing import LaneHearing
from collector.labels import labels_of
from collector.lanes import Lanes
from collector.ledger import Ledger
from collector.limits import Limits
from collector.ownership import Ownership, agents_of
from collector.series import Rows, SeriesKeyError, SeriesLimitError, SeriesState
from collector.store import agents, faults, identity, rulestate, samples
from collector.store.database import Store
from config.site import Site
from probes import wire
from probes.reason import Reason
from probes.sample import ReachState, Run, Transition
from rules.alert import AlertChange, AlertState
from rules.engine import RuleHealth
from rules.hearing import Hearing
from rules.source import LOOKBACK_MS, stale_mask

log = logging.getLogger(__name__)

HELD_MS = 3 * 24 * 3_600_000  # no lane's word is held for longer


class Rules(Protocol):
    """The rule engine as the collector needs it (`rules.engine.RuleEngine`)."""

    @property
    def missed_slots(self) -> int:
        """Evaluations passed over because they came too late."""
        ...

    async def evaluate_paced(self, now: int, metrics: Collection[str] | None = None) -> list[AlertChange]:
        """Evaluate the groups that are due, or at once those that read the metrics."""
        ...

    def snapshot(self) -> list[AlertState]:
        """Return all active alert instances."""
        ...

    def restore(self, states: Collection[AlertState], now: int) -> list[AlertState]:
        """Go on with instances as they were stored; return those whose rule is gone."""
        ...

    def health(self) -> list[RuleHealth]:
        """Return how the last evaluation of each rule went."""
        ...


class Faults(Protocol):
    """The fault engine as the collector needs it (`collector.faults.FaultEngine`)."""

    def load(self, state: EngineState) -> object:
        """Go on with what was stored."""
        ...

    def apply(
        self, changes: Sequence[AlertChange], transitions: Sequence[Transition], now: int, past: bool = False
    ) -> Decisions:
        """Decide on what changed."""
        ...

    def tick(self, now: int) -> Decisions:
        """Decide on what time alone changes."""
        ...

    def retire(self, devices: Collection[str], now: int) -> Decisions:
        """End what was wrong with devices that the site file does not name any more."""
        ...

    def next_due(self) -> int | None:
        """Return when `tick` has something to do, None for never."""
        ...

    def act(self, fault_id: str, step: str, person: str, now: int, note: str = "", **fields: str) -> Decisions:
        """Take a person's step with a fault."""
        ...

    def view(self, fault_id: str) -> FaultView | None:
        """Return a fault in hand, None if it is not."""
        ...

    def recall(self, fault: Fault) -> None:
        """Take a fault that was over long ago into hand for one step."""
        ...


class Pace:
    """Remembers when something was last done."""

    def __init__(self) -> None:
        """Everything is due."""
        self._done: dict[str, int] = {}

    def due(self, name: str, now: int, every_ms: int) -> bool:
        """Say if it is time again, and take it as done if so. A clock that was set back makes it due."""
        before = self._done.get(name)
        if before is not None and 0 <= now - before < every_ms:
            return False
        self._done[name] = now
        return True


@dataclass(slots=True)
class Memory:
    """The working state of one collector."""

    site: Site
    ledger: Ledger
    ownership: Ownership
    admission: Admission
    series: SeriesState
    lanes: Lanes
    rules: Rules
    faults: Faults
    alerts: dict[rulestate.AlertId, AlertState]  # as stored
    facts: dict[str, dict[str, str]]
    orphans: list[AlertState]  # active alerts whose rule or device is gone
    started_at: int
    pace: Pace = field(default_factory=Pace)
    agent_values: dict[tuple[str, str], float] = field(default_factory=dict)  # by agent and metric, as last written

    def recount(self) -> None:
        """Count the series of each device and agent anew."""
        self.admission.quota.recount(self.series.tables(), self.series.strings, self.ownership.owner)


@dataclass(frozen=True, slots=True)
class Makers:
    """How engines are made for a site: rule files are read and contracts checked before, so making does not fail."""

    rules: Callable[[SeriesState, Hearing], Rules]
    faults: Callable[[], Faults]


def load(store: Store, site: Site, makers: Makers, limits: Limits, now: int) -> Memory:
    """Return the working state as the database has it. Takes about 25 us for each run of the last minutes.

    Raises:
        StoreError: the database cannot be read.
    """
    with store.reading() as connection:
        ledger = Ledger.load(
            agents.load_agents(connection),
            agents.load_epochs(connection),
            agents.load_received(connection),
            agents.load_gaps(connection, open_only=True),
        )
        ownership = Ownership(site, identity.load_owners(connection))
        series = SeriesState(limits.series)
        lanes = Lanes(series, _intervals(site), labels_of(site))
        rules = makers.rules(series, LaneHearing(lanes))
        engine = makers.faults()
        state = faults.load_state(connection)
        facts = _facts(identity.load_facts(connection))
        _restore_blocks(connection, series, now)
        _restore_held(samples.load_held(connection, now - HELD_MS), lanes)
        _restore_raw(samples.load_raw(connection), series, lanes)
        lanes.restore(Transition(r.device, ReachState(r.state), r.reason, r.since, r.at, r.via) for r in state.reach)
        for device, found in facts.items():
            lanes.facts(device, found, now - LOOKBACK_MS)
        alerts = {rulestate.alert_id(alert): alert for alert in rulestate.load_alerts(connection)}
    _drop_strangers(series, site)
    strange = [alert for alert in alerts.values() if _stranger(alert, site)]
    orphans = strange + rules.restore([alert for alert in alerts.values() if not _stranger(alert, site)], now)
    engine.load(state)
    admission = Admission(site.name, ownership, limits, series.__contains__)
    memory = Memory(site, ledger, ownership, admission, series, lanes, rules, engine, alerts, facts, orphans, now)
    memory.recount()
    return memory


def _drop_strangers(series: SeriesState, site: Site) -> None:
    """Forget the series of devices (and agents) that the site file does not name any more."""
    known = site.devices.keys() | agents_of(site).keys()
    for table in list(series.tables()):
        column = table.columns.get("device")
        if column is None:
            continue
        strange = [code for code in np.unique(column).tolist() if code and series.strings.text(code) not in known]
        for row in np.flatnonzero(np.isin(column, strange)).tolist() if strange else ():
            series.drop(Rows([table.keys[row] or b""]))


def _stranger(alert: AlertState, site: Site) -> bool:
    """Say if an alert is about a device that the site file does not name any more."""
    return dict(alert.labels).get("device", "") not in {"", *site.devices, *agents_of(site)}


def _intervals(site: Site) -> dict[str, float]:
    return {lane: settings.interval_s for lane, settings in site.agent.lanes.items()}


def _facts(rows: Iterable[tuple[str, str, str, int]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for device, name, value, _ in rows:
        found.setdefault(device, {})[name] = value
    return found


def _restore_held(frames: Iterable[bytes], lanes: Lanes) -> None:
    for frame in frames:
        for payload in wire.frames(frame):
            for run in wire.decode(payload).runs:
                with contextlib.suppress(SeriesKeyError, SeriesLimitError):
                    lanes.run(run, run.at)


def _restore_raw(rows: Iterable[samples.RawRow], series: SeriesState, lanes: Lanes) -> None:
    """Take back what raw batches say: all samples in the order of their times, then the newest runs of each lane as its state.

    The verdicts in them are among the collector's own samples. About 12 us a run.
    """
    gathered = Gathered()
    newest: dict[tuple[str, str, bool], Run] = {}
    for row in rows:
        for run in history.gather_row(row, gathered):
            lane = run.device, run.lane, run.reason is Reason.OK
            before = newest.get(lane)
            if before is None or before.at < run.at:
                newest[lane] = run
    keys, every = history.flat_of(gathered)
    _write_flat(series, keys, history.sorted_flat([every], 0, 1 << 62))
    for run in sorted(newest.values(), key=lambda run: run.at):  # the last good one, and what failed since
        with contextlib.suppress(SeriesKeyError, SeriesLimitError):
            lanes.adopt(run)


def _restore_blocks(connection: sqlite3.Connection, series: SeriesState, now: int) -> None:
    """Take back from the blocks what rules may still read."""
    widest = max([LOOKBACK_MS, *(series.keep_ms(metric) for metric in samples.column_metrics(connection))])
    for metric, keys, every in history.recent(connection, now - widest, now):
        span = max(LOOKBACK_MS, series.keep_ms(metric))
        inside = every.times >= now - span
        _write_flat(series, keys, history.Flat(every.ids[inside], every.times[inside], every.values[inside]))


def _write_flat(series: SeriesState, keys: Sequence[bytes], every: history.Flat) -> None:
    """Write sorted samples: of each series those after its last end, the first of every series, then the second, and so on."""
    if not len(every.ids):
        return
    place = np.arange(len(every.ids))
    last_end = np.full(len(keys), -1, np.int64)
    ends = stale_mask(every.values)
    np.maximum.at(last_end, every.ids[ends], place[ends])
    kept = place > last_end[every.ids]
    ids, times, values = every.ids[kept], every.times[kept], every.values[kept]
    if not len(ids):
        return
    first = np.ones(len(ids), bool)
    first[1:] = ids[1:] != ids[:-1]
    starts = np.flatnonzero(first)
    rank = np.arange(len(ids)) - np.repeat(starts, np.diff([*starts.tolist(), len(ids)]))
    order = np.argsort(rank, kind="stable")
    bounds = np.searchsorted(rank[order], np.arange(int(rank.max()) + 2))
    for low, high in itertools.pairwise(bounds.tolist()):
        step = order[low:high]
        with contextlib.suppress(SeriesKeyError, SeriesLimitError):
            series.append_each(Rows([keys[number] for number in ids[step].tolist()]), values[step], times[step])
