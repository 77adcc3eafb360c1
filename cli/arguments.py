"""The command line's parser: help that fits terminals with wide characters, argparse's own words in the user's language.

argparse takes its words from the process's gettext domain; `speak` makes that our catalogue. Reads no command line itself.
"""

from __future__ import annotations

import argparse
import gettext
import os
import re
from typing import Any

from rich.cells import cell_len

from config.language import CATALOGUES, DOMAIN, noted

WORDS = (
    noted("usage: "),
    noted("options"),
    noted("positional arguments"),
    noted("subcommands"),
    noted("show this help message and exit"),
    noted("%(prog)s: error: %(message)s\n"),
    noted("argument %(argument_name)s: %(message)s"),
    noted("the following arguments are required: %s"),
    noted("unrecognized arguments: %s"),
    noted("expected one argument"),
    noted("expected at least one argument"),
    noted("expected at most one argument"),
    noted("invalid choice: %(value)r (choose from %(choices)s)"),
    noted("invalid %(type)s value: %(value)r"),
    noted("ambiguous option: %(option)s could match %(matches)s"),
    noted("ignored explicit argument %r"),
    noted("not allowed with argument %s"),
    noted("one of the arguments %s is required"),
    noted("unknown parser %(parser_name)r (choices: %(choices)s)"),
    noted("can't open '%(filename)s': %(error)s"),
)
_MARKS = "，。；：、）！？”》"  # begin no line, as `（“《` end none
_PIECE = re.compile(rf"\s+|[（“《]*(?:[\u1100-\uffef]|[^\s\u1100-\uffef]+)[{_MARKS}]*")


def speak(language: str) -> None:
    """Make the standard library's words those of our catalogue, in this language, for the whole process."""
    os.environ["LANGUAGE"] = language.replace("-", "_")
    gettext.bindtextdomain(DOMAIN, str(CATALOGUES))
    gettext.textdomain(DOMAIN)


class Parser(argparse.ArgumentParser):
    """argparse's parser with our help format; parsers of verbs are of the same kind."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `argparse.ArgumentParser` takes."""
        super().__init__(*args, **{"formatter_class": HelpFormatter, **kwargs})


class HelpFormatter(argparse.HelpFormatter):
    """Breaks lines by the cells that a terminal shows. A text that has line breaks of its own keeps them."""

    def _format_usage(self, usage: str | None, actions: Any, groups: Any, prefix: str | None) -> str:
        said = gettext.gettext("usage: ") if prefix is None else prefix
        blank = " " * cell_len(said)
        return said + super()._format_usage(usage, actions, groups, blank).removeprefix(blank)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return wrapped(text, width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines() if "\n" in text else wrapped(text, width - len(indent))
        return "\n".join(indent + line for line in lines)


def wrapped(text: str, width: int) -> list[str]:
    """Return the text in lines of at most `width` cells: broken at blanks and beside wide characters, no mark begins one."""
    lines, line = [], ""
    for piece in _PIECE.findall(text):
        blank = " " if piece.isspace() else ""
        if line and not blank and cell_len(line + piece) > width:
            lines.append(line.rstrip())
            line = ""
        line += blank if blank and line else "" if blank else piece
    return [*lines, line.rstrip()] if line.strip() else lines
