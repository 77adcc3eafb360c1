"""What runs and verdicts do to the series: samples at their event time, the end of series that are gone, values held.

No answer is no data, and no news either. What a failed run leaves out stays as it was last said until two and a half intervals
of its lane have passed or the device is down; then it ends, and counts as unheard (`collector.hearing`) until a good answer
comes. What a good run leaves out is gone at once.

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
_OWN = b"probe_"  # what a run says of itself, and says even if it fails
_AT_ONCE = 1_000  # devices held in one step
HOLD_LAG_MS = 1_000  # held samples lie this far back, so that a fresh one is newer

_SILENT = (ReachState.DOWN, ReachState.UNKNOWN)
_UP = {ReachState.UP: 1.0, ReachState.SUSPECT: 1.0, ReachState.DOWN: 0.0}


@dataclass(frozen=True, slots=True)
class Ended:
    """Series (keys joined by line feeds) that have no value from `at` (ms) on."""

    at: int
    keys: bytes


@dataclass(slots=True)
class Word:
    """What one lane of one device said last, and what it said when it last answered."""

    at: int  # of the newest run
    rows: Rows  # series that have a value
    held: tuple[Rows, Sequence[float]] | None = None  # of the newest good run of a slow lane
    held_at: int = 0
    good_at: int = 0  # of the newest good run
    missing: tuple[bytes, ...] = ()  # left out by failed runs since then, or not heard since the device is down
    missed: tuple[bytes, ...] = ()  # were missing until `back_at`, the first good run after that
    back_at: int = 0

    @property
    def good(self) -> bool:
        """Say if it has answered, and nothing is missing since."""
        return self.good_at > 0 and not self.missing


@dataclass(slots=True)
class _Verdict:
    state: ReachState
    at: int
    keys: list[bytes]  # of device_up and device_suspect
    written_at: int = 0  # of their newest samples

    def values(self) -> tuple[float, float]:
        return _UP.get(self.state, 0.0), float(self.state is ReachState.SUSPECT)


class Lanes:
    """Writes runs and verdicts into the series state of one site."""

    def __init__(self, series: SeriesState, intervals_s: Mapping[str, float], labels: Mapping[str, Labels]) -> None:
        """`intervals_s`: seconds between the runs of each lane; `labels`: the base labels of each device."""
        self._series = series
        self._hold_ms = {lane: int(PATIENCE * s * 1000) for lane, s in intervals_s.items() if PATIENCE * s * 1000 > LOOKBACK_MS}
        self._labels = dict(labels)
        self._patience_ms = {lane: int(PATIENCE * s * 1000) for lane, s in intervals_s.items()}
        self.words: dict[tuple[str, str], Word] = {}  # by device and lane
        self.lanes_of: dict[str, list[str]] = {}  # by device, those that spoke
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
        before = self.words.get((run.device, run.lane))
        if before is not None and run.at <= before.at:
            return None
        rows = self._series.rows(run.keys)
        at = min(run.at, now) if before is None else max(min(run.at, now), before.held_at + 1)
        self._series.append(rows, run.values, at)
        word, gone = self._good(run, rows, at, before) if run.reason is Reason.OK else self._failed(run, rows, at, before)
        self._put(run.device, run.lane, word)
        if not gone:
            return None
        self._series.mark_stale(Rows(gone), at)
        return Ended(at, b"\n".join(gone))

    def adopt(self, run: Run) -> None:
        """Take back a run whose samples are there already: what follows is compared with it.

        Raises:
            SeriesKeyError, SeriesLimitError: as `SeriesState.rows`.
        """
        before = self.words.get((run.device, run.lane))
        if before is None or before.at < run.at:
            rows = self._series.rows(run.keys)
            judge = self._good if run.reason is Reason.OK else self._failed
            self._put(run.device, run.lane, judge(run, rows, run.at, before)[0])

    def _put(self, device: str, lane: str, word: Word) -> None:
        if (device, lane) not in self.words:
            self.lanes_of.setdefault(device, []).append(lane)
        self.words[device, lane] = word

    def _good(self, run: Run, rows: Rows, at: int, before: Word | None) -> tuple[Word, list[bytes]]:
        """Return the word after a good run, and the series that are gone with it."""
        word = Word(run.at, rows, (rows, run.values) if self.slow(run.lane) else None, at, run.at)
        if before is None:
            return word, []
        word.missed, word.back_at = (before.missing, at) if before.missing else (before.missed, before.back_at)
        if before.rows is rows or before.rows.keys == rows.keys:
            return word, []
        now = set(rows.keys)
        return word, [key for key in before.rows.keys if key not in now]

    def _failed(self, run: Run, rows: Rows, at: int, before: Word | None) -> tuple[Word, list[bytes]]:
        """Return the word after a failed run, and the series that nobody has answered for too long."""
        if before is None:
            return Word(run.at, rows, held_at=at), []
        now = set(rows.keys)
        left = [key for key in before.rows.keys if key not in now]
        told = [key for key in left if key.startswith(_OWN)]
        waiting = [key for key in left if not key.startswith(_OWN)]
        missing = tuple(
            dict.fromkeys(key for key in (*before.missing, *waiting) if key not in now and not key.startswith(_OWN))
        )
        word = Word(run.at, rows, self._kept(before, now), at, before.good_at, missing, before.missed, before.back_at)
        if run.at - before.good_at > self.patience_ms(run.lane):
            word.rows, word.held = (Rows([*rows.keys, *told]) if told else rows), None
            return word, waiting
        word.rows = Rows([*rows.keys, *left]) if left else rows
        return word, []

    @staticmethod
    def _kept(before: Word, now: Collection[bytes]) -> tuple[Rows, Sequence[float]] | None:
        """Return what is still to be held of a good run after a failed one with the series `now`."""
        if before.held is None:
            return None
        rows, values = before.held
        pairs = [(k, v) for k, v in zip(rows.keys, values, strict=True) if k not in now and not k.startswith(_OWN)]
        return (Rows([key for key, _ in pairs]), [value for _, value in pairs]) if pairs else None

    def transition(self, change: Transition, now: int) -> tuple[list[Own], list[Ended]] | None:
        """Write one verdict and end what nobody can know of a device that is down.

        Returns the samples written and the series ended, or None if a newer verdict is known, which this does not change.
        """
        known = self._verdict(change)
        if known is None or change.at < known.at:
            return None
        known.state, known.at = change.state, change.at
        oldest = max(now - HOLD_LAG_MS, self._held_at, known.written_at) + 1  # what rules still see, and after what is known
        at = known.written_at = max(min(change.at, now), oldest)
        ended = [Ended(at, b"\n".join(keys))] if (keys := self._silence(known, change.device)) else []
        if keys:
            self._series.mark_stale(Rows(keys), at)
        if change.state not in _UP:
            self._series.mark_stale(Rows(known.keys), at)
            return [], ended
        self._series.append(Rows(known.keys), known.values(), at)
        return [Own(b"\n".join(known.keys), at, known.values())], ended

    def _silence(self, verdict: _Verdict, device: str) -> list[bytes]:
        """Count what a silent device said before its verdict as unheard; returns the series to end if it is down."""
        if verdict.state not in _SILENT:
            return []
        gone: list[bytes] = []
        for lane in self.lanes_of.get(device, ()):
            word = self.words[device, lane]
            if word.at > verdict.at or self.slow(lane):  # a slow lane speaks of what an outage does not change
                continue
            said = [key for key in word.rows.keys if key not in verdict.keys]  # its own series the verdict writes
            word.missing = tuple(dict.fromkeys((*word.missing, *said)))
            if verdict.state is ReachState.DOWN:
                ends = {key for key in said if not key.startswith(_OWN)}
                gone += ends
                word.rows, word.held = Rows([key for key in word.rows.keys if key not in ends]), None
        return gone

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
        slow = [(name, word, word.held) for name, word in self.words.items() if word.held is not None]
        for number, ((device, lane), word, (rows, values)) in enumerate(slow):
            if word.good_at < at and now - word.good_at < self._hold_ms.get(lane, 0) and device not in silent:
                self._series.append(rows, values, at)
                word.held_at = at
            if number % 100 == 99:
                yield

    def restore(self, verdicts: Iterable[Transition]) -> None:
        """Take back verdicts as they were stored, without writing them: `hold` will. Call it after the last `adopt`."""
        for change in verdicts:
            known = self._verdict(change)
            if known is not None:
                self._silence(known, change.device)

    # what is asked

    def knows(self, device: str) -> bool:
        """Say if the site has such a device."""
        return device in self._labels

    def state(self, device: str) -> ReachState | None:
        """Return the verdict on a device, None if there is none."""
        known = self._verdicts.get(device)
        return known.state if known is not None else None

    def patience_ms(self, lane: str) -> int:
        """Return how long a lane's last good word stands while nobody answers."""
        return self._patience_ms.get(lane, LOOKBACK_MS)


def info_key(labels: Labels, facts: Mapping[str, str]) -> bytes:
    """Return the key of a device's `device_info`: its base labels and what is known of vendor, model and so on."""
    named = {name: facts[name] for name in ("vendor", "model", "serial", "firmware", "sys_name") if facts.get(name)}
    return series_key("device_info", {**named, **dict(labels)})
