"""From the cells of a walked table to samples: rows joined by index, named by their own label, formatted once. Never asks.

Samples stand column by column. As long as the table has the same rows with the same names, the keys are the same object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from config.language import _
from probes.sample import series_key
from probes.snmp import ber, kind
from probes.snmp.ber import EXCEPTIONS, NULL, WrongType
from probes.snmp.measure import Measure
from probes.snmp.walk import Cell
from probes.text import DETAIL, LABEL, SYS_DESCR, clean

Columns = Mapping[str, Mapping[bytes, Cell]]  # OID of a column -> row index -> cell
_NAMED = 5  # rows named in a detail


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows count: those whose cell in a column is one of `any_of` (if given) and none of `none_of`."""

    oid: str
    any_of: frozenset[str] = frozenset()
    none_of: frozenset[str] = frozenset()

    def admits(self, cell: Cell | None) -> bool:
        """Whether a row with this cell counts. A row without it counts only where nothing particular is asked for."""
        text = "" if cell is None else _plain_text(cell)
        return (not self.any_of or text in self.any_of) and text not in self.none_of


@dataclass(frozen=True, slots=True)
class Layout:
    """The rows of a table as they were last: index and name of each, and the keys of all samples they can give."""

    indices: tuple[bytes, ...] = ()
    identity: tuple[object, ...] = ()
    names: tuple[str, ...] = ()
    keys: bytes = b""


@dataclass(slots=True)
class TableReading:
    """What one walk came to."""

    keys: bytes = b""
    values: Sequence[float] = ()
    facts: tuple[tuple[str, str], ...] = ()
    notes: list[str] = field(default_factory=list)  # rows gone, cut in half, of a wrong type
    whole: bool = True  # every row gave every sample


