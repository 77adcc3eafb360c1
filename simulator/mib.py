"""The objects of one shape of device in SNMP order, and the bytes of their values. Thousands of devices share one `Mib`."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from probes.snmp import ber

Oid = tuple[int, ...]
Value = Callable[[Any, float], bytes]  # (model, now) -> the value's TLV


def integer(value: int) -> bytes:
    """Return an INTEGER."""
    return ber.tlv(ber.INTEGER, ber.integer(value))


def counter32(value: int) -> bytes:
    """Return a Counter32, wrapped."""
    return ber.tlv(ber.COUNTER32, ber.integer(value & 0xFFFF_FFFF))


def counter64(value: int) -> bytes:
    """Return a Counter64, wrapped."""
    return ber.tlv(ber.COUNTER64, ber.integer(value & 0xFFFF_FFFF_FFFF_FFFF))


def gauge32(value: int) -> bytes:
    """Return a Gauge32, latched at its top."""
    return ber.tlv(ber.GAUGE32, ber.integer(min(value, 0xFFFF_FFFF)))


def ticks(value: int) -> bytes:
    """Return TimeTicks, wrapped after 497 days."""
    return ber.tlv(ber.TIMETICKS, ber.integer(value & 0xFFFF_FFFF))


def octets(value: str | bytes) -> bytes:
    """Return an OCTET STRING; text as UTF-8."""
    return ber.tlv(ber.OCTET_STRING, value.encode() if isinstance(value, str) else value)


def object_id(oid: Oid) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    return ber.tlv(ber.OID, ber.encode_oid(oid))


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: its OID with the instance, and how its value is read from a model."""

    oid: Oid
    value: Value


class Mib:
    """The objects of one shape, sorted. Finding one costs a dictionary look-up, its successor an addition."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Sort the entries.

        Raises:
            ValueError: two entries have the same OID.
        """
        ordered = sorted(entries, key=lambda entry: entry.oid)
        self.oids = [entry.oid for entry in ordered]
        self.values = [entry.value for entry in ordered]
        self.names = [object_id(entry.oid) for entry in ordered]
        self.index = {name: at for at, name in enumerate(self.names)}
        if len(self.index) != len(ordered):
            raise ValueError("two objects with one OID")

    def after(self, oid: Oid) -> int:
        """Return the position of the first object behind `oid`; the number of objects where there is none."""
        return bisect_right(self.oids, oid)
