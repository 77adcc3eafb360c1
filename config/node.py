"""What a configuration file says, each part with its line and column. Knows no key and no type: a text is a text.

Nothing is guessed from how a text looks (YAML 1.1 makes `no` a truth value and `0161` an octal number); what a text means
is decided by the key it stands at.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from config.language import _

NULLS = frozenset(("", "~", "null", "Null", "NULL"))


@dataclass(slots=True)
class Scalar:
    """One text. `plain` where it stood without quotation marks."""

    text: str
    plain: bool
    line: int
    column: int

    @property
    def empty(self) -> bool:
        """Whether the file gives a key but no value."""
        return self.plain and self.text in NULLS


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Keys and values; `marks` holds line and column of each key."""

    line: int
    column: int
    entries: dict[str, Node] = field(default_factory=dict)
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)


Node = Scalar | Sequence | Mapping


def found(node: Node) -> str:
    """Name what a node is, for a message; never its content, which may be a secret."""
    if isinstance(node, Scalar):
        if "：" in node.text:
            return _("text with a full-width colon")
        return _("nothing") if node.empty else _("text")
    return _("a list") if isinstance(node, Sequence) else _("a mapping")
