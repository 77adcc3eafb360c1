"""What of reachability outlives the agent's process: who answered when it ended. Decides nothing, and no record depends on it.

An agent that was killed and started again need not give such a device the patience that one gets of which nothing is known.
The file holds for this boot of the machine and for a while; lost, torn or too old it counts as empty.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from agent.reach import Reach
from config.clock import Clock
from probes.sample import ReachState

FILE = "answering"
HOLDS_S = 600.0
_THERE = (ReachState.UP, ReachState.SUSPECT)
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class _Kept(msgspec.Struct, array_like=True):
    boot: str
    at: float  # monotonic, which goes on from process to process within one boot
    names: list[str]


def _boot() -> str:
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def recall(reach: Reach, names: Collection[str]) -> None:
    """Take in who answered shortly before this process began."""
    for watch in [*reach.watches.values(), *reach.witnesses]:
        watch.recalled = watch.name in names


def answering(reach: Reach) -> list[str]:
    """Return who is there, or was when this process began and has not been judged yet. About 0.1 us for each device."""
    found = [w.name for w in reach.watches.values() if w.state in _THERE or (w.state is None and w.recalled)]
    return found + [witness.name for witness in reach.witnesses if witness.ever or witness.recalled]


class Recollection:
    """One file in the spool folder."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / FILE
        self._clock = clock
        self._boot = _boot()

    def load(self) -> frozenset[str]:
        """Return the devices and witnesses that answered last; none if that was long ago or before the machine's start."""
        try:
            kept = msgspec.msgpack.decode(self._path.read_bytes(), type=_Kept)
        except (OSError, ValueError, msgspec.DecodeError):
            return frozenset()
        fresh = 0 <= self._clock.monotonic() - kept.at <= HOLDS_S
        return frozenset(kept.names) if fresh and self._boot and kept.boot == self._boot else frozenset()

    def save(self, names: Collection[str]) -> None:
        """Keep who answers. It need not be durable: after a power cut it does not count.

        Raises:
            OSError: the folder cannot be written.
        """
        aside = self._path.with_suffix(".new")
        aside.write_bytes(msgspec.msgpack.encode(_Kept(self._boot, self._clock.monotonic(), sorted(names))))
        os.replace(aside, self._path)
