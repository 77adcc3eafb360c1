"""Packs columns of numbers small: scaled integers, deltas, byte planes, then zlib or lzma. Pure; lossless but for one case.

A column is the values of many series one after the other; `lengths` says where each ends. Values that are decimal fractions
(what devices report) become integers exactly. Times that were measured (metrics in seconds that are no such fractions) are
kept to the microsecond: no clock behind them is better. Everything else keeps all its bits.
"""

from __future__ import annotations

import lzma
import zlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SCALES = (0, 1, 2, 3, 6)
_FLOATS = 255  # the scale of a series that keeps all its bits
_EXACT = float(1 << 53)
_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 4}]


class _Part(msgspec.Struct, array_like=True):
    """Series of one scale: their numbers in the column, the coded first values and the coded differences."""

    scale: int
    order: int  # 1: differences, 2: differences of differences
    series: bytes
    firsts: bytes
    rest: bytes


_encode = msgspec.msgpack.Encoder().encode
_parts = msgspec.msgpack.Decoder(list[_Part]).decode


class ColumnError(ValueError):
    """Bytes that are not a column."""


def pack_floats(values: Floats, lengths: Ints, measured: bool) -> bytes:
    """Return the packed values of consecutive series. `measured`: fractions beyond the microsecond are noise."""
    scales = _scales(values, lengths, measured)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    parts = []
    for scale in np.unique(scales).tolist():
        chosen = np.flatnonzero(scales == scale)
        parts.append(_pack_part(scale, values[(scales == scale)[owner]], lengths[chosen], chosen))
    return _encode(parts)


def _scales(values: Floats, lengths: Ints, measured: bool) -> Ints:
    """Return for each series the smallest power of ten that makes all its values integers, or `_FLOATS`."""
    starts = np.cumsum(lengths) - lengths
    scales = np.full(len(lengths), _FLOATS, np.int64)
    with np.errstate(over="ignore", invalid="ignore"):
        for scale in _SCALES:
            scaled = np.rint(values * 10.0**scale)
            fits = (np.abs(scaled) < _EXACT) & (scaled / 10.0**scale == values) & ~((values == 0) & np.signbit(values))
            whole = np.logical_and.reduceat(fits, starts)
            scales[whole & (scales == _FLOATS)] = scale
        if measured:
            small = np.logical_and.reduceat(np.abs(values) < _EXACT / 1e6, starts)
            scales[small & (scales == _FLOATS)] = 6
    return scales


def _pack_part(scale: int, values: Floats, lengths: Ints, series: Ints) -> _Part:
    first = np.zeros(len(values), bool)
    first[np.cumsum(lengths) - lengths] = True
    if scale == _FLOATS:
        bits = values.view(np.int64)
        xored = bits.copy()
        xored[1:] ^= bits[:-1]
        return _Part(scale, 1, pack_ints(np.diff(series, prepend=0)), _raw(bits[first]), _planes(xored[~first].view(np.uint64)))
    whole = np.rint(values * 10.0**scale).astype(np.int64)
    once = np.diff(whole, prepend=0)
    once[first] = 0
    twice = np.diff(once, prepend=0)
    second = np.roll(first, 1)
    second[:1] = False
    keep = ~first
    twice[second & keep] = once[second & keep]
    order = 2 if _cost(twice[keep]) < _cost(once[keep]) else 1
    rest = (twice if order == 2 else once)[keep]
    starts = np.diff(whole[first], prepend=0)
    return _Part(scale, order, pack_ints(np.diff(series, prepend=0)), pack_ints(starts), pack_ints(rest))


def _cost(values: Ints) -> float:
    return float(np.log2(np.abs(values.astype(np.float64)) + 1.0).sum())


