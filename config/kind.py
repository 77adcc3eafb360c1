"""The kinds of value a key takes: how each is read, what it is called in a message, how an editor's JSON Schema says it.

A kind reads one node under about 1 us (a scalar) and reports what is wrong; it never raises. A wrong value reads as None.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from config import address, quantity
from config.errors import shown
from config.language import _, noted
from config.node import Node, Scalar, found
from config.reading import Reading
from config.secret import Secret
from config.secret_source import NoSecret, read_secret

Schema = dict[str, Any]


class Kind(Protocol):
    """One kind of value."""

    @property
    def label(self) -> str:
        """Name the kind, as in: expected LABEL, found ..."""
        ...

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the value, or None after reporting what is wrong."""
        ...

    def schema(self) -> Schema:
        """Return the JSON Schema of this kind."""
        ...


class Unfit(ValueError):
    """A text that is no value of its kind."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion


class ScalarKind:
    """What all kinds written as one text share."""

    label = noted("text")

    def read(self, node: Node, reading: Reading) -> Any:
        """Return the value, or None after reporting what is wrong."""
        if type(node) is not Scalar:
            reading.wrong(node, _("expected {kind}, found {found}").format(kind=_(self.label), found=found(node)))
            return None
        if node.plain and node.empty:
            reading.wrong(node, _("has no value; expected {kind}").format(kind=_(self.label)))
            return None
        try:
            return self.parse(node.text, reading)
        except Unfit as unfit:
            reading.wrong(node, str(unfit), unfit.suggestion)
            return None

    def parse(self, text: str, reading: Reading) -> Any:
        """Return the value of a text, or raise `Unfit`."""
        return text


@dataclass(frozen=True)
class Text(ScalarKind):
    """Any text for people, one line. What looks like a number or a truth value stays text."""

    maximum: int = 200
    label: str = noted("text")

    def parse(self, text: str, reading: Reading) -> str:
        """Return the text; too long, empty or with characters that cannot be shown is wrong."""
        if not text.strip():
            raise Unfit(_("is empty"))
        if len(text) > self.maximum:
            raise Unfit(_("has {count} characters; at most {maximum}").format(count=len(text), maximum=self.maximum))
        if not text.isprintable():
            raise Unfit(_("holds a character that cannot be shown: '{text}'").format(text=shown(text)))
        return text

    def schema(self) -> Schema:
        """Return the JSON Schema; numbers and truth values are admitted, they are read as the text they are written as."""
        return {"type": ["string", "number", "boolean"], "maxLength": self.maximum}


@dataclass(frozen=True)
class Word(Text):
    """A text of a pattern."""

    pattern: str = ""
    rule: str = ""  # what the pattern says, in words
    editors: str = ""  # the pattern as ECMA 262 writes it, where that differs

    def parse(self, text: str, reading: Reading) -> str:
        """Return the text; one that breaks the pattern is wrong."""
        super().parse(text, reading)
        if not re.fullmatch(self.pattern, text):
            raise Unfit(_("'{text}' is not allowed: {rule}").format(text=shown(text), rule=_(self.rule)))
        return text

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {**super().schema(), "pattern": f"^(?:{self.editors or self.pattern})$"}


NAME = Word(
    128,
    noted("a name"),
    r"[^\W_][\w.\-]*",
    noted("letters of any script, digits, '.', '_' and '-', beginning with a letter or digit"),
    r"[\p{L}\p{N}][\p{L}\p{N}._\-]*",
)
PLACE_NAME = Word(
    128, noted("a name"), r"""[^\s"'\\{}\[\];:,][^"'\\{}\[\];:,]*""", noted("no quotation marks, brackets, braces, ; : , or \\")
)
LABEL_NAME = Word(
    64, noted("a label name"), r"[a-zA-Z_][a-zA-Z0-9_]*", noted("ASCII letters, digits and '_', not beginning with a digit")
)


@dataclass(frozen=True)
class OneOf(ScalarKind):
    """One of a few words."""

    choices: tuple[str, ...]
    label: str = noted("one of a few words")

    def parse(self, text: str, reading: Reading) -> str:
        """Return the word; any other is wrong."""
        if text in self.choices:
            return text
        message = _("'{text}' is none of: {choices}").format(text=shown(text), choices=", ".join(self.choices))
        raise Unfit(message, reading.suggest(text, self.choices, 0.75))

    def schema(self) -> Schema:
        """Return the JSON Schema; a choice that looks like a number may stand as one."""
        return {"enum": [*self.choices, *(int(word) for word in self.choices if word.isdecimal())]}


@dataclass(frozen=True)
class Usual(ScalarKind):
    """A word of which the usual ones are known. Others are admitted unless they look like a slip of one."""

    usual: tuple[str, ...]
    label: str = noted("a word")

    def parse(self, text: str, reading: Reading) -> str:
        """Return the word; one that is nearly a usual one is wrong."""
        if text in self.usual:
            return text
        NAME.parse(text, reading)
        near = reading.suggest(text, self.usual)
        if near and _one_slip(text.casefold(), near):
            raise Unfit(_("'{text}' is not known").format(text=shown(text)), near)
        return text

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"anyOf": [{"enum": list(self.usual)}, NAME.schema()]}


def _one_slip(text: str, word: str) -> bool:
    """Return whether dropping one letter from the longer, or exchanging one or two neighbours, makes the words equal."""
    if text == word:
        return True
    longer, shorter = (text, word) if len(text) >= len(word) else (word, text)
    if len(longer) - len(shorter) == 1:
        return any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer)))
    return len(text) == len(word) and (
        sorted(text) == sorted(word) or sum(a != b for a, b in zip(text, word, strict=True)) == 1
    )


