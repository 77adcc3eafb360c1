"""One load under way: collects every error and warning with its place. Reads no file itself."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from config.errors import ConfigError
from config.language import _
from config.node import Node

SUGGESTIONS = 50  # looked for per load: each costs up to 30 ms among 10,000 names


class Reading:
    """Errors, warnings and the key path of the place being read."""

    def __init__(self, given: Path, environ: Mapping[str, str]) -> None:
        """Take the folder that relative paths count from, as it was given, and the environment that `env:` looks in."""
        self.given = given
        self.folder = given.absolute()
        self.environ = environ
        self.file = ""
        self.complete = True  # false once a file is missing or unreadable: names that it may hold are then not called unknown
        self.path: list[str] = []
        self.errors: list[ConfigError] = []
        self.warnings: list[str] = []
        self._files: dict[str, int] = {}
        self._suggested: dict[tuple[str, int], tuple[str, Iterable[str]]] = {}

    def enter(self, file: str) -> None:
        """Turn to another file: what is reported next is about it."""
        self.file = file
        self._files.setdefault(file, len(self._files))

    def wrong(self, node: Node | None, message: str, suggestion: str = "") -> None:
        """Report an error at a node, under the current key path; at the file as a whole where there is no node."""
        line, column = (node.line, node.column) if node else (0, 0)
        self.wrong_at(line, column, message, suggestion)

    def wrong_at(self, line: int, column: int, message: str, suggestion: str = "") -> None:
        """Report an error at a line and column."""
        self.errors.append(ConfigError(self.file, line, column, self.key_path(), message, suggestion))

    def warn(self, line: int, message: str) -> None:
        """Keep a warning: accepted, but deserves a look."""
        where = f"{self.file}:{line}" if line else self.file
        sentence = _("{text}.").format(text=message)
        self.warnings.append(": ".join((where, self.key_path(), sentence) if self.path else (where, sentence)))

    def key_path(self) -> str:
        """Return the current key path, such as ``devices[core-1].upstream``."""
        return "".join(part if part.startswith("[") or not at else f".{part}" for at, part in enumerate(self.path))

    def suggest(self, word: str, names: Iterable[str], cutoff: float = 0.6) -> str:
        """Return the name nearest to a word, or nothing. Bounded: after 50 words it no longer looks."""
        key = (word, id(names))  # the names are kept with it, so that no other collection gets their id
        if key not in self._suggested and len(self._suggested) < SUGGESTIONS:
            self._suggested[key] = (nearest(word, list(names), cutoff), names)
        return self._suggested[key][0] if key in self._suggested else ""

    def sorted_errors(self) -> list[ConfigError]:
        """Return the errors in the order of files, lines and columns."""
        return sorted(self.errors, key=lambda error: (self._files.get(error.file, -1), error.line, error.column))


def nearest(word: str, names: list[str], cutoff: float = 0.6) -> str:
    """Return the name that a word most probably means (other case, its beginning, alike from `cutoff` on), or nothing."""
    folded = {name.casefold(): name for name in names}
    if word.casefold() in folded:
        return folded[word.casefold()]
    begun = [name for name in names if word and name.startswith(word)]
    if len(begun) == 1 or (begun and len(names) < 20):  # aes is aes128 rather than des
        return begun[0]
    close = difflib.get_close_matches(word[:128], names, n=1, cutoff=cutoff)
    return close[0] if close else ""