def unpack_floats(data: bytes, lengths: Ints) -> Floats:
    """Return the values packed by `pack_floats`.

    Raises:
        ColumnError: the bytes are not such a column.
    """
    values = np.zeros(int(lengths.sum()))
    owner = np.repeat(np.arange(len(lengths)), lengths)
    try:
        for part in _parts(data):
            series = np.cumsum(unpack_ints(part.series))
            mask = np.zeros(len(lengths), bool)
            mask[series] = True
            values[mask[owner]] = _unpack_part(part, lengths[series])
    except (msgspec.DecodeError, zlib.error, lzma.LZMAError, ValueError, IndexError) as error:
        raise ColumnError(f"not a column: {error}") from None
    return values


def _unpack_part(part: _Part, lengths: Ints) -> Floats:
    first = np.zeros(int(lengths.sum()), bool)
    starts = np.cumsum(lengths) - lengths
    first[starts] = True
    if part.scale == _FLOATS:
        xored = np.zeros(len(first), np.int64)
        xored[~first] = _unplanes(part.rest, np.uint64).view(np.int64)
        return _unxor(xored, _unraw(part.firsts), starts, lengths)
    rest = np.zeros(len(first), np.int64)
    rest[~first] = unpack_ints(part.rest)
    if part.order == 2:
        rest = running(rest, starts, lengths)
    whole = running(rest, starts, lengths) + np.repeat(np.cumsum(unpack_ints(part.firsts)), lengths)
    return np.asarray(whole / 10.0**part.scale)


def running(values: Ints, starts: Ints, lengths: Ints) -> Ints:
    """Return running sums that begin anew at each series."""
    sums = np.cumsum(values)
    return np.asarray(sums - np.repeat(sums[starts] - values[starts], lengths))


def _unxor(xored: Ints, firsts: Ints, starts: Ints, lengths: Ints) -> Floats:
    # Each value is the XOR of all before it in its series: prefix XOR over everything, the series' own start taken out.
    xored[starts] = 0
    prefix = np.bitwise_xor.accumulate(xored)
    own = np.bitwise_xor(np.bitwise_xor(prefix, np.repeat(prefix[starts], lengths)), np.repeat(firsts, lengths))
    return np.ascontiguousarray(own).view(np.float64)


# integers


def pack_ints(values: Ints) -> bytes:
    """Return integers packed: zigzag, as few byte planes as the largest needs, compressed."""
    return _planes(((values << 1) ^ (values >> 63)).astype(np.uint64))


def unpack_ints(data: bytes) -> Ints:
    """Return the integers packed by `pack_ints`."""
    coded = _unplanes(data, np.uint64)
    return np.asarray((coded >> np.uint64(1)).astype(np.int64) ^ -(coded & np.uint64(1)).astype(np.int64))


def _planes(values: NDArray[np.uint64]) -> bytes:
    largest = int(values.max(initial=0))
    width = next(w for w in (0, 1, 2, 3, 4, 5, 6, 8) if largest < 1 << (8 * w))
    planes = values.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :width].T.tobytes()
    head = len(values).to_bytes(4, "little") + bytes((width,))
    return min((head + b"\0" + planes, head + b"\1" + zlib.compress(planes, 6), _lzma(head, planes)), key=len)


def _lzma(head: bytes, planes: bytes) -> bytes:
    if len(planes) < 1024:
        return head + b"\0" + planes
    return head + b"\2" + lzma.compress(planes, lzma.FORMAT_RAW, filters=_LZMA)


def _unplanes(data: bytes, kind: Any) -> NDArray[np.uint64]:
    if len(data) < 6:
        raise ValueError("cut short")
    count, width, how = int.from_bytes(data[:4], "little"), data[4], data[5]
    raw = data[6:]
    if how == 1:
        raw = zlib.decompress(raw)
    elif how == 2:
        raw = lzma.decompress(raw, lzma.FORMAT_RAW, filters=_LZMA)
    wide = np.zeros((count, 8), np.uint8)
    wide[:, :width] = np.frombuffer(raw, np.uint8).reshape(width, count).T
    return wide.view("<u8").reshape(-1).astype(kind)


def _raw(bits: Ints) -> bytes:
    return bits.astype("<i8").tobytes()


def _unraw(data: bytes) -> Ints:
    return np.frombuffer(data, "<i8").astype(np.int64)
