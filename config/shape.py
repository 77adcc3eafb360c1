"""Kinds made of other kinds: lists, mappings of names, and tables of known keys. A table gives loader, schema and reference.

A table read costs about 1 us per key beside its values; all mistakes in it are reported, none hides another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from config.errors import key_shown, shown
from config.kind import NAME, Kind, Schema
from config.language import _, noted
from config.node import Mapping, Node, Scalar, Sequence, found
from config.reading import Reading

Values = dict[str, Any]


@dataclass(frozen=True)
class Key:
    """One key of a table, with what its reference page says about it."""

    name: str
    kind: Kind
    meaning: str
    example: str
    default: str = ""  # as shown to people
    required: bool = False


@dataclass(frozen=True)
class ListOf:
    """A list of one kind. `by` names the key that an item is known by in key paths."""

    item: Kind
    by: str = ""
    label: str = noted("a list")

    def read(self, node: Node, reading: Reading) -> tuple[Any, ...] | None:
        """Return the good items."""
        if not isinstance(node, Sequence):
            _refuse(self, node, reading)
            return None
        values = []
        for at, item in enumerate(node.items):
            reading.path.append(f"[{self._known_by(item) or at}]")
            value = self.item.read(item, reading)
            reading.path.pop()
            if value is not None:
                values.append(value)
        return tuple(values)

    def _known_by(self, item: Node) -> str:
        name = item.entries.get(self.by) if self.by and type(item) is Mapping else None
        return shown(name.text) if type(name) is Scalar and name.text else ""

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "array", "items": self.item.schema()}


@dataclass(frozen=True)
class OneOrMore:
    """A value, or a list of them; always read as a tuple."""

    item: Kind
    label: str = noted("a value or a list of them")

    def read(self, node: Node, reading: Reading) -> tuple[Any, ...] | None:
        """Return the good values."""
        if isinstance(node, Sequence):
            return ListOf(self.item).read(node, reading)
        value = self.item.read(node, reading)
        return None if value is None else (value,)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"anyOf": [self.item.schema(), {"type": "array", "items": self.item.schema()}]}


@dataclass(frozen=True)
class MapOf:
    """Names, each with a value of one kind."""

    value: Kind
    name: Kind = NAME
    label: str = noted("a mapping")

    def read(self, node: Node, reading: Reading) -> Values | None:
        """Return the good entries."""
        if not isinstance(node, Mapping):
            _refuse(self, node, reading)
            return None
        values: Values = {}
        for key, child in node.entries.items():
            reading.path.append(key_shown(key))
            name = self.name.read(Scalar(key, False, *node.marks[key]), reading)
            value = self.value.read(child, reading)
            reading.path.pop()
            if name is not None and value is not None:
                values[name] = value
        return values

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "object", "additionalProperties": self.value.schema()}


@dataclass(frozen=True)
class Table:
    """A mapping of known keys; `build` makes the record of it (None after reporting what does not fit together)."""

    keys: tuple[Key, ...]
    build: Callable[[Values, Mapping, Reading], Any]
    name: str  # heading on the reference page
    label: str = noted("a mapping")
    short: Kind | None = None  # what may stand instead, as in upstream: core-1
    expand: Callable[[Any], Any] | None = None  # from the short form's value to the record
    optional: bool = False  # whether nothing at all may stand there
    by_name: dict[str, Key] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {key.name: key for key in self.keys})

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the record, or None after reporting why there is none."""
        if type(node) is not Mapping:
            return self._instead(node, reading)
        values: Values = {}
        for name, child in node.entries.items():
            key = self.by_name.get(name)
            if key is None:
                self._unknown(name, node, reading)
                continue
            reading.path.append(name)
            values[name] = key.kind.read(child, reading)
            reading.path.pop()
        for key in self.keys:
            if key.required and key.name not in values:
                reading.wrong(node, _("'{key}' is missing").format(key=key.name))
        return self.build(values, node, reading)

    def _instead(self, node: Node, reading: Reading) -> Any:
        if self.optional and isinstance(node, Scalar) and node.empty:
            return self.build({}, Mapping(node.line, node.column), reading)
        if self.short is None or not isinstance(node, Scalar):
            _refuse(self, node, reading)
            return None
        value = self.short.read(node, reading)
        return None if value is None or self.expand is None else self.expand(value)

    def _unknown(self, name: str, node: Mapping, reading: Reading) -> None:
        """Report an unknown key. What may be a secret in a wrong place is not shown."""
        near = reading.suggest(name, self.by_name)
        alone = reading.path[:1] == ["credentials"] and not near and _without_value(node.entries[name])
        reading.path.append("?" if alone else key_shown(name))
        if ":" in name:
            reading.wrong_at(*node.marks[name], _("a space is missing after the colon"))
        elif "：" in name:
            reading.wrong_at(*node.marks[name], _("a full-width colon (：) does not end a key; write ': '"))
        else:
            reading.wrong_at(*node.marks[name], _("unknown key"), near)
        reading.path.pop()

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        table: Schema = {
            "type": ["object", "null"] if self.optional else "object",
            "additionalProperties": False,
            "properties": {key.name: {"description": key.meaning, **key.kind.schema()} for key in self.keys},
        }
        required = [key.name for key in self.keys if key.required]
        if required:
            table["required"] = required
        return {"anyOf": [self.short.schema(), table]} if self.short else table


@dataclass(frozen=True)
class Anything:
    """A mapping that this version keeps no account of."""

    label: str = noted("a mapping")

    def read(self, node: Node, reading: Reading) -> bool | None:
        """Accept a mapping, and warn that nothing acts on it."""
        if not isinstance(node, Mapping):
            _refuse(self, node, reading)
            return None
        reading.warn(node.line, _("accepted, but this version does not act on it yet"))
        return True

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "object"}


def _without_value(node: Node) -> bool:
    return isinstance(node, Scalar) and node.empty


def _refuse(kind: Kind, node: Node, reading: Reading) -> None:
    if _without_value(node):
        reading.wrong(node, _("has no value; expected {kind}").format(kind=_(kind.label)))
    else:
        reading.wrong(node, _("expected {kind}, found {found}").format(kind=_(kind.label), found=found(node)))
