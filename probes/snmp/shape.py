"""The shapes of tables that devices of one kind share: what one device taught is tried on the next. Never asks, never decodes.

A hundred switches of one model have the same ports under the same names. Only a table that has every column of the profile is
shared: a device tried with it then is asked for all it could have. One that differs in anything is walked like the first.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from weakref import WeakValueDictionary

from probes.snmp.learned import Learned
from probes.snmp.measure import StepOptions
from probes.snmp.rows import Layout
from probes.snmp.target import Asker

MOST_ROWS = 1_000  # larger tables are hardly ever alike


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Shape:
    """How to ask for a table, and its rows; the layout's keys are nobody's."""

    learned: Learned
    layout: Layout
    rows: int


class Shapes:
    """The shapes of one table, as long as a device uses them: `newest` was learned last, `rows` were seen last."""

    def __init__(self) -> None:
        self.newest: Shape | None = None
        self.rows = 0
        self._used: WeakValueDictionary[Hashable, Shape] = WeakValueDictionary()

    def share(self, learned: Learned, layout: Layout, rows: int) -> Shape | None:
        """Return the shape that says the same, another device's or a new one; None for a table too large to share."""
        if rows > MOST_ROWS:
            return None
        says = learned.signature, layout.identity
        shape = self._used.get(says)
        if shape is None:
            shape = self._used[says] = Shape(learned, Layout(layout.indices, layout.identity, layout.names), rows)
        self.newest = shape
        return shape


@lru_cache(maxsize=4096)
def shapes_of(_options: StepOptions, _asker: Asker) -> Shapes:
    """Return the shapes of a step's table, for all devices that are asked it with the same credentials."""
    return Shapes()
