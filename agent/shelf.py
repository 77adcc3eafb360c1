"""The segments that wait on disk: finds, reads and settles them, and says which may be given up. Never writes one.

`read` and `remove` touch the disk and belong to the disk's thread; the rest is short bookkeeping under a mutex and may be
called from the event loop.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from agent import segment as seg
from agent.cursor import CursorState
from agent.entry import Entry, Segment
from agent.quarantine import Quarantine
from config.clock import Clock

log = logging.getLogger(__name__)


class Shelf:
    """All segments of one spool folder, by serial number. `dropped` is the spool's own counter."""

    def __init__(self, path: Path, clock: Clock, dropped: Counter[str]) -> None:
        """Take over a folder that is locked for this process."""
        self._clock = clock
        self._dropped = dropped
        self._quarantine = Quarantine(path / "quarantine")
        self.path = path
        self.mutex = threading.Lock()
        self.segments: dict[int, Segment] = {}
        self.active: Segment | None = None  # the one being written

    def find(self, state: CursorState) -> tuple[int, int]:
        """Adopt what lies in the folder. Returns the last epoch and its next unused sequence number, (0, 0) if none."""
        for path in sorted(self.path.glob("*.seg")):
            named = seg.parse_name(path.name)
            if named is not None:
                self._adopt(path, *named, state)
        last = (state.epoch, state.next_seq)
        for found in self.segments.values():
            last = max(last, (found.epoch, found.end_seq))
        for found in list(self.segments.values()):
            if found.remaining == 0:
                self.remove(found)
        return last

    def _adopt(self, path: Path, serial: int, epoch: int, first: int, state: CursorState) -> None:
        try:
            status, end_seq = path.stat(), seg.read_end(path)
            if end_seq is None:
                end_seq = seg.scan(path.read_bytes()).end_seq or first
        except OSError as error:
            log.error("spool segment %s cannot be read: %s", path.name, error)
            return
        age_s = max(0.0, self._clock.now() / 1000 - status.st_mtime)
        found = Segment(serial, path, epoch, first, max(first, end_seq), status.st_size, self._clock.monotonic() - age_s)
        offset, next_seq = state.positions.get(serial, (0, first))
        if offset <= status.st_size and first <= next_seq <= found.end_seq:
            found.position, found.passed, found.settled = offset, next_seq - first, next_seq - first
        self.segments[serial] = found

    def waiting(self) -> list[Segment]:
        """Return the segments with entries that the sender does not have in its hands, oldest first."""
        with self.mutex:
            waiting = [segment for segment in self.segments.values() if segment.waiting > 0]
        return sorted(waiting, key=lambda segment: segment.serial)

    def newest_waiting(self) -> Segment | None:
        """Return the newest segment with entries that the sender does not have in its hands."""
        waiting = self.waiting()
        return waiting[-1] if waiting else None

    def read(self, segment: Segment) -> list[Entry]:
        """Return the entries of a segment that are neither acknowledged nor held, oldest first; they are held from now on.

        Damaged stretches go to quarantine, their records are counted as dropped, everything else is returned.
        """
        try:
            data = segment.path.read_bytes()
        except OSError as error:
            log.error("spool segment %s cannot be read: %s", segment.path.name, error)
            self.give_up(segment, "corrupt")
            return []
        found = seg.scan(data)
        self._search(segment, found, data)
        taken = []
        with self.mutex:
            for e in found.entries:
                if e.start >= segment.position and e.start not in segment.ahead and e.start not in segment.held:
                    frame = data[e.start + seg.PREFIX.size : e.end]
                    taken.append(Entry(e.kind, e.epoch, e.seq, e.count, frame, segment, e.start, e.end))
                    segment.held[e.start] = e.count
        if segment.remaining == 0 and segment is not self.active:
            self.remove(segment)
        return taken

    def _search(self, segment: Segment, found: seg.Scan, data: bytes) -> None:
        """Settle and count what cannot be read, once for each damaged stretch."""
        with self.mutex:
            segment.end_seq = max(segment.end_seq, found.end_seq or 0)
            damaged = [(a, b) for a, b in found.bad if a >= segment.position and a not in segment.ahead]
            lost = segment.end_seq - segment.first - segment.lost - sum(e.count for e in found.entries)
            lost = max(0, min(lost, segment.remaining))
            for start, end in damaged:
                segment.settle(start, end, 0)
            segment.settled += lost
            segment.lost += lost
        for start, end in damaged:
            self._quarantine.keep(f"{segment.serial:012d}-{start}", data[start:end])
        self._dropped["corrupt"] += lost

    def claim(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return those entries that still have to be delivered; they are not dropped until released or acknowledged."""
        with self.mutex:
            taken = [entry for entry in entries if entry.alive]
            for entry in taken:
                entry.claimed = True
                if entry.segment is not None:
                    entry.segment.claimed += 1
        return taken

    def release(self, entries: Iterable[Entry]) -> None:
        """Give claimed entries back after a delivery that failed; they may be dropped again."""
        with self.mutex:
            for entry in entries:
                _unclaim(entry)

    def let_go(self, entries: Iterable[Entry]) -> None:
        """Forget that the sender holds these: they will come again from `read`, once they are on the disk."""
        with self.mutex:
            for entry in entries:
                entry.held = False
                if entry.segment is not None:
                    entry.segment.held.pop(entry.start, None)

    def settle(self, entries: Sequence[Entry]) -> None:
        """Mark delivered (or refused) entries as done and remove the segments that hold no others."""
        with self.mutex:
            for entry in entries:
                _unclaim(entry)
                if not entry.done:
                    entry.done = True
                    entry.leave()
            touched = {entry.segment.serial: entry.segment for entry in entries if entry.segment is not None}
        for segment in touched.values():
            if segment.remaining == 0 and segment is not self.active and not segment.gone:
                self.remove(segment)

    def refuse(self, entry: Entry) -> None:
        """Put an entry that the collector will never take into quarantine and count it."""
        self._quarantine.keep(f"refused-{entry.epoch}-{entry.seq}", entry.frame)
        self._dropped["refused"] += entry.count
        self.settle([entry])

    def oldest_free(self) -> Segment | None:
        """Return the oldest segment that no request under way holds; the one being written only if it is the last."""
        with self.mutex:
            free = [s for s in self.segments.values() if not s.claimed and s.size]
        return min(free, key=lambda segment: (segment is self.active, segment.serial), default=None)

    def expired(self, max_age_s: float) -> list[Segment]:
        """Return the segments that no request holds and whose newest entry is older than `max_age_s`."""
        now = self._clock.monotonic()
        with self.mutex:
            return [s for s in self.segments.values() if not s.claimed and now - s.written_at > max_age_s]

    def give_up(self, segment: Segment, reason: str) -> None:
        """Drop a whole segment and count its records; does nothing if a request has claimed it meanwhile."""
        with self.mutex:
            if segment.claimed:
                return
            lost, segment.gone = segment.remaining, True
        self._dropped[reason] += lost
        self.remove(segment)

    def remove(self, segment: Segment) -> None:
        """Unlink a segment."""
        segment.gone = True
        self.segments.pop(segment.serial, None)
        try:
            segment.path.unlink(missing_ok=True)
        except OSError as error:
            log.error("spool segment %s cannot be removed: %s", segment.path.name, error)

    def positions(self) -> dict[int, tuple[int, int]]:
        """Return how far each segment is acknowledged without a hole: serial -> (offset, next sequence number)."""
        with self.mutex:
            partial = [s for s in self.segments.values() if s.position and not s.lost]
            return {s.serial: (s.position, s.first + s.passed) for s in partial}

    @property
    def quarantined(self) -> int:
        """Return the number of stretches put into quarantine since the start."""
        return self._quarantine.count

    @property
    def records(self) -> int:
        """Return how many records wait on disk."""
        return sum(segment.remaining for segment in list(self.segments.values()))

    @property
    def size(self) -> int:
        """Return the size of all segments in bytes."""
        return sum(segment.size for segment in list(self.segments.values()))


def _unclaim(entry: Entry) -> None:
    if entry.claimed and entry.segment is not None and entry.segment.claimed:
        entry.segment.claimed -= 1
    entry.claimed = False
