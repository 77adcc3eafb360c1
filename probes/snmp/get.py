"""Objects of one device asked with GET: compiled once, each object judged for itself. Never walks.

An object that the device does not have, or that is not of its type, is left out with its reason; it never becomes 0 and
never takes the others with it. A request that is too big is split, an object that makes a device refuse the whole request
is asked without, and both are remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from config.profile import Step
from config.site import Device, Site
from probes.labels import base_labels
from probes.outcome import Outcome, Question
from probes.reason import Reason
from probes.snmp import ber, message
from probes.snmp.exchange import Exchange
from probes.snmp.measure import Measure, ObjectOptions, StepOptions, alternatives, check_objects, read_options
from probes.snmp.message import Pdu
from probes.snmp.plan import GetPlan, shared_plan
from probes.snmp.record import Objects, Raw, Reading, Recorder
from probes.snmp.target import Target
from probes.text import DETAIL, clean

if TYPE_CHECKING:
    from probes.net import Net

RECHECK_S = 300.0  # how long an object that a device never had is not asked for
_REFUSALS = (message.NO_SUCH_NAME, message.GEN_ERR, 6, 16)  # of one object: noSuchName, genErr, noAccess, authorizationError


class GetOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The options of an `snmp_get` step."""

    objects: tuple[ObjectOptions, ...]
    optional: bool = False


def compile_get(site: Site, device: Device, step: Step) -> Question:
    """Return the question of an `snmp_get` step.

    Its options: `objects` (described in `probes.snmp.measure`), `optional` (a device that has none of them is no failure).

    Raises:
        OptionError: an option is wrong or the device has no SNMP credentials.
    """
    options, objects = _objects(StepOptions(step))
    return GetQuestion(Target(device), Recorder(objects, base_labels(site, device)), optional=options.optional)


@lru_cache(maxsize=512)
def _objects(key: StepOptions) -> tuple[GetOptions, Objects]:
    """Return what a step's options mean, made once for all devices that are asked it. Raises OptionError."""
    options = read_options(key.step, GetOptions)
    check_objects(options.objects, "objects")
    return options, Objects([[Measure(item) for item in alternatives(top)] for top in options.objects])


class GetQuestion:
    """What an `snmp_get` step asks of one device. Costs 8 us besides the engine for four objects."""

    def __init__(self, target: Target, recorder: Recorder, *, optional: bool = False) -> None:
        self._target = target
        self._optional = optional
        self._recorder = recorder
        self._names = recorder.objects.encoded
        self._had: set[int] = set()  # slots that were answered once: these are always asked for
        self._lacks: dict[int, float] = {}  # slots that never were -> when to ask again
        self._parts: list[GetPlan] = []
        self._everything()

    def _everything(self) -> None:
        self._plan([tuple(range(len(self._names)))])

    def _plan(self, parts: Sequence[Sequence[int]]) -> None:
        self._parts = [shared_plan(self._target.session, self._names, tuple(slots)) for slots in parts if slots]

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        """Ask, and return within `timeout_s` seconds in all."""
        engine = net.snmp
        deadline = engine.loop.time() + timeout_s
        address = await self._target.address(net, timeout_s)
        if address is None:
            return Outcome(Reason.RESOLVE, engine.clock.now())
        if self._lacks and min(self._lacks.values()) < engine.loop.time():
            self._lacks.clear()
            self._everything()
        talk = _Conversation(self, net, address, deadline)
        failure = await talk.run()
        now = engine.loop.time()
        reading = self._recorder.read(talk.answered, now)
        if failure is None:
            self._remember(talk, now)
        reason, detail = _verdict(reading, failure, talk.lacking)
        if reason is Reason.NO_SUCH_OBJECT and self._optional:
            reason = Reason.OK
        facts = tuple(reading.facts)
        return Outcome(reason, engine.clock.now(), reading.keys, reading.values, detail, facts, rejected=talk.rejected)

    def _remember(self, talk: _Conversation, now: float) -> None:
        """Keep in mind what this device lacks, and how much it takes in one request."""
        if len(self._had) < len(self._names):
            self._had.update(slot for slot, raw in enumerate(talk.answered) if raw is not None and raw[0] not in ber.EXCEPTIONS)
        fresh = [slot for slot in talk.lacking if slot not in self._had and slot not in self._lacks]
        if (fresh or talk.split) and len(talk.lacking) < len(self._names):
            self._lacks.update(dict.fromkeys(fresh, now + RECHECK_S))
            self._plan([[slot for slot in plan.slots if slot not in self._lacks] for plan in talk.parts])


