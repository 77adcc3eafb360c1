"""The functions of label and annotation templates: Go's own few, and Prometheus's."""

from __future__ import annotations

import math
import re
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rules.humanize import (
    go_text,
    humanize,
    humanize1024,
    humanize_duration,
    humanize_percentage,
    humanize_timestamp,
)
from rules.notation import NotationError, duration
from rules.promql.match import compiled
from rules.promql.relabel import expanded

_VERB = re.compile(r"%([-+# 0]*)(\d*)(?:\.(\d*))?([a-zA-Z%])")


class TemplateError(ValueError):
    """A template that cannot be read or carried out; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One element of a query's result inside a template."""

    labels: Mapping[str, str]
    value: float


def show(value: object) -> str:
    """Return a value as Go's template engine prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_text(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{show(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list | tuple):
        return "[" + " ".join(show(each) for each in value) + "]"
    if isinstance(value, Sample):
        return f"{{{show(value.labels)} {go_text(value.value)}}}"
    return "<no value>" if value is None else str(value)


def truth(value: object) -> bool:
    """Say whether a value counts as true: not zero, not empty."""
    return bool(value)


def number(value: object) -> float:
    """Return a number, from text too.

    Raises:
        TemplateError: it is none.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        if isinstance(value, str) and "_" not in value:
            return float(value)
    except ValueError:
        pass
    raise TemplateError(f"can't convert {show(value)!r} to a number")


def printf(form: object, *args: object) -> str:
    """Return text formatted as Go's Sprintf does (verbs v s d f e g q x t, flags, width, precision)."""
    left = list(args)

    def one(match: re.Match[str]) -> str:
        flags, width, precision, verb = match.groups()
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        text = _verb(verb, flags, precision, left.pop(0))
        pad = "0" if "0" in flags and "-" not in flags else " "
        return text.ljust(int(width)) if width and "-" in flags else text.rjust(int(width or 0), pad)

    text = _VERB.sub(one, str(form))
    return text + (f"%!(EXTRA {', '.join(f'{_type(a)}={show(a)}' for a in left)})" if left else "")


def _verb(verb: str, flags: str, precision: str | None, value: object) -> str:
    plus = "+" if "+" in flags else ""
    if verb in "feEgG" and isinstance(value, float):
        if math.isnan(value) or math.isinf(value):
            return show(value)
        if verb in "gG" and precision is None:
            return go_text(value)
        return f"{value:{plus}.{int(precision or (0 if precision == '' else 6))}{verb}}"
    if verb in "dxXob" and isinstance(value, int) and not isinstance(value, bool):
        return f"{value:{plus}{verb}}"
    if (verb == "s" and isinstance(value, str)) or verb == "v" or (verb == "t" and isinstance(value, bool)):
        text = show(value)
        return text[: int(precision)] if precision and verb == "s" else text
    if verb == "s" and isinstance(value, Mapping):
        return show(value)
    if verb == "q" and isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return f"%!{verb}({_type(value)}={show(value)})"


def _type(value: object) -> str:
    return {bool: "bool", float: "float64", int: "int", str: "string"}.get(type(value), "interface {}")


def _order(compare: Callable[[float], bool]) -> Callable[[object, object], bool]:
    def holds(a: object, b: object) -> bool:
        if isinstance(a, str) is not isinstance(b, str):
            raise TemplateError("incompatible types for comparison")
        if isinstance(a, str) and isinstance(b, str):
            return compare((a > b) - (a < b))
        first, second = number(a), number(b)
        return compare(math.nan if math.isnan(first) or math.isnan(second) else (first > second) - (first < second))

    return holds


def _equal(a: object, *others: object) -> bool:
    return any(_order(lambda sign: sign == 0)(a, each) for each in others)


def _index(value: object, *keys: object) -> object:
    for key in keys:
        try:
            value = value.get(key, "") if isinstance(value, Mapping) else value[int(number(key))]  # type: ignore[index]
        except (IndexError, TypeError, ValueError) as error:
            raise TemplateError(f"error calling index: {error}") from None
    return value


def _re_replace_all(pattern: object, replacement: object, text: object) -> str:
    return str(compiled(str(pattern), False).sub(lambda match: expanded(str(replacement), match), str(text)))


def _strip_port(text: object) -> str:
    host = str(text)
    if host.startswith("["):
        return host[1 : host.index("]")] if "]:" in host else host
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _strip_domain(text: object) -> str:
    host, colon, port = str(text).partition(":")
    plain = host if re.fullmatch(r"[\d.]+", host) else host.partition(".")[0]
    return plain + colon + port


def _first(samples: object) -> Sample:
    if isinstance(samples, list) and samples and isinstance(samples[0], Sample):
        return samples[0]
    raise TemplateError("first() called on vector with no elements")


def _sample(value: object) -> Sample:
    if not isinstance(value, Sample):
        raise TemplateError("not a sample")
    return value


def _sort_by_label(name: object, samples: object) -> list[Sample]:
    return sorted(samples, key=lambda each: each.labels.get(str(name), "")) if isinstance(samples, list) else []


def _parse_duration(text: object) -> float:
    try:
        return duration(str(text)) / 1000
    except NotationError as error:
        raise TemplateError(str(error)) from None


def _title(text: object) -> str:
    return re.sub(r"(^|\s)(\S)", lambda match: match[1] + match[2].upper(), str(text))


FUNCTIONS: dict[str, Callable[..., object]] = {
    "printf": printf,
    "print": lambda *args: "".join(show(arg) for arg in args),
    "println": lambda *args: " ".join(show(arg) for arg in args) + "\n",
    "len": lambda value: len(value),
    "index": _index,
    "not": lambda value: not truth(value),
    "and": lambda *args: next((arg for arg in args if not truth(arg)), args[-1]),
    "or": lambda *args: next((arg for arg in args if truth(arg)), args[-1]),
    "eq": _equal,
    "ne": lambda a, b: not _equal(a, b),
    "lt": _order(lambda sign: sign < 0),
    "le": _order(lambda sign: sign <= 0),
    "gt": _order(lambda sign: sign > 0),
    "ge": _order(lambda sign: sign >= 0),
    "humanize": lambda value: humanize(number(value)),
    "humanize1024": lambda value: humanize1024(number(value)),
    "humanizeDuration": lambda value: humanize_duration(number(value)),
    "humanizePercentage": lambda value: humanize_percentage(number(value)),
    "humanizeTimestamp": lambda value: humanize_timestamp(number(value)),
    "title": _title,
    "toUpper": lambda text: str(text).upper(),
    "toLower": lambda text: str(text).lower(),
    "match": lambda pattern, text: compiled(str(pattern), False).search(str(text)) is not None,
    "reReplaceAll": _re_replace_all,
    "stripPort": _strip_port,
    "stripDomain": _strip_domain,
    "parseDuration": _parse_duration,
    "urlquery": lambda text: urllib.parse.quote_plus(show(text)),
    "safeHtml": show,
    "first": _first,
    "value": lambda sample: _sample(sample).value,
    "label": lambda name, sample: _sample(sample).labels.get(str(name), ""),
    "strvalue": lambda sample: _sample(sample).labels.get("__value__", ""),
    "sortByLabel": _sort_by_label,
    "externalURL": lambda: "",
    "pathPrefix": lambda: "",
    "graphLink": lambda expr: "",
    "tableLink": lambda expr: "",
}
