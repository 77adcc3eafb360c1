"""Reads a contract's YAML file into `config.contract` records; tells every error at once, with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from config import contract as terms
from config.document import read_document
from config.errors import ConfigError, ConfigErrors, shown
from config.language import _
from config.node import Mapping as MappingNode
from config.node import Node
from config.node import Sequence as SequenceNode
from config.reading import Reading, nearest

FOLDER = Path(__file__).with_name("contracts")
NO_DAYS: tuple[int, ...] = ()
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
_WORKING = re.compile(r"(\d+) working days?")
_SPAN = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Tree:
    """A YAML node with where it stands: its value is a mapping, a list or the scalar's own text."""

    value: Mapping[str, _Tree] | tuple[_Tree, ...] | str
    line: int
    column: int
    path: str


class _Wrong(ValueError):
    """One value that cannot be read; carries what an error needs."""

    def __init__(self, tree: _Tree, text: str, suggestion: str = "") -> None:
        super().__init__(text)
        self.tree, self.text, self.suggestion = tree, text, suggestion


def contract_names() -> list[str]:
    """Return the names of the shipped contracts."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_contract(name: str | Path) -> terms.Contract:
    """Return the contract of a shipped name or of a file. See `config.contract.load_contract`."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name}.yaml"
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", str(name)) or not path.is_file():
            known = contract_names()
            message = _("there is no contract {name}; shipped are {names}").format(
                name=shown(str(name)), names=", ".join(known)
            )
            raise ConfigErrors([ConfigError(shown(str(name)), 0, 0, "contract", message, nearest(str(name), known))])
    return _Reader(path).contract()


def _tree(node: Node, path: str) -> _Tree:
    if isinstance(node, MappingNode):
        inside = {key: _tree(value, f"{path}.{key}" if path else key) for key, value in node.entries.items()}
        return _Tree(inside, node.line, node.column, path)
    if isinstance(node, SequenceNode):
        items = tuple(_tree(value, f"{path}[{at}]") for at, value in enumerate(node.items))
        return _Tree(items, node.line, node.column, path)
    return _Tree(node.text, node.line, node.column, path)


def _text(tree: _Tree) -> str:
    if not isinstance(tree.value, str):
        raise _Wrong(tree, _("expected a text"))
    return tree.value


def _list(tree: _Tree) -> tuple[_Tree, ...]:
    """Return the items of a list; a single text counts as a list of one."""
    if isinstance(tree.value, str):
        return (tree,)
    if isinstance(tree.value, tuple):
        return tree.value
    raise _Wrong(tree, _("expected a list"))


def _texts(tree: _Tree) -> tuple[str, ...]:
    return tuple(_text(item) for item in _list(tree))


def _choice(tree: _Tree, allowed: Iterable[str]) -> str:
    text, known = _text(tree), tuple(allowed)
    if text not in known:
        message = _("'{value}' is not one of {names}").format(value=shown(text), names=", ".join(known))
        raise _Wrong(tree, message, nearest(text, list(known)))
    return text


def _number(tree: _Tree, least: float, most: float) -> float:
    try:
        value = float(_text(tree))
    except ValueError:
        raise _Wrong(tree, _("expected a number")) from None
    if not least <= value <= most:
        raise _Wrong(tree, _("must lie between {least} and {most}").format(least=least, most=most))
    return value


def _count(tree: _Tree) -> float:
    return _number(tree, 1, 1_000_000)


def _share(tree: _Tree) -> float:
    return _number(tree, 0, 1)


def _flag(tree: _Tree) -> bool:
    return _choice(tree, ("true", "false")) == "true"


