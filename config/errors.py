"""What is wrong with what the operator wrote: where, what, and what was probably meant. Never holds the value of a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from config.language import _

SHOWN_CHARACTERS = 60
_WORD = re.compile(r"[\w.\-]+")


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One mistake in one file. `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int
    column: int
    key_path: str  # such as devices[core-1].upstream; empty where no key is meant
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        """Return ``FILE:LINE: key.path: message. Did you mean 'x'?``, parts that are empty left out."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        sentence = _("{text}.").format(text=self.message)
        parts = [where, self.key_path, sentence] if self.key_path else [where, sentence]
        hint = _(" Did you mean '{name}'?").format(name=self.suggestion) if self.suggestion else ""
        return ": ".join(parts) + hint

    def to_dict(self) -> dict[str, str | int | None]:
        """Return the error for programs; line and column are null where the whole file is meant."""
        return {
            "file": self.file,
            "line": self.line or None,
            "column": self.column or None,
            "key_path": self.key_path,
            "message": self.message,
            "suggestion": self.suggestion or None,
        }


class ConfigErrors(Exception):
    """Every mistake found in one load, in the order of the files and their lines."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, self.errors)))


def key_shown(text: str) -> str:
    """Return a key for a message, cut at the first sign that is no letter, digit, ``.``, ``_`` or ``-``.

    Behind it may stand a secret: ``password:S3cret`` and ``password=S3cret`` are keys to YAML.
    """
    word = _WORD.match(text)
    return shown(word.group()) if word else "?"


def shown(text: str) -> str:
    """Return text of a file fit for a message: one line, nothing that moves the cursor, at most 60 characters."""
    short = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in short)
