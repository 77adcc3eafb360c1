"""What runs and verdicts do to the series: samples at their event time, the end of series that are gone, values held.

A question asked every six hours is still the newest word after five minutes, so what slow lanes said is repeated (held) until
two and a half of their intervals have passed. So are reachability verdicts, which are only sent when they change. Keeps, for
each (device, lane), the series of its newest run. Never judges, never stores. About 20 us a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from collector.history import Own
from collector.series import Rows, SeriesState
from probes.reason import Reason
from probes.sample import Labels, ReachState, Run, Transition, series_key
from rules.source import LOOKBACK_MS

PATIENCE = 2.5  # intervals of a lane after which its word is old
_AT_ONCE = 1_000  # devices held in one step
HOLD_LAG_MS = 1_000  # held samples lie this far back, so that a fresh one is newer

_UP = {ReachState.UP: 1.0, ReachState.SUSPECT: 1.0, ReachState.DOWN: 0.0}


@dataclass(frozen=True, slots=True)
class Ended:
    """Series (keys joined by line feeds) that have no value from `at` (ms) on."""

    at: int
    keys: bytes


@dataclass(slots=True)
class _Open:
    """The newest run of one device's lane: its series that have a value, and what they were."""

    at: int
    rows: Rows
    values: Sequence[float]  # of a good run of a slow lane, to be held
    held_at: int = 0


@dataclass(slots=True)
class _Verdict:
    state: ReachState
    at: int
    keys: list[bytes]  # of device_up and device_suspect

    def values(self) -> tuple[float, float]:
        return _UP.get(self.state, 0.0), float(self.state is ReachState.SUSPECT)