class TableRecorder:
    """Turns one device's table into samples. `groups` are measures with their alternatives, which share metric and labels."""

    def __init__(
        self,
        groups: Sequence[Sequence[Measure]],
        label: str,
        names: Sequence[str],
        rows: Filter | None,
        labels: Mapping[str, str],
    ) -> None:
        self.groups = groups
        self.label = label
        self.names = tuple(names)
        self.filter = rows
        self.layout = Layout()
        self._labels = labels
        self._partial: tuple[tuple[int, ...], bytes] = ((), b"")
        self._half: frozenset[str] = frozenset()

    def record(self, columns: Columns) -> TableReading:
        """Return the samples of all rows."""
        notes = self._lay_out(columns)
        reading = TableReading(notes=notes)
        wrong: set[str] = set()
        values: list[float | None] = []
        for group in self.groups:
            for index in self.layout.indices:
                values += self._cell(group, columns, index, wrong)
        reading.facts = self._facts(columns)
        notes += self._halves(values)
        if wrong:
            notes.append(_("wrong type: {oids}").format(oids=", ".join(sorted(wrong))))
        return self.compact(values, reading)

    def partial(self, columns: Columns) -> TableReading:
        """Return the samples of the rows that a walk cut short did name; what is known of the table stays as it was."""
        before = self.layout, self._half, self._partial
        named = {index for oid in self.names for index in columns.get(oid, ())}
        if self.names:
            columns = {oid: {index: cell for index, cell in cells.items() if index in named} for oid, cells in columns.items()}
        reading = self.record(columns)
        self.layout, self._half, self._partial = before
        reading.notes = []
        return reading

    def compact(self, values: Sequence[float | None], reading: TableReading) -> TableReading:
        """Leave out what has no value. Costs nothing while every row has all of them."""
        if None not in values:
            reading.keys, reading.values = self.layout.keys, values  # type: ignore[assignment]
            return reading
        reading.whole = False
        missing = tuple(place for place, value in enumerate(values) if value is None)
        if missing != self._partial[0] or not self._partial[1]:
            keys = self.layout.keys.split(b"\n")
            self._partial = missing, b"\n".join(key for key, value in zip(keys, values, strict=True) if value is not None)
        reading.keys, reading.values = self._partial[1], [value for value in values if value is not None]
        return reading

    def _lay_out(self, columns: Columns) -> list[str]:
        """Take the rows over; format their keys anew only if rows or names changed. Return what to tell of it."""
        indices = _rows(columns, [measure.options.oid for group in self.groups for measure in group])
        constants = [columns[oid] for oid in self.constants if oid in columns]
        identity = (indices, *(tuple(map(column.get, indices)) for column in constants))
        if identity == self.layout.identity:
            return []
        old = self.layout
        if self.filter is not None:
            cells = columns.get(self.filter.oid, {})
            indices = tuple(index for index in indices if self.filter.admits(cells.get(index)))
        names = self._row_names(columns, indices)
        self.layout = Layout(indices, identity, names, self._keys(names))
        self._partial = ((), b"")
        gone = [name for name in old.names if name not in set(names)]
        return [_("rows gone: {rows}").format(rows=_some(gone))] if gone else []

    def adopt(self, layout: Layout) -> None:
        """Have the rows of another device's table; the keys are formatted unless they are at hand."""
        if layout.identity != self.layout.identity:
            self._partial = ((), b"")
            keys = self._keys(layout.names)
        else:
            keys = self.layout.keys
        self.layout = Layout(layout.indices, layout.identity, layout.names, keys)

    def _keys(self, names: Sequence[str]) -> bytes:
        keys = [
            series_key(metric, own)
            for group in self.groups
            for name in names
            for metric, own in group[0].series({**self._labels, self.label: name})
        ]
        return b"\n".join(keys)

    @property
    def constants(self) -> tuple[str, ...]:
        """The columns that say what a row is, not how it is."""
        return (*self.names, *([self.filter.oid] if self.filter else []))

    def _row_names(self, columns: Columns, indices: Sequence[bytes]) -> tuple[str, ...]:
        """Return one name for each row, no two alike: of the first column that has one, else the index itself."""
        found = [self._row_name(columns, index) for index in indices]
        twice = {name for name in found if found.count(name) > 1} if len(set(found)) < len(found) else set()
        return tuple(f"{name}#{_dotted(index)}" if name in twice else name for name, index in zip(found, indices, strict=True))

    def _row_name(self, columns: Columns, index: bytes) -> str:
        for oid in self.names:
            cell = columns.get(oid, {}).get(index)
            name = "" if cell is None else _plain_text(cell)
            if name.strip():
                return name
        return _dotted(index)

    def _cell(self, group: Sequence[Measure], columns: Columns, index: bytes, wrong: set[str]) -> Sequence[float | None]:
        for measure in group:
            options = measure.options
            try:
                cell = _there(columns, options.oid, index)
                if cell is not None and options.metric:
                    others = [_there(columns, oid, index) for oid in measure.extra]
                    if None not in others:
                        more = [kind.decode(measure.kind, *other) for other in others if other]
                        samples = measure.samples(kind.decode(measure.kind, *cell), more)
                        if samples is not None:
                            return samples
            except WrongType:
                wrong.add(options.oid)
        return (None,) * len(group[0].series({}))

    def _facts(self, columns: Columns) -> tuple[tuple[str, str], ...]:
        """Return for each fact the first row's text that says something."""
        found: dict[str, str] = {}
        for group in self.groups:
            for measure in group:
                name = measure.options.fact
                for index in self.layout.indices if name and name not in found else ():
                    cell = columns.get(measure.options.oid, {}).get(index)
                    text = clean(cell[1].rstrip(b"\0 \r\n"), SYS_DESCR) if cell and cell[0] == ber.OCTET_STRING else ""
                    if text.strip():
                        found[name] = text
                        break
        return tuple(found.items())

    def _halves(self, values: Sequence[float | None]) -> list[str]:
        """Name the rows that lack some of their samples, when they begin to."""
        rows = len(self.layout.indices)
        if None not in values or not rows or any(len(group[0].series({})) != 1 for group in self.groups):
            return []
        half = frozenset(self.layout.names[place % rows] for place, value in enumerate(values) if value is None)
        fresh, self._half = half - self._half, half
        return [_("incomplete rows: {rows}").format(rows=_some(sorted(fresh)))] if fresh else []


def detail(notes: Sequence[str]) -> str:
    """Return notes as one bounded line."""
    return clean("; ".join(notes), DETAIL)


def _rows(columns: Columns, oids: Sequence[str]) -> tuple[bytes, ...]:
    """Return the indices of all rows, in the order of the first column, rows that only later columns have behind."""
    return tuple(dict.fromkeys(index for oid in oids for index in columns.get(oid, ())))


def _there(columns: Columns, oid: str, index: bytes) -> Cell | None:
    cell = columns.get(oid, {}).get(index)
    return None if cell is None or cell[0] in EXCEPTIONS or cell[0] == NULL else cell


def _plain_text(cell: Cell) -> str:
    tag, raw = cell
    if tag == ber.OCTET_STRING:
        return clean(raw.rstrip(b"\0 \r\n"), LABEL)
    try:
        value = ber.decode_value(tag, raw)
    except WrongType:
        return ""
    return "" if value is None else str(value)


def _dotted(index: bytes) -> str:
    return ".".join(map(str, ber.decode_index(index)))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" (+{len(names) - _NAMED})" if len(names) > _NAMED else "")
