"""Several columns of one table walked together: what to ask next, given what was answered. Pure; never asks.

Every question differs from the one before it: a column moves on, or fewer rows, fewer columns or GETNEXT are asked for. A
column that turns back ends there with what it gave; caps on rows and bytes end the walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from probes.reason import Reason
from probes.snmp import ber, message
from probes.snmp.message import Pdu, Varbind

MAX_ROWS = 50_000
MAX_BYTES = 8 << 20
MAX_REPETITIONS = 25
MOST_AT_ONCE = 400  # varbinds asked for in one request
_LESS = {25: 12, 12: 6, 6: 1}

Cell = tuple[int, bytes]  # tag and content


@dataclass(frozen=True, slots=True)
class Ask:
    """One question of a walk: these columns, after these names, so many rows (0: GETNEXT)."""

    columns: tuple[int, ...]
    heads: tuple[bytes, ...]
    repetitions: int

    @property
    def most(self) -> int:
        """How many varbinds an honest answer has at most."""
        return len(self.columns) * max(1, self.repetitions)


@dataclass(slots=True)
class Limits:
    """What an agent can take in one answer; kept between the walks of one device."""

    repetitions: int = MAX_REPETITIONS  # 0: GETNEXT only
    width: int = 64  # columns

    def less(self, columns: int) -> bool:
        """Ask for less than a question about so many columns from now on; False if it cannot be less."""
        if self.repetitions > 1:
            self.repetitions = _LESS.get(self.repetitions, self.repetitions // 2)
        elif self.repetitions == 1:
            self.repetitions = 0
        elif min(self.width, columns) > 1:
            self.width = min(self.width, columns) // 2
        else:
            return False
        return True


class _Column:
    __slots__ = ("base", "cells", "done", "last")

    def __init__(self, base: bytes) -> None:
        self.base = base
        self.cells: dict[bytes, Cell] = {}
        self.last: tuple[bytes, tuple[int, ...]] = (b"", ())
        self.done = False


class Walk:
    """The columns of one table, from first to last row. `bases` are the columns' OIDs as content bytes."""

    def __init__(self, bases: Sequence[bytes], limits: Limits, *, expected_rows: int = 0, max_rows: int = MAX_ROWS) -> None:
        """Begin a walk; `expected_rows` (0: unknown) keeps the last question from asking far beyond the table's end."""
        self.reason = Reason.OK
        self.detail = ""
        self._columns = [_Column(base) for base in bases]
        self._limits = limits
        self._expected = expected_rows
        self._rows_left = max_rows
        self._bytes_left = MAX_BYTES
        self._asked: Ask | None = None

    def cells(self, column: int) -> dict[bytes, Cell]:
        """Return the cells of a column by row index (as content bytes), in the order of the agent."""
        return self._columns[column].cells

    def next(self) -> Ask | None:
        """Return what to ask now; None at the end."""
        live = [number for number, column in enumerate(self._columns) if not column.done]
        if not live:
            return None
        width = max(1, min(self._limits.width, MOST_AT_ONCE // max(1, self._limits.repetitions)))
        if len(live) > width:
            live = sorted(sorted(live, key=lambda number: len(self._columns[number].cells))[:width])
        heads = tuple(self._columns[number].base + self._columns[number].last[0] for number in live)
        ask = Ask(tuple(live), heads, self._repetitions(live))
        if ask == self._asked:  # no agent may make us repeat ourselves
            self._stop(Reason.NOT_INCREASING if self.reason is Reason.OK else self.reason)
            return None
        self._asked = ask
        return ask

    def _repetitions(self, live: Sequence[int]) -> int:
        most = self._limits.repetitions
        ahead = self._expected - min(len(self._columns[number].cells) for number in live)
        return min(most, ahead + 1) if most and ahead >= 0 and self._expected else most

    def absorb(self, ask: Ask, pdu: Pdu, size: int) -> None:
        """Take the answer to a question in; `size` is the datagram's, in bytes."""
        self._bytes_left -= size
        if pdu.error_status:
            self._error(ask, pdu)
        elif not pdu.varbinds:
            self._less(Reason.MALFORMED, "no varbinds")
        else:
            self._take(ask, pdu.varbinds)
        if self._rows_left <= 0 or self._bytes_left <= 0:
            self._stop(Reason.TOO_BIG, "rows" if self._rows_left <= 0 else "bytes")

    def ask_less(self) -> bool:
        """Ask for less than last time, after a timeout or an odd answer; False if that is not possible."""
        asked = self._asked
        while self._limits.less(len(asked.columns) if asked else 1):
            if asked is None or not asked.repetitions or self._limits.repetitions < asked.repetitions:
                return True  # a table known to be small was asked for fewer rows than the limit already
        return False

    def _take(self, ask: Ask, varbinds: Sequence[Varbind]) -> None:
        width = len(ask.columns)
        for place, number in enumerate(ask.columns):
            self._advance(self._columns[number], varbinds[place::width])
        if len(varbinds) < width:
            self._limits.width = max(1, len(varbinds))

    def _advance(self, column: _Column, varbinds: Sequence[Varbind]) -> None:
        """Add cells as long as they are this column's, and each after the one before."""
        base, last, cells = column.base, column.last, column.cells
        for name, tag, raw in varbinds:
            suffix = name[len(base) :]
            if tag in ber.EXCEPTIONS or not suffix or not name.startswith(base):
                column.done = True
                break
            try:
                index = ber.decode_index(suffix)
            except ber.Malformed:
                index = ()
            if index <= last[1]:
                column.done = True
                self.reason, self.detail = Reason.NOT_INCREASING, ber.decode_oid(base)
                break
            cells[suffix] = (tag, raw)
            last = (suffix, index)
            self._rows_left -= 1
        column.last = last

    def _error(self, ask: Ask, pdu: Pdu) -> None:
        place = pdu.error_index - 1
        ended = pdu.error_status == message.NO_SUCH_NAME and ask.repetitions == 0
        if ended and 0 <= place < len(ask.columns):
            self._columns[ask.columns[place]].done = True  # v1 has no endOfMibView
        elif pdu.error_status == message.TOO_BIG:
            self._less(Reason.TOO_BIG, "tooBig")
        elif ask.repetitions or not 0 <= place < len(ask.columns):
            self._less(Reason.ERROR_STATUS, message.error_name(pdu.error_status))
        else:
            self._columns[ask.columns[place]].done = True
            self.reason, self.detail = Reason.ERROR_STATUS, message.error_name(pdu.error_status)

    def _less(self, reason: Reason, detail: str) -> None:
        if not self.ask_less():
            self._stop(reason, detail)

    def _stop(self, reason: Reason, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        for column in self._columns:
            column.done = True
