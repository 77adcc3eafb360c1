"""`watchkeeper check`: every mistake in site files, with line and suggestion. Changes nothing and asks no device."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from config.errors import ConfigErrors
from config.language import _
from config.load import load_site
from config.schema import schema_text
from config.site import Site


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's arguments."""
    parser = subparsers.add_parser(
        "check",
        help=_("every mistake in a site file, with line and suggestion"),
        description=_(
            "Checks site files with all they include. Exit status 1 if one is wrong. Asks no device, changes nothing."
        ),
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help=_("a site file"))
    parser.add_argument(
        "--json", action="store_true", help=_("a list of objects for programs: file, ok, devices, errors, warnings")
    )
    parser.add_argument("--schema", action="store_true", help=_("print the JSON Schema of the site file, for editors"))


def run(args: argparse.Namespace) -> int:
    """Print what is wrong with each file; return 1 if one is wrong, 2 if none is named, else 0."""
    if args.schema:
        print(schema_text(), end="")
        return 0
    if not args.files:
        print(_("watchkeeper check: name a site file, or --schema"), file=sys.stderr)
        return 2
    results = {file: _load(file) for file in args.files}
    if args.json:
        print(json.dumps([_entry(file, result) for file, result in results.items()], ensure_ascii=False, indent=2))
    else:
        for file, result in results.items():
            _print(file, result)
    return int(any(isinstance(result, ConfigErrors) for result in results.values()))


def _load(file: Path) -> Site | ConfigErrors:
    try:
        return load_site(file)
    except ConfigErrors as errors:
        return errors


def _entry(file: Path, result: Site | ConfigErrors) -> dict[str, object]:
    errors = [error.to_dict() for error in result.errors] if isinstance(result, ConfigErrors) else []
    devices = 0 if isinstance(result, ConfigErrors) else len(result.devices)
    warnings = [] if isinstance(result, ConfigErrors) else list(result.warnings)
    return {"file": str(file), "ok": not errors, "devices": devices, "errors": errors, "warnings": warnings}


def _print(file: Path, result: Site | ConfigErrors) -> None:
    if isinstance(result, ConfigErrors):
        print(result)
        count = len(result.errors)
        text = _("{file}: 1 error") if count == 1 else _("{file}: {count} errors")
        print(text.format(file=file, count=count))
        return
    for warning in result.warnings:
        print(_("warning: {text}").format(text=warning))
    facts = {"file": file, "site": result.name, "devices": len(result.devices), "contract": Path(result.contract).stem}
    print(_("{file}: good. Site {site}, {devices} devices, contract {contract}").format(**facts))
