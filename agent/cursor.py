"""The spool's cursor: the epoch, the next sequence number and how far each segment is acknowledged, in one durable file.

The file has two slots of fixed size, written in turn: a write that is cut leaves the older slot, and a full disk does not
stop it because the space is already there. Losing it costs only repeated deliveries, never a record.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

SLOT_BYTES = 4096
MAX_POSITIONS = 64
_HEAD = struct.Struct(">4sQII")  # magic, generation, length, crc32
_MAGIC = b"WKc1"


@dataclass(slots=True)
class CursorState:
    """What is kept. `positions` maps a segment's serial to (offset, next sequence number) acknowledged without a hole."""

    epoch: int = 0
    next_seq: int = 0
    positions: dict[int, tuple[int, int]] = field(default_factory=dict)


class _Stored(msgspec.Struct, array_like=True):
    epoch: int
    next_seq: int
    positions: list[tuple[int, int, int]]


def _slot(data: bytes) -> tuple[int, CursorState] | None:
    if len(data) < _HEAD.size:
        return None
    magic, generation, length, crc = _HEAD.unpack_from(data)
    body = data[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or len(body) != length or zlib.crc32(data[4:16] + body) != crc:
        return None
    try:
        stored = msgspec.msgpack.decode(body, type=_Stored)
    except msgspec.DecodeError:
        return None
    return generation, CursorState(stored.epoch, stored.next_seq, {s: (o, q) for s, o, q in stored.positions})


class Cursor:
    """The cursor file of one spool folder."""

    def __init__(self, path: Path) -> None:
        """Open the file, creating it at its full size. Raises OSError when the folder cannot be written at all."""
        self._handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o640)
        self._generation = 0

    def load(self) -> CursorState | None:
        """Return the newest state that is whole, None if there is none (a new spool, or both slots damaged)."""
        slots = [_slot(os.pread(self._handle, SLOT_BYTES, start)) for start in (0, SLOT_BYTES)]
        whole = [slot for slot in slots if slot is not None]
        if not whole:
            return None
        self._generation, state = max(whole, key=lambda slot: slot[0])
        return state

    def save(self, state: CursorState) -> None:
        """Write the state into the older slot and return when it is on the disk. Raises OSError."""
        newest = sorted(state.positions.items())[-MAX_POSITIONS:]
        body = msgspec.msgpack.encode(_Stored(state.epoch, state.next_seq, [(s, o, q) for s, (o, q) in newest]))
        generation = self._generation + 1
        middle = struct.pack(">QI", generation, len(body))
        data = _HEAD.pack(_MAGIC, generation, len(body), zlib.crc32(middle + body)) + body
        at = (generation % 2) * SLOT_BYTES
        os.pwrite(self._handle, data.ljust(SLOT_BYTES, b"\0"), at)
        os.fdatasync(self._handle)
        self._generation = generation

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
