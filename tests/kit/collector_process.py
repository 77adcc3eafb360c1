"""A collector in a process of its own, to be killed: prints its port, then runs until it is."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from collector.app import Collector
from config.clock import SystemClock
from kit.collecting import site_of


async def main(folder: Path) -> None:
    collector = Collector(site_of(folder), SystemClock(), reserve_bytes=1 << 16)
    await collector.start()
    print(collector.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
