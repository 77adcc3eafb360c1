"""Batches with contents that can be told apart, and a ledger of what arrived."""

from __future__ import annotations

import random
from collections.abc import Iterable

from probes import wire
from probes.reason import Reason
from probes.sample import Batch, ReachState, Run, Transition


def run_of(number: int, payload: int = 0) -> Run:
    keys = b'device_up{device="d%d"}' % number
    detail = f"{number}:" + random.Random(number).randbytes(payload).hex()
    return Run(f"d{number}", "state", 1_800_000_000_000 + number, 0.01, Reason.OK, keys, (1.0,), detail)


def batch_of(*numbers: int, payload: int = 0) -> Batch:
    return Batch("a1", 0, 0, 1_800_000_000_000, tuple(run_of(n, payload) for n in numbers))


def change_batch(name: str) -> Batch:
    change = Transition(name, ReachState.DOWN, "icmp", 1_800_000_000_000, 1_800_000_000_001)
    return Batch("a1", 0, 0, 1_800_000_000_000, (), (change,))


def decode_frame(frame: bytes) -> Batch:
    (payload,) = wire.frames(frame)
    return wire.decode(payload)


class Ledger:
    """What a collector would know: record numbers by (epoch, seq)."""

    def __init__(self) -> None:
        self.records: dict[tuple[int, int], str] = {}
        self.repeats = 0
        self.previous: dict[int, tuple[int, int] | None] = {}

    def take(self, frames: Iterable[bytes]) -> None:
        for frame in frames:
            batch = decode_frame(frame)
            self.previous[batch.epoch] = batch.previous
            names = [run.device for run in batch.runs] + [change.device for change in batch.transitions]
            for at, name in enumerate(names):
                key = (batch.epoch, batch.seq + at)
                self.repeats += key in self.records
                assert self.records.setdefault(key, name) == name, "one number, two records"

    @property
    def names(self) -> list[str]:
        return [self.records[key] for key in sorted(self.records)]

    def missing(self) -> int:
        """Sequence numbers below the highest seen in each epoch, and up to the end named by the next epoch, that never came."""
        ends: dict[int, int] = {}
        for epoch, seq in self.records:
            ends[epoch] = max(ends.get(epoch, 0), seq + 1)
        for previous in self.previous.values():
            if previous is not None:
                ends[previous[0]] = max(ends.get(previous[0], 0), previous[1])
        return sum(ends.values()) - len(self.records)
