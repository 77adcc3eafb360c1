"""`watchkeeper demo`: a simulated crossing and campus, watched by the real agent and collector while a script breaks things.

The fleet runs in a process of its own; agent and collector run here exactly as `watchkeeper up` runs them. Faults are read,
and a scripted operator acts, through the collector's API. Everything lives in a fresh folder on free ports.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import logging
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.console import Console

from cli.desk import Desk, DeskError, FaultRow
from cli.judgement import judge
from cli.persona import Persona
from cli.quick_rules import write_quick_rules
from cli.screen import WIDE, Screen
from collector.access import operator_token
from collector.engine_settings import EngineSettings
from collector.flap import Damper
from config.clock import SystemClock
from config.contract import load_contract
from config.errors import ConfigErrors
from config.language import _
from config.load import load_site
from config.quantity import duration_s
from config.site import Site
from simulator.fleet import FleetError
from simulator.process import FleetProcess
from simulator.scenario import load_scenario, shipped_scenario
from simulator.site import write_site
from simulator.spec import Scenario

log = logging.getLogger(__name__)
T = TypeVar("T")

PACE = 30.0  # the rules' waits are divided by this: a minute has to be enough
WAITS = EngineSettings(  # the same for the fault engine's long ones
    boot_s=10.0, unheard_s=2.0, observe_s=10.0, reopen_s=60.0, damper=Damper(half_life_s=60.0, start=20.0, stop=16.0)
)
LOOK_S = 0.25  # how often faults are read
SETTLE_S = 20.0  # after the last step, for what is still to come
END_S = 1.5  # how long the halves may take to end
READY_S = 20.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb's arguments."""
    parser = subparsers.add_parser(
        "demo",
        help=_("see it work: a simulated crossing and campus, broken by a script"),
        description=_("Watches a simulated site while a script breaks it. Needs no root, no network and no other service."),
    )
    parser.add_argument("--for", dest="lasts", type=_duration, metavar="TIME", help=_("end after this time, such as 90s"))
    parser.add_argument("--json", action="store_true", help=_("print one JSON summary at the end and nothing else"))
    parser.add_argument("--keep", type=Path, metavar="DIR", help=_("keep site file and data in this new or empty folder"))
    parser.add_argument("--speed", type=_speed, default=1.0, metavar="N", help=_("run the script N times as fast (default 1)"))


def _duration(text: str) -> float:
    seconds = duration_s(text)
    if seconds is None or seconds <= 0:
        raise argparse.ArgumentTypeError(_("'{text}' is not a time such as 90s or 2m").format(text=text))
    return seconds


