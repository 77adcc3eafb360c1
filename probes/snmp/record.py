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
from probes.snmp.ber import EXCEPTIONS, NULL, WrongType
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
    """One measure, where its values stand among the answers, and its bit and keys in what came of it."""

    measure: Measure
    place: int
    others: tuple[int, ...]
    bit: int
    keys: tuple[bytes, ...]


class Recorder:
    """Turns the values of one device's objects into samples; `names` are the OIDs to ask for, each once.

    `groups` are measures with their alternatives: the first of a group that has a value is taken.
    """

    def __init__(self, groups: Sequence[Sequence[Measure]], labels: Mapping[str, str]) -> None:
        slots: dict[str, int] = {}
        self._uses: list[list[_Use]] = []
        bit = 1
        for group in groups:
            self._uses.append([])
            for measure in group:
                place = slots.setdefault(measure.options.oid, len(slots))
                others = tuple(slots.setdefault(oid, len(slots)) for oid in measure.extra)
                keys = tuple(series_key(metric, own) for metric, own in measure.series(labels))
                self._uses[-1].append(_Use(measure, place, others, bit, keys))
                bit <<= 1
        self.names = tuple(slots)
        self._uptime_bit = bit
        self._uptime_keys = (series_key("device_uptime_seconds", labels), series_key("device_reboots_total", labels))
        self._blobs: dict[int, bytes] = {}
        measures = [measure for group in groups for measure in group]
        self.tracker = UptimeTracker() if any(measure.options.uptime for measure in measures) else None

    def read(self, answered: Sequence[Raw | None], at_s: float) -> Reading:
        """Return what the values (one for each of `names`, None where there is none) come to at monotonic `at_s`."""
        reading = Reading()
        mask = 0
        for group in self._uses:
            mask |= self._first(group, answered, reading)
        if self.tracker is not None and reading.witnesses:
            reading.change = self.tracker.observe(Uptime(**reading.witnesses), at_s)
            reading.values += (self.tracker.uptime_s() or 0.0, float(self.tracker.reboots))
            mask |= self._uptime_bit
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
        keys = [key for group in self._uses for use in group if mask & use.bit for key in use.keys]
        if mask & self._uptime_bit:
            keys.extend(self._uptime_keys)
        if len(self._blobs) >= MAX_BLOBS:
            self._blobs.clear()
        return self._blobs.setdefault(mask, b"\n".join(keys))


def _decode(measure: Measure, answer: Raw | None) -> Decoded:
    if answer is None or answer[0] in _ABSENT:
        raise Absent
    return kind.decode(measure.kind, *answer)
