"""A scenario file's values with the place of each, so that a mistake can be told where it stands. Knows no key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from config.document import read_document
from config.errors import ConfigErrors
from config.language import _
from config.node import Mapping, Node, Scalar, Sequence
from config.reading import Reading

Keys = tuple[str | int, ...]


class Document:
    """What a YAML file says as dicts, lists and texts; what a text means is decided by the key it stands at."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ConfigErrors: it cannot be read or is no YAML.
        """
        self.path = path
        self._reading = Reading(path.parent, {})
        self._reading.enter(str(path))
        self._root = read_document(path, self._reading)
        if self.mistakes:
            raise self.errors()
        self.value: Any = _value(self._root)

    def wrong(self, keys: Keys, message: str, suggestion: str = "") -> None:
        """Note a mistake at the part that the keys name, or at the nearest part around it."""
        node = self._root
        line, column = (node.line, node.column) if node is not None else (0, 0)
        for key in keys:
            if isinstance(node, Mapping) and key in node.entries:
                line, column = node.marks[str(key)]
                node = node.entries[str(key)]
            elif isinstance(node, Sequence) and isinstance(key, int) and key < len(node.items):
                node = node.items[key]
                line, column = node.line, node.column
            else:
                break
        self._reading.path = [f"[{key}]" if isinstance(key, int) else key for key in keys]
        self._reading.wrong_at(line, column, message, suggestion)

    def unknown(self, keys: Keys, message: str, word: str, names: list[str]) -> None:
        """Note a word that is none of the names, with the one that was probably meant, or with all where they are few."""
        near = self._reading.suggest(word, names)
        known = "" if near or len(names) > 40 else "; " + _("there are {names}").format(names=", ".join(sorted(names)))
        self.wrong(keys, message + known, near)

    @property
    def mistakes(self) -> int:
        """Return how many mistakes have been noted."""
        return len(self._reading.errors)

    def errors(self) -> ConfigErrors:
        """Return the mistakes that have been noted, to be raised."""
        return ConfigErrors(self._reading.sorted_errors())


def _value(node: Node | None) -> Any:
    if isinstance(node, Mapping):
        return {key: _value(entry) for key, entry in node.entries.items()}
    if isinstance(node, Sequence):
        return [_value(item) for item in node.items]
    return node.text if isinstance(node, Scalar) and not node.empty else None
