"""Label and annotation templates: the part of Go's text/template that rule files use. Parsed once, expanded often.

A failing template gives ``<error expanding template: ...>``, never a lost alert. Expansion costs about 5 us an action.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rules.notation import unquoted
from rules.promql.match import RegexError
from rules.template_functions import FUNCTIONS, Sample, TemplateError, show, truth

_ACTION = re.compile(
    r"\{\{(-\s)?\s*(/\*.*?\*/|(?:\"(?:\\.|[^\"\\])*\"|`[^`]*`|'(?:\\.|[^'\\])*'|[^\"`'}]|\}(?!\}))*?)\s*(\s-)?\}\}", re.S
)
_WORD = re.compile(
    r"\s*(?:(\"(?:\\.|[^\"\\])*\"|`[^`]*`)|([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)(?![\w.]))|"
    r"(\$?\w*(?:\.\w+)+|\$\w+|\$|\.|\w+)|(:=|=|[|(),]))"
)
MAX_TEXT = 65_536
MAX_DEPTH = 50
Query = Callable[[str], list[Sample]]
Scope = dict[str, object]


@dataclass(slots=True)
class _Block:
    """A run of parts: text, or a pair of (keyword, tokens, inner block, else block)."""

    parts: list[str | _Part] = field(default_factory=list)


@dataclass(slots=True)
class _Part:
    keyword: str
    pipeline: Any
    variables: tuple[str, ...] = ()
    inner: _Block | None = None
    other: _Block | None = None


class Template:
    """One parsed template."""

    def __init__(self, text: str) -> None:
        """Parse the text.

        Raises:
            TemplateError: it is not a template, or uses a function that does not exist.
        """
        self.text = text
        self._plain = "{{" not in text
        self._block = _Block([text]) if self._plain else _Reader(text).whole()

    @property
    def plain(self) -> bool:
        """True when there is nothing to expand."""
        return self._plain

    @property
    def uses_value(self) -> bool:
        """True when the sample's value shows in the text."""
        return not self._plain and re.search(r"\$value|\.Value|\$?\s*\.\s*\}\}|query", self.text) is not None

    def expand(self, labels: Mapping[str, str], value: float, query: Query | None = None) -> str:
        """Return the text for one sample; what goes wrong stands in it."""
        if self._plain:
            return self.text
        root = {"Labels": labels, "Value": value, "ExternalLabels": {}, "ExternalURL": ""}
        names: Scope = {"$": root, "$labels": labels, "$value": value, "$externalLabels": {}, "$externalURL": ""}
        try:
            return "".join(_Run(query).block(self._block, root, names))[:MAX_TEXT]
        except (TemplateError, RegexError) as error:
            return f"<error expanding template: {error}>"
        except (TypeError, ValueError, KeyError, IndexError, OverflowError, RecursionError, AttributeError, re.error) as error:
            return f"<error expanding template: {type(error).__name__}: {error}>"


