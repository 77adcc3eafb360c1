"""The rules as loaded: groups of alerting and recording rules, with what they read. Evaluates nothing.

Durations are integer milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rules.promql.tree import Aggregate, Binary, Call, Negate, Node, Number, Range, Selector, Subquery, Text, history
from rules.template import Template

ANY = "*"  # stands for every metric, where an expression has a selector without a name


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One alerting rule. `labels` include the group's; `key` is its identity over reloads and restarts (name and labels)."""

    name: str
    expr: str
    node: Node
    for_ms: int
    keep_firing_ms: int
    labels: tuple[tuple[str, Template], ...]
    annotations: tuple[tuple[str, Template], ...]
    key: str
    line: int


@dataclass(frozen=True, slots=True)
class RecordRule:
    """One recording rule."""

    name: str  # the metric it records
    expr: str
    node: Node
    labels: tuple[tuple[str, str], ...]
    line: int


Rule = AlertRule | RecordRule


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated in order at the same times."""

    file: str
    name: str
    interval_ms: int
    query_offset_ms: int
    limit: int
    rules: tuple[Rule, ...]
    reads: frozenset[str]  # metric names, or ANY
    writes: frozenset[str]  # metrics its recording rules make


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All groups, equal subexpressions being one object; `shared` are the ids of those that occur more than once."""

    groups: tuple[Group, ...]
    shared: frozenset[int]

    def spans(self) -> Mapping[str, int]:
        """Return how far back each metric is read, in milliseconds, look-back not counted."""
        found: dict[str, int] = {}
        for group in self.groups:
            for rule in group.rules:
                for metric, span in history(rule.node, group.query_offset_ms):
                    found[metric] = max(found.get(metric, 0), span)
        return found


def metrics_read(rules: Iterable[Rule]) -> frozenset[str]:
    """Return the names of all metrics that rules read."""
    return frozenset(metric for rule in rules for metric, _ in history(rule.node))


def rule_set(groups: Iterable[Group]) -> RuleSet:
    """Return the groups as one set, with equal subexpressions made one object."""
    known: dict[Node, Node] = {}
    uses: Counter[int] = Counter()
    shared_groups = tuple(
        replace(group, rules=tuple(replace(rule, node=_one(rule.node, known, uses)) for rule in group.rules))
        for group in groups
    )
    return RuleSet(shared_groups, frozenset(number for number, count in uses.items() if count > 1))


def _one(node: Node, known: dict[Node, Node], uses: Counter[int]) -> Node:
    """Return the one object that stands for this subexpression. Range selectors and literals are not worth sharing."""
    found = known.get(node)
    if found is None:
        found = known[node] = _rebuilt(node, known, uses)
    if isinstance(found, Selector | Call | Aggregate | Binary | Negate):
        uses[id(found)] += 1
    return found


def _rebuilt(node: Node, known: dict[Node, Node], uses: Counter[int]) -> Node:
    if isinstance(node, Binary):
        return replace(node, lhs=_one(node.lhs, known, uses), rhs=_one(node.rhs, known, uses))
    if isinstance(node, Call):
        return replace(node, args=tuple(_one(arg, known, uses) for arg in node.args))
    if isinstance(node, Aggregate):
        param = None if node.param is None else _one(node.param, known, uses)
        return replace(node, expr=_one(node.expr, known, uses), param=param)
    if isinstance(node, Negate | Subquery):
        return replace(node, expr=_one(node.expr, known, uses))
    assert isinstance(node, Number | Text | Selector | Range)
    return node
