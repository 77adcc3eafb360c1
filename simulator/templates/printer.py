"""A printer: Printer-MIB (RFC 3805) supplies, cover and paper path, HOST-RESOURCES error bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from simulator.mib import Entry, counter32, integer, object_id, octets
from simulator.model import Act, Model
from simulator.spec import DeviceSpec, StepSpec

HR_DEVICE = (1, 3, 6, 1, 2, 1, 25, 3, 2, 1)
HR_PRINTER = (1, 3, 6, 1, 2, 1, 25, 3, 5, 1)
TYPE_PRINTER = (1, 3, 6, 1, 2, 1, 25, 3, 1, 5)
PRT = (1, 3, 6, 1, 2, 1, 43)
SUPPLIES = ("black toner", "cyan toner", "magenta toner", "yellow toner")
CAPACITY = 8000
LOW, EMPTY = 0.1, 0.0
LOW_TONER, NO_TONER, DOOR_OPEN, JAMMED = 0x20, 0x10, 0x08, 0x04
COVER_OPEN, COVER_CLOSED = 3, 4


class Printer(Model):
    """Supplies are ratios from 0 to 1 by name; cover and jam are states of their own."""

    product: ClassVar[str] = "colour laser printer"

    def __init__(self, spec: DeviceSpec, seed: int) -> None:
        """Make a printer that is ready, its supplies between a third and full."""
        super().__init__(spec, seed)
        self.supplies = {name: self.random.uniform(0.35, 1.0) for name in SUPPLIES}
        self.cover_open = False
        self.jammed = False
        self.pages = self.random.randrange(2000, 90000)

    @classmethod
    def parts(cls, spec: DeviceSpec, action: str) -> tuple[str, ...]:
        """Return the supplies."""
        return SUPPLIES

    def error_bits(self) -> bytes:
        """Return hrPrinterDetectedErrorState, first byte most significant bit first."""
        least = min(self.supplies.values())
        bits = (LOW_TONER if least < LOW else 0) | (NO_TONER if least <= EMPTY else 0)
        return bytes((bits | (DOOR_OPEN if self.cover_open else 0) | (JAMMED if self.jammed else 0), 0))

    def device_status(self) -> int:
        """Return hrDeviceStatus: running, warning or down."""
        stopped = self.cover_open or self.jammed or min(self.supplies.values()) <= EMPTY
        return 5 if stopped else 3 if any(self.error_bits()) else 2

    def entries(self) -> list[Entry]:
        """Return the MIB objects."""
        rows = [entry for number, name in enumerate(SUPPLIES, 1) for entry in _supply(number, name)]
        return [*super().entries(), *_device(), *rows]

    def _supply_level(self, step: StepSpec, now: float) -> None:
        self.supplies[step.part] = step.value

    def _open(self, step: StepSpec, now: float) -> None:
        self.cover_open = True

    def _close(self, step: StepSpec, now: float) -> None:
        self.cover_open = False

    def _jam(self, step: StepSpec, now: float) -> None:
        self.jammed = True

    def _clear(self, step: StepSpec, now: float) -> None:
        self.jammed = False

    actions: ClassVar[Mapping[str, Act]] = {
        "supply-level": _supply_level,
        "cover-opens": _open,
        "cover-closes": _close,
        "paper-jams": _jam,
        "paper-cleared": _clear,
    }


def _device() -> list[Entry]:
    return [
        Entry((*HR_DEVICE, 1, 1), lambda m, now: integer(1)),
        Entry((*HR_DEVICE, 2, 1), lambda m, now: object_id(TYPE_PRINTER)),
        Entry((*HR_DEVICE, 3, 1), lambda m, now: octets(m.product)),
        Entry((*HR_DEVICE, 5, 1), lambda m, now: integer(m.device_status())),
        Entry((*HR_PRINTER, 1, 1), lambda m, now: integer(3)),
        Entry((*HR_PRINTER, 2, 1), lambda m, now: octets(m.error_bits())),
        Entry((*PRT, 5, 1, 1, 16, 1), lambda m, now: octets(m.name)),
        Entry((*PRT, 5, 1, 1, 17, 1), lambda m, now: octets(m.serial)),
        Entry((*PRT, 6, 1, 1, 3, 1, 1), lambda m, now: integer(COVER_OPEN if m.cover_open else COVER_CLOSED)),
        Entry((*PRT, 10, 2, 1, 3, 1, 1), lambda m, now: integer(7)),
        Entry((*PRT, 10, 2, 1, 4, 1, 1), lambda m, now: counter32(m.pages)),
    ]


def _supply(number: int, name: str) -> list[Entry]:
    row = (1, number)
    return [
        Entry((*PRT, 11, 1, 1, 4, *row), lambda m, now: integer(3)),
        Entry((*PRT, 11, 1, 1, 5, *row), lambda m, now: integer(3)),
        Entry((*PRT, 11, 1, 1, 6, *row), lambda m, now: octets(name)),
        Entry((*PRT, 11, 1, 1, 7, *row), lambda m, now: integer(7)),
        Entry((*PRT, 11, 1, 1, 8, *row), lambda m, now: integer(CAPACITY)),
        Entry((*PRT, 11, 1, 1, 9, *row), lambda m, now: integer(round(CAPACITY * m.supplies[name]))),
    ]
