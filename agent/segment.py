"""One segment file of the spool: entries appended, made durable, scanned. Decides nothing about what to keep.

An entry is a prefix and a wire frame. The prefix repeats what the frame holds (epoch, sequence number, count), under its own
checksum, so that an index needs no decompression and either half finds the way when the other is damaged::

    magic (4) | kind (u8) | epoch (u64) | seq (u64) | count (u32) | frame length (u32) | crc32 (u32) | frame

Entries of one segment are of one epoch and follow each other in sequence without a hole. A segment that was closed in good
order ends with a prefix of kind END, whose `seq` is the first one after the segment.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from probes import wire

MAGIC = b"WKe1"
PREFIX = struct.Struct(">4sBQQIII")
RUNS, CHANGES, END = 1, 2, 3
_NAME = re.compile(r"(\d{12})-(\d{16})-(\d{12})\.seg")


@dataclass(frozen=True, slots=True)
class Prefix:
    """What precedes a frame. `end` is the offset just behind the frame."""

    kind: int
    epoch: int
    seq: int
    count: int
    start: int
    end: int


@dataclass(slots=True)
class Scan:
    """What a segment holds: good entries, damaged stretches (start, end), and where a torn tail begins."""

    entries: list[Prefix] = field(default_factory=list)
    bad: list[tuple[int, int]] = field(default_factory=list)
    repaired: int = 0  # entries whose prefix was damaged but whose frame was whole
    torn_at: int | None = None
    end_seq: int | None = None  # from the END mark, else the highest sequence number seen
    closed: bool = False  # the END mark is there


def file_name(serial: int, epoch: int, first: int) -> str:
    """Return the name of a segment: its place in the row, its epoch, its first sequence number."""
    return f"{serial:012d}-{epoch:016d}-{first:012d}.seg"


def parse_name(name: str) -> tuple[int, int, int] | None:
    """Return (serial, epoch, first sequence number) of a segment's file name, None for any other name."""
    found = _NAME.fullmatch(name)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def pack_entry(kind: int, epoch: int, seq: int, count: int, frame: bytes) -> bytes:
    """Return the bytes of one entry."""
    head = PREFIX.pack(MAGIC, kind, epoch, seq, count, len(frame), 0)[:-4]
    return head + zlib.crc32(head).to_bytes(4, "big") + frame


def _prefix(data: bytes, at: int) -> Prefix | None:
    if at + PREFIX.size > len(data) or data[at : at + 4] != MAGIC:
        return None
    _, kind, epoch, seq, count, length, crc = PREFIX.unpack_from(data, at)
    if zlib.crc32(data[at : at + PREFIX.size - 4]) != crc:
        return None
    return Prefix(kind, epoch, seq, count, at, at + PREFIX.size + length)


def _frame_end(data: bytes, at: int) -> int | None:
    """Return the offset behind the whole frame at `at`, None if there is none."""
    if at + wire.HEADER.size > len(data):
        return None
    length, crc = wire.HEADER.unpack_from(data, at)
    end = int(at + wire.HEADER.size + length)
    if length > wire.MAX_FRAME_BYTES or end > len(data):
        return None
    return end if zlib.crc32(data[at + wire.HEADER.size : end]) == crc else None


def _from_frame(data: bytes, at: int) -> Prefix | None:
    """Return the prefix that a whole frame at `at` + prefix size must have had, None if the frame is not whole."""
    frame_at = at + PREFIX.size
    end = _frame_end(data, frame_at)
    if end is None:
        return None
    try:
        batch = wire.decode(data[frame_at + wire.HEADER.size : end])
    except wire.WireError:
        return None
    return Prefix(CHANGES if batch.transitions else RUNS, batch.epoch, batch.seq, batch.count, at, end)


def _good(data: bytes, at: int) -> Prefix | None:
    prefix = _prefix(data, at)
    if prefix is None or prefix.kind == END:
        return prefix
    return prefix if _frame_end(data, at + PREFIX.size) == prefix.end else None


def _resume(data: bytes, after: int, damaged: Prefix | None) -> int | None:
    """Return the offset of the next good entry behind a damaged one."""
    if damaged is not None and damaged.end <= len(data) and _good(data, damaged.end) is not None:
        return damaged.end
    at = data.find(MAGIC, after)
    while at >= 0:
        if _good(data, at) is not None:
            return at
        at = data.find(MAGIC, at + 1)
    return None


def scan(data: bytes) -> Scan:
    """Return everything that can be read of a segment's bytes. Never raises; about 1 ms for each MB."""
    found = Scan()
    at = 0
    while at < len(data):
        entry = _prefix(data, at)
        whole = entry is not None and (entry.kind == END or _frame_end(data, at + PREFIX.size) == entry.end)
        if entry is None and (entry := _from_frame(data, at)) is not None:
            whole = True
            found.repaired += 1
        if whole and entry is not None:
            _take(entry, found)
            at = entry.end
        else:
            at = _skip(data, at, entry, found)
    return found


def _take(entry: Prefix, found: Scan) -> None:
    if entry.kind == END:
        found.closed, found.end_seq = True, entry.seq
        return
    found.entries.append(entry)
    found.end_seq = max(found.end_seq or 0, entry.seq + entry.count)


def _skip(data: bytes, at: int, damaged: Prefix | None, found: Scan) -> int:
    """Record the damage at `at` and return where reading goes on."""
    following = _resume(data, at + 1, damaged)
    cut_short = damaged.end > len(data) if damaged is not None else len(data) - at < PREFIX.size
    if following is None and cut_short:
        found.torn_at = at
        return len(data)
    if damaged is not None:
        found.end_seq = max(found.end_seq or 0, damaged.seq + damaged.count)
    found.bad.append((at, len(data) if following is None else following))
    return found.bad[-1][1]


def read_end(path: Path) -> int | None:
    """Return the sequence number behind the segment from its END mark, None if it has none. Reads 33 bytes."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < PREFIX.size:
            return None
        file.seek(size - PREFIX.size)
        mark = _prefix(file.read(PREFIX.size), 0)
    return mark.seq if mark is not None and mark.kind == END else None


def sync_folder(folder: Path) -> None:
    """Make created, renamed and removed names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class SegmentWriter:
    """The segment that is being written. After any failed write it holds whole entries only, or is given up."""

    def __init__(self, path: Path, epoch: int, first: int) -> None:
        """Create the file and make its name durable. Raises OSError."""
        self.path = path
        self.epoch = epoch
        self.next_seq = first
        self.size = 0
        self._handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            sync_folder(path.parent)
        except OSError:
            os.close(self._handle)
            raise

    def append(self, entries: bytes) -> None:
        """Write whole entries and return when they are on the disk. Raises OSError; then nothing was added."""
        try:
            view = memoryview(entries)
            while view:
                view = view[os.write(self._handle, view) :]
            os.fdatasync(self._handle)
        except OSError:
            os.ftruncate(self._handle, self.size)
            raise
        self.size += len(entries)

    def close(self) -> None:
        """Set the END mark if the disk takes it, and close."""
        try:
            self.append(pack_entry(END, self.epoch, self.next_seq, 0, b""))
        except OSError:
            pass  # without the mark the next start scans the segment: slower, nothing is lost
        finally:
            os.close(self._handle)
