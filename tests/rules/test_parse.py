from __future__ import annotations

import pytest

from rules.promql.parse import MAX_DEPTH, ExpressionError, SyntaxFault, Unsupported, parse
from rules.promql.tree import Aggregate, Binary, Call, Matcher, Number, Range, Selector, history


def test_the_tree_is_our_own() -> None:
    tree = parse('sum by (a) (rate(x{b=~"c.*"}[5m] offset 1m)) > bool 2')
    inner = Range(Selector("x", (Matcher("=~", "b", "c.*"),), 60_000), 300_000)
    assert isinstance(tree, Binary) and tree.returns_bool and tree.rhs == Number(2.0)
    assert tree.lhs == Aggregate("sum", Call("rate", (inner,)), None, ("a",), False)
    assert hash(tree) == hash(parse(' sum by(a)(rate(x{b=~"c.*"}[5m] offset 1m))>bool 2'))


@pytest.mark.parametrize(
    "text",
    [
        "+".join(["x"] * 5000),
        "(" * 50_000 + "x" + ")" * 50_000,
        "-" * 5000 + "x",
        "abs(" * 400 + "x" + ")" * 400,
        " or ".join(["x"] * (MAX_DEPTH + 5)),
        "x" * 70_000,
        "max_over_time(" * 300 + "x" + "[5m:1m])" * 300,
        "x" + "{a='b'}" * 2000,
        "{" * 3000,
    ],
    ids=["sum", "parens", "minus", "calls", "or", "long", "subqueries", "braces", "open"],
)
def test_what_would_end_the_process_is_refused_before_it_is_parsed(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)


def test_long_but_sane_expressions_are_read() -> None:
    assert parse(" or ".join(f"up{n}" for n in range(MAX_DEPTH - 5)))
    assert parse("x{" + ",".join(f'l{n}="v"' for n in range(400)) + "}")
    assert parse('x{a="' + "(+-*/" * 2000 + '"}')  # what stands in strings is no operator


@pytest.mark.parametrize("text", ["x @ -1", "x @  -1.5", "sum(y @ -3) > 1"])
def test_a_negative_time_is_refused_not_misread(text: str) -> None:
    with pytest.raises(Unsupported, match="negative @"):
        parse(text)


@pytest.mark.parametrize("text", ["rate(x[0])", "rate(x[0s])", "max_over_time(x[0s:1m])", "max_over_time(x[5m:0s])"])
def test_an_empty_range_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError, match="greater than 0"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rate(x[5m] smoothed)", "smoothed"),
        ("rate(x[5m*2])", "duration"),
        ("histogram_count(x)", "not supported"),
        ("limitk(3, x)", "experimental"),
        ("a + fill(0) b", "fill"),
        ("info(x)", "not supported"),
    ],
)
def test_what_is_not_evaluated_is_named(text: str, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        parse(text)


@pytest.mark.parametrize("text", ["", "x +", "rate(x)", "sum(", "foo(x)", 'x{a=~"("}', "x{", '{a="b" or c="d"}', "1 > 2 or"])
def test_what_is_no_promql_is_a_syntax_fault(text: str) -> None:
    with pytest.raises(SyntaxFault):
        parse(text)


def test_history_says_how_far_back_an_expression_reads() -> None:
    tree = parse("rate(a[5m] offset 1h) + max_over_time(rate(b[1m])[10m:1m] offset 2m) + c")
    assert dict(history(tree)) == {"a": 3_900_000, "b": 780_000, "c": 0}
    assert dict(history(parse('{job="x"}'))) == {"*": 0}
