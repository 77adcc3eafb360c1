"""Tables of one device asked with GETBULK (GETNEXT for v1): all columns at once, in as few requests as the agent takes.

What was answered before something went wrong is kept, with the reason. How much an agent can take is remembered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from config.language import _
from config.profile import Step
from config.site import Device, Site
from probes.labels import base_labels
from probes.outcome import Outcome, Question
from probes.reason import Reason
from probes.snmp import ber, rows
from probes.snmp.learned import Learned
from probes.snmp.measure import Measure, ObjectOptions, StepOptions, alternatives, check_objects, check_oids, read_options
from probes.snmp.rows import Filter, TableReading, TableRecorder
from probes.snmp.shape import Shape, Shapes, shapes_of
from probes.snmp.talk import Step as TalkStep
from probes.snmp.talk import TableTalk
from probes.snmp.target import Target
from probes.snmp.walk import Limits
from probes.step import OptionError

if TYPE_CHECKING:
    from probes.net import Net

RECHECK_S = 3600.0  # how long columns that a device never had are not asked for
STRIKES = 3  # polls in a row that only smaller questions could save, before asking less becomes the rule


class FilterOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which rows count."""

    oid: str
    any_of: tuple[str | int, ...] = ()
    none_of: tuple[str | int, ...] = ()


class TableOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an `snmp_table` step."""

    columns: tuple[ObjectOptions, ...]
    label: str = "row"
    names: tuple[str, ...] = ()
    rows: FilterOptions | None = None
    max_rows: int = 50_000
    optional: bool = False


def compile_table(site: Site, device: Device, step: Step) -> Question:
    """Return the question of an `snmp_table` step.

    Its options: `columns` (objects as in `probes.snmp.measure`, OIDs of columns), `label` and `names` (the label that names a
    row and the columns its value comes from, best first), `rows` ({oid, any_of, none_of}: which rows count), `max_rows`,
    `optional` (a device without the table is no failure).

    Raises:
        OptionError: an option is wrong or the device has no SNMP credentials.
    """
    key, target = StepOptions(step), Target(device)
    options, groups, rows_that_count = _meaning(key)
    recorder = TableRecorder(groups, options.label, options.names, rows_that_count, base_labels(site, device))
    return TableQuestion(target, recorder, options, shapes_of(key, target.session))


@lru_cache(maxsize=512)
def _meaning(key: StepOptions) -> tuple[TableOptions, list[list[Measure]], Filter | None]:
    """Return what a step's options mean, made once for all devices that are asked it. Raises OptionError."""
    options = read_options(key.step, TableOptions)
    check_objects(options.columns, "columns")
    check_oids(options.names, "names")
    groups = [[Measure(item) for item in alternatives(top)] for top in options.columns]
    for place, group in enumerate(groups):
        if any(one.series({}) != group[0].series({}) for one in group):
            raise OptionError(f"columns[{place}].else", _("must have the metric and labels of what it stands for"))
    return options, groups, _filter(options.rows)


def _filter(options: FilterOptions | None) -> Filter | None:
    if options is None:
        return None
    check_oids((options.oid,), "rows.oid")
    return Filter(options.oid, frozenset(map(str, options.any_of)), frozenset(map(str, options.none_of)))


