"""The child of `simulator.process.FleetProcess`: serves one scenario until its standard input ends."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path

from config.errors import ConfigErrors
from simulator.fleet import Fleet, FleetError
from simulator.process import say, serve_child
from simulator.scenario import load_scenario
from simulator.spec import StepSpec


async def _serve(path: Path) -> None:
    def did(step: StepSpec) -> None:
        say({"did": asdict(step)})

    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _protocol = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    try:
        await serve_child(Fleet(load_scenario(path), on_step=did), lines)
    finally:
        transport.close()


def main() -> int:
    """Serve the scenario that the first argument names; 1 with an error line where that fails."""
    try:
        asyncio.run(_serve(Path(sys.argv[1])))
    except (ConfigErrors, FleetError) as error:
        say({"error": str(error)})
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