class _Reader:
    """Parses a template's text."""

    def __init__(self, text: str) -> None:
        self._pieces = list(self._split(text))
        self._at = 0
        self._depth = 0

    @staticmethod
    def _split(text: str) -> Iterator[tuple[str, str]]:
        at, trim = 0, False
        while (start := text.find("{{", at)) >= 0:
            match = _ACTION.match(text, start)
            if not match:
                raise TemplateError(f"unclosed action near {text[start : start + 40]!r}")
            plain = text[at:start]
            plain = plain.lstrip() if trim else plain
            yield "text", plain.rstrip() if match[1] else plain
            if not match[2].startswith("/*"):
                yield "action", match[2]
            at, trim = match.end(), bool(match[3])
        yield "text", text[at:].lstrip() if trim else text[at:]

    def whole(self) -> _Block:
        block, end = self._block()
        if end:
            raise TemplateError(f"unexpected {{{{{end}}}}}")
        return block

    def _block(self) -> tuple[_Block, str]:
        """Read up to an end or else; return the block and that action."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError("nested too deep")
        block = _Block()
        while self._at < len(self._pieces):
            kind, text = self._pieces[self._at]
            self._at += 1
            if kind == "text":
                if text:
                    block.parts.append(text)
            elif text == "end" or text.split(None, 1)[:1] == ["else"]:
                self._depth -= 1
                return block, text
            else:
                block.parts.append(self._action(text))
        self._depth -= 1
        return block, ""

    def _action(self, text: str) -> _Part:
        word, _, rest = text.partition(" ")
        if word not in ("if", "range", "with"):
            return self._assigned("print", text)
        part = self._assigned(word, rest)
        part.inner, end = self._block()
        if end.startswith("else"):
            rest = end[4:].strip()
            if rest:
                part.other = _Block([self._action(rest)])
                return part
            part.other, end = self._block()
        if end != "end":
            raise TemplateError(f"{{{{{word}}}}} without {{{{end}}}}")
        return part

    @staticmethod
    def _assigned(keyword: str, text: str) -> _Part:
        words = _words(text)
        names: list[str] = []
        operators = [i for i, word in enumerate(words) if word in (("op", ":="), ("op", "="))]
        if operators:
            names = [word for kind, word in words[: operators[0]] if kind == "name"]
            words = words[operators[0] + 1 :]
        pipeline, left = _pipeline(words)
        if left:
            raise TemplateError(f"unexpected {left[0][1]!r} in {{{{{text}}}}}")
        return _Part(keyword, pipeline, tuple(names))


def _words(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text.rstrip()):
        match = _WORD.match(text, at)
        if not match:
            raise TemplateError(f"unexpected {text[at:].strip()[:20]!r} in {{{{{text}}}}}")
        kinds = ("string", "number", "name", "op")
        found.append(next((kind, word) for kind, word in zip(kinds, match.groups(), strict=True) if word is not None))
        at = match.end()
    return found


def _pipeline(words: list[tuple[str, str]], depth: int = 0) -> tuple[Any, list[tuple[str, str]]]:
    """Return (list of commands, what is left); a command is a list of operands."""
    if depth > MAX_DEPTH:
        raise TemplateError("nested too deep")
    commands: list[list[Any]] = [[]]
    while words:
        kind, word = words[0]
        if kind == "op" and word == ")":
            break
        words = words[1:]
        if kind == "op" and word == "|":
            commands.append([])
        elif kind == "op" and word == "(":
            inner, words = _pipeline(words, depth + 1)
            if not words:
                raise TemplateError("unclosed left paren")
            words = words[1:]
            fields = ""
            if words and words[0][0] == "name" and words[0][1].startswith(".") and len(words[0][1]) > 1:
                fields, words = words[0][1], words[1:]
            commands[-1].append(("paren", inner, fields))
        elif kind == "op":
            raise TemplateError(f"unexpected {word!r}")
        else:
            commands[-1].append(_operand(kind, word))
    if not all(commands):
        raise TemplateError("missing value for command")
    return commands, words


def _operand(kind: str, word: str) -> Any:
    if kind == "string":
        return ("value", unquoted(word))
    if kind == "number":
        return ("value", float(word) if any(char in word for char in ".eE") else int(word))
    if word in ("true", "false", "nil"):
        return ("value", {"true": True, "false": False, "nil": None}[word])
    if word[0] not in "$." and word.split(".")[0] not in FUNCTIONS and word not in ("query", "tmpl", "args", "now"):
        raise TemplateError(f"function {word!r} not defined")
    return ("field" if word[0] in "$." else "function", word)


class _Run:
    """One expansion."""

    def __init__(self, query: Query | None) -> None:
        self._query = query

    def block(self, block: _Block | None, dot: object, names: Scope) -> Iterator[str]:
        for part in block.parts if block else ():
            if isinstance(part, str):
                yield part
            else:
                yield from self._part(part, dot, names)

    def _part(self, part: _Part, dot: object, names: Scope) -> Iterator[str]:
        value = self._pipeline(part.pipeline, dot, names)
        if part.keyword == "range":
            yield from self._range(part, value, dot, names)
            return
        if part.variables:
            names[part.variables[-1]] = value
        if part.keyword == "print":
            if not part.variables:
                yield show(value)
        elif truth(value):
            yield from self.block(part.inner, value if part.keyword == "with" else dot, dict(names))
        else:
            yield from self.block(part.other, dot, dict(names))

    def _range(self, part: _Part, value: object, dot: object, names: Scope) -> Iterator[str]:
        pairs: list[tuple[object, object]] = []
        if isinstance(value, Mapping):
            pairs = sorted(value.items())
        elif isinstance(value, list | tuple):
            pairs = list(enumerate(value))
        if not pairs:
            yield from self.block(part.other, dot, dict(names))
        for key, each in pairs:
            scope = dict(names)
            for name, bound in zip(reversed(part.variables), (each, key), strict=False):
                scope[name] = bound
            yield from self.block(part.inner, each, scope)

    def _pipeline(self, commands: list[list[Any]], dot: object, names: Scope) -> object:
        piped: list[object] = []
        for command in commands:
            piped = [self._command(command, piped, dot, names)]
        return piped[0]

    def _command(self, operands: list[Any], piped: list[object], dot: object, names: Scope) -> object:
        head, *rest = operands
        if head[0] == "function":
            return self._call(head[1], [self._value(each, dot, names) for each in rest] + piped)
        if rest or piped:
            raise TemplateError("can't give argument to non-function")
        return self._value(head, dot, names)

    def _value(self, operand: Any, dot: object, names: Scope) -> object:
        if operand[0] == "value":
            return operand[1]
        if operand[0] == "function":
            return self._call(operand[1], [])
        if operand[0] == "paren":
            return self._walk(self._pipeline(operand[1], dot, names), operand[2].split(".")[1:])
        first, *fields = operand[1].split(".")
        if first and first not in names:
            raise TemplateError(f"undefined variable {first!r}")
        return self._walk(names[first] if first else dot, [name for name in fields if name])

    @staticmethod
    def _walk(value: object, fields: list[str]) -> object:
        for name in fields:
            if isinstance(value, Mapping):
                value = value.get(name, "")
            elif isinstance(value, Sample) and name in ("Labels", "Value"):
                value = value.labels if name == "Labels" else value.value
            else:
                raise TemplateError(f"can't evaluate field {name}")
        return value

    def _call(self, name: str, args: list[object]) -> object:
        if name == "query":
            if self._query is None or len(args) != 1:
                raise TemplateError("error calling query: no state to ask")
            return self._query(str(args[0]))
        if name not in FUNCTIONS:
            return ""
        return FUNCTIONS[name](*args)
