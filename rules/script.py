"""Prometheus's promqltest scripts as commands: load, clear, eval with what is expected. Parses only."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rules.notation import NotationError, Series, duration, series, unquoted

_EVAL = re.compile(r"eval(?:_(fail|warn|info|ordered))?\s+(instant|range)\s+(.*)", re.S)
_INSTANT = re.compile(r"at\s+(\S+)\s+(.*)", re.S)
_RANGE = re.compile(r"from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)\s+(.*)", re.S)
_VECTOR = re.compile(r"expect\s+range\s+vector\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+)$")
_EXPECT = re.compile(r"expect\s+(fail|warn|info|no_warn|no_info|ordered|string)\b\s*(.*)")
_COMMAND = re.compile(r"(?:eval|load|clear)(?:_\w+)?\b")


@dataclass(frozen=True, slots=True)
class Load:
    """Samples to add, one step apart from time 0. `with_nhcb` asks for native histograms from classic ones as well."""

    line: int
    step_ms: int
    series: tuple[Series, ...]
    with_nhcb: bool


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget all samples."""

    line: int


@dataclass(slots=True)
class Eval:
    """One expression and what it must give. Times in milliseconds; an instant query has start == end and step 0."""

    line: int
    expr: str
    start_ms: int
    end_ms: int
    step_ms: int
    fails: bool = False
    message: tuple[str, str] | None = None  # ("msg" or "regex", text)
    ordered: bool = False
    text: str | None = None
    scalar: float | None = None
    grid: tuple[int, int, int] | None = None  # times of an expected range vector
    series: list[Series] = field(default_factory=list)


Command = Load | Clear | Eval


def commands(text: str) -> list[Command]:
    """Return the commands of a script.

    Raises:
        NotationError: a line is not in the format; its number is in the text.
    """
    lines = ["" if line.strip().startswith("#") else line.strip() for line in text.split("\n")]
    found: list[Command] = []
    at = 0
    while at < len(lines):
        if not lines[at]:
            at += 1
            continue
        end = at + 1
        while end < len(lines) and lines[end] and not _COMMAND.match(lines[end]):
            end += 1
        try:
            found.append(_command(at + 1, lines[at], lines[at + 1 : end]))
        except NotationError as error:
            raise NotationError(f"line {at + 1}: {error}") from None
        at = end
    return found


def _command(number: int, head: str, body: list[str]) -> Command:
    word, _, rest = head.partition(" ")
    if word == "clear":
        return Clear(number)
    if word in ("load", "load_with_nhcb"):
        return Load(number, duration(rest.strip()), tuple(series(line) for line in body), word != "load")
    match = _EVAL.match(head)
    if not match:
        raise NotationError(f"not a command: {head!r}")
    command = _query(number, match[2], match[3])
    command.fails, command.ordered = match[1] == "fail", match[1] == "ordered"
    for line in body:
        _expectation(command, line)
    return command


def _query(number: int, kind: str, rest: str) -> Eval:
    match = (_INSTANT if kind == "instant" else _RANGE).match(rest)
    if not match:
        raise NotationError(f"not a query: {rest!r}")
    if kind == "instant":
        at = duration(match[1])
        return Eval(number, match[2].strip(), at, at, 0)
    return Eval(number, match[4].strip(), duration(match[1]), duration(match[2]), duration(match[3]))


def _expectation(command: Eval, line: str) -> None:
    if grid := _VECTOR.match(line):
        command.grid = (duration(grid[1]), duration(grid[2]), duration(grid[3]))
    elif expect := _EXPECT.match(line):
        _expect(command, expect[1], expect[2].strip())
    elif fail := re.match(r"expected_fail_(message|regexp)\s+(.*)", line):
        command.message = ("msg" if fail[1] == "message" else "regex", fail[2])
    elif line.startswith("expect"):
        raise NotationError(f"not an expectation: {line!r}")
    elif re.fullmatch(r"[-+]?(?:inf|nan|[\d.]+(?:e[-+]?\d+)?)", line, re.I):
        command.scalar = float(line)
    else:
        command.series.append(series(line))


def _expect(command: Eval, what: str, rest: str) -> None:
    if what == "fail":
        command.fails = True
        if message := re.match(r"(msg|regex)\s*:\s*(.*)", rest):
            command.message = (message[1], message[2])
    elif what == "ordered":
        command.ordered = True
    elif what == "string":
        command.text = unquoted(rest)
