"""Label matchers on columns of codes: RE2 runs on distinct values only, results are remembered while a table's rows stay."""

from __future__ import annotations

import functools
from typing import Any, cast

import numpy as np
import re2

from rules.promql.tree import Matcher
from rules.promql.vector import NAME
from rules.source import Codes, Index, Mask, SeriesTable, Strings


class RegexError(ValueError):
    """Not an RE2 regular expression."""


@functools.lru_cache(maxsize=4096)
def compiled(pattern: str, anchored: bool = True) -> Any:
    """Return a regular expression; anchored ones as matchers read it: the whole text, ``.`` matching line feeds too.

    Raises:
        RegexError: RE2 does not accept it.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        plain = re2.compile(pattern, options)  # type: ignore[no-untyped-call]
        return re2.compile(f"^(?s:{pattern})$", options) if anchored else plain  # type: ignore[no-untyped-call]
    except re2.error as error:
        detail = error.args[0] if error.args else "invalid"
        raise RegexError(f"{pattern!r}: {detail.decode() if isinstance(detail, bytes) else detail}") from None


def full_match(pattern: str, text: str) -> bool:
    """Say whether the whole text matches."""
    return compiled(pattern).search(text) is not None


def accepts(matcher: Matcher, text: str) -> bool:
    """Say whether a label value (empty: not set) passes a matcher."""
    if matcher.op in ("=", "!="):
        return (text == matcher.value) is (matcher.op == "=")
    return full_match(matcher.value, text) is (matcher.op == "=~")


class Matches:
    """The rows that matchers choose, remembered by (matchers, metric) until the table's rows change."""

    def __init__(self, strings: Strings) -> None:
        """Match against the dictionary of one state."""
        self._strings = strings
        self._verdicts: dict[tuple[str, str], dict[int, bool]] = {}  # of regular expressions, by code: texts never change
        self._known: dict[tuple[tuple[Matcher, ...], str], tuple[SeriesTable, int, Index | None]] = {}

    def rows(self, table: SeriesTable, matchers: tuple[Matcher, ...]) -> Index | None:
        """Return the rows that pass all matchers, ascending; None means every row."""
        if not matchers:
            return None
        known = self._known.get((matchers, table.metric))
        if known is not None and known[0] is table and known[1] == table.version:
            return known[2]
        if len(self._known) > 20_000:
            self._known.clear()
        mask = np.ones(table.size, np.bool_)
        columns = table.columns
        for matcher in matchers:
            mask &= self._mask(matcher, table, columns.get(matcher.name))
        rows = None if mask.all() else np.flatnonzero(mask)
        self._known[(matchers, table.metric)] = (table, table.version, rows)
        return rows

    def _mask(self, matcher: Matcher, table: SeriesTable, column: Codes | None) -> Mask | bool:
        if matcher.name == NAME:
            return accepts(matcher, table.metric)
        if column is None:
            return accepts(matcher, "")
        if matcher.op in ("=", "!="):
            code = self._strings.find(matcher.value)
            equal = np.zeros(len(column), np.bool_) if code is None else column == code
            return cast(Mask, equal if matcher.op == "=" else ~equal)
        distinct, place = np.unique(column, return_inverse=True)
        verdicts = self._verdicts.setdefault((matcher.op, matcher.value), {})
        passed = []
        for code in distinct.tolist():
            verdict = verdicts.get(code)
            if verdict is None:
                verdict = verdicts[code] = accepts(matcher, self._strings.text(code))
            passed.append(verdict)
        return np.array(passed, np.bool_)[place]
