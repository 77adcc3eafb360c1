"""The command line as tables in Markdown, read from the parser: what `docs/reference/commands.md` has to hold."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from cli.main import parser
from config.language import current, use


def tables() -> dict[str, str]:
    """Return the table of options for each command (``faults ack``), empty name for the options before the command."""
    before = current()
    use("en")
    try:
        return {name: _table(each) for name, each in _commands(parser(), "")}
    finally:
        use(before)


def _commands(each: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield name, each
    for action in each._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield from _commands(below, f"{name} {verb}".strip())


def _table(each: argparse.ArgumentParser) -> str:
    rows = [
        _row(action)
        for action in each._actions
        if action.help and not isinstance(action, argparse._SubParsersAction | argparse._HelpAction)
    ]
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else ""


def _row(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or "{" + ", ".join(map(str, action.choices or ())) + "}")
    if value == "{}":
        value = action.dest.upper()
    words = ", ".join(action.option_strings) or value
    shown = f"{words} {value}".strip() if action.option_strings else words
    return f"| `{shown.replace('|', chr(92) + '|')}` | {(action.help or '').replace('|', chr(92) + '|')} |"