class TableQuestion:
    """What an `snmp_table` step asks of one device. An unchanged table of 52 rows and 9 columns costs 0.3 ms."""

    def __init__(self, target: Target, recorder: TableRecorder, options: TableOptions, shapes: Shapes) -> None:
        self.target = target
        self.recorder = recorder
        self.limits = Limits(0) if target.version == "1" else Limits()
        self._options = options
        self._shapes = shapes
        self._oids: list[str] = []
        self._useless: set[str] = set()
        self._recheck_at = 0.0
        self._strikes = 0
        self._expected_rows = 0
        self._learned: Learned | None = None
        self._shape: Shape | None = None  # where `_learned` is from, if other devices have it too

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        """Ask, and return within `timeout_s` seconds in all."""
        engine = net.snmp
        began = engine.loop.time()
        address = await self.target.address(net, timeout_s)
        if address is None:
            return Outcome(Reason.RESOLVE, engine.clock.now())
        talk = TableTalk(self.target.session, engine, address, began + timeout_s, timeout_s)
        reading = None
        if began >= self._recheck_at:
            first = not self._recheck_at
            self._recheck_at = began + RECHECK_S * (0.75 + hash(address) % 512 / 1024)  # not of all devices at once
            self._look_anew()
            reading = await self._try_shape(talk) if first else None
        if reading is None and self._learned is not None:
            reading = await self._repeat(talk)
        if reading is None:
            reading = await self._explore(talk)
        return self._outcome(reading, talk, engine.clock.now())

    def _look_anew(self) -> None:
        """Have every column asked for again that this device may have got in the meantime."""
        primary = self._primary()
        if self._useless or set(self._oids) != set(primary):
            self._useless.clear()
            self._oids, self._learned, self._shape = primary, None, None

    async def _try_shape(self, talk: TableTalk) -> TableReading | None:
        """Ask as the last device of this kind is asked; None if something is different, as in `_repeat`."""
        shape = self._shapes.newest
        if shape is None:
            return None
        answers = await talk.pages(shape.learned.pages)
        if answers is not None and shape.learned.matches(answers):
            self.recorder.adopt(shape.layout)
            reading = shape.learned.read(self.recorder, answers)
            if reading is not None:
                self._learned, self._shape, self._expected_rows = shape.learned, shape, shape.rows
                return reading
        talk.undo_match()
        return None

    async def _repeat(self, talk: TableTalk) -> TableReading | None:
        """Ask the learned pages; None if something is different, then `talk` knows what was answered already."""
        learned = self._learned
        assert learned is not None
        answers = await talk.pages(learned.pages)
        reading = learned.read(self.recorder, answers) if answers is not None else None
        if reading is None:
            self._learned = self._shape = None
            talk.undo_match()
        return reading

    async def _explore(self, talk: TableTalk) -> TableReading:
        """Walk the columns, then those that some rows turn out to need."""
        limits = replace(self.limits)
        oids, expected = list(self._oids), self._expected_rows or self._shapes.rows
        columns = await talk.walk(oids, limits, expected, self._options.max_rows)
        more = self._lacking(columns)
        complete = not more
        while more and talk.reason is Reason.OK:
            columns |= await talk.walk(more, limits, expected, self._options.max_rows)
            oids += more
            more = self._lacking(columns)
        if talk.reason is not Reason.OK:
            return self.recorder.partial(columns)
        reading = self.recorder.record(columns)
        self._remember(talk, limits, oids, columns)
        if complete and reading.whole and talk.as_expected:
            self._learned = self._learn(talk.steps, oids, columns)
            self._share()
        return reading

    def _share(self) -> None:
        """Learn it together with the devices that have the same table; only what has every column is offered to others."""
        if self._learned is None or self._useless or set(self._oids) != set(self._primary()):
            return
        self._shape = self._shapes.share(self._learned, self.recorder.layout, self._expected_rows)
        if self._shape is not None:
            self._learned = self._shape.learned
            self.recorder.adopt(self._shape.layout)

    def _learn(self, steps: Sequence[TalkStep], oids: Sequence[str], columns: rows.Columns) -> Learned | None:
        learned = Learned.of(steps, [ber.encode_oid(oid) for oid in oids])
        answers = [step.values() for step in steps]
        return learned if learned.bind(self.recorder, oids, columns, answers) else None

    def _remember(self, talk: TableTalk, limits: Limits, oids: Sequence[str], columns: rows.Columns) -> None:
        if talk.timeouts and limits != self.limits:
            self._strikes += 1
        elif not talk.timeouts:
            self._strikes = 0
        if limits != self.limits and (not talk.timeouts or self._strikes >= STRIKES):
            self.limits = limits
        self._expected_rows = self._shapes.rows = max(map(len, columns.values()), default=0)
        self._useless.update(oid for oid in oids if not columns[oid])
        self._oids = [oid for oid in oids if columns[oid]] or self._primary()

    def _primary(self) -> list[str]:
        """Return the columns to begin with: of every alternative the best."""
        recorder = self.recorder
        wanted = [*recorder.names[:1], *([recorder.filter.oid] if recorder.filter else [])]
        for group in recorder.groups:
            wanted += [group[0].options.oid, *group[0].extra]
        return list(dict.fromkeys(wanted))

    def _lacking(self, columns: rows.Columns) -> list[str]:
        """Return columns not yet walked that rows without name or value need."""
        lists: list[list[tuple[str, ...]]] = [[(oid,) for oid in self.recorder.names]]
        lists += [[(one.options.oid, *one.extra) for one in group] for group in self.recorder.groups]
        indices = {index for column in columns.values() for index in column}
        wanted: list[str] = []
        for choices in lists:
            have = {index for oids in choices for index, cell in columns.get(oids[0], {}).items() if cell[1]}
            if not indices <= have:
                wanted += next((oids for oids in choices if not self._known(oids, columns)), ())
        return [oid for oid in dict.fromkeys(wanted) if oid not in columns and oid not in self._useless]

    def _known(self, oids: Sequence[str], columns: rows.Columns) -> bool:
        return oids[0] in columns or oids[0] in self._useless

    def _outcome(self, reading: TableReading, talk: TableTalk, at: int) -> Outcome:
        reason, notes = talk.reason, [talk.detail] if talk.detail else []
        if reason is Reason.OK and not reading.values and not reading.facts and not self._options.optional:
            reason = Reason.WRONG_TYPE if self.recorder.layout.indices and reading.notes else Reason.NO_SUCH_OBJECT
        detail = rows.detail([*notes, *reading.notes]) if notes or reading.notes else ""
        return Outcome(reason, at, reading.keys, reading.values, detail, reading.facts, rejected=talk.rejected)
