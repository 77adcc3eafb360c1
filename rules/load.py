"""Prometheus rule files into a `RuleSet`: every error at once, with file, line, group and rule. Evaluates nothing.

What is PromQL but cannot be evaluated here is an error at load, never a rule that silently does nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from config.language import _
from rules.promql.match import RegexError, compiled
from rules.promql.parse import ExpressionError, parse
from rules.promql.tree import Call, Node, Range, Selector, Subquery, Text, history, walk
from rules.rule import AlertRule, Group, RecordRule, Rule, RuleSet, metrics_read, rule_set
from rules.template import Template
from rules.template_functions import TemplateError

DEFAULT_INTERVAL_MS = 60_000
MAX_HISTORY_MS = 2 * 86_400_000  # what is kept in memory for rules at most
_DURATION = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?")
_UNITS_MS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_GROUP_KEYS = frozenset({"name", "interval", "query_offset", "limit", "labels", "rules", "partial_response_strategy"})
_RULE_KEYS = frozenset({"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"})
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class RuleError:
    """One thing wrong with a rule file. `line` counts from 1; `group` and `rule` are empty where they do not apply."""

    file: str
    line: int
    group: str
    rule: str
    text: str

    def __str__(self) -> str:
        where = ", ".join(
            part
            for part in (
                _('group "{name}"').format(name=self.group) if self.group else "",
                _('rule "{name}"').format(name=self.rule) if self.rule else "",
            )
            if part
        )
        return f"{self.file}:{self.line}: {where + ': ' if where else ''}{self.text}"


class RuleErrors(ValueError):
    """All errors of the files, in `errors`."""

    def __init__(self, errors: Sequence[RuleError]) -> None:
        """Keep them; the text has one line each."""
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


def load_rules(paths: Iterable[Path | str], max_history_ms: int = MAX_HISTORY_MS) -> RuleSet:
    """Return the rules of all files, in the order given; more than `max_history_ms` may not be read back. 0.3 ms a rule.

    Raises:
        RuleErrors: everything that is wrong with them.
    """
    groups: list[Group] = []
    errors: list[RuleError] = []
    for path in paths:
        reader = _Reader(str(path), max_history_ms)
        try:
            groups += reader.groups(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            reader.error(1, _("cannot be read: {reason}").format(reason=error))
        errors += reader.errors
    if errors:
        raise RuleErrors(errors)
    return rule_set(_numbered(groups))


def load_text(text: str, file: str = "rules.yml") -> RuleSet:
    """Return the rules of one file's text.

    Raises:
        RuleErrors: everything that is wrong with it.
    """
    reader = _Reader(file)
    groups = reader.groups(text)
    if reader.errors:
        raise RuleErrors(reader.errors)
    return rule_set(_numbered(groups))


def _numbered(groups: list[Group]) -> list[Group]:
    """Give rules that have name and labels in common different keys, by their order."""
    seen: Counter[str] = Counter()
    result = []
    for group in groups:
        rules: list[Rule] = []
        for rule in group.rules:
            if isinstance(rule, AlertRule):
                seen[rule.key] += 1
                if seen[rule.key] > 1:
                    rule = replace(rule, key=f"{rule.key}#{seen[rule.key]}")
            rules.append(rule)
        result.append(replace(group, rules=tuple(rules)))
    return result


class _Reader:
    """Reads one file and collects what is wrong with it."""

    def __init__(self, file: str, max_history_ms: int = MAX_HISTORY_MS) -> None:
        self.file = file
        self._max_history = max_history_ms
        self.errors: list[RuleError] = []
        self._group = self._rule = ""

    def error(self, at: int | yaml.Node, text: str) -> None:
        """Note an error."""
        line = at if isinstance(at, int) else at.start_mark.line + 1
        self.errors.append(RuleError(self.file, line, self._group, self._rule, text))

    def groups(self, text: str) -> list[Group]:
        """Return the groups of a file."""
        try:
            root = yaml.compose(text, _Loader)
        except (yaml.YAMLError, RecursionError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or str(error)
            self.error(mark.line + 1 if mark else 1, _("not YAML: {problem}").format(problem=problem))
            return []
        if root is None:
            return []
        top = self._mapping(root, frozenset({"groups"}))
        found = [group for node in self._sequence(top.get("groups")) if (group := self._read_group(node))]
        for name, count in Counter(group.name for group in found).items():
            if count > 1:
                self.error(root, _('group name "{name}" is used {count} times').format(name=name, count=count))
        return found

    def _read_group(self, node: yaml.Node) -> Group | None:
        self._group, self._rule = _peek(node, "name"), ""
        fields = self._mapping(node, _GROUP_KEYS)
        name = self._text(fields.get("name"))
        if not name:
            self.error(node, _("a group needs a name"))
        self._group = name
        interval = self._duration(fields.get("interval"), DEFAULT_INTERVAL_MS) or DEFAULT_INTERVAL_MS
        offset = self._duration(fields.get("query_offset"), 0)
        limit = self._whole(fields.get("limit"))
        labels = self._labels(fields.get("labels"))
        rules = [rule for each in self._sequence(fields.get("rules")) if (rule := self._read_rule(each, labels))]
        self._group = self._rule = ""
        writes = frozenset(rule.name for rule in rules if isinstance(rule, RecordRule))
        return Group(self.file, name, interval, offset, limit, tuple(rules), metrics_read(rules), writes)

    def _read_rule(self, node: yaml.Node, group_labels: dict[str, str]) -> Rule | None:
        self._rule = _peek(node, "alert") or _peek(node, "record")
        fields = self._mapping(node, _RULE_KEYS)
        alert, record = self._text(fields.get("alert")), self._text(fields.get("record"))
        self._rule = alert or record
        if bool(alert) is bool(record):
            self.error(node, _("a rule needs one of alert and record"))
            return None
        before = len(self.errors)
        tree = self._expression(fields, node)
        labels = {**group_labels, **self._labels(fields.get("labels"))}
        line = node.start_mark.line + 1
        if record:
            self._check_record(node, record, fields)
            rule: Rule | None = None
            if tree is not None:
                pairs = tuple(sorted((name, value) for name, value in labels.items()))
                rule = RecordRule(record, self._text(fields.get("expr")), tree, pairs, line)
        else:
            rule = self._alert(alert, tree, labels, fields, line)
        return rule if len(self.errors) == before else None

    def _check_record(self, node: yaml.Node, record: str, fields: dict[str, yaml.Node]) -> None:
        if not _METRIC.fullmatch(record):
            self.error(node, _('"{name}" is not a metric name').format(name=record))
        for key in ("for", "keep_firing_for", "annotations"):
            if key in fields:
                self.error(fields[key], _("a recording rule cannot have {key}").format(key=key))

    def _alert(
        self, name: str, tree: Node | None, labels: dict[str, str], fields: dict[str, yaml.Node], line: int
    ) -> AlertRule | None:
        hold, keep = self._duration(fields.get("for"), 0), self._duration(fields.get("keep_firing_for"), 0)
        annotations = self._labels(fields.get("annotations"))
        parsed = self._templates(labels, fields.get("labels")), self._templates(annotations, fields.get("annotations"))
        if tree is None:
            return None
        key = ",".join((name, *(f"{label}={value}" for label, value in sorted(labels.items()))))
        return AlertRule(name, self._text(fields.get("expr")), tree, hold, keep, *parsed, key, line)

    def _templates(self, texts: dict[str, str], node: yaml.Node | None) -> tuple[tuple[str, Template], ...]:
        found = []
        for name, text in texts.items():
            try:
                found.append((name, Template(text)))
            except TemplateError as error:
                self.error(node or 1, _("template of {name}: {reason}").format(name=name, reason=error))
        return tuple(found)

    def _expression(self, fields: dict[str, yaml.Node], node: yaml.Node) -> Node | None:
        text = self._text(fields.get("expr"))
        if not text.strip():
            self.error(node, _("a rule needs an expr"))
            return None
        try:
            tree = parse(text)
            for reason in _refusals(tree, self._max_history):
                raise ExpressionError(reason)
        except (ExpressionError, RegexError) as error:
            self.error(fields["expr"], _("expr: {reason}").format(reason=error))
            return None
        return tree

    # YAML

    def _mapping(self, node: yaml.Node | None, known: frozenset[str] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
            return found
        if not isinstance(node, yaml.MappingNode):
            self.error(node, _("expected keys and values"))
            return found
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if known is not None and name not in known:
                self.error(key, _('unknown key "{key}"; known are {known}').format(key=name, known=", ".join(sorted(known))))
            elif name in found:
                self.error(key, _('"{key}" is there twice').format(key=name))
            else:
                found[name] = value
        return found

    def _sequence(self, node: yaml.Node | None) -> list[yaml.Node]:
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
            return []
        if isinstance(node, yaml.SequenceNode):
            return list(node.value)
        self.error(node, _("expected a list"))
        return []

    def _text(self, node: yaml.Node | None) -> str:
        if node is None or isinstance(node, yaml.ScalarNode):
            return "" if node is None or node.tag.endswith(":null") else str(node.value)
        self.error(node, _("expected a text"))
        return ""

    def _labels(self, node: yaml.Node | None) -> dict[str, str]:
        found = {name: self._text(value) for name, value in self._mapping(node).items()}
        for name in found:
            if not _LABEL.fullmatch(name) or name == "__name__":
                self.error(node or 1, _('"{name}" is not a label name').format(name=name))
        return found

    def _whole(self, node: yaml.Node | None) -> int:
        text = self._text(node)
        if node is not None and not text.isdecimal():
            self.error(node, _('"{text}" is not a whole number').format(text=text))
            return 0
        return int(text or 0)

    def _duration(self, node: yaml.Node | None, default: int) -> int:
        if node is None:
            return default
        text = self._text(node)
        match = _DURATION.fullmatch(text)
        if text != "0" and (not text or not match):
            self.error(node, _('"{text}" is not a duration such as 30s or 1h30m').format(text=text))
            return default
        parts = match.groups() if match and text != "0" else ()
        return sum(int(part or 0) * unit for part, unit in zip(parts, _UNITS_MS, strict=False))


def _peek(node: yaml.Node, key: str) -> str:
    """Return a text field of a mapping, before it is checked: to name the place of an error."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((str(value.value) for name, value in pairs if name.value == key and isinstance(value, yaml.ScalarNode)), "")


def _refusals(tree: Node, max_history_ms: int) -> Iterable[str]:
    """Yield why a rule cannot have this expression."""
    if isinstance(tree, Range | Subquery | Text):
        kind = "a string" if isinstance(tree, Text) else "a range vector"
        yield _("gives {kind}, a rule needs an instant vector or a scalar").format(kind=kind)
    for node in walk(tree):
        if isinstance(node, Selector | Subquery) and isinstance(node.at, int):
            yield _("reads a fixed time (@), which is not kept in memory")
        if isinstance(node, Call) and node.name == "label_replace":
            pattern = node.args[4]
            if isinstance(pattern, Text):
                compiled(pattern.value)
        if isinstance(node, Selector):
            for matcher in node.matchers:
                if matcher.op in ("=~", "!~"):
                    compiled(matcher.value)
    longest = max((span for _metric, span in history(tree)), default=0)
    if longest > max_history_ms:
        hours, most = longest // 3_600_000, max_history_ms // 3_600_000
        yield _("reads {hours} hours back; at most {most} are kept in memory").format(hours=hours, most=most)
