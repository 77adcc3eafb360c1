"""From PromQL text to our tree: promql-parser behind guards. The only module that knows that library.

The library ends the process on very deep input and misreads two things silently; both are refused before or after it.
What Prometheus accepts and we do not evaluate is an `Unsupported`, what Prometheus refuses too is a `SyntaxFault`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import promql_parser as library

from config.language import _, noted
from rules.promql import functions
from rules.promql.tree import (
    END,
    START,
    Aggregate,
    Binary,
    Call,
    Matcher,
    Matching,
    Negate,
    Node,
    Number,
    Range,
    Selector,
    Subquery,
    Text,
)

MAX_LENGTH = 65_536
MAX_OPERATORS = 800
MAX_DEPTH = 120

_STRINGS = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|`[^`]*`', re.S)
_BYTE_ESCAPES = re.compile(r"\\(?:x[89a-fA-F]|[23][0-7])")
_BRACES = re.compile(r"\{[^{}]*\}", re.S)
_OPERATORS = re.compile(r"[-+*/%^<>=!(\[]|\b(?:and|or|unless|atan2)\b", re.I)
_BEYOND = (
    (re.compile(r"\b(?:anchored|smoothed)\b"), noted("anchored and smoothed selectors are not supported")),
    (re.compile(r"<\s*/|>\s*/"), noted("native histogram operators are not supported")),
    (re.compile(r"\bfill(?:_left|_right)?\s*\("), noted("fill modifiers are not supported")),
    (
        re.compile(r"(?:\[|\boffset\s*|:)\s*\(?[^\]]*(?:\d\w*|\)|step\(\)|range\(\))\s*[-+*/%^]\s*[\d(\w]"),
        noted("duration expressions are not supported"),
    ),
    (
        re.compile(r"(?:\[|:|\boffset\s+[-+]?)\s*[-+(]*\s*(?:step|range|min_of|max_of|min|max)\s*\("),
        noted("duration expressions are not supported"),
    ),
    (re.compile(r"\b(?:min_of|max_of|step|range|start|end)\s*\("), noted("experimental functions are not supported")),
    (re.compile(r"\binfo\s*\("), noted("the info function is not supported")),
)
_CARDS = {"OneToOne": "one-to-one", "ManyToOne": "many-to-one", "OneToMany": "one-to-many", "ManyToMany": "many-to-many"}
_MATCH_OPS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_AGGREGATIONS = frozenset(
    ("sum", "min", "max", "avg", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values"),
)
_SETS = frozenset({"and", "or", "unless"})


class ExpressionError(ValueError):
    """An expression that cannot be used; the text is the reason."""


class SyntaxFault(ExpressionError):
    """Not PromQL: Prometheus refuses it too."""


class Unsupported(ExpressionError):
    """PromQL, but outside what is evaluated here."""


def parse(text: str) -> Node:
    """Return the tree of an expression. About 50 us.

    Raises:
        SyntaxFault: it is not PromQL.
        Unsupported: it is too long or too deep, or uses what is not evaluated here.
    """
    bare = _guard(text)
    try:
        ast = library.parse(text)
    except (ValueError, OverflowError) as error:
        for pattern, what in _BEYOND:
            if pattern.search(bare):
                raise Unsupported(_(what)) from None
        raise SyntaxFault(str(error).strip() or "parse error") from None
    if _depth(ast) > MAX_DEPTH:
        raise Unsupported(_("nested more than {depth} deep").format(depth=MAX_DEPTH))
    try:
        node = _node(ast)
    except OverflowError as error:
        raise Unsupported(_("a time or duration out of range: {error}").format(error=error)) from None
    return _with_bytes(node) if _BYTE_ESCAPES.search("".join(_STRINGS.findall(text))) else node


def _with_bytes(node: Node) -> Node:
    """Undo the library's reading of ``\\xff`` as a character: Go means a byte, which in a name or value is not UTF-8."""
    if isinstance(node, Text) and all(ord(char) < 256 for char in node.value):
        return Text(node.value.encode("latin-1").decode("utf-8", "surrogateescape"))
    if isinstance(node, Call):
        return replace(node, args=tuple(_with_bytes(arg) for arg in node.args))
    if isinstance(node, Aggregate):
        param = None if node.param is None else _with_bytes(node.param)
        return replace(node, expr=_with_bytes(node.expr), param=param)
    if isinstance(node, Binary):
        return replace(node, lhs=_with_bytes(node.lhs), rhs=_with_bytes(node.rhs))
    return replace(node, expr=_with_bytes(node.expr)) if isinstance(node, Negate | Subquery) else node


def _guard(text: str) -> str:
    """Refuse what the library must not see; return the text without strings."""
    if len(text) > MAX_LENGTH:
        raise Unsupported(_("longer than {most} characters").format(most=MAX_LENGTH))
    bare = _STRINGS.sub('""', text)
    count = len(_OPERATORS.findall(_BRACES.sub("{}", bare)))
    if count > MAX_OPERATORS or bare.count("{") > MAX_OPERATORS:
        text = _("{count} operators and parentheses; at most {most} are read")
        raise Unsupported(text.format(count=count, most=MAX_OPERATORS))
    if re.search(r"@\s*-", bare):
        raise Unsupported(_("a negative @ timestamp is not supported"))
    return bare


