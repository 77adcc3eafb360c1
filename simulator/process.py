"""A fleet in a process of its own: its sockets are real, its CPU is apart, and it ends when its parent does.

The parent writes one JSON object a line to its standard input (a step, or the word to play), the child writes what happened to
its standard output. End of input is the order to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from config.language import _
from simulator.fleet import Fleet, FleetError
from simulator.spec import StepSpec

START_S = 60.0
STOP_S = 2.0


class FleetProcess:
    """Starts and ends the child. `on_step` hears of every step that was done, a moment after it."""

    def __init__(self, path: Path, *, on_step: Callable[[StepSpec], None] | None = None) -> None:
        """Prepare to serve the scenario at `path`, which has been checked."""
        self._path = path
        self._on_step = on_step
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.ports: dict[str, int] = {}

    async def start(self) -> dict[str, int]:
        """Start the child and return the port of each protocol.

        Raises:
            FleetError: the child could not serve the fleet; the text says why.
        """
        root = str(Path(str(files("simulator"))).parent)
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "simulator", str(self._path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the child
        )
        try:
            async with asyncio.timeout(START_S):
                first = await self._line()
        except TimeoutError:
            first = {"error": _("no word from the fleet")}
        if first is None or "ports" not in first:
            await self.stop()
            raise FleetError(str((first or {}).get("error", _("the fleet ended at once"))))
        self.ports = {str(protocol): int(port) for protocol, port in first["ports"].items()}
        self._reader = asyncio.create_task(self._listen(), name="fleet-process")
        return self.ports

    def play(self, speed: float = 1.0) -> None:
        """Let the timeline begin, `speed` times as fast as written."""
        self._say({"play": speed})

    def do(self, step: StepSpec) -> None:
        """Let one step happen now."""
        self._say({"step": asdict(step)})

    async def stop(self) -> None:
        """End the child, gently for two seconds, then at once. May be called more than once."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if self._reader is not None:
            await self._reader

    def _say(self, word: dict[str, object]) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(json.dumps(word).encode() + b"\n")

    async def _line(self) -> dict[str, Any] | None:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        found = json.loads(line) if line else None
        return found if isinstance(found, dict) else None

    async def _listen(self) -> None:
        while self._process is not None and (word := await self._line()) is not None:
            if self._on_step is not None and "did" in word:
                self._on_step(StepSpec(**word["did"]))


async def serve_child(fleet: Fleet, lines: asyncio.StreamReader) -> None:
    """Serve until the input ends, doing what its lines say.

    Raises:
        FleetError: a socket cannot be opened.
    """
    await fleet.start()
    plays: list[asyncio.Task[None]] = []
    try:
        say({"ports": fleet.ports})
        while line := await lines.readline():
            word = json.loads(line)
            if "play" in word:
                plays.append(asyncio.create_task(fleet.play(float(word["play"])), name="fleet-timeline"))
            if "step" in word:
                fleet.do(StepSpec(**word["step"]))
    finally:
        await _end(plays)
        await fleet.stop()


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def say(word: dict[str, object]) -> None:
    """Write one line for the parent; a parent that is gone hears nothing, and the end of input follows."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(word), flush=True)
