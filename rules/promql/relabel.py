"""label_replace and label_join: new labels from old ones, worked out once for each distinct value."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from rules.promql.match import RegexError, compiled
from rules.promql.vector import NAME, EvaluationError, Texts, Vector, has_duplicates, pack
from rules.source import Codes

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


def label_replace(vector: Vector, target: str, template: str, source: str, pattern: str, texts: Texts) -> Vector:
    """Return the vector with a label set from a template where the source label matches.

    Raises:
        EvaluationError: the pattern or the label name is invalid, or two series become equal.
    """
    _check_name(target, "label_replace")
    try:
        regex = compiled(pattern)
    except RegexError as error:
        raise EvaluationError(f"invalid regular expression in label_replace(): {error}") from None
    distinct, place = np.unique(vector.labels.column(source), return_inverse=True)
    found = [regex.search(texts.text(code)) for code in distinct.tolist()]
    codes = np.array([0 if m is None else texts.code(expanded(template, m)) for m in found], np.int32)[place]
    matched = np.array([m is not None for m in found], np.bool_)[place]
    column = np.where(matched, codes, vector.labels.column(target)).astype(np.int32)
    return _relabelled(vector, target, column, matched)


def expanded(template: str, match: Any) -> str:
    """Return a replacement text with ``$1``, ``${name}`` and ``$$`` filled in from a match, as Go's regexp does."""

    def group(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        try:
            return match.group(int(name) if name.isdigit() else name) or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(group, template)


def label_join(vector: Vector, target: str, separator: str, sources: list[str], texts: Texts) -> Vector:
    """Return the vector with a label set to the values of other labels, joined.

    Raises:
        EvaluationError: the label name is invalid, or two series become equal.
    """
    _check_name(target, "label_join")
    columns = [vector.labels.column(name) for name in sources]
    keys = pack(columns, vector.labels.size)
    _, firsts, place = np.unique(keys, return_index=True, return_inverse=True)
    joined = [separator.join(texts.text(int(column[row])) for column in columns) for row in firsts.tolist()]
    codes = np.array([texts.code(text) for text in joined], np.int32)
    return _relabelled(vector, target, codes[place], np.ones(vector.labels.size, np.bool_))


def _check_name(name: str, function: str) -> None:
    if not name or any(0xD800 <= ord(char) <= 0xDFFF for char in name):
        raise EvaluationError(f"invalid destination label name in {function}(): {name!r}")


def _relabelled(vector: Vector, target: str, column: Codes, matched: np.ndarray[Any, np.dtype[np.bool_]]) -> Vector:
    drop = vector.drop
    if target == NAME and drop is not False:
        drop = vector.drop_mask() & ~matched
    labels = vector.labels.with_columns({target: column})
    if has_duplicates(labels):
        raise EvaluationError("vector cannot contain metrics with the same labelset")
    return Vector(labels, vector.values, None, drop)
