"""A YAML file with the line of every key, so that an error can say where. Knows nothing of scenarios."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Key = str | int


class ScenarioError(ValueError):
    """A scenario file that cannot be used; the text has one line for each mistake."""


class _Loader(yaml.SafeLoader):
    """YAML as people expect it since version 1.2: ``on`` is a word, not a boolean."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:bool"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|false|True|False"), list("tfTF"))


class Document:
    """The value of a YAML file and where its parts stand."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ScenarioError: it cannot be read, is no YAML, or has one key twice.
        """
        self.path = path
        self._lines: dict[tuple[Key, ...], int] = {}
        try:
            loader = _Loader(path.read_text(encoding="utf-8"))
            node = loader.get_single_node()
            doubled = list(self._index(node, ())) if node is not None else []
            self.value: Any = loader.construct_document(node) if node is not None else None
        except OSError as error:
            raise ScenarioError(f"{path}: {error.strerror or error}") from None
        except (UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
            raise ScenarioError(f"{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
        if doubled:
            raise ScenarioError("\n".join(doubled))

    def where(self, keys: tuple[Key, ...]) -> str:
        """Return ``file:line`` of the part, or of the nearest part around it."""
        while keys and keys not in self._lines:
            keys = keys[:-1]
        return f"{self.path}:{self._lines.get(keys, 1)}"

    def _index(self, node: yaml.Node, keys: tuple[Key, ...]) -> Iterator[str]:
        self._lines.setdefault(keys, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                path = (*keys, str(key.value))
                if path in self._lines:
                    yield f"{self.path}:{key.start_mark.line + 1}: {key.value} stands here twice"
                self._lines[path] = key.start_mark.line + 1
                yield from self._index(value, path)
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                yield from self._index(item, (*keys, number))