@dataclass(frozen=True)
class Whole(ScalarKind):
    """A whole number between two bounds."""

    minimum: int
    maximum: int
    label: str = noted("a whole number")

    def parse(self, text: str, reading: Reading) -> int:
        """Return the number."""
        if not re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", text):
            raise Unfit(_("'{text}' is not a whole number").format(text=shown(text)))
        if not self.minimum <= int(text) <= self.maximum:
            limits = {"text": text, "minimum": self.minimum, "maximum": self.maximum}
            raise Unfit(_("{text} is not between {minimum} and {maximum}").format(**limits))
        return int(text)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


PORT = Whole(1, 65535, "a port number")


@dataclass(frozen=True)
class Number(ScalarKind):
    """Any finite number."""

    label: str = noted("a number")

    def parse(self, text: str, reading: Reading) -> float:
        """Return the number."""
        if not re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
            raise Unfit(_("'{text}' is not a number").format(text=shown(text)))
        return float(text)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "number"}


@dataclass(frozen=True)
class Flag(ScalarKind):
    """`true` or `false`; YAML 1.1's `yes`, `no`, `on`, `off` are refused rather than guessed at."""

    label: str = noted("true or false")

    def parse(self, text: str, reading: Reading) -> bool:
        """Return the truth value."""
        if text not in ("true", "false"):
            meant = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower(), text.lower())
            raise Unfit(
                _("'{text}' is neither true nor false").format(text=shown(text)), meant if meant in ("true", "false") else ""
            )
        return text == "true"

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Duration(ScalarKind):
    """A time span, read as seconds."""

    minimum_s: float = 0.001
    maximum_s: float = 3660 * 86400.0
    label: str = noted("a duration such as 500ms, 5s, 1m, 24h, 3d")

    def parse(self, text: str, reading: Reading) -> float:
        """Return seconds."""
        value = quantity.duration_s(text)
        if value is None:
            raise Unfit(_("'{text}' is not a duration such as 500ms, 5s, 1m, 24h, 3d").format(text=shown(text)))
        if value < self.minimum_s:
            raise Unfit(_("{text} is shorter than {minimum:g} s").format(text=shown(text), minimum=self.minimum_s))
        if value > self.maximum_s:
            raise Unfit(_("{text} is longer than {maximum:.0f} days").format(text=shown(text), maximum=self.maximum_s / 86400))
        return value

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"}


@dataclass(frozen=True)
class Size(ScalarKind):
    """An amount of storage, read as bytes (1 KB = 1024 bytes)."""

    minimum: int = 1 << 20
    label: str = noted("a size such as 512MB, 2GB")

    def parse(self, text: str, reading: Reading) -> int:
        """Return bytes."""
        value = quantity.size_bytes(text)
        if value is None:
            raise Unfit(_("'{text}' is not a size such as 512MB, 2GB").format(text=shown(text)))
        if not self.minimum <= value <= 1 << 50:
            raise Unfit(_("{text} is less than 1 MB or more than 1024 TB").format(text=text))
        return value

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?[KMGTkmgt]?i?[Bb]$"}


@dataclass(frozen=True)
class Located(ScalarKind):
    """An address, a listening socket or a URL: what `config.address` can check."""

    check: Callable[[str], str]
    label: str
    words: tuple[str, ...] = ()  # words that may stand instead of it

    def parse(self, text: str, reading: Reading) -> str:
        """Return the address in its usual spelling."""
        if text in self.words:
            return text
        try:
            return self.check(text)
        except address.BadAddress as bad:
            why = str(bad) if self.check is address.url else _("'{text}': {why}").format(text=shown(text), why=bad)
            raise Unfit(why, bad.suggestion) from None

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "minLength": 1}


ADDRESS = Located(address.host, noted("an IPv4 address, IPv6 address or host name"))
GATEWAY = Located(address.host, noted("an address, auto or none"), ("auto", "none"))
LISTEN = Located(address.listen, "host:port")
URL = Located(address.url, noted("a URL"))


@dataclass(frozen=True)
class SecretText(ScalarKind):
    """A secret, by reference. No message ever holds the text: what stands there may be the secret itself."""

    minimum: int = 1
    label: str = noted("env:NAME or file:/path")

    def parse(self, text: str, reading: Reading) -> Secret:
        """Return the secret that the text refers to."""
        try:
            secret = read_secret(text, reading.folder, reading.environ)
        except NoSecret as problem:
            raise Unfit(str(problem)) from None
        if len(secret.reveal()) < self.minimum:
            raise Unfit(_("the secret has fewer than {minimum} characters").format(minimum=self.minimum))
        return secret

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "pattern": "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"}


@dataclass(frozen=True)
class FilePath(ScalarKind):
    """A path; a relative one counts from the site file's folder. A missing file that must be there is a warning."""

    expected: bool = False  # whether it should exist already
    label: str = noted("a path")

    def parse(self, text: str, reading: Reading) -> Path:
        """Return the path."""
        if not text.isprintable() or not text.strip():
            raise Unfit(_("'{text}' is not a path").format(text=shown(text)))
        return Path(reading.folder, text)

    def read(self, node: Node, reading: Reading) -> Path | None:
        """Return the path; warn where a file is named that is not here (the file may be checked on another machine)."""
        path: Path | None = super().read(node, reading)
        if path is not None and self.expected and not os.path.isfile(path):
            reading.warn(node.line, _("there is no file {path} on this machine").format(path=path))
        return path

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {"type": "string", "minLength": 1}
