"""The interfaces of a simulated device (IF-MIB, RFC 2863): states, and counters that are functions of time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from simulator.mib import Entry, counter32, counter64, gauge32, integer, octets, ticks

IF_NUMBER = (1, 3, 6, 1, 2, 1, 2, 1, 0)
IF_ENTRY = (1, 3, 6, 1, 2, 1, 2, 2, 1)
IFX_ENTRY = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
UP, DOWN = 1, 2
MEGABITS = 1000
MEAN_FRAME = 700


@dataclass(slots=True)
class PortState:
    """What makes one port differ from a port that has been up since the device started."""

    up: bool = True
    admin_up: bool = True
    changed_at: float = 0.0
    idle_s: float = 0.0  # seconds without traffic before `changed_at`
    errors_per_s: float = 0.0
    errors_since: float = 0.0


class Interfaces:
    """The ports of one device, by index from 1. Only ports that differ from the usual take memory."""

    def __init__(self, names: tuple[str, ...], booted: float, seed: int, unused: int = 0) -> None:
        """Make ports that are all up, save the last `unused` ones, which are administratively down."""
        self.names = names
        self.count = len(names)
        self._booted = booted
        self._seed = seed
        self._changed: dict[int, PortState] = {}
        for index in range(self.count - unused + 1, self.count + 1):
            self._changed[index] = PortState(up=False, admin_up=False, changed_at=booted)

    def index_of(self, name: str) -> int | None:
        """Return the ifIndex of the port with this name, or None."""
        return self.names.index(name) + 1 if name in self.names else None

    def restart(self, now: float) -> None:
        """Begin all counters at zero, as a reboot does; links keep their states."""
        self._booted = now
        for state in self._changed.values():
            state.changed_at, state.idle_s, state.errors_since = now, 0.0, now

    def set_link(self, index: int, up: bool, now: float) -> None:
        """Bring the link of a port up or down; traffic stops while it is down."""
        state = self._changed.setdefault(index, PortState(changed_at=self._booted))
        if state.up == up:
            return
        if up:
            state.idle_s += now - state.changed_at
        state.up, state.changed_at = up, now

    def set_errors(self, index: int, per_second: float, now: float) -> None:
        """Let a port count receive errors at this rate from now on."""
        state = self._changed.setdefault(index, PortState(changed_at=self._booted))
        state.errors_per_s, state.errors_since = per_second, now

    def is_up(self, index: int) -> bool:
        """Return whether the link of a port is up."""
        state = self._changed.get(index)
        return state is None or state.up

    def rate(self, index: int) -> int:
        """Return the bytes per second that a port receives while it is up; constant for each port, 2 kB/s to 2 MB/s."""
        return 2_000 + (self._seed ^ index * 2_654_435_761) % 2_000_000

    def busy_s(self, index: int, now: float) -> float:
        """Return for how many seconds a port has carried traffic since the device started."""
        state = self._changed.get(index)
        if state is None:
            return now - self._booted
        return (now if state.up else state.changed_at) - self._booted - state.idle_s

    def received(self, index: int, now: float) -> int:
        """Return bytes received."""
        return int(self.rate(index) * self.busy_s(index, now))

    def sent(self, index: int, now: float) -> int:
        """Return bytes sent."""
        return int(self.rate(index) * 3 * self.busy_s(index, now))

    def errors(self, index: int, now: float) -> int:
        """Return frames received with errors."""
        state = self._changed.get(index)
        return 0 if state is None else int(state.errors_per_s * max(0.0, now - state.errors_since))

    def oper_status(self, index: int) -> int:
        """Return ifOperStatus."""
        return UP if self.is_up(index) else DOWN

    def admin_status(self, index: int) -> int:
        """Return ifAdminStatus."""
        state = self._changed.get(index)
        return UP if state is None or state.admin_up else DOWN

    def last_change(self, index: int) -> int:
        """Return ifLastChange in hundredths of a second of sysUpTime."""
        state = self._changed.get(index)
        return 0 if state is None else int((state.changed_at - self._booted) * 100)

    def physical_address(self, index: int) -> bytes:
        """Return a locally administered MAC address."""
        return bytes((0x02,)) + (self._seed & 0xFFFF_FFFF).to_bytes(4, "big") + bytes((index & 0xFF,))


Read = Callable[[Interfaces, int, float], bytes]


def _packets(total: int) -> int:
    return total // MEAN_FRAME


_COLUMNS: tuple[tuple[tuple[int, ...], Read], ...] = (
    ((*IF_ENTRY, 1), lambda s, i, now: integer(i)),
    ((*IF_ENTRY, 2), lambda s, i, now: octets(s.names[i - 1])),
    ((*IF_ENTRY, 3), lambda s, i, now: integer(6)),
    ((*IF_ENTRY, 4), lambda s, i, now: integer(1500)),
    ((*IF_ENTRY, 5), lambda s, i, now: gauge32(MEGABITS * 1_000_000)),
    ((*IF_ENTRY, 6), lambda s, i, now: octets(s.physical_address(i))),
    ((*IF_ENTRY, 7), lambda s, i, now: integer(s.admin_status(i))),
    ((*IF_ENTRY, 8), lambda s, i, now: integer(s.oper_status(i))),
    ((*IF_ENTRY, 9), lambda s, i, now: ticks(s.last_change(i))),
    ((*IF_ENTRY, 10), lambda s, i, now: counter32(s.received(i, now))),
    ((*IF_ENTRY, 11), lambda s, i, now: counter32(_packets(s.received(i, now)))),
    ((*IF_ENTRY, 13), lambda s, i, now: counter32(0)),
    ((*IF_ENTRY, 14), lambda s, i, now: counter32(s.errors(i, now))),
    ((*IF_ENTRY, 16), lambda s, i, now: counter32(s.sent(i, now))),
    ((*IF_ENTRY, 17), lambda s, i, now: counter32(_packets(s.sent(i, now)))),
    ((*IF_ENTRY, 19), lambda s, i, now: counter32(0)),
    ((*IF_ENTRY, 20), lambda s, i, now: counter32(0)),
    ((*IFX_ENTRY, 1), lambda s, i, now: octets(s.names[i - 1])),
    ((*IFX_ENTRY, 6), lambda s, i, now: counter64(s.received(i, now))),
    ((*IFX_ENTRY, 7), lambda s, i, now: counter64(_packets(s.received(i, now)))),
    ((*IFX_ENTRY, 8), lambda s, i, now: counter64(0)),
    ((*IFX_ENTRY, 9), lambda s, i, now: counter64(0)),
    ((*IFX_ENTRY, 10), lambda s, i, now: counter64(s.sent(i, now))),
    ((*IFX_ENTRY, 11), lambda s, i, now: counter64(_packets(s.sent(i, now)))),
    ((*IFX_ENTRY, 15), lambda s, i, now: gauge32(MEGABITS)),
    ((*IFX_ENTRY, 17), lambda s, i, now: integer(1)),
    ((*IFX_ENTRY, 18), lambda s, i, now: octets("")),
    ((*IFX_ENTRY, 19), lambda s, i, now: ticks(0)),
)


def _cell(column: tuple[int, ...], read: Read, index: int) -> Entry:
    def value(model: Any, now: float) -> bytes:
        return read(model.interfaces, index, now)

    return Entry((*column, index), value)


def interface_entries(count: int) -> list[Entry]:
    """Return ifNumber and the cells of ifTable and ifXTable for `count` ports."""
    cells = [_cell(column, read, index) for column, read in _COLUMNS for index in range(1, count + 1)]
    return [Entry(IF_NUMBER, lambda m, now: integer(m.interfaces.count)), *cells]
