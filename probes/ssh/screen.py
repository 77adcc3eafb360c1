"""What a terminal shows: pure functions from the bytes of a session to prompt, question, pager and a command's output.

The result depends on the bytes alone, never on how they were cut into packets.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(
    r"\x1b(?:\[(?P<parameters>[0-9;?]*)[ -/]*(?P<final>[@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Za-z0-9]|[=>78cDEHM])"
)
_PAGER = re.compile(r"(?:<-+ ?|-+ ?\(?|\()?\bmore\b(?:[ -]*(?:\([^)\n]{0,40}\)|\d{1,3}%)?)[ )>-]*$", re.IGNORECASE)
_PAGER_ANYWHERE = re.compile(r"^ *(?:<?-{2,} ?\(?more\b[^\n]{0,40}?(?:-{2,}>?|\)))[ ]*", re.IGNORECASE)
_QUESTION = re.compile(
    r"(?:pass(?:word|phrase|code)|user ?name|login|token|otp)[^\n]{0,40}[:?]$"
    r"|[\[(] ?y(?:es)? ?/ ?no? ?[\])][^\n]{0,6}$"
    r"|please (?:choose|select|enter)[^\n]{0,60}$"
    r"|press [^\n]{1,60} to (?:continue|start|get started)[^\n]{0,20}$"
    r"|\?$",
    re.IGNORECASE,
)
LINE_LIMIT = 4096


def last_line(text: str) -> str:
    """Return what stands on the last line, escapes and trailing blanks gone (at most 4,096 characters of it)."""
    tail = text[-LINE_LIMIT:]
    return render_line(tail[tail.rfind("\n") + 1 :]).rstrip()


def is_question(line: str) -> bool:
    """Tell whether a last line asks for something (a password, yes or no, a key), so that nothing may be typed into it."""
    return bool(_QUESTION.search(line[-200:]))


def is_pager(line: str) -> bool:
    """Tell whether a last line is a pager's: ``--More--``, ``---- More ----``, ``<--- More --->``."""
    line = line.strip()
    return len(line) < 80 and line[:1] in "-<(" and line != "" and bool(_PAGER.search(line))


def is_prompt(line: str, pattern: str) -> bool:
    """Tell whether a last line is a prompt of the platform."""
    return re.fullmatch(pattern, line.strip()) is not None


def render_line(line: str) -> str:
    """Return one line as a terminal leaves it: carriage returns, backspaces and cursor movements carried out."""
    cells: list[str] = []
    column = at = 0
    while at < len(line):
        char = line[at]
        escape = _ESCAPE.match(line, at) if char == "\x1b" else None
        if escape is not None:
            column = _move(cells, column, escape["parameters"], escape["final"])
            at = escape.end()
            continue
        at += 1
        if char == "\r":
            column = 0
        elif char == "\b":
            column = max(0, column - 1)
        elif char == "\x1b" or char == "\x00" or char == "\x07":
            continue
        else:
            cells[column : column + 1] = [char]
            column += 1
    return "".join(cells)


def _move(cells: list[str], column: int, parameters: str | None, final: str | None) -> int:
    if final not in ("D", "C", "G", "K"):
        return column
    digits = (parameters or "").partition(";")[0]
    count = min(int(digits), LINE_LIMIT) if digits.isascii() and digits.isdigit() and len(digits) < 6 else 0
    if final == "K":
        if count == 0:
            del cells[column:]
        return column
    if final == "D":
        return max(0, column - max(1, count))
    target = column + max(1, count) if final == "C" else max(1, count) - 1
    target = min(target, LINE_LIMIT)
    cells.extend(" " * (target - len(cells)))
    return target


def command_output(raw: bytes, command: str, prompt: str) -> str:
    """Return the output of one command from all bytes since it was typed: no echo, no prompt, no pager, no escapes."""
    lines = []
    for line in raw.decode("utf-8", "replace").split("\n"):
        shown = _PAGER_ANYWHERE.sub("", render_line(line)).rstrip()
        lines.append(shown)
    if lines and lines[0].endswith(command):
        del lines[0]
    while lines and not lines[0]:
        del lines[0]
    while lines and not lines[-1]:
        del lines[-1]
    if lines and lines[-1].strip() == prompt.strip():
        del lines[-1]
    while lines and not lines[-1]:
        del lines[-1]
    return "\n".join(lines)