class Lanes:
    """Writes runs and verdicts into the series state of one site."""

    def __init__(self, series: SeriesState, intervals_s: Mapping[str, float], labels: Mapping[str, Labels]) -> None:
        """`intervals_s`: seconds between the runs of each lane; `labels`: the base labels of each device."""
        self._series = series
        self._hold_ms = {lane: int(PATIENCE * s * 1000) for lane, s in intervals_s.items() if PATIENCE * s * 1000 > LOOKBACK_MS}
        self._labels = dict(labels)
        self._open: dict[tuple[str, str], _Open] = {}
        self._verdicts: dict[str, _Verdict] = {}
        self._info: dict[str, tuple[bytes, int]] = {}
        self._held_at = 0

    # what agents say

    def run(self, run: Run, now: int) -> Ended | None:
        """Write one run's samples; returns the series that ended with it.

        A late run (older than the newest of its lane) changes nothing here: it is history. One from an agent whose clock is
        ahead of ours counts as of `now` (ms).

        Raises:
            SeriesKeyError, SeriesLimitError: as `SeriesState.rows`.
        """
        before = self._open.get((run.device, run.lane))
        if before is not None and run.at <= before.at:
            return None
        rows = self._series.rows(run.keys)
        at = min(run.at, now) if before is None else max(min(run.at, now), before.held_at + 1)
        self._series.append(rows, run.values, at)
        good = run.reason is Reason.OK
        kept, gone = self._compare(before, rows, good)
        self._open[run.device, run.lane] = _Open(run.at, kept, run.values if good and self.slow(run.lane) else (), at)
        if not gone:
            return None
        self._series.mark_stale(Rows(gone), at)
        return Ended(at, b"\n".join(gone))

    def adopt(self, run: Run) -> None:
        """Take back a run whose samples are there already: what follows is compared with it.

        Raises:
            SeriesKeyError, SeriesLimitError: as `SeriesState.rows`.
        """
        before = self._open.get((run.device, run.lane))
        if before is None or before.at < run.at:
            held = run.values if run.reason is Reason.OK and self.slow(run.lane) else ()
            self._open[run.device, run.lane] = _Open(run.at, self._series.rows(run.keys), held, run.at)

    @staticmethod
    def _compare(before: _Open | None, rows: Rows, good: bool) -> tuple[Rows, list[bytes]]:
        """Return the series that have a value after this run, and those of the run before that have none any more."""
        if before is None or before.rows is rows or before.rows.keys == rows.keys:
            return rows, []
        now = set(rows.keys)
        left = [key for key in before.rows.keys if key not in now]
        if good:
            return rows, left
        told = [key for key in left if key.startswith(b"probe_")]
        gone = [key for key in left if not key.startswith(b"probe_")]
        return (Rows([*rows.keys, *told]) if told else rows), gone

    def transition(self, change: Transition, now: int) -> list[Own] | None:
        """Write one verdict and return its samples, or None if a newer one is known, which it does not change."""
        known = self._verdict(change)
        if known is None or change.at < known.at:
            return None
        known.state, known.at = change.state, change.at
        at = max(min(change.at, now), self._held_at + 1)
        if change.state not in _UP:
            self._series.mark_stale(Rows(known.keys), at)
            return []
        self._series.append(Rows(known.keys), known.values(), at)
        return [Own(b"\n".join(known.keys), at, known.values())]

    def _verdict(self, change: Transition) -> _Verdict | None:
        known, labels = self._verdicts.get(change.device), self._labels.get(change.device)
        if known is None and labels is not None:
            keys = [series_key(metric, labels) for metric in ("device_up", "device_suspect")]
            known = self._verdicts[change.device] = _Verdict(change.state, change.at, keys)
        return known

    def facts(self, device: str, facts: Mapping[str, str], at: int) -> tuple[list[Own], list[Ended]]:
        """Write `device_info` from everything a device said of itself; a changed identity ends the old series.

        Returns the samples written and the series ended.
        """
        labels = self._labels.get(device)
        if labels is None:
            return [], []
        known = self._info.get(device)
        key, at = info_key(labels, facts), max(at, self._held_at + 1)
        self._series.append(Rows([key]), (1.0,), at)
        self._info[device] = (key, at)
        own = [Own(key, at, (1.0,))]
        if known is None or known[0] == key:
            return own, []
        self._series.mark_stale(Rows([known[0]]), at)
        return own, [Ended(at, known[0])]

    def slow(self, lane: str) -> bool:
        """Say if a lane asks so rarely that its word is held."""
        return lane in self._hold_ms

    # what time does

    def hold(self, now: int, silent: Collection[str] = ()) -> Iterator[None]:
        """Repeat what slow lanes, verdicts and facts said, as of a moment ago; yields now and then, to give way.

        What is known of `silent` devices is not repeated: nobody has looked at them for long.
        """
        at = self._held_at = max(self._held_at, now - HOLD_LAG_MS)
        yield from self._hold_runs(now, at, silent)
        verdicts = [v for d, v in self._verdicts.items() if v.at < at and v.state in _UP and d not in silent]
        for first in range(0, len(verdicts), _AT_ONCE):
            part = verdicts[first : first + _AT_ONCE]
            values = [value for verdict in part for value in verdict.values()]
            self._series.append(Rows([key for verdict in part for key in verdict.keys]), values, at)
            yield
        info = [key for device, (key, since) in self._info.items() if since < at and device not in silent]
        for first in range(0, len(info), _AT_ONCE):
            part_of = info[first : first + _AT_ONCE]
            self._series.append(Rows(part_of), [1.0] * len(part_of), at)
            yield

    def _hold_runs(self, now: int, at: int, silent: Collection[str]) -> Iterator[None]:
        slow = [(name, run) for name, run in self._open.items() if run.values]
        for number, ((device, lane), run) in enumerate(slow):
            if run.at < at and now - run.at < self._hold_ms.get(lane, 0) and device not in silent:
                self._series.append(run.rows, run.values, at)
                run.held_at = at
            if number % 100 == 99:
                yield

    def restore(self, verdicts: Iterable[Transition]) -> None:
        """Take back verdicts as they were stored, without writing them: `hold` will."""
        for change in verdicts:
            self._verdict(change)


def info_key(labels: Labels, facts: Mapping[str, str]) -> bytes:
    """Return the key of a device's `device_info`: its base labels and what is known of vendor, model and so on."""
    named = {name: facts[name] for name in ("vendor", "model", "serial", "firmware", "sys_name") if facts.get(name)}
    return series_key("device_info", {**named, **dict(labels)})
