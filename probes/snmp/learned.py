"""A table whose answers are known: from matched pages to samples column by column, at C speed. Never asks, never decodes.

Made after a walk that went well; good for as long as every answer has the same names, types and row names.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Self

from probes.snmp import ber
from probes.snmp.measure import Measure
from probes.snmp.page import Page
from probes.snmp.rows import Columns, TableReading, TableRecorder
from probes.snmp.talk import Step

_MOST = {ber.COUNTER32: 1 << 32, ber.GAUGE32: 1 << 32, ber.COUNTER64: 1 << 64, ber.INTEGER: 0x80}
"""Below what a number read as unsigned is sure to be the value; an INTEGER beyond one positive byte may be negative."""

Values = Sequence[int | None]


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the values of one measure stand: its column, its tag, and which of the column's rows count."""

    measure: Measure
    column: int
    below: int


class Learned:
    """What the pages of a walk hold. `spans` says for each page and column how many of its rows are the table's."""

    def __init__(self, pages: Sequence[Page], spans: Sequence[Sequence[int]], columns: int) -> None:
        self.pages = tuple(pages)
        self._spans = spans
        self._columns = columns
        self._sources: list[_Source] = []
        self._constants: dict[int, Values] = {}

    @classmethod
    def of(cls, steps: Sequence[Step], bases: Sequence[bytes]) -> Self:
        """Return what a walk over columns of these OIDs (content bytes) taught."""
        pages = [Page(step.ask, step.prepared, step.pdu.varbinds) for step in steps]
        return cls(pages, [_spans(step, bases) for step in steps], len(bases))

    @property
    def signature(self) -> Hashable:
        """Return what two tables with the same way of asking have in common."""
        constants = tuple((column, tuple(values)) for column, values in self._constants.items())
        return tuple(page.signature for page in self.pages), tuple(map(tuple, self._spans)), constants

    def matches(self, answers: Sequence[Values]) -> bool:
        """Return whether the rows are still called the same."""
        found = self.gather(answers)
        return all(found[column] == known for column, known in self._constants.items())

    def gather(self, answers: Sequence[Values]) -> list[list[int | None]]:
        """Return the values of each column, rows in order."""
        found: list[list[int | None]] = [[] for _ in range(self._columns)]
        for page, spans, values in zip(self.pages, self._spans, answers, strict=True):
            width = len(page.ask.columns)
            for place, (column, count) in enumerate(zip(page.ask.columns, spans, strict=True)):
                if count:
                    found[column] += values[place : count * width : width]
        return found

    def bind(self, recorder: TableRecorder, oids: Sequence[str], columns: Columns, answers: Sequence[Values]) -> bool:
        """Tie the measures of a recorder to columns; False if one of them cannot be read column by column."""
        found = self.gather(answers)
        rows = len(recorder.layout.indices)
        self._constants = {column: found[column] for column, oid in enumerate(oids) if oid in recorder.constants}
        for group in recorder.groups:
            source = _source(group, oids, columns)
            if source is None or len(found[source.column]) != rows:
                return False
            self._sources.append(source)
        return recorder.filter is None and rows > 0

    def read(self, recorder: TableRecorder, answers: Sequence[Values]) -> TableReading | None:
        """Return the samples; None if a row has another name or a value needs a closer look."""
        found = self.gather(answers)
        if any(found[column] != known for column, known in self._constants.items()):
            return None
        values: list[float | None] = []
        for source in self._sources:
            column = _samples(source, found[source.column])
            if column is None:
                return None
            values += column
        return recorder.compact(values, TableReading())


def _spans(step: Step, bases: Sequence[bytes]) -> list[int]:
    """Return for each column of an answer how many of its cells, from the first, are the column's own."""
    width = len(step.ask.columns)
    spans = []
    for place, column in enumerate(step.ask.columns):
        own = [
            name.startswith(bases[column]) and tag not in ber.EXCEPTIONS for name, tag, __ in step.pdu.varbinds[place::width]
        ]
        spans.append(own.index(False) if False in own else len(own))
    return spans


def _source(group: Sequence[Measure], oids: Sequence[str], columns: Columns) -> _Source | None:
    """Return where a group's values stand, if one column of one type holds all of them."""
    filled = [measure for measure in group if columns.get(measure.options.oid)]
    if len(filled) != 1 or not filled[0].plain:
        return None
    oid = filled[0].options.oid
    tags = {tag for tag, __ in columns[oid].values()}
    tag = next(iter(tags))
    if len(tags) != 1 or tag not in filled[0].kind:
        return None
    return _Source(filled[0], oids.index(oid), _MOST[tag])


def _samples(source: _Source, values: Values) -> list[float | None] | None:
    if None in values or max(values) >= source.below:  # type: ignore[type-var, operator]
        return None
    options = source.measure.options
    numbers: list[int] = values  # type: ignore[assignment]
    if source.measure.is_flag:
        table = source.measure.flags
        return [table[number] for number in numbers] if table.keys() >= set(numbers) else None
    if options.none and not set(options.none).isdisjoint(numbers):
        return None
    scale, offset = options.scale, options.offset
    if scale == 1.0 and offset == 0.0:
        return list(map(float, numbers))
    return [number * scale + offset for number in numbers]
