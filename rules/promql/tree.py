"""An expression as our own tree: what the evaluator walks, independent of who parsed it. Holds no behaviour but its shape.

Durations and times are integer milliseconds. Nodes are immutable and hashable, so equal parts of many rules can be shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

START, END = "start", "end"  # the values of an `@ start()`, `@ end()`


@dataclass(frozen=True, slots=True)
class Number:
    """A float literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher; `op` is ``=``, ``!=``, ``=~`` or ``!~``. Regular expressions are RE2, anchored at both ends."""

    op: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant vector selector. `metric` is None where no name is fixed by ``=``."""

    metric: str | None
    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    at: int | str | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """A range vector selector."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """A subquery; `step_ms` None is the default step."""

    expr: Node
    range_ms: int
    step_ms: int | None
    offset_ms: int = 0
    at: int | str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    name: str
    args: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation; `without` says what `labels` means. No grouping at all is ``by ()``."""

    op: str
    expr: Node
    param: Node | None
    labels: tuple[str, ...]
    without: bool


@dataclass(frozen=True, slots=True)
class Matching:
    """How the sides of a binary operator find each other. `card` is one-to-one, many-to-one, one-to-many or many-to-many."""

    card: str = "one-to-one"
    on: bool = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operator; `matching` counts only where both sides are vectors."""

    op: str
    lhs: Node
    rhs: Node
    returns_bool: bool
    matching: Matching


@dataclass(frozen=True, slots=True)
class Negate:
    """Unary minus."""

    expr: Node


Node = Number | Text | Selector | Range | Subquery | Call | Aggregate | Binary | Negate


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below."""
    if isinstance(node, Binary):
        return (node.lhs, node.rhs)
    if isinstance(node, Aggregate):
        return (node.expr, node.param) if node.param is not None else (node.expr,)
    if isinstance(node, Call):
        return node.args
    if isinstance(node, Negate | Subquery):
        return (node.expr,)
    return (node.selector,) if isinstance(node, Range) else ()


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it, parents first."""
    todo = [node]
    while todo:
        found = todo.pop()
        yield found
        todo.extend(reversed(children(found)))


def history(node: Node, ahead_ms: int = 0) -> Iterator[tuple[str, int]]:
    """Yield (metric, milliseconds) for each selector: how far before the evaluation time it reads, look-back not counted.

    A selector without a metric name yields ``"*"``.
    """
    if isinstance(node, Selector):
        yield node.metric or "*", max(0, ahead_ms + node.offset_ms)
    elif isinstance(node, Range):
        yield from history(node.selector, ahead_ms + node.range_ms)
    elif isinstance(node, Subquery):
        yield from history(node.expr, ahead_ms + node.range_ms + max(0, node.offset_ms))
    else:
        for child in children(node):
            yield from history(child, ahead_ms)