class _Reader:
    """Reads one file; gathers errors and goes on, so that all of them are told at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.errors: list[ConfigError] = []
        self.calendar_names: tuple[str, ...] = ()

    def contract(self) -> terms.Contract:
        top = self.open()
        keys = ("name", "title", "calendars", "starts", "warnings", "complex", "levels")
        fields = self.fields(top, keys, required=("name", "levels"))
        calendars = self.calendars(fields.get("calendars"))
        self.calendar_names = tuple(calendars)
        contract = terms.Contract(
            name=self.value(fields.get("name"), _text, ""),
            title=self.names(fields.get("title")),
            levels=tuple(self.level(tree) for tree in self.items(fields.get("levels"))),
            calendars=calendars,
            starts=self.starts(fields.get("starts")),
            warnings=self.warnings(fields.get("warnings")),
            complex_when=tuple(self.condition(tree) for tree in self.items(fields.get("complex"))),
        )
        self.check(contract, fields)
        if self.errors:
            raise ConfigErrors(sorted(self.errors, key=lambda error: error.line))
        return contract

    def open(self) -> _Tree:
        reading = Reading(self.path.parent, {})
        reading.enter(str(self.path))
        node = read_document(self.path, reading)
        if node is None or reading.errors:
            raise ConfigErrors(reading.sorted_errors())
        return _tree(node, "")

    def error(self, tree: _Tree, text: str, suggestion: str = "") -> None:
        self.errors.append(ConfigError(str(self.path), tree.line, tree.column, tree.path, text, suggestion))

    def value(self, tree: _Tree | None, read: Callable[[_Tree], _T], default: _T) -> _T:
        """Return what `read` makes of the tree; the default where there is none or it is wrong (which is noted)."""
        if tree is None:
            return default
        try:
            return read(tree)
        except _Wrong as wrong:
            self.error(wrong.tree, wrong.text, wrong.suggestion)
            return default

    def items(self, tree: _Tree | None) -> tuple[_Tree, ...]:
        return self.value(tree, _list, ())

    def fields(self, tree: _Tree, allowed: Iterable[str], required: Iterable[str] = ()) -> Mapping[str, _Tree]:
        """Return a mapping's entries; unknown and missing keys are errors."""
        if not isinstance(tree.value, Mapping):
            self.error(tree, _("expected a mapping"))
            return {}
        known = tuple(allowed)
        for key, child in tree.value.items():
            if key not in known:
                self.error(child, _("unknown key '{key}'").format(key=shown(key)), nearest(key, list(known)))
        for key in required:
            if key not in tree.value:
                self.error(tree, _("{key} is missing").format(key=key))
        return tree.value

    def names(self, tree: _Tree | None) -> Mapping[str, str]:
        if tree is None:
            return {}
        return {key: self.value(child, _text, "") for key, child in self.fields(tree, ("en", "zh")).items()}

    def calendars(self, tree: _Tree | None) -> dict[str, terms.Calendar]:
        found = {terms.ALWAYS: terms.Calendar(terms.ALWAYS)}
        if tree is None:
            return found
        if not isinstance(tree.value, Mapping):
            self.error(tree, _("expected a mapping"))
            return found
        for name, child in tree.value.items():
            fields = self.fields(child, ("days", "hours"), required=("days", "hours"))
            days = self.value(fields.get("days"), _weekdays, NO_DAYS)
            spans = tuple(self.value(item, _span, (0, 0)) for item in self.items(fields.get("hours")))
            found[name] = terms.Calendar(name, days, tuple(sorted(spans)))
        return found

    def starts(self, tree: _Tree | None) -> Mapping[str, str]:
        if tree is None:
            return {}
        fields = self.fields(tree, terms.CLOCKS)
        return {key: self.value(child, lambda t: _choice(t, terms.STARTS), "opened") for key, child in fields.items()}

    def warnings(self, tree: _Tree | None) -> terms.WarningRule:
        if tree is None:
            return terms.WarningRule()
        fields = self.fields(tree, ("open", "never"))
        return terms.WarningRule(self.value(fields.get("open"), _flag, True), self.value(fields.get("never"), _texts, ()))

    def level(self, tree: _Tree) -> terms.Level:
        fields = self.fields(tree, ("id", "name", "when", "clocks"), required=("id", "name", "when"))
        return terms.Level(
            id=self.value(fields.get("id"), _text, ""),
            name=self.names(fields.get("name")),
            when=tuple(self.condition(item) for item in self.items(fields.get("when"))),
            clocks=self.clocks(fields.get("clocks")),
        )

    def clocks(self, tree: _Tree | None) -> Mapping[str, Mapping[str, terms.Allowance]]:
        if tree is None:
            return {}
        return {name: self.choices(child) for name, child in self.fields(tree, terms.CLOCKS).items()}

    def choices(self, tree: _Tree) -> Mapping[str, terms.Allowance]:
        if isinstance(tree.value, str):
            allowance = self.value(tree, self.allowance, None)
            return {"": allowance} if allowance else {}
        found: dict[str, terms.Allowance] = {}
        for key, child in self.fields(tree, ("urban", "county", "simple", "complex", "default")).items():
            allowance = self.value(child, self.allowance, None)
            if allowance:
                found["" if key == "default" else key] = allowance
        return found

    def allowance(self, tree: _Tree) -> terms.Allowance | None:
        """Read ``10 min``, ``at once``, ``next working day``, ``3 working days``, or ``-`` for a clock that does not exist."""
        text = _text(tree)
        if text == "-":
            return None
        if text == "at once":
            return terms.Allowance(60.0)
        if match := _DURATION.fullmatch(text):
            return terms.Allowance(float(match[1]) * _UNITS[match[2]])
        working = _WORKING.fullmatch(text)
        if (working or text == "next working day") and "working" not in self.calendar_names:
            raise _Wrong(tree, _("working days need a calendar named working"))
        if working:
            return terms.Allowance(days=int(working[1]), calendar="working")
        if text == "next working day":
            return terms.Allowance(days=1, end_of_day=True, calendar="working")
        raise _Wrong(tree, _("'{value}' is no time; write 10 min, 4 h, 3 working days or -").format(value=shown(text)))

    def condition(self, tree: _Tree) -> terms.Condition:
        keys = ("effect", "problem", "severity", "root", "affected", "places", "ring_ends", "during")
        fields = self.fields(tree, keys)
        root, affected, places = fields.get("root"), fields.get("affected"), fields.get("places")
        return terms.Condition(
            effects=self.several(fields.get("effect"), terms.EFFECTS),
            problems=self.value(fields.get("problem"), _texts, ()),
            severities=self.several(fields.get("severity"), terms.SEVERITIES),
            root=self.root(root) if root else None,
            affected=self.count(affected) if affected else None,
            places=self.place(places) if places else None,
            ring_ends=self.value(fields.get("ring_ends"), _texts, ()),
            during=self.value(fields.get("during"), lambda t: _choice(t, self.calendar_names), ""),
            text=_written(tree),
        )

    def several(self, tree: _Tree | None, allowed: Iterable[str]) -> tuple[str, ...]:
        known = tuple(allowed)
        return tuple(self.value(item, lambda t: _choice(t, known), "") for item in self.items(tree))

    def which(self, fields: Mapping[str, _Tree]) -> terms.DeviceFilter:
        return terms.DeviceFilter(
            classes=self.value(fields.get("class"), _texts, ()),
            roles=self.value(fields.get("role"), _texts, ()),
            region=self.value(fields.get("region"), _text, ""),
        )

    def root(self, tree: _Tree) -> terms.RootCondition:
        fields = self.fields(tree, ("class", "role", "region", "lost", "dependants", "all_behind"))
        return terms.RootCondition(
            which=self.which(fields),
            lost=self.value(fields.get("lost"), _flag, None),
            dependants=self.value(fields.get("dependants"), _flag, None),
            all_behind=self.value(fields.get("all_behind"), _flag, False),
        )

    def count(self, tree: _Tree) -> terms.CountCondition:
        fields = self.fields(tree, ("class", "role", "region", "count", "share"))
        return terms.CountCondition(
            which=self.which(fields),
            count=int(self.value(fields.get("count"), _count, 1.0)),
            share=self.value(fields.get("share"), _share, 0.0),
        )

    def place(self, tree: _Tree) -> terms.PlaceCondition:
        fields = self.fields(tree, ("class", "role", "region", "count", "whole", "by"))
        return terms.PlaceCondition(
            which=self.which(fields),
            count=int(self.value(fields.get("count"), _count, 1.0)),
            whole=self.value(fields.get("whole"), _flag, True),
            by=self.value(fields.get("by"), lambda t: _choice(t, ("place", "node")), "place"),
        )

    def check(self, contract: terms.Contract, fields: Mapping[str, _Tree]) -> None:
        """Note what is wrong only in the whole: no levels, an id twice, a lowest level that leaves faults without one."""
        seen: set[str] = set()
        for tree, level in zip(self.items(fields.get("levels")), contract.levels, strict=True):
            if level.id in seen:
                self.error(tree, _("level {id} is there twice").format(id=level.id))
            seen.add(level.id)
        if not contract.levels:
            self.errors.append(ConfigError(str(self.path), 1, 1, "levels", _("a contract needs a level")))
        elif not any(condition == terms.Condition(text=condition.text) for condition in contract.levels[-1].when):
            tree = self.items(fields.get("levels"))[-1]
            self.error(tree, _("the lowest level must take every fault: end its `when` with an empty condition"))


def _weekdays(tree: _Tree) -> tuple[int, ...]:
    found: set[int] = set()
    for item in _list(tree):
        first, _dash, last = _text(item).partition("-")
        ends = [DAYS.index(_choice(replace(item, value=day), DAYS)) for day in (first, last or first)]
        found |= set(range(ends[0], ends[1] + 1))
    return tuple(sorted(found))


def _span(tree: _Tree) -> tuple[int, int]:
    match = _SPAN.fullmatch(_text(tree))
    if match is None:
        raise _Wrong(tree, _("expected hours such as 08:30-17:30"))
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if not 0 <= start < end <= 1440:
        raise _Wrong(tree, _("hours must begin before they end, within one day"))
    return start, end


def _written(tree: _Tree) -> str:
    """Return a condition as one line, for the reason shown with a level."""
    if isinstance(tree.value, str):
        return tree.value
    if isinstance(tree.value, tuple):
        return "[" + ", ".join(_written(item) for item in tree.value) + "]"
    return ", ".join(
        f"{key} {_written(child)}" if isinstance(child.value, str | tuple) else f"{key} ({_written(child)})"
        for key, child in tree.value.items()
    )
