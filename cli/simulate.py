"""`watchkeeper simulate`: serves a scenario's fleet until stopped, plays its timeline, writes the site file that fits it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from config.errors import ConfigErrors
from config.language import _
from simulator.action import ACTIONS, classes_with
from simulator.fleet import Fleet, FleetError
from simulator.scenario import load_scenario, shipped_scenario
from simulator.site import write_site
from simulator.spec import Scenario, StepSpec


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's arguments."""
    parser = subparsers.add_parser(
        "simulate",
        help=_("serve a fleet of simulated devices on loopback"),
        description=_(
            "Serves the devices of a scenario on 127.x.y.z addresses and plays its timeline, until stopped (Ctrl-C)."
        ),
    )
    parser.add_argument("scenario", nargs="?", metavar="SCENARIO", help=_("a scenario file, or demo for the one of the demo"))
    parser.add_argument(
        "--write-site", type=Path, metavar="FILE", help=_("write the site file that fits, and its secrets beside it")
    )
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="N", help=_("play the timeline N times as fast (default: 1)")
    )
    parser.add_argument("--still", action="store_true", help=_("only answer; leave the timeline alone"))
    parser.add_argument("--json", action="store_true", help=_("one JSON object a line: the ports, then every step"))
    parser.add_argument("--actions", action="store_true", help=_("list what a timeline may do, and end"))


def run(args: argparse.Namespace) -> int:
    """Serve until a signal; 0 after a clean end, 1 where a socket cannot be opened, 2 for a wrong scenario."""
    if args.actions:
        _show_actions()
        return 0
    if not args.scenario or not args.speed > 0:
        print(_("a scenario file is needed, and a speed above 0"), file=sys.stderr)
        return 2
    path = shipped_scenario("demo") if args.scenario == "demo" else Path(args.scenario)
    try:
        asyncio.run(_serve(load_scenario(path), args))
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return 2
    except (FleetError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _serve(scenario: Scenario, args: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    voice = _Voice(as_json=args.json)
    fleet = Fleet(scenario, on_step=lambda step: voice.step(fleet.now(), step))
    await fleet.start()
    try:
        if args.write_site:
            write_site(scenario, args.write_site, fleet.ports)
        voice.ready(fleet, args.write_site)
        play = None if args.still else asyncio.create_task(fleet.play(args.speed))
        await stop.wait()
        if play is not None:
            play.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await play
    finally:
        await fleet.stop()


class _Voice:
    """Tells what happens, for people or for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._console = Console(highlight=False)

    def ready(self, fleet: Fleet, site: Path | None) -> None:
        if self._json:
            print(json.dumps({"devices": len(fleet.endpoints), "ports": fleet.ports}), flush=True)
            return
        ports = ", ".join(f"{protocol} {port}" for protocol, port in sorted(fleet.ports.items()))
        text = _("{count} devices answer on loopback: {ports}").format(count=len(fleet.endpoints), ports=ports)
        self._console.print(text, markup=False)
        if site is not None:
            self._console.print(_("site file: {path}").format(path=site), markup=False)

    def step(self, now: float, step: StepSpec) -> None:
        if self._json:
            print(
                json.dumps({"at_s": round(now, 3), **{key: value for key, value in asdict(step).items() if key != "at_s"}}),
                flush=True,
            )
            return
        detail = " ".join(str(part) for part in (step.port, step.part, step.value or "") if part)
        self._console.print(
            f"{now:7.1f} s  {_padded(_(step.do.replace('-', ' ')), 18)} {step.on} {detail}".rstrip(), markup=False
        )


def _padded(text: str, cells: int) -> str:
    return text + " " * max(0, cells - cell_len(text))


def _show_actions() -> None:
    table = Table(_("action"), _("for"), _("takes"), _("meaning"))
    for name, action in ACTIONS.items():
        takes = ", ".join((*action.needs, *(f"[{key}]" for key in action.admits)))
        classes = classes_with(name)
        table.add_row(name, _("any") if len(classes) > 4 else ", ".join(classes), takes.replace("[", "\\["), _(action.means))
    Console().print(table)
