"""The rule engine: evaluates groups when they are due, or at once when what they read has changed.

Owns which group is due at which slot, the alerts of all rules, and the health of each rule. Never starts a timer or a task:
its owner calls it and passes the time. Times are integer milliseconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import cast

from rules.alert import AlertChange, AlertState, Kind, Phase
from rules.evidence import Evidence, with_inputs
from rules.hearing import Hearing
from rules.machine import Element, Machine, RuleFailure
from rules.outputs import Recorder, Reporter
from rules.promql.evaluate import Context, evaluate
from rules.promql.match import RegexError
from rules.promql.parse import ExpressionError, parse
from rules.promql.vector import EvaluationError, Value, Vector, label_sets, single
from rules.rule import ANY, AlertRule, Group, RecordRule, RuleSet, metrics_read
from rules.source import LOOKBACK_MS, SeriesSource
from rules.template_functions import Sample, TemplateError

_log = logging.getLogger(__name__)
GRACE_MS = LOOKBACK_MS  # how long after a restart an alert waits for its inputs to be seen again
JITTER_MS = 5_000  # a clock that steps back less than this waits for itself
_OUR_OWN = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


@dataclass(slots=True)
class RuleHealth:
    """How the last evaluation of a rule went. `error` is empty when it went well."""

    file: str
    group: str
    rule: str
    error: str = ""
    evaluated_at: int | None = None
    failures: int = 0


class _Alerting:
    """An alerting rule at work."""

    def __init__(self, rule: AlertRule, group: Group, source: SeriesSource) -> None:
        self.machine = Machine(rule)
        self.health = RuleHealth(group.file, group.name, rule.name)
        self.reads = metrics_read([rule]) - _OUR_OWN
        self.sources = self.reads  # with what its recorded metrics are made of
        self.kicked_by = metrics_read([rule])
        self.reporter = Reporter(source)
        self.at = -1


class _Recording:
    """A recording rule at work."""

    def __init__(self, rule: RecordRule, group: Group, source: SeriesSource) -> None:
        self.rule = rule
        self.health = RuleHealth(group.file, group.name, rule.name)
        self.recorder = Recorder(source, rule.name, rule.labels)
        self.kicked_by = metrics_read([rule])
        self.at = -1


class _Running:
    """A group and when it was evaluated."""

    def __init__(self, group: Group, source: SeriesSource) -> None:
        self.group = group
        self.rules: list[_Alerting | _Recording] = [
            _Alerting(rule, group, source) if isinstance(rule, AlertRule) else _Recording(rule, group, source)
            for rule in group.rules
        ]
        name = f"{group.file};{group.name}".encode()
        self.offset = int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") % group.interval_ms
        self.slot: int | None = None  # the last slot that was evaluated
        self.at: int | None = None  # the last evaluation of all its rules
        self.missed = 0

    def slot_at(self, now: int) -> int:
        """Return the newest slot that is not after `now`."""
        return now - (now - self.offset) % self.group.interval_ms

    def due(self, now: int) -> int | None:
        """Return the slot to evaluate now, if there is one; slots passed over are counted."""
        slot = self.slot_at(now)
        if self.slot is not None:
            if slot == self.slot:
                return None
            self.missed += max(0, (slot - self.slot) // self.group.interval_ms - 1)
        self.slot = slot
        return None if self.at is not None and slot <= self.at else slot


class RuleEngine:
    """All rules at work over one state."""

    def __init__(self, rule_set: RuleSet, source: SeriesSource, hearing: Hearing | None = None) -> None:
        """Prepare the rules; the state is told how far back they read.

        With a `hearing`, an alert whose series vanished with a failed poll is kept as it is until a good answer comes.
        """
        self._source = source
        self._hearing = hearing
        self._restored_at: int | None = None
        self._now: int | None = None
        self._install(rule_set)

    def _install(self, rule_set: RuleSet) -> None:
        self._rules = rule_set
        self._groups = [_Running(group, self._source) for group in rule_set.groups]
        made_of = {
            rule.name: metrics_read([rule]) for group in rule_set.groups for rule in group.rules if isinstance(rule, RecordRule)
        }
        for machine in [rule for running in self._groups for rule in running.rules if isinstance(rule, _Alerting)]:
            machine.sources = with_inputs(machine.reads, made_of)
        self._context = Context(self._source, rule_set.shared)
        self._source.retain(rule_set.spans())

    # evaluating

    def evaluate(self, now: int, metrics: Collection[str] | None = None) -> list[AlertChange]:
        """Evaluate the groups that are due, or at once those that read one of `metrics`; return what changed, in order.

        A group that is due is evaluated as of its slot, not as of `now`. A rule that fails leaves its alerts as they were.
        """
        return [change for changes in self._steps(now, metrics) for change in changes]

    async def evaluate_paced(self, now: int, metrics: Collection[str] | None = None) -> list[AlertChange]:
        """Do the same, giving way to the event loop between rules and within long results."""
        found: list[AlertChange] = []
        for changes in self._steps(now, metrics):
            found += changes
            await asyncio.sleep(0)
        return found

    def due_at(self, now: int) -> int:
        """Return when the next group is due, as wall time."""
        slots = [
            running.slot_at(now) + (running.group.interval_ms if running.slot == running.slot_at(now) else 0)
            for running in self._groups
        ]
        return min(slots, default=now + 60_000)

    def _steps(self, now: int, metrics: Collection[str] | None) -> Iterator[list[AlertChange]]:
        now = self._watched(now)
        self._context.refresh()
        kick = None if metrics is None else set(metrics)
        for running, at in self._chosen(now, metrics):
            if kick is None:
                running.at = at if running.at is None else max(at, running.at)
            yield from self.evaluate_group(running, at, kick)

    def _chosen(self, now: int, metrics: Collection[str] | None) -> list[tuple[_Running, int]]:
        if metrics is None:
            judged = self._restored_at or 0  # up to then, the process before this one has, and may know of later turns
            return [(running, max(slot, judged)) for running in self._groups if (slot := running.due(now)) is not None]
        wanted, chosen = set(metrics), []
        for running in self._groups:
            if ANY in running.group.reads or not wanted.isdisjoint(running.group.reads):
                wanted |= running.group.writes
                chosen.append((running, now))
        return chosen

    def _watched(self, now: int) -> int:
        """See a clock that was set back, or a long sleep: neither may age what is pending, nor stop evaluation.

        Returns the time to evaluate at: a step back of a moment counts as none.
        """
        before = self._now
        if before is not None and before - JITTER_MS <= now < before:
            return before
        self._now = now
        if before is None:
            return now
        gap = now - before
        longest = max((running.group.interval_ms for running in self._groups), default=0)
        if gap < 0:
            self._source.rewind(now)
            if self._restored_at is not None:
                self._restored_at = min(self._restored_at, now)
            for running in self._groups:
                running.slot = running.at = None
                for rule in running.rules:
                    rule.at = -1
        if gap < 0 or gap > max(LOOKBACK_MS, 4 * longest):
            for machine in self._machines():
                machine.skip(gap)
        return now

    def evaluate_group(self, running: _Running, at: int, kick: set[str] | None = None) -> Iterator[list[AlertChange]]:
        """Evaluate the rules of a group in order; a rule sees what earlier ones wrote at the same time.

        After a `kick`, only those that read one of its metrics; what they write is added to it.
        """
        group = running.group
        for rule in running.rules:
            if rule.at >= at or not _concerned(rule, kick):
                continue
            self._context.settle()
            try:
                if isinstance(rule, _Alerting):
                    yield from self._alerts(rule, group, at)
                else:
                    self._record(rule, group, at)
                    yield []
            except (RuleFailure, ValueError, TypeError, LookupError, ArithmeticError, RecursionError, MemoryError) as error:
                known = isinstance(error, EvaluationError | RuleFailure | RegexError)
                if not known:
                    _log.exception("rule %s of group %s could not be evaluated", rule.health.rule, group.name)
                rule.health.error = str(error) if known else f"internal: {type(error).__name__}: {error}"
                rule.health.evaluated_at = at
                rule.health.failures += 1
                rule.at = at
                yield []

    def _record(self, rule: _Recording, group: Group, at: int) -> None:
        as_of = at - group.query_offset_ms
        vector = _vector(evaluate(rule.rule.node, as_of, self._context))
        rule.recorder.write(vector, self._context.texts, as_of, group.limit)
        rule.at, rule.health.error, rule.health.evaluated_at = at, "", at

    def _alerts(self, rule: _Alerting, group: Group, at: int) -> Iterator[list[AlertChange]]:
        as_of = at - group.query_offset_ms
        machine, texts = rule.machine, self._context.texts
        vector = _vector(evaluate(machine.rule.node, as_of, self._context))

        def query(expr: str) -> list[Sample]:
            return self._query(expr, as_of)

        elements: list[Element] = []
        for chunk in machine.elements(vector, texts, query):
            elements += chunk
            if new := [element[0] for element in chunk if element[3] is not None]:
                rule.reporter.prepare(new, Phase.PENDING if machine.rule.for_ms else Phase.FIRING)
            if len(elements) < len(vector.values):
                yield []
        if rule.at >= at:  # evaluated again, later, while this was giving way
            return
        rule.at = at
        changes: list[AlertChange] = []
        try:
            evidence = self._evidence(rule, as_of)
            for change in machine.step(elements, at, group.limit, query, evidence.holds):
                changes.append(evidence.dated(change))
            rule.health.error, rule.health.evaluated_at = "", at
        finally:
            if changes or machine.active:
                same = all(change.kind is Kind.UPDATED for change in changes)
                rule.reporter.write(machine.active.values(), as_of, same)
            if changes:
                yield changes
        if not changes:
            yield []

    def _query(self, expr: str, at: int) -> list[Sample]:
        """Answer a template's query()."""
        try:
            vector = _vector(evaluate(parse(expr), at, self._context))
        except (ExpressionError, EvaluationError) as error:
            raise TemplateError(f"error calling query: {error}") from None
        sets = label_sets(vector.labels, self._context.texts.text)
        return [Sample(dict(labels), value) for labels, value in zip(sets, vector.values.tolist(), strict=True)]

    def _evidence(self, rule: _Alerting, at: int) -> Evidence:
        """Return what judges, in one evaluation, whether alerts of a rule that are not seen may end."""
        until = None if self._restored_at is None else self._restored_at + GRACE_MS
        return Evidence(self._source, self._hearing, rule.machine.rule, rule.reads, rule.sources, at, until)

    # state

    def snapshot(self) -> list[AlertState]:
        """Return all alerts, exactly as they stand."""
        return [state for machine in self._machines() for state in machine.snapshot()]

    def restore(self, states: Collection[AlertState], now: int) -> list[AlertState]:
        """Take alerts in that `snapshot` gave before a restart; return those whose rule does not exist any more.

        The time in between does not count towards any `for`. An alert whose inputs have not been seen again waits for them,
        up to `GRACE_MS`, before it may end.
        """
        by_key: dict[str, list[AlertState]] = {}
        for state in states:
            by_key.setdefault(state.rule_key, []).append(state)
        self._restored_at = now
        for running in self._groups:
            for rule in running.rules:
                if isinstance(rule, _Alerting) and (found := by_key.pop(rule.machine.rule.key, None)):
                    rule.machine.restore(found, now)
                    rule.reporter.write(rule.machine.active.values(), running.slot_at(now) - running.group.query_offset_ms - 1)
        return [state for left in by_key.values() for state in left]

    def reload(self, rule_set: RuleSet, now: int) -> list[AlertChange]:
        """Take other rules; alerts stay with rules of the same name and labels, alerts of rules that are gone end."""
        before = [rule for running in self._groups for rule in running.rules]
        old = {rule.machine.rule.key: rule for rule in before if isinstance(rule, _Alerting)}
        recorded = {rule.rule.name for rule in before if isinstance(rule, _Recording)}
        slots = {(running.group.file, running.group.name): running for running in self._groups}
        self._install(rule_set)
        for running in self._groups:
            past = slots.get((running.group.file, running.group.name))
            if past is not None and past.group.interval_ms == running.group.interval_ms:
                running.slot, running.at, running.missed = past.slot, past.at, past.missed
            for rule in running.rules:
                if isinstance(rule, _Alerting) and rule.machine.rule.key in old:
                    kept = old.pop(rule.machine.rule.key)
                    rule.machine.active, rule.reporter = kept.machine.active, kept.reporter
                elif isinstance(rule, _Recording):
                    recorded.discard(rule.rule.name)
        changes: list[AlertChange] = []
        for gone in old.values():
            changes += gone.machine.end(now)
            gone.reporter.write([], now)
        for rule in before:
            if isinstance(rule, _Recording) and rule.rule.name in recorded:
                rule.recorder.end(now)
        return changes

    def _machines(self) -> Iterator[Machine]:
        for running in self._groups:
            for rule in running.rules:
                if isinstance(rule, _Alerting):
                    yield rule.machine

    def health(self) -> list[RuleHealth]:
        """Return how each rule's last evaluation went."""
        return [rule.health for running in self._groups for rule in running.rules]

    @property
    def missed_slots(self) -> int:
        """Number of slots passed over because evaluation came too late."""
        return sum(running.missed for running in self._groups)


def _concerned(rule: _Alerting | _Recording, kick: set[str] | None) -> bool:
    """Say whether a rule is to be evaluated; what it will write then concerns those behind it."""
    if kick is None:
        return True
    if ANY not in rule.kicked_by and kick.isdisjoint(rule.kicked_by):
        return False
    kick |= _OUR_OWN if isinstance(rule, _Alerting) else {rule.rule.name}
    return True


def _vector(value: Value) -> Vector:
    if isinstance(value, float):
        return single(value)
    return cast(Vector, value)
