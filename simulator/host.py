"""HOST-RESOURCES-MIB (RFC 2790) of simulated hosts: processor load, memory, disks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulator.mib import Entry, integer, object_id, octets, ticks

HR = (1, 3, 6, 1, 2, 1, 25)
STORAGE = (*HR, 2, 3, 1)
PROCESSOR_LOAD = (*HR, 3, 3, 1, 2)
TYPE_RAM, TYPE_FIXED_DISK = (*HR, 2, 1, 2), (*HR, 2, 1, 4)
UNIT_BYTES = 4096
MEMORY_UNITS = 4 << 30 >> 12
DISK_UNITS = 500 << 30 >> 12


@dataclass(slots=True)
class Load:
    """How busy a host is: ratios from 0 to 1, disks by mount point."""

    cpu: float = 0.1
    memory: float = 0.4
    disks: dict[str, float] = field(default_factory=dict)

    def disk(self, number: int) -> tuple[str, float]:
        """Return mount point and used ratio of a disk, numbered from 0."""
        return list(self.disks.items())[number]


def host_entries(disks: int) -> list[Entry]:
    """Return hrSystemUptime, one processor, memory as storage 1 and `disks` disks from storage 2 on."""
    entries = [
        Entry((*HR, 1, 1, 0), lambda m, now: ticks(m.uptime_ticks(now))),
        Entry((*PROCESSOR_LOAD, 1), lambda m, now: integer(round(m.load.cpu * 100))),
        Entry((*HR, 2, 2, 0), lambda m, now: integer(MEMORY_UNITS * UNIT_BYTES >> 10)),
        *_storage(1, TYPE_RAM, MEMORY_UNITS, lambda m: ("Physical memory", m.load.memory)),
    ]
    for number in range(disks):
        entries += _storage(number + 2, TYPE_FIXED_DISK, DISK_UNITS, lambda m, number=number: m.load.disk(number))
    return entries


def _storage(row: int, kind: tuple[int, ...], units: int, read: Any) -> list[Entry]:
    return [
        Entry((*STORAGE, 1, row), lambda m, now: integer(row)),
        Entry((*STORAGE, 2, row), lambda m, now: object_id(kind)),
        Entry((*STORAGE, 3, row), lambda m, now: octets(read(m)[0])),
        Entry((*STORAGE, 4, row), lambda m, now: integer(UNIT_BYTES)),
        Entry((*STORAGE, 5, row), lambda m, now: integer(units)),
        Entry((*STORAGE, 6, row), lambda m, now: integer(int(units * read(m)[1]))),
    ]