class _Conversation:
    """One asking of a GET question: usually one request and one answer."""

    def __init__(self, question: GetQuestion, net: Net, address: tuple[object, ...], deadline: float) -> None:
        self._question = question
        self._engine = net.snmp
        self._address = address
        self._deadline = deadline
        self.answered: list[Raw | None] = [None] * len(question._names)
        self.parts: list[GetPlan] = []  # how the objects were asked for in the end
        self.lacking: dict[int, Reason] = dict.fromkeys(question._lacks, Reason.NO_SUCH_OBJECT)
        self.split = False
        self.rejected: Mapping[str, int] = {}

    async def run(self) -> Exchange | str | None:
        """Ask every part; return None, or what ended it: a failed exchange or the name of an error status."""
        todo = list(reversed(self._question._parts))
        while todo:
            plan = todo.pop()
            left = self._deadline - self._engine.loop.time()
            exchange = await self._question._target.session.ask(
                self._engine, self._address, plan.prepared, plan.read, max(left, 0.001)
            )
            if exchange.rejected:
                self.rejected = {**self.rejected, **exchange.rejected}
            if exchange.reason is not Reason.OK:
                return exchange
            if isinstance(exchange.answer, Pdu):
                smaller = self._smaller(plan, exchange.answer)
                if smaller is None:
                    return message.error_name(exchange.answer.error_status)
                todo.extend(smaller)
            else:
                self._take(plan, exchange.answer)
        return None

    def _take(self, plan: GetPlan, values: object) -> None:
        assert isinstance(values, list)
        self.parts.append(plan)
        for slot, raw in zip(plan.slots, values, strict=True):
            self.answered[slot] = raw
            if raw[0] in ber.EXCEPTIONS:
                self.lacking[slot] = Reason.NO_SUCH_OBJECT

    def _smaller(self, plan: GetPlan, error: Pdu) -> list[GetPlan] | None:
        """Return what to ask instead after an error: without the object it names, or in two halves; None if nothing helps."""
        slots, index = plan.slots, error.error_index - 1
        if error.error_status == message.TOO_BIG and len(slots) > 1:
            middle = len(slots) // 2
            parts = [slots[:middle], slots[middle:]]
        elif error.error_status in _REFUSALS and 0 <= index < len(slots):
            known = error.error_status == message.NO_SUCH_NAME
            self.lacking[slots[index]] = Reason.NO_SUCH_OBJECT if known else Reason.ERROR_STATUS
            parts = [slots[:index] + slots[index + 1 :]]
        else:
            return None
        self.split = True
        return [shared_plan(self._question._target.session, self._question._names, part) for part in reversed(parts) if part]


def _verdict(reading: Reading, failure: Exchange | str | None, lacking: Mapping[int, Reason]) -> tuple[Reason, str]:
    """Return reason and detail: OK as soon as one object is answered, what is left out named in the detail."""
    if isinstance(failure, Exchange):
        return failure.reason or Reason.TIMEOUT, failure.detail
    if failure is not None:
        return Reason.ERROR_STATUS, failure
    if not reading.left_out:
        return Reason.OK, ""
    detail = clean(", ".join(f"{reason}: {oid}" for reason, oid in reading.left_out), DETAIL)
    if reading.values or reading.facts:
        return Reason.OK, detail
    reasons = {reason for reason, __ in reading.left_out}
    if Reason.WRONG_TYPE in reasons:
        return Reason.WRONG_TYPE, detail
    refused = lacking and set(lacking.values()) == {Reason.ERROR_STATUS}
    return (Reason.ERROR_STATUS if refused else Reason.NO_SUCH_OBJECT), detail
