"""What one object of a profile becomes: a number with scale, a flag, a set of states, a fact. Read from options, then pure.

An object of a step's options::

    {oid: 1.3.6.1.2.1.33.1.2.3.0, metric: ups_battery_runtime_seconds, type: gauge, scale: 60, none: [-1]}
    {oid: 1.3.6.1.2.1.2.2.1.8, metric: interface_up, type: integer, ones: [1], zeros: [2, 3, 5, 6, 7], none: [4]}
    {oid: 1.3.6.1.2.1.33.1.4.1.0, metric: ups_output_source, label: source, states: {normal: 3, battery: 5}}
    {oid: 1.3.6.1.2.1.1.5.0, type: string, fact: sys_name}

`plus` adds further objects, `over` divides by one, `invert` gives 1 - value, `bit` reads one bit of a bit string (most
significant first), `else` is asked where a device does not have the first. `none` lists values that mean "no value".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from config.language import _
from config.profile import Step
from probes.snmp import ber
from probes.snmp.ber import WrongType
from probes.snmp.kind import KINDS, NUMBERS, PLAIN, Decoded
from probes.step import OptionError

Number = int | float
WITNESSES = ("sys", "engine", "boots", "host")


class ObjectOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"otherwise": "else", "kind": "type"}):
    """The keys of one object, as a profile writes them."""

    oid: str
    kind: str = "gauge"
    metric: str = ""
    fact: str = ""
    labels: dict[str, str] = {}
    scale: float = 1.0
    offset: float = 0.0
    ones: tuple[int, ...] = ()
    zeros: tuple[int, ...] = ()
    states: dict[str, int | tuple[int, ...]] = {}
    label: str = "state"
    bit: int | None = None
    none: tuple[float, ...] = ()
    plus: tuple[str, ...] = ()
    over: str = ""
    invert: bool = False
    uptime: str = ""
    otherwise: ObjectOptions | None = None


Model = TypeVar("Model", bound=msgspec.Struct)


def read_options(step: Step, model: type[Model]) -> Model:
    """Return the options of a step as a record; unknown keys are refused.

    Raises:
        OptionError: where, what, and what would be right.
    """
    try:
        return msgspec.convert(dict(step.options), model)
    except msgspec.ValidationError as error:
        text, __, place = str(error).partition(" - at ")
        raise OptionError(place.strip("`$."), text) from None


class StepOptions:
    """A step's options as a key of a cache: by identity, since all devices of a profile share them and they never change."""

    __slots__ = ("step",)

    def __init__(self, step: Step) -> None:
        self.step = step

    def __hash__(self) -> int:
        return id(self.step.options)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StepOptions) and self.step.options is other.step.options


def check_objects(objects: Sequence[ObjectOptions], key: str) -> None:
    """Refuse what types cannot: OIDs that are none, kinds that do not exist, objects without a use. Raises OptionError."""
    if not objects:
        raise OptionError(key, _("must list at least one object"))
    for place, item in enumerate(objects):
        _check(item, f"{key}[{place}]")


def alternatives(item: ObjectOptions) -> Iterator[ObjectOptions]:
    """Yield an object and what is asked where a device does not have it, best first."""
    at: ObjectOptions | None = item
    while at is not None:
        yield at
        at = at.otherwise


def _check(item: ObjectOptions, where: str) -> None:
    check_oids((item.oid, *item.plus, *([item.over] if item.over else [])), where)
    if item.kind not in KINDS:
        raise OptionError(f"{where}.type", _("must be one of {choices}").format(choices=", ".join(KINDS)))
    if item.uptime and item.uptime not in WITNESSES:
        raise OptionError(f"{where}.uptime", _("must be one of {choices}").format(choices=", ".join(WITNESSES)))
    if not (item.metric or item.fact or item.uptime):
        raise OptionError(where, _("needs a metric, a fact or uptime"))
    if item.metric and item.kind not in NUMBERS and item.bit is None:
        raise OptionError(f"{where}.type", _("a metric needs a number, not {kind}").format(kind=item.kind))
    if item.bit is not None and item.kind != "bits":
        raise OptionError(f"{where}.bit", _("needs type bits"))
    if item.otherwise is not None:
        _check(item.otherwise, f"{where}.else")


def check_oids(oids: Sequence[str], where: str) -> None:
    """Refuse what is no OID. Raises OptionError."""
    for oid in oids:
        try:
            ber.encode_oid(oid)
        except ValueError:
            raise OptionError(where, _("{oid} is not an object identifier").format(oid=oid)) from None


class Measure:
    """An object's options, ready to turn values into samples."""

    __slots__ = ("_flags", "_states", "extra", "flags", "kind", "options", "plain")

    def __init__(self, options: ObjectOptions) -> None:
        self.options = options
        self.kind = KINDS[options.kind]
        self.extra: tuple[str, ...] = (*options.plus, *([options.over] if options.over else []))
        self._flags = dict.fromkeys(options.zeros, 0.0) | dict.fromkeys(options.ones, 1.0)
        self.flags: dict[int, float | None] = dict(self._flags) | {int(value): None for value in options.none}
        self._states = [frozenset(v if isinstance(v, tuple) else (v,)) for v in options.states.values()]
        simple = not (self.extra or options.states or options.invert or options.fact or options.uptime)
        self.plain = simple and options.bit is None and options.kind in PLAIN  # may be read column-wise

    def series(self, labels: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
        """Return (metric, labels) of each sample this object gives, in the order of `samples`."""
        own = {**labels, **self.options.labels}
        if not self.options.metric:
            return []
        if not self._states:
            return [(self.options.metric, own)]
        return [(self.options.metric, {**own, self.options.label: name}) for name in self.options.states]

    def samples(self, value: Decoded, others: Sequence[Any]) -> tuple[float, ...] | None:
        """Return one number for each of `series`; None where the device says that it has no value.

        `others` are the values of `extra`, in its order.

        Raises:
            WrongType: a value that the object cannot have.
        """
        options = self.options
        if value in options.none:
            return None
        if options.bit is not None:
            return (_bit(value, options.bit),)
        if isinstance(value, str | bytes):
            raise WrongType("text")
        if self._flags:
            return (self.flag(value),)
        if self._states:
            return self._state(value)
        number = value if not self.extra and not options.invert else self._combine(value, others)
        return None if number is None else (number * options.scale + options.offset,)

    def flag(self, value: Number) -> float:
        """Return 1 or 0 for a value of an enumeration. Raises WrongType for one that the profile does not know."""
        found = self._flags.get(int(value))
        if found is None:
            raise WrongType(f"value {value}")
        return found

    @property
    def is_flag(self) -> bool:
        """Whether this object is an enumeration that becomes 0 or 1."""
        return bool(self._flags)

    def _state(self, value: Number) -> tuple[float, ...]:
        if not any(value in members for members in self._states):
            raise WrongType(f"value {value}")
        return tuple(float(value in members) for members in self._states)

    def _combine(self, value: Number, others: Sequence[Number]) -> Number | None:
        options = self.options
        number: Number = value + sum(others[: len(options.plus)])
        if options.over:
            whole = others[-1]
            if whole <= 0 or number < 0:
                return None
            number = number / whole
        return 1 - number if options.invert else number


def _bit(value: Decoded, bit: int) -> float:
    if not isinstance(value, bytes):
        raise WrongType("not bits")
    octet = value[bit // 8] if bit // 8 < len(value) else 0
    return float(octet >> (7 - bit % 8) & 1)
