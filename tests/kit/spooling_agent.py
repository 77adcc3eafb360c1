"""A child process that spools numbered records and tells its parent, on stdout, which ones it was told are safe.

Arguments: folder of the spool, first number, how many batches of three to spool before it ends.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent.disk import Disk
from agent.entry import Entry
from agent.journal import Journal
from agent.spool import Spool
from config.clock import SystemClock
from config.site import SpoolSettings
from kit.batches import decode_frame, run_of


async def main(folder: Path, first: int, batches: int) -> None:
    clock, disk = SystemClock(), Disk()
    spool = Spool(SpoolSettings(folder, max_bytes=64 << 20), clock)

    def spooled(entries: Sequence[Entry]) -> None:
        assert all(entry.segment is not None for entry in entries)
        numbers = [run.device[1:] for entry in entries for run in decode_frame(entry.frame).runs]
        os.write(1, f"spooled {' '.join(numbers)}\n".encode())
        spool.shelf.let_go(entries)

    journal = Journal("a1", spool, disk, clock, spooled)
    number, done = first, 0
    os.write(1, b"ready\n")
    while done < batches:
        for _ in range(3):
            journal.run(run_of(number, payload=20))
            number += 1
        await journal.flush()
        done += 1
    await disk.run(spool.close)
    disk.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
