"""`watchkeeper doctor`: what is wrong with this machine's set-up, and what to do about it. Changes nothing."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cli import examination
from config.language import _

MARKS = {"ok": ("green", "✓"), "warning": ("yellow", "!"), "problem": ("red", "✗")}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's arguments."""
    parser = subparsers.add_parser(
        "doctor",
        help=_("what is wrong with this machine's set-up"),
        description=_("Checks ICMP rights, clock, disk, ports, limits, site file and database. Exit status 1 on a problem."),
    )
    parser.add_argument("-c", "--config", type=Path, metavar="SITE", help=_("the site file, to check what it names as well"))
    parser.add_argument("--json", action="store_true", help=_("a list of objects for programs"))


def run(args: argparse.Namespace) -> int:
    """Print every finding; return 1 if one is a problem, else 0."""
    findings = examination.examine(args.config)
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        _print(findings)
    return int(any(finding.verdict == "problem" for finding in findings))


def _print(findings: list[examination.Finding]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for finding in findings:
        colour, mark = MARKS[finding.verdict]
        table.add_row(f"[{colour}]{mark}[/]", finding.subject, finding.text)
        if finding.advice:
            table.add_row("", "", f"[dim]→ {finding.advice}[/]")
    Console().print(table)
