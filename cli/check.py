"""`watchkeeper check`: every mistake in site files and what they name, with line and suggestion. Asks no device."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from config.errors import ConfigError, ConfigErrors
from config.language import _
from config.load import load_site
from config.profile_load import find_profile
from config.schema import schema_text
from config.site import Site
from probes.registry import compile_plan
from probes.step import StepError
from rules.load import RuleErrors, load_rules


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's arguments."""
    parser = subparsers.add_parser(
        "check",
        help=_("every mistake in a site file, with line and suggestion"),
        description=_(
            "Checks site files with all they include, their profiles and rule files. Exit status 1 if one is wrong. "
            "Asks no device, changes nothing."
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
        site = load_site(file)
    except ConfigErrors as errors:
        return errors
    found = [*_rule_errors(site), *_step_errors(site, file)]
    return ConfigErrors(found) if found else site


def _rule_errors(site: Site) -> Iterator[ConfigError]:
    """Yield what is wrong with the site's own rule files."""
    try:
        load_rules(site.rules)
    except RuleErrors as errors:
        for error in errors.errors:
            group = _("group {name}").format(name=error.group) if error.group else ""
            rule = _("rule {name}").format(name=error.rule) if error.rule else ""
            yield ConfigError(error.file, error.line, 0, ", ".join(filter(None, (group, rule))), error.text)


def _step_errors(site: Site, file: Path) -> Iterator[ConfigError]:
    """Yield what is wrong with the options of steps, each looked at with one device for each set of credentials."""
    ones = {(device.device_class, device.profile, id(device.credentials)): device for device in site.devices.values()}
    told: set[tuple[str, str]] = set()
    for device in ones.values():
        profile = find_profile(device, site.profiles)
        for step in profile.steps:
            try:
                compile_plan(site, device, replace(profile, steps=(step,)))
            except StepError as error:
                if (error.profile, error.step) not in told:
                    path = _("profile {profile}, step {step}").format(profile=error.profile, step=error.step)
                    yield ConfigError(
                        str(file), 0, 0, f"{path}, {error.key}" if error.key else path, error.text.removesuffix("?")
                    )
                told.add((error.profile, error.step))


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