def _depth(ast: Any) -> int:
    todo, deepest = [(ast, 1)], 0
    while todo:
        node, depth = todo.pop()
        deepest = max(deepest, depth)
        for name in ("expr", "lhs", "rhs", "param"):
            child = getattr(node, name, None)
            if isinstance(child, library.Expr):
                todo.append((child, depth + 1))
        todo.extend((child, depth + 1) for child in getattr(node, "args", ()) if isinstance(child, library.Expr))
    return deepest


def _node(ast: Any) -> Node:
    convert = _CONVERTERS.get(type(ast).__name__)
    if convert is None:
        raise Unsupported(_("{name} is not supported").format(name=type(ast).__name__))
    return convert(ast)


def _number(ast: Any) -> Node:
    return Number(float(ast.val))


def _text(ast: Any) -> Node:
    return Text(ast.val)


def _paren(ast: Any) -> Node:
    return _node(ast.expr)


def _unary(ast: Any) -> Node:
    inner = _node(ast.expr)
    return Number(-inner.value) if isinstance(inner, Number) else Negate(inner)


def _selector(ast: Any) -> Selector:
    if ast.matchers.or_matchers:
        raise SyntaxFault(_("`or` between label matchers is not PromQL"))
    matchers = [Matcher(_MATCH_OPS[str(m.op).rsplit(".", 1)[-1]], m.name, m.value) for m in ast.matchers.matchers]
    names = [m for m in matchers if m.name == "__name__"]
    metric = ast.name
    if metric is None and len(names) == 1 and names[0].op == "=" and names[0].value:
        metric = names[0].value
        matchers.remove(names[0])
    return Selector(metric, tuple(matchers), _ms(ast.offset), _at(ast.at))


def _range(ast: Any) -> Node:
    return Range(_selector(ast.vector_selector), _positive(ast.range))


def _subquery(ast: Any) -> Node:
    step = None if ast.step is None else _positive(ast.step)
    return Subquery(_node(ast.expr), _positive(ast.range), step, _ms(ast.offset), _at(ast.at))


def _ms(duration: timedelta | None) -> int:
    return 0 if duration is None else duration // timedelta(milliseconds=1)


def _positive(duration: timedelta) -> int:
    found = _ms(duration)
    if found <= 0:
        raise SyntaxFault(_("duration must be greater than 0"))
    return found


def _at(modifier: Any) -> int | str | None:
    if modifier is None:
        return None
    kind = str(modifier.type).rsplit(".", 1)[-1]
    if kind == "At":
        seconds: float = modifier.at.timestamp()
        return round(seconds * 1000)
    return START if kind == "Start" else END


def _call(ast: Any) -> Node:
    name = ast.func.name
    if name not in functions.KNOWN:
        experimental = noted("the function {name}() is experimental and not supported")
        text = experimental if ast.func.experimental else noted("the function {name}() is not supported")
        raise Unsupported(_(text).format(name=name))
    return Call(name, tuple(_node(arg) for arg in ast.args))


def _aggregate(ast: Any) -> Node:
    op = str(ast.op)
    if op not in _AGGREGATIONS:
        raise Unsupported(_("the aggregation {op}() is experimental and not supported").format(op=op))
    labels: tuple[str, ...] = ()
    without = False
    if ast.modifier is not None:
        labels = tuple(dict.fromkeys(ast.modifier.labels))
        without = str(ast.modifier.type).endswith("Without")
    return Aggregate(op, _node(ast.expr), None if ast.param is None else _node(ast.param), labels, without)


def _binary(ast: Any) -> Node:
    op, modifier = str(ast.op), ast.modifier
    matching = Matching(card="many-to-many" if op in _SETS else "one-to-one")
    returns_bool = False
    if modifier is not None:
        fill = modifier.fill_values
        if fill is not None and (fill.lhs is not None or fill.rhs is not None):
            raise Unsupported(_("fill modifiers are not supported"))
        returns_bool = modifier.return_bool
        on, labels = False, ()
        if modifier.matching is not None:
            on = str(modifier.matching.type).endswith("Include")
            labels = tuple(dict.fromkeys(modifier.matching.labels))
        card = _CARDS[str(modifier.card).rsplit(".", 1)[-1]]
        matching = Matching("many-to-many" if op in _SETS else card, on, labels, tuple(modifier.group_labels or ()))
    return Binary(op, _node(ast.lhs), _node(ast.rhs), returns_bool, matching)


_CONVERTERS = {
    "NumberLiteral": _number,
    "StringLiteral": _text,
    "ParenExpr": _paren,
    "UnaryExpr": _unary,
    "VectorSelector": _selector,
    "MatrixSelector": _range,
    "SubqueryExpr": _subquery,
    "Call": _call,
    "AggregateExpr": _aggregate,
    "BinaryExpr": _binary,
}
