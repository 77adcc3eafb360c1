"""`watchkeeper probe`: one round of questions to one device now, every sample with its unit and time taken."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli import subject
from config.clock import SystemClock
from config.errors import ConfigErrors
from config.language import _
from probes.net import Net
from probes.outcome import Outcome
from probes.reason import Reason
from probes.registry import Plan, compile_plan
from probes.sample import parse_key
from probes.unit import unit_of

BASE_LABELS = ("site", "device", "class", "place", "role")

Answers = list[tuple[str, str, Outcome, float]]  # step, lane, outcome, seconds


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's arguments."""
    parser = subparsers.add_parser(
        "probe",
        help=_("ask one device once, see every sample"),
        description=_(
            "Asks everything its profile asks, once. Without a site file: an address with --class and --snmp, "
            "or a walk file (.snmprec, or the output of snmpbulkwalk -OnQ)."
        ),
    )
    parser.add_argument("subject", metavar="NAME|ADDRESS|WALK", help=_("a device of the site, an address, or a walk file"))
    parser.add_argument("-c", "--config", type=Path, metavar="SITE", help=_("the site file"))
    parser.add_argument("--class", dest="device_class", metavar="CLASS", help=_("ask as this device class"))
    parser.add_argument("--credentials", metavar="NAME", help=_("credentials of the site file, for an address"))
    parser.add_argument("--snmp", metavar="VERSION:env:NAME", help=_("version and community, such as 2c:env:SNMP_COMMUNITY"))
    parser.add_argument("--port", type=int, default=161, help=_("SNMP port with --snmp (default 161)"))
    parser.add_argument("--timeout", type=float, default=20.0, metavar="SECONDS", help=_("deadline of each question"))
    parser.add_argument("--json", action="store_true", help=_("one object for programs"))


def run(args: argparse.Namespace) -> int:
    """Probe; 0 if every question was answered, 1 if one was not, 2 for wrong usage."""
    try:
        asked = subject.resolve(args, os.environ)
        plan = compile_plan(asked.site, asked.device, asked.profile)
    except (subject.SubjectError, ConfigErrors, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    answers = asyncio.run(_ask(plan, asked, args.timeout))
    report = _report(asked, plan, answers)
    if args.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        _print(report)
    return int(any(outcome.reason is not Reason.OK for _step, _lane, outcome, _seconds in answers))


async def _ask(plan: Plan, asked: subject.Subject, timeout_s: float) -> Answers:
    clock = SystemClock()
    answers: Answers = []
    async with Net(clock) as net:
        if asked.walk is not None:
            net.snmp = asked.walk
        for step in plan.steps:
            if asked.walk is not None and not step.step.probe.startswith("snmp"):
                continue
            started = clock.monotonic()
            outcome = await step.question.ask(net, timeout_s)
            answers.append((step.step.name, step.step.lane, outcome, clock.monotonic() - started))
    return answers


def _report(asked: subject.Subject, plan: Plan, answers: Answers) -> dict[str, Any]:
    return {
        "device": asked.device.name,
        "address": asked.device.address,
        "class": asked.device.device_class,
        "profile": asked.profile.name,
        "steps": [
            {
                "name": step,
                "lane": lane,
                "reason": str(outcome.reason),
                "detail": outcome.detail,
                "seconds": round(seconds, 6),
                "phases": {name: round(taken, 6) for name, taken in outcome.phases.items()},
                "samples": len(outcome.values),
            }
            for step, lane, outcome, seconds in answers
        ],
        "left_out": [{"name": out.step.name, "reason": str(out.reason), "detail": out.text} for out in plan.left_out],
        "facts": {name: value for _step, _lane, outcome, _seconds in answers for name, value in outcome.facts},
        "samples": [sample for _step, _lane, outcome, _seconds in answers for sample in _samples(outcome)],
    }


def _samples(outcome: Outcome) -> list[dict[str, Any]]:
    if not outcome.keys:
        return []
    rows = []
    for key, value in zip(outcome.keys.split(b"\n"), outcome.values, strict=True):
        metric, labels = parse_key(key)
        rows.append({"metric": metric, "labels": dict(labels), "value": value, "unit": unit_of(metric)})
    return rows


def _print(report: dict[str, Any]) -> None:
    console = Console()
    console.print(
        f"[bold]{escape(report['device'])}[/]  {report['address']}  {report['class']}  ({report['profile']})", highlight=False
    )
    steps = Table(_("question"), _("lane"), _("result"), _("ms"), _("samples"), box=None, padding=(0, 2, 0, 0))
    for step in report["steps"]:
        colour = "green" if step["reason"] == "ok" else "red"
        result = f"[{colour}]{_(step['reason'])}[/] {escape(step['detail'])}"
        steps.add_row(step["name"], step["lane"], result, f"{step['seconds'] * 1000:.1f}", str(step["samples"]))
    for out in report["left_out"]:
        steps.add_row(out["name"], "", f"[yellow]{_(out['reason'])}[/] {escape(out['detail'])}", "", "")
    console.print(steps)
    for name, value in report["facts"].items():
        console.print(f"  {name}: {escape(value)}", highlight=False)
    samples = Table(_("metric"), _("labels"), _("value"), _("unit"), box=None, padding=(0, 2, 0, 0))
    for sample in report["samples"]:
        own = {
            name: value for name, value in sample["labels"].items() if name not in ("site", "device", "class", "place", "role")
        }
        labels = " ".join(f"{name}={value}" for name, value in own.items())
        samples.add_row(sample["metric"], escape(labels), f"{sample['value']:.10g}", sample["unit"])
    console.print(samples)
