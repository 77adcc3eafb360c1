"""`watchkeeper faults`: what is wrong, and the steps a person takes with it. Talks to the collector; decides nothing itself."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from cli import fault_table
from cli.fault_source import DATABASE, Api, BadAccess, Refused, Stored, Unreachable, access
from config.errors import ConfigErrors
from config.language import _
from config.load import load_site
from config.site import Site

STEPS = ("ack", "assign", "remote", "arrive", "restore", "confirm", "close", "reopen", "report", "level", "note")
NOT_FOUND, USAGE, UNREACHABLE = 1, 2, 3


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb, and one action for each thing to do with a fault."""
    parser = subparsers.add_parser(
        "faults",
        help=_("what is wrong, and what is done about it"),
        description=_("Lists and shows faults, and takes the steps of their life."),
        epilog=_("Exit status: 0 done, 1 no such fault or step not allowed, 2 wrong usage, 3 the collector does not answer."),
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-c", "--config", type=Path, metavar="SITE", help=_("the site file"))
    common.add_argument("--url", default="", help=_("address of the collector, instead of the site file's"))
    common.add_argument("--token-file", type=Path, metavar="FILE", help=_("file with the operator's token"))
    common.add_argument("--json", action="store_true", help=_("JSON for programs"))
    actions = parser.add_subparsers(dest="action", metavar=_("ACTION"), required=True)
    listing = actions.add_parser("list", parents=[common], help=_("all faults, newest first"))
    listing.add_argument("--state", default="open", choices=("open", "all", "closed"), help=_("which (default: open)"))
    listing.add_argument("--level", default="", help=_("only this level of the contract"))
    show = actions.add_parser("show", parents=[common], help=_("everything about one fault"))
    show.add_argument("id", metavar="FAULT")
    for step, text in _step_texts().items():
        _add_step(actions, common, step, text)


def _step_texts() -> dict[str, str]:
    return {
        "ack": _("say that you have it"),
        "assign": _("give it to a person"),
        "remote": _("a remote session began"),
        "arrive": _("an engineer is on site"),
        "restore": _("the service is back"),
        "confirm": _("the user is satisfied"),
        "close": _("done; archive it"),
        "reopen": _("it is not done after all"),
        "report": _("the written report is handed in"),
        "level": _("change its level, with a reason in --note"),
        "note": _("write something down"),
    }


def _add_step(actions: Any, common: argparse.ArgumentParser, step: str, text: str) -> None:
    action = actions.add_parser(step, parents=[common], help=text)
    action.add_argument("id", metavar="FAULT")
    action.add_argument("--person", default="", help=_("who does it (default: you)"))
    action.add_argument("--note", default="", help=_("what to write down with it"))
    if step == "assign":
        action.add_argument("--to", default="", help=_("the person it is given to"))
    if step == "level":
        action.add_argument("--level", required=True, help=_("the level it is to have"))


def run(args: argparse.Namespace) -> int:
    """Do it; see the exit status in the help."""
    try:
        site = load_site(args.config) if args.config else None
        api = Api(access(site, args.url, args.token_file))
        if args.action in ("list", "show"):
            return _look(args, api, site)
        return _step(args, api)
    except (ConfigErrors, BadAccess) as error:
        print(error, file=sys.stderr)
        return USAGE
    except Refused as error:
        print(fault_table.plain(error), file=sys.stderr)
        return NOT_FOUND
    except Unreachable as error:
        print(error, file=sys.stderr)
        return UNREACHABLE


def _look(args: argparse.Namespace, api: Api, site: Site | None) -> int:
    """List or show; from the database where the collector does not answer."""
    try:
        found = _looked_up(args, api)
    except Unreachable as error:
        if site is None or args.url:
            raise
        stored = Stored(site.collector.data / DATABASE)
        found = _looked_up(args, stored)
        print(_("{error}; read from its database").format(error=error), file=sys.stderr)
    if args.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    elif isinstance(found, list):
        fault_table.print_list(Console(highlight=False), found)
    else:
        fault_table.print_fault(Console(highlight=False), found)
    return 0


def _looked_up(args: argparse.Namespace, source: Api | Stored) -> list[dict[str, Any]] | dict[str, Any]:
    return source.list(args.state, args.level) if args.action == "list" else source.get(args.id)


def _step(args: argparse.Namespace, api: Api) -> int:
    fields = {"person": args.person or _me(), "note": args.note}
    for name in ("to", "level"):
        if getattr(args, name, ""):
            fields[name] = getattr(args, name)
    fault = api.act(args.id, args.action, fields)
    if args.json:
        print(json.dumps(fault, ensure_ascii=False, indent=2))
    else:
        text = _("{id} is {state}: {summary}")
        words = {"id": fault.get("id", ""), "state": _(fault.get("state", "")), "summary": fault.get("summary", "")}
        print(text.format(**{name: fault_table.plain(word) for name, word in words.items()}))
    return 0


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
