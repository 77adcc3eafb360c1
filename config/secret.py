"""A secret is a type, not a string: it prints as `<secret>` and gives its value only when asked by name."""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """A value that never shows itself: not in repr, str, format, pickles or comparisons with text."""

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str) -> None:
        """Keep the value, and where it came from (``env:NAME`` or ``file:/path``), which may be shown."""
        self._value = value
        self.source = source

    def reveal(self) -> str:
        """Return the value, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
