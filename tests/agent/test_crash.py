"""Nothing counts as spooled before it is on the disk (P1), and SIGKILL at any moment loses nothing that does (P2)."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent.spool import Spool
from config.clock import SystemClock
from config.site import SpoolSettings
from kit.batches import Ledger

CHILD = Path(__file__).resolve().parents[1] / "kit" / "spooling_agent.py"
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def deliver_all(folder: Path, ledger: Ledger) -> Spool:
    spool = Spool(SpoolSettings(folder), SystemClock())
    while (segment := spool.shelf.newest_waiting()) is not None:
        entries = spool.shelf.claim(spool.shelf.read(segment))
        ledger.take(entry.frame for entry in entries)
        spool.acknowledge(entries)
    return spool


@pytest.mark.parametrize("kills", [20, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.timeout(600)
def test_kill_at_random_moments_loses_nothing_that_was_spooled(tmp_path: Path, kills: int) -> None:
    rng, promised, ledger, first = random.Random(kills), set[str](), Ledger(), 0
    for round_ in range(kills):
        command = [sys.executable, CHILD, tmp_path, str(first), "1000000"]
        with subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            time.sleep(rng.uniform(0, 0.08))
            child.kill()
            lines = child.stdout.read().split("\n")
        for line in lines[:-1]:
            promised |= {f"d{number}" for number in line.split()[1:]}
        first += 1_000_000
        if round_ % 5 == 4:
            spool = deliver_all(tmp_path, ledger)
            assert sum(spool.dropped.values()) == 0 and spool.shelf.quarantined == 0
            spool.close()
    deliver_all(tmp_path, ledger).close()
    assert len(promised) > kills
    assert promised <= set(ledger.records.values())
    assert ledger.missing() == 0


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.slow
def test_nothing_is_called_spooled_before_it_is_synced(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=write,pwrite64,fdatasync,fsync,openat"
    command = ["strace", "-f", "-o", trace, "-e", calls, "-s", "16", sys.executable, CHILD, tmp_path / "spool", "0", "100"]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"strace refuses: {done.stderr[-200:]}")
    segments, unsynced, markers = set[str](), set[str](), 0
    for line in trace.read_text().splitlines():
        if (opened := re.search(r'openat\(.*\.seg", .*O_CREAT.*\) = (\d+)', line)) is not None:
            segments.add(opened[1])
        elif "O_CREAT" not in line and (wrote := re.search(r" write\((\d+), ", line)) is not None:
            if wrote[1] in segments:
                unsynced.add(wrote[1])
            elif wrote[1] == "1" and '"spooled ' in line:
                markers += 1
                assert not unsynced, line
        elif (synced := re.search(r"fdatasync\((\d+)\)? .*= 0", line)) is not None:
            unsynced.discard(synced[1])
        elif (synced := re.search(r"fdatasync\((\d+)", line)) is not None:
            pending = synced[1]
        elif "fdatasync resumed" in line and line.endswith("= 0"):
            unsynced.discard(pending)
    assert segments and markers == 100
