"""The wire form of a batch: what the spool keeps, what HTTP carries. Decoding is bounded and raises only `WireError`.

A frame is ``length (u32) | crc32 (u32) | payload``; the payload is zlib-compressed MessagePack. Frames follow one another.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator

import msgspec

from probes.reason import Reason
from probes.sample import Batch, ReachState, Run, Transition

VERSION = 1
MAX_FRAME_BYTES = 8 << 20
MAX_PAYLOAD_BYTES = 64 << 20
HEADER = struct.Struct(">II")


class WireError(ValueError):
    """Bytes that are not a batch of this version; the text says what is wrong with them."""


class _Run(msgspec.Struct, array_like=True, frozen=True):
    device: str
    lane: str
    at: int
    duration_s: float
    reason: Reason
    keys: bytes
    values: bytes
    detail: str
    facts: tuple[tuple[str, str], ...]


class _Transition(msgspec.Struct, array_like=True, frozen=True):
    device: str
    state: ReachState
    reason: str
    since: int
    at: int
    via: str
    detail: str


class _Batch(msgspec.Struct, array_like=True, frozen=True):
    version: int
    agent: str
    epoch: int
    seq: int
    created_at: int
    runs: tuple[_Run, ...]
    transitions: tuple[_Transition, ...]
    previous: tuple[int, int] | None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Batch)


def encode(batch: Batch) -> bytes:
    """Return the frame of a batch."""
    runs = tuple(
        _Run(r.device, r.lane, r.at, r.duration_s, r.reason, r.keys, array("d", r.values).tobytes(), r.detail, r.facts)
        for r in batch.runs
    )
    changes = tuple(_Transition(t.device, t.state, t.reason, t.since, t.at, t.via, t.detail) for t in batch.transitions)
    body = _Batch(VERSION, batch.agent, batch.epoch, batch.seq, batch.created_at, runs, changes, batch.previous)
    payload = zlib.compress(_encoder.encode(body), 1)
    return HEADER.pack(len(payload), zlib.crc32(payload)) + payload


def frames(data: bytes | memoryview) -> Iterator[bytes]:
    """Yield the payloads of consecutive frames.

    Raises:
        WireError: a frame is cut short, too long, or its checksum is wrong.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        if at + HEADER.size > len(view):
            raise WireError("frame header cut short")
        length, crc = HEADER.unpack_from(view, at)
        at += HEADER.size
        if length > MAX_FRAME_BYTES or at + length > len(view):
            raise WireError("frame cut short or too long")
        payload = bytes(view[at : at + length])
        if zlib.crc32(payload) != crc:
            raise WireError("frame checksum is wrong")
        yield payload
        at += length


def decode(payload: bytes, max_bytes: int = MAX_PAYLOAD_BYTES) -> Batch:
    """Return the batch of one frame's payload, which may take up to `max_bytes` once decompressed.

    Raises:
        WireError: not a batch, of another version, or larger than the cap once decompressed.
    """
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(payload, max_bytes)
        if inflate.unconsumed_tail or not inflate.eof:
            raise WireError("payload too large or cut short")
        body = _decoder.decode(raw)
        if body.version != VERSION:
            raise WireError(f"wire version {body.version}, this side speaks {VERSION}")
        runs = tuple(_run(run) for run in body.runs)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise WireError(f"not a batch: {error}") from None
    changes = tuple(Transition(t.device, t.state, t.reason, t.since, t.at, t.via, t.detail) for t in body.transitions)
    return Batch(body.agent, body.epoch, body.seq, body.created_at, runs, changes, body.previous)


def _run(run: _Run) -> Run:
    if len(run.values) % 8:
        raise WireError("sample values cut short")
    values = array("d")
    values.frombytes(run.values)
    expected = run.keys.count(b"\n") + 1 if run.keys else 0
    if expected != len(values):
        raise WireError(f"{expected} series but {len(values)} values")
    return Run(run.device, run.lane, run.at, run.duration_s, run.reason, run.keys, values, run.detail, run.facts)
