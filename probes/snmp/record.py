"""From the answered values of a GET to samples and facts, each object for itself. Never asks.

The keys of the samples are formatted once; an answer with the same objects in it gets the same bytes object again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.counters import Change, Uptime, UptimeTracker
from probes.reason import Reason
from probes.sample import series_key
from probes.snmp import kind
from probes.snmp.ber import EXCEPTIONS, NULL, WrongType, encode_oid
from probes.snmp.kind import Decoded
from probes.snmp.measure import Measure
from probes.text import SYS_DESCR, clean

Raw = tuple[int, bytes]  # tag and content of a value
MAX_BLOBS = 256
_ABSENT = EXCEPTIONS | {NULL}


class Absent(Exception):
    """The device does not have one of the objects that a measure needs."""


class Reading:
    """What one answer holds: samples with their keys, facts, and what was left out by reason."""

    __slots__ = ("change", "facts", "keys", "left_out", "values", "witnesses")

    def __init__(self) -> None:
        self.keys = b""
        self.values: list[float] = []
        self.facts: list[tuple[str, str]] = []
        self.left_out: list[tuple[Reason, str]] = []
        self.witnesses: dict[str, Any] = {}
        self.change = Change.UNKNOWN


@dataclass(frozen=True, slots=True)
class _Use:
    """One measure, where its values stand among the answers, and its bit in what came of it."""

    measure: Measure
    place: int
    others: tuple[int, ...]
    bit: int


class Objects:
    """The objects of one step, the same for every device that is asked it. `names` are the OIDs to ask for, each once.

    `groups` are measures with their alternatives: the first of a group that has a value is taken.
    """

    __slots__ = ("encoded", "follow_uptime", "names", "uptime_bit", "uses")

    def __init__(self, groups: Sequence[Sequence[Measure]]) -> None:
        slots: dict[str, int] = {}
        self.uses: list[list[_Use]] = []
        bit = 1
        for group in groups:
            self.uses.append([])
            for measure in group:
                place = slots.setdefault(measure.options.oid, len(slots))
                others = tuple(slots.setdefault(oid, len(slots)) for oid in measure.extra)
                self.uses[-1].append(_Use(measure, place, others, bit))
                bit <<= 1
        self.names = tuple(slots)
        self.encoded = tuple(map(encode_oid, slots))
        self.uptime_bit = bit
        self.follow_uptime = any(measure.options.uptime for group in groups for measure in group)


class Recorder:
    """Turns the values of one device's objects into samples."""

    __slots__ = ("_blobs", "_labels", "objects", "tracker")

    def __init__(self, objects: Objects, labels: Mapping[str, str]) -> None:
        self.objects = objects
        self.tracker = UptimeTracker() if objects.follow_uptime else None
        self._labels = labels
        self._blobs: dict[int, bytes] = {}

    def read(self, answered: Sequence[Raw | None], at_s: float) -> Reading:
        """Return what the values (one for each of the objects' `names`, None for none) come to at monotonic `at_s`."""
        reading = Reading()
        mask = 0
        for group in self.objects.uses:
            mask |= self._first(group, answered, reading)
        if self.tracker is not None and reading.witnesses:
            reading.change = self.tracker.observe(Uptime(**reading.witnesses), at_s)
            reading.values += (self.tracker.uptime_s() or 0.0, float(self.tracker.reboots))
            mask |= self.objects.uptime_bit
        reading.keys = self._blobs.get(mask) or self._blob(mask)
        return reading

    def _first(self, group: Sequence[_Use], answered: Sequence[Raw | None], reading: Reading) -> int:
        """Take the first of a group that the device has; return its bit if it gave samples."""
        why: list[tuple[Reason, str]] = []
        for use in group:
            try:
                return self._take(use, answered, reading)
            except WrongType:
                why.append((Reason.WRONG_TYPE, use.measure.options.oid))
            except Absent:
                why.append((Reason.NO_SUCH_OBJECT, use.measure.options.oid))
        reading.left_out.append(min(why, key=lambda item: item[0] is not Reason.WRONG_TYPE))
        return 0

    def _take(self, use: _Use, answered: Sequence[Raw | None], reading: Reading) -> int:
        """Read one object. Raises WrongType, Absent."""
        measure, options = use.measure, use.measure.options
        value = _decode(measure, answered[use.place])
        if options.uptime and isinstance(value, int | float):
            reading.witnesses[options.uptime] = value
        if options.fact:
            text = clean(value if isinstance(value, bytes | str) else str(value), SYS_DESCR)
            if not text.strip():
                raise Absent
            reading.facts.append((options.fact, text))
        if not options.metric:
            return 0
        samples = measure.samples(value, [_decode(measure, answered[slot]) for slot in use.others] if use.others else ())
        if samples is None:
            return 0
        reading.values.extend(samples)
        return use.bit

    def _blob(self, mask: int) -> bytes:
        series = [
            one for group in self.objects.uses for use in group if mask & use.bit for one in use.measure.series(self._labels)
        ]
        if mask & self.objects.uptime_bit:
            series += [("device_uptime_seconds", dict(self._labels)), ("device_reboots_total", dict(self._labels))]
        if len(self._blobs) >= MAX_BLOBS:
            self._blobs.clear()
        return self._blobs.setdefault(mask, b"\n".join(series_key(metric, labels) for metric, labels in series))


def _decode(measure: Measure, answer: Raw | None) -> Decoded:
    if answer is None or answer[0] in _ABSENT:
        raise Absent
    return kind.decode(measure.kind, *answer)
