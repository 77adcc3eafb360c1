"""What speaks for the end of an alert: a good answer, as opposed to none. Judges the alerts of one rule in one evaluation.

Without a `Hearing` (Prometheus's semantics) an alert ends when its condition is not seen, but for those from before a restart,
which wait for what their rule reads. Changes no alert.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from rules.alert import AlertChange, Gone, Kind
from rules.hearing import Hearing
from rules.machine import Active
from rules.rule import AlertRule
from rules.source import LOOKBACK_MS, NEVER, Index, Labels, SeriesSource, SeriesTable, Window

EXACT = 200  # ends in one evaluation that are dated to the answer; about 100 us each


@dataclass(slots=True)
class Evidence:
    """Made for one evaluation as of `at`. `sources` are `reads` with what recorded metrics among them are made of."""

    source: SeriesSource
    hearing: Hearing | None
    rule: AlertRule
    reads: Collection[str]
    sources: Collection[str]
    at: int
    waits_until: int | None  # an alert from before a restart does, for its inputs; None: there was no restart
    _seen: dict[Labels, int] = field(default_factory=dict)  # when alerts that may end were last part of a result
    _dated: int = 0

    def holds(self, alert: Active) -> bool:
        """Say whether an alert that is not seen may not end yet, because nothing is heard of what its rule reads."""
        self._seen[alert.labels] = alert.seen_at
        labels = self._own(alert.labels)
        if self.hearing is not None and self.hearing.unheard(self.sources, labels, self.at):
            return True
        if not alert.restored or self.waits_until is None:
            return False
        if all(self._current(metric, labels) for metric in self.reads):
            return False
        return self.at < self.waits_until or (self.hearing is not None and self.hearing.silent(labels))

    def dated(self, change: AlertChange) -> AlertChange:
        """Return the end of an alert with the time of the good answer that ended it, and why if it is not there any more."""
        seen_at = self._seen.get(change.labels)
        if change.kind is not Kind.RESOLVED or self.hearing is None or seen_at is None or self._dated >= EXACT:
            return change
        self._dated += 1
        labels = self._own(change.labels)
        answered, gone = NEVER, False
        for metric in self.reads:
            table = self.source.table(metric)
            if table is None or not len(rows := self._rows(table, labels)):
                continue
            gone = gone or not len(table.instant(self.at, LOOKBACK_MS, rows)[0])
            answered = max(answered, _since(table.window(seen_at, self.at, rows)[1]))
        return replace(change, at=answered if answered > NEVER else change.at, reason=Gone.COMPONENT if gone else "")

    def _own(self, labels: Labels) -> Labels:
        """Return the labels that an alert has from its expression."""
        given = {name for name, _ in self.rule.labels} | {"alertname"}
        return tuple((name, text) for name, text in labels if name not in given)

    def _current(self, metric: str, labels: Labels) -> bool:
        """Say whether a metric has a current series with these labels, as far as that metric has them at all."""
        table = self.source.table(metric)
        return table is not None and len(table.instant(self.at, LOOKBACK_MS, self._rows(table, labels))[0]) > 0

    def _rows(self, table: SeriesTable, labels: Labels) -> Index:
        columns, fits = table.columns, np.ones(table.size, np.bool_)
        for name, text in labels:
            if name in columns:
                code = self.source.strings.find(text)
                fits &= columns[name] == (-1 if code is None else code)
        return np.flatnonzero(fits)


def _since(window: Window) -> int:
    """Return the time since which all series of a window have the values that they have last, NEVER if there are none."""
    found = NEVER
    for series, count in enumerate(window.counts.tolist()):
        if not count:
            continue
        values = window.values[:count, series]
        differs = np.flatnonzero(values != values[-1])
        first = int(differs[-1]) + 1 if len(differs) else 0
        found = max(found, int(window.times[first, series]))
    return found


def with_inputs(reads: frozenset[str], made_of: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return metrics with those that they are recorded from, and so on."""
    found, left = set(reads), list(reads)
    while left:
        new = made_of.get(left.pop(), frozenset()) - found
        found |= new
        left += new
    return frozenset(found)
