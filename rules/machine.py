"""The state machine of one alerting rule: inactive, pending, firing, resolved. Knows no timer and no source of samples.

The semantics are Prometheus's (rules/alerting.go and the alert generator compliance specification); where it goes beyond
them (an exact state over a restart) it says so. Times are integer milliseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rules.alert import AlertChange, AlertState, Kind, Phase
from rules.promql.vector import Texts, Vector
from rules.rule import AlertRule
from rules.source import Labels
from rules.template import Query

CHUNK = 100  # elements between two chances to give way


class RuleFailure(Exception):
    """A rule that could not be carried out this time; alerts stay as they were. The text is the reason."""


@dataclass(slots=True)
class Active:
    """One alert that is pending or firing."""

    labels: Labels
    sample: Labels  # what the expression gave
    annotations: dict[str, str]
    phase: Phase
    active_at: int
    value: float
    seen_at: int
    fired_at: int | None = None
    keep_firing_since: int | None = None
    restored: bool = False  # from before a restart and not seen since


Element = tuple[Labels, Labels, float, dict[str, str] | None]  # alert's labels, sample's, value, annotations if it is new


class Machine:
    """The alerts of one rule."""

    def __init__(self, rule: AlertRule) -> None:
        """Start with no alert."""
        self.rule = rule
        self.active: dict[Labels, Active] = {}
        self._known: dict[tuple[int, ...], tuple[Labels, Labels]] = {}
        self._names: list[str] = []
        self._static = all(template.plain for _, template in rule.labels)
        self._volatile = any(template.uses_value for _, template in rule.annotations)

    # elements of a result

    def elements(self, vector: Vector, texts: Texts, query: Query | None) -> Iterator[list[Element]]:
        """Yield the elements of a result with the labels their alerts have, some at a time."""
        names = sorted(vector.labels.names())
        if names != self._names:
            self._names, self._known = names, {}
        columns = [vector.labels.column(name).tolist() for name in names]
        rows = list(zip(*columns, strict=True)) if columns else [()] * len(vector.values)
        values = vector.values.tolist()
        known: dict[tuple[int, ...], tuple[Labels, Labels]] = {}
        for first in range(0, len(rows), CHUNK):
            chunk: list[Element] = []
            for codes, value in zip(rows[first : first + CHUNK], values[first : first + CHUNK], strict=True):
                pair = self._known.get(codes)
                if pair is None:
                    sample = tuple((name, texts.text(code)) for name, code in zip(names, codes, strict=True) if code)
                    pair = (self._labels(sample, value, query), sample)
                if self._static and min(codes, default=0) >= 0:
                    known[codes] = pair
                new = None if pair[0] in self.active else self._annotations(pair[1], value, query)
                chunk.append((*pair, value, new))
            yield chunk
        self._known = known

    def _labels(self, sample: Labels, value: float, query: Query | None) -> Labels:
        found = {name: text for name, text in sample if name != "__name__"}
        given = dict(sample)
        for name, template in self.rule.labels:
            found[name] = template.expand(given, value, query)
        found["alertname"] = self.rule.name
        return tuple(sorted((name, text) for name, text in found.items() if text))

    # one evaluation

    def step(
        self, elements: list[Element], at: int, limit: int, query: Query | None, hold: Callable[[Active], bool]
    ) -> Iterator[AlertChange]:
        """Take in the result of one evaluation and yield what changed; `hold` says which absent alerts may not end yet.

        Changes nothing before it is certain that the result can be used.

        Raises:
            RuleFailure: two elements make the same alert, or more alerts than `limit` (which end, then).
        """
        found: dict[Labels, Element] = {}
        for element in elements:
            if element[0] in found:
                raise RuleFailure(f"two results make the same alert {dict(element[0])}")
            found[element[0]] = element
        for labels, element in found.items():
            yield from self._present(labels, element, at, query)
        for labels in [labels for labels in self.active if labels not in found]:
            yield from self._absent(self.active[labels], at, hold)
        if limit and len(self.active) > limit:
            count = len(self.active)
            yield from self.end(at)
            raise RuleFailure(f"exceeded the limit of {limit} with {count} alerts")

    def _present(self, labels: Labels, element: Element, at: int, query: Query | None) -> Iterator[AlertChange]:
        _, sample, value, annotations = element
        alert = self.active.get(labels)
        if alert is None:
            annotations = self._annotations(sample, value, query) if annotations is None else annotations
            alert = Active(labels, sample, annotations, Phase.PENDING, at, value, at)
            self.active[labels] = alert
            if self.rule.for_ms > 0:
                yield self._change(Kind.PENDING, alert, at)
        else:
            changed = self._refresh(alert, sample, value, query)
            alert.seen_at, alert.keep_firing_since, alert.restored = at, None, False
            if alert.phase is Phase.FIRING and at - alert.active_at < self.rule.for_ms and alert.fired_at != at:
                yield from self._fall_back(alert, at)
            elif changed and alert.phase is Phase.FIRING:
                yield self._change(Kind.UPDATED, alert, at)
        if alert.phase is Phase.PENDING and at - alert.active_at >= self.rule.for_ms:
            alert.phase, alert.fired_at = Phase.FIRING, at
            yield self._change(Kind.FIRING, alert, at)

    def _fall_back(self, alert: Active, at: int) -> Iterator[AlertChange]:
        """A longer `for` after a reload makes a firing alert pending again."""
        yield self._change(Kind.RESOLVED, alert, at)
        alert.phase, alert.fired_at = Phase.PENDING, None
        yield self._change(Kind.PENDING, alert, at)

    def _refresh(self, alert: Active, sample: Labels, value: float, query: Query | None) -> bool:
        """Take the new value in; say whether an annotation reads differently now."""
        same_value = struct.pack("<d", value) == struct.pack("<d", alert.value)
        if sample == alert.sample and (same_value or not self._volatile) and not alert.restored:
            alert.value = value
            return False
        before = alert.annotations
        alert.sample, alert.value, alert.annotations = sample, value, self._annotations(sample, value, query)
        return alert.annotations != before

    def _absent(self, alert: Active, at: int, hold: Callable[[Active], bool]) -> Iterator[AlertChange]:
        if hold(alert):
            if alert.phase is Phase.PENDING:
                alert.active_at += at - alert.seen_at  # what nobody saw does not count
                alert.seen_at = at
            elif alert.restored:
                alert.seen_at = at
            return
        if alert.phase is Phase.FIRING and self.rule.keep_firing_ms:
            if alert.keep_firing_since is None:
                alert.keep_firing_since = at
            if at - alert.keep_firing_since < self.rule.keep_firing_ms:
                alert.seen_at = at
                return
        del self.active[alert.labels]
        yield self._change(Kind.RESOLVED if alert.phase is Phase.FIRING else Kind.DROPPED, alert, at)

    def end(self, at: int) -> Iterator[AlertChange]:
        """End all alerts (their rule is gone)."""
        ended, self.active = list(self.active.values()), {}
        for alert in ended:
            yield self._change(Kind.RESOLVED if alert.phase is Phase.FIRING else Kind.DROPPED, alert, at)

    def _annotations(self, sample: Labels, value: float, query: Query | None) -> dict[str, str]:
        given = dict(sample)
        return {name: template.expand(given, value, query) for name, template in self.rule.annotations}

    def _change(self, kind: Kind, alert: Active, at: int) -> AlertChange:
        return AlertChange(kind, self.rule.name, alert.labels, dict(alert.annotations), alert.active_at, at, alert.value)

    # time that nobody watched

    def skip(self, gap_ms: int) -> None:
        """Leave a span of time out of all `for` and `keep_firing_for` (a clock that jumped, a machine that slept)."""
        for alert in self.active.values():
            alert.seen_at += gap_ms
            if alert.phase is Phase.PENDING or gap_ms < 0:
                alert.active_at += gap_ms
            if alert.fired_at is not None and gap_ms < 0:
                alert.fired_at += gap_ms
            if alert.keep_firing_since is not None:
                alert.keep_firing_since += gap_ms

    def snapshot(self) -> list[AlertState]:
        """Return the alerts as records."""
        return [
            AlertState(
                self.rule.key,
                self.rule.name,
                alert.labels,
                dict(alert.annotations),
                alert.phase,
                alert.active_at,
                alert.fired_at,
                alert.keep_firing_since,
                alert.seen_at,
                alert.value,
            )
            for alert in self.active.values()
        ]

    def restore(self, states: Iterable[AlertState], at: int) -> None:
        """Take alerts in as they were, the time since they were last seen not counted."""
        for state in states:
            gap = max(0, at - state.seen_at)
            pending = state.phase is Phase.PENDING
            kept = None if state.keep_firing_since is None else state.keep_firing_since + gap
            self.active[state.labels] = Active(
                state.labels,
                (),
                dict(state.annotations),
                state.phase,
                state.active_at + gap if pending else state.active_at,
                state.value,
                at,
                state.fired_at,
                kept,
                restored=True,
            )
