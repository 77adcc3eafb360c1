"""`watchkeeper up`: agent and collector in one process, the main job. The wiring is in `cli.both`."""

from __future__ import annotations

import argparse
from pathlib import Path

from cli import service
from config.language import _


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's arguments."""
    parser = subparsers.add_parser(
        "up",
        help=_("watch a site: agent and collector in one process"),
        description=_("Watches until stopped (Ctrl-C). SIGHUP reads the site file again; a wrong one changes nothing."),
    )
    parser.add_argument("-c", "--config", type=Path, required=True, metavar="SITE", help=_("the site file"))


def run(args: argparse.Namespace) -> int:
    """Watch the site until a signal ends it; 0 after a clean end, 1 where it could not start, 2 for a wrong site file."""
    from cli.both import serve  # imports both halves: only when they are to run

    return service.run(args.config, serve)
