"""What the spool hands out: one batch on its way, and the segment it lies in. Pure bookkeeping, no files are touched here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.segment import CHANGES


@dataclass(slots=True, eq=False)
class Segment:
    """What is known of one segment file without reading it."""

    serial: int
    path: Path
    epoch: int
    first: int  # its first sequence number
    end_seq: int  # the first one behind it
    size: int
    written_at: float  # monotonic seconds of the last write
    position: int = 0  # everything before this offset is acknowledged or given up
    passed: int = 0  # records before `position`
    settled: int = 0  # records acknowledged or counted as lost, anywhere
    gone: bool = False
    lost: int = 0  # records found damaged and counted
    ahead: dict[int, tuple[int, int]] = field(default_factory=dict)  # settled beyond `position`: offset -> end, records
    held: dict[int, int] = field(default_factory=dict)  # in the sender's hands: offset -> records
    claimed: int = 0  # entries in a request that is under way

    @property
    def remaining(self) -> int:
        """Return how many records are not yet acknowledged."""
        return 0 if self.gone else max(0, self.end_seq - self.first - self.settled)

    @property
    def waiting(self) -> int:
        """Return how many records are neither acknowledged nor in the sender's hands."""
        return self.remaining - sum(self.held.values()) if self.remaining else 0

    def settle(self, start: int, end: int, count: int) -> None:
        """Mark the bytes [start, end) with `count` records as done; done twice counts once."""
        if start < self.position or start in self.ahead:
            return
        self.settled += count
        self.ahead[start] = end, count
        while self.position in self.ahead:
            self.position, records = self.ahead.pop(self.position)
            self.passed += records


@dataclass(slots=True, eq=False)
class Entry:
    """One batch that waits for the collector. `segment` is None while the disk does not take it."""

    kind: int
    epoch: int
    seq: int
    count: int
    frame: bytes
    segment: Segment | None = None
    start: int = 0
    end: int = 0
    done: bool = False  # acknowledged or given up
    claimed: bool = False  # in a request that is under way
    held: bool = True  # the sender has it in its hands

    @property
    def urgent(self) -> bool:
        """Return whether it holds transitions."""
        return self.kind == CHANGES

    @property
    def alive(self) -> bool:
        """Return whether it still has to be delivered."""
        return not self.done and not (self.segment is not None and self.segment.gone)

    def leave(self) -> None:
        """Settle it in its segment."""
        if self.segment is not None:
            self.segment.held.pop(self.start, None)
            self.segment.settle(self.start, self.end, self.count)