def _speed(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0.1 <= float(text) <= 20:
            return float(text)
    raise argparse.ArgumentTypeError(_("'{text}' is not a speed from 0.1 to 20").format(text=text))


def run(args: argparse.Namespace) -> int:
    """Play the demo; 0 however it is ended, 1 where it cannot start, 2 for a folder that holds something."""
    if args.log_level == "info":
        logging.getLogger().setLevel(logging.WARNING)  # the lines below tell the story
    try:
        with _folder(args.keep) as folder:
            asyncio.run(_Demo(args, folder).play())
    except FileExistsError:
        print(_("{path} is not an empty folder").format(path=args.keep), file=sys.stderr)
        return 2
    except (ConfigErrors, FleetError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="watchkeeper-demo-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise FileExistsError(keep)
    yield keep.resolve()


class _Demo:
    """One run: fleet, site, halves, script, screen, and the order in which they end."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self._args = args
        self._folder = folder
        self._scenario = load_scenario(shipped_scenario("demo"))
        self._persona = Persona(self._scenario.persona)
        self._screen = Screen(_console(args), load_contract(str(self._scenario.site["contract"])))
        self._fleet = FleetProcess(self._scenario.path, on_step=lambda step: self._screen.script(self._at(), step))
        self._began = time.monotonic()
        self._faults: dict[str, FaultRow] = {}
        self._stop = asyncio.Event()

    def _at(self) -> float:
        return time.monotonic() - self._began

    async def play(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        try:
            ports = await self._unless_stopped(self._fleet.start())
            if ports is not None:
                await self._watch(ports)
        finally:
            await self._fleet.stop()
        self._end()

    async def _watch(self, ports: dict[str, int]) -> None:
        from cli import both  # the whole program: only when it is to run
        from collector.app import LIBRARY

        site = self._site(ports)
        rules = write_quick_rules(LIBRARY, self._folder / "rules", PACE)
        ready = asyncio.Event()
        halves_stop = asyncio.Event()
        halves = asyncio.create_task(
            both.serve(
                site, SystemClock(), stop=halves_stop, on_ready=lambda _collector: ready.set(), rules=rules, waits=WAITS
            ),
            name="halves",
        )
        try:
            if await self._unless_stopped(_first(ready.wait(), halves)) is not None and not halves.done():
                self._welcome(site)
                self._fleet.play(self._args.speed)
                await self._follow(site, halves)
        finally:
            halves_stop.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_S):
                    await halves

    def _site(self, ports: dict[str, int]) -> Site:
        listen = f"127.0.0.1:{_free_port()}"
        scenario: Scenario = replace(self._scenario, collector={**self._scenario.collector, "listen": listen})
        path = self._folder / "site.yaml"
        write_site(scenario, path, ports)
        return load_site(path)

    def _welcome(self, site: Site) -> None:
        words = _("{count} simulated devices on loopback, watched by one agent and one collector; http://{listen}/metrics")
        self._screen.say(words.format(count=len(site.devices), listen=site.collector.listen), "bold")
        self._screen.say(_("A script breaks devices; a scripted operator answers the faults. Ctrl-C ends it."))
        self._screen.say(_("The rules are the shipped ones, {pace:g} times as quick.").format(pace=PACE))
        if self._args.keep:
            self._screen.say(_("watchkeeper faults list -c {path} asks it from another terminal").format(path=site.path))

    async def _follow(self, site: Site, halves: asyncio.Task[None]) -> None:
        """Show changes and let the operator act until the time is up, the halves end or Ctrl-C."""
        told_end = False
        async with Desk(f"http://{site.collector.listen}", operator_token(site.collector.data)) as desk:
            while not self._stop.is_set() and not halves.done() and not self._over():
                await self._look(desk)
                if not told_end and self._script_over():
                    told_end = True
                    self._tell_end(site)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._stop.wait()
        if halves.done():
            await halves  # tells why

    async def _look(self, desk: Desk) -> None:
        try:
            faults = await desk.faults()
        except DeskError as error:
            log.warning("%s", error)
            return
        for fault in faults:
            before = self._faults.get(fault.id)
            self._faults[fault.id] = fault
            if before is None or _changed(before, fault):
                self._screen.change(self._at(), before, fault)
        for act in self._persona.due(faults, self._at(), self._args.speed):
            self._screen.person(self._at(), act.fault, act.step)
            try:
                await desk.act(act.fault.id, act.step.step, act.step.person, _(act.step.note))
            except DeskError as error:
                log.warning("%s", error)

    def _over(self) -> bool:
        return self._args.lasts is not None and self._at() >= self._args.lasts

    def _script_over(self) -> bool:
        last = self._scenario.timeline[-1].at_s / self._args.speed
        quiet = all(fault.state in ("closed", "merged") for fault in self._faults.values())
        return (self._at() > last + 2 and quiet) or self._at() > last + SETTLE_S

    def _tell_end(self, site: Site) -> None:
        if self._args.lasts is None:
            self._summary()
            words = _("The script is over; the site is still watched. http://{listen}/metrics – Ctrl-C ends it.")
            self._screen.say(words.format(listen=site.collector.listen), "bold")

    def _summary(self) -> None:
        faults = list(self._faults.values())
        self._screen.summary(faults, *self._judged(faults))

    def _judged(self, faults: list[FaultRow]) -> tuple[list[str], list[str]]:
        """Return what is missing, which nobody can say before the script is over, and what is too much."""
        missing, false_alarms = judge(self._scenario.expect, faults)
        return missing if self._script_over() else [], false_alarms

    def _end(self) -> None:
        if not self._args.json:
            self._summary()
            return
        faults = list(self._faults.values())
        missing, false_alarms = self._judged(faults)
        summary = {
            "seconds": round(self._at(), 1),
            "script_over": self._script_over(),
            "devices": len(self._scenario.devices),
            "faults": msgspec.to_builtins(faults),
            "missing": missing,
            "false_alarms": false_alarms,
        }
        print(json.dumps(summary), flush=True)

    async def _unless_stopped(self, work: Awaitable[T]) -> T | None:
        """Return what the work returns, or None as soon as the demo is to end."""
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((task, stop), return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for each in (task, stop):
                each.cancel()
            await asyncio.gather(task, stop, return_exceptions=True)


async def _first(ready: Awaitable[bool], halves: asyncio.Task[None]) -> bool:
    """Return True when the halves are ready; raise what they raised before that."""
    waiting = asyncio.ensure_future(ready)
    try:
        async with asyncio.timeout(READY_S):
            await asyncio.wait((waiting, halves), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if halves.done():
        await halves
    return True


def _console(args: argparse.Namespace) -> Console:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without these signs still gets the story
    console = Console(quiet=args.json, highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, WIDE)
    return console


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _changed(before: FaultRow, after: FaultRow) -> bool:
    return (before.state, before.level, len(before.affected), before.device) != (
        after.state,
        after.level,
        len(after.affected),
        after.device,
    )
