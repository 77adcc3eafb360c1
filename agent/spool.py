"""The spool: keeps batches on disk until the collector has them, through crashes, damage and full disks.

It never deletes what was not acknowledged, except by the configured bounds, and then counts every record. It never decides
what to send when. Everything here touches the disk and belongs to one thread (`agent.disk`), but for the counters.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from agent import segment as seg
from agent.cursor import Cursor, CursorState
from agent.entry import Entry, Segment
from agent.shelf import Shelf
from config.clock import Clock
from config.language import _
from config.site import SpoolSettings
from probes import wire
from probes.sample import Batch

log = logging.getLogger(__name__)

CURSOR_EVERY_S = 1.0
MEMORY_BYTES = 8 << 20  # what is kept in memory while the disk takes nothing
_FULL = (errno.ENOSPC, errno.EDQUOT)


class SpoolError(OSError):
    """The spool folder cannot be used; the text says why and what to do."""


class SpoolLockedError(SpoolError):
    """Another process works on the same spool folder."""


class Spool:
    """The batches of one agent on one disk.

    Attributes:
        shelf: the segments that wait, and what the sender does with them.
        epoch: grows at every start, whatever the clock says; sequence numbers start at 0 in each.
        previous: the epoch before and its next unused sequence number, None for a new spool.
        dropped: records given up, by reason: ``size``, ``age``, ``disk`` (full), ``memory`` (disk stalled), ``corrupt``,
            ``refused``, ``unencodable``. Their sum is the number of sequence numbers the collector will never see.
    """

    def __init__(self, settings: SpoolSettings, clock: Clock) -> None:
        """Take the folder, find what is there, begin a new epoch.

        Raises:
            SpoolLockedError: another process has the folder.
            SpoolError: the folder cannot be made or written.
        """
        self._settings = settings
        self._clock = clock
        self._unwritten: deque[Entry] = deque()
        self._writer: seg.SegmentWriter | None = None
        self._stuck = "disk"  # why the disk last took nothing
        self.dropped: Counter[str] = Counter()
        self.write_errors = 0
        self.next_seq = 0
        self._lock_handle = _take_folder(settings.path)
        self._cursor = _open_cursor(settings.path / "cursor")
        self.segment_bytes = _segment_bytes(settings)
        self.shelf = Shelf(settings.path, clock, self.dropped)
        last, end = self.shelf.find((self._cursor and self._cursor.load()) or CursorState())
        self._next_serial = max(self.shelf.segments, default=0) + 1
        self.previous = (last, end) if last else None
        self.epoch = max(last + 1, clock.now())
        self._save_cursor()

    def append(self, batches: Sequence[Batch]) -> list[Entry]:
        """Number the batches and keep them; on return those with a segment are on the disk.

        What the disk does not take stays in memory within bounds and is written as soon as it does.
        """
        fresh = [entry for batch in batches for entry in self._number(batch)]
        self._unwritten.extend(fresh)
        for old in self.shelf.expired(self._settings.max_age_s):
            self._give_up(old, "age")
        self._write_out()
        self._bound_memory()
        return fresh

    def skip(self, count: int) -> None:
        """Give up `count` records that never came this far: the collector sees the hole."""
        self.next_seq += count
        self.dropped["memory"] += count

    def _number(self, batch: Batch) -> Iterator[Entry]:
        """Yield the entries of a batch: one, unless a record cannot be encoded; then each other record has its own."""
        numbered = replace(batch, epoch=self.epoch, seq=self.next_seq, previous=self.previous)
        try:
            frame = wire.encode(numbered)
            if len(frame) - wire.HEADER.size > wire.MAX_FRAME_BYTES:
                raise ValueError(f"frame of {len(frame)} bytes")
        except (ValueError, TypeError, OverflowError):
            yield from self._number_alone(batch)
            return
        self.next_seq += batch.count
        yield Entry(seg.CHANGES if batch.transitions else seg.RUNS, self.epoch, numbered.seq, numbered.count, frame)

    def _number_alone(self, batch: Batch) -> Iterator[Entry]:
        if batch.count > 1:
            for run in batch.runs:
                yield from self._number(replace(batch, runs=(run,), transitions=()))
            for change in batch.transitions:
                yield from self._number(replace(batch, runs=(), transitions=(change,)))
            return
        log.error("a record cannot be encoded and is dropped: %.200r", batch)
        self.next_seq += batch.count
        self.dropped["unencodable"] += batch.count

    def _write_out(self) -> None:
        """Write what waits in memory, one segment's worth at a time, with a bounded number of attempts to make room."""
        attempts = 3
        while attempts:
            self._unwritten = deque(entry for entry in self._unwritten if entry.alive and entry.segment is None)
            if not self._unwritten or not self._room_for(self._unwritten[0]):
                return
            try:
                self._write(self._stretch())
            except OSError as error:
                attempts -= 1
                self._failed(error)

    def _stretch(self) -> list[Entry]:
        """Return the first unwritten entries that follow each other in sequence and fit one segment."""
        taken: list[Entry] = []
        size = 0
        for entry in self._unwritten:
            size += len(entry.frame) + seg.PREFIX.size
            if taken and (entry.seq != taken[-1].seq + taken[-1].count or size > self.segment_bytes):
                break
            taken.append(entry)
        return taken

    def _write(self, entries: list[Entry]) -> None:
        data = b"".join(seg.pack_entry(e.kind, e.epoch, e.seq, e.count, e.frame) for e in entries)
        writer = self._writer
        if writer and (writer.next_seq != entries[0].seq or writer.size + len(data) > self.segment_bytes):
            self._rotate()
        writer, active = self._writing(entries[0].seq)
        at = writer.size
        writer.append(data)
        with self.shelf.mutex:
            writer.next_seq = active.end_seq = entries[-1].seq + entries[-1].count
            active.size, active.written_at = writer.size, self._clock.monotonic()
            for entry in entries:
                entry.start, at = at, at + seg.PREFIX.size + len(entry.frame)
                entry.end, entry.segment = at, active
                if entry.held:
                    active.held[entry.start] = entry.count
                active.claimed += entry.claimed
                if entry.done:  # delivered from memory while it was being written
                    entry.leave()

    def _writing(self, first: int) -> tuple[seg.SegmentWriter, Segment]:
        """Return the segment that is being written, a new one if there is none."""
        if self._writer is not None and self.shelf.active is not None:
            return self._writer, self.shelf.active
        serial = self._next_serial
        self._next_serial += 1
        path = self.shelf.path / seg.file_name(serial, self.epoch, first)
        self._writer = seg.SegmentWriter(path, self.epoch, first)
        active = Segment(serial, path, self.epoch, first, first, 0, self._clock.monotonic())
        self.shelf.active = self.shelf.segments[serial] = active
        return self._writer, active

    def _rotate(self) -> None:
        if self._writer is None or self.shelf.active is None:
            return
        self._writer.close()
        closed, self._writer, self.shelf.active = self.shelf.active, None, None
        if closed.remaining == 0:
            self.shelf.remove(closed)

    def _room_for(self, entry: Entry) -> bool:
        """Make room within `max_bytes`. Returns False if there is none and the policy is to keep the oldest."""
        need = len(entry.frame) + 2 * seg.PREFIX.size
        while self.shelf.size + need > self._settings.max_bytes:
            victim = self.shelf.oldest_free() if self._settings.keep == "newest" else None
            if victim is None:
                self._stuck = "size"
                return False
            self._give_up(victim, "size")
        return True

    def _give_up(self, victim: Segment, reason: str) -> None:
        if victim is self.shelf.active:
            self._rotate()
        if not victim.gone:
            self.shelf.give_up(victim, reason)

    def _failed(self, error: OSError) -> None:
        self._stuck = "disk"
        self.write_errors += 1
        if self.write_errors == 1 or self.write_errors % 100 == 0:
            log.error("spool cannot write (%d times so far): %s", self.write_errors, error)
        self._rotate()
        victim = self.shelf.oldest_free()
        if error.errno in _FULL and self._settings.keep == "newest" and victim is not None:
            self._give_up(victim, "disk")

    def _bound_memory(self) -> None:
        bound = min(MEMORY_BYTES, self._settings.max_bytes)
        size = sum(len(entry.frame) for entry in self._unwritten)
        while size > bound:
            with self.shelf.mutex:
                order = reversed(self._unwritten) if self._settings.keep == "oldest" else iter(self._unwritten)
                victim = next((entry for entry in order if entry.alive and not entry.claimed), None)
                if victim is None:
                    return
                victim.done = True
            self._unwritten.remove(victim)
            self.dropped[self._stuck] += victim.count
            size -= len(victim.frame)

    def acknowledge(self, entries: Sequence[Entry]) -> None:
        """Settle delivered entries. The cursor follows within about a second; until then a crash means a repetition."""
        self.shelf.settle(entries)
        if self._clock.monotonic() - self._cursor_saved_at >= CURSOR_EVERY_S:
            self._save_cursor()

    def _save_cursor(self) -> None:
        self._cursor_saved_at = self._clock.monotonic()
        try:
            if self._cursor is not None:
                self._cursor.save(CursorState(self.epoch, self.next_seq, self.shelf.positions()))
        except OSError as error:
            self.write_errors += 1
            log.warning("spool cursor cannot be written: %s", error)

    @property
    def backlog_records(self) -> int:
        """Return how many records wait for the collector, on disk and in memory."""
        return self.shelf.records + sum(e.count for e in list(self._unwritten) if e.alive and e.segment is None)

    @property
    def stuck(self) -> bool:
        """Return whether records wait in memory because the disk does not take them."""
        return any(entry.alive and entry.segment is None for entry in list(self._unwritten))

    def close(self) -> None:
        """Write what is left in memory, the END mark and the cursor; let the folder go."""
        self._write_out()
        self._rotate()
        self._save_cursor()
        if self._cursor is not None:
            self._cursor.close()
        os.close(self._lock_handle)


def _open_cursor(path: Path) -> Cursor | None:
    try:
        return Cursor(path)
    except OSError as error:
        log.error("spool cursor cannot be opened, deliveries may repeat after a crash: %s", error)
        return None


def _take_folder(path: Path) -> int:
    try:
        path.mkdir(parents=True, exist_ok=True)
        handle = os.open(path / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
    except OSError as error:
        text = _("The spool folder {path} cannot be used: {error}. Give the agent a folder it may write to.")
        raise SpoolError(text.format(path=path, error=error.strerror)) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        text = _("The spool folder {path} is in use by another process. Stop it, or give this agent a folder of its own.")
        raise SpoolLockedError(text.format(path=path)) from None
    return handle


def _segment_bytes(settings: SpoolSettings) -> int:
    """Return the size of a segment: small enough that giving one up loses little of the spool or of a small disk."""
    disk = os.statvfs(settings.path)
    share = min(settings.max_bytes // 256, disk.f_blocks * disk.f_frsize // 32)
    return max(16 << 10, min(4 << 20, share))
