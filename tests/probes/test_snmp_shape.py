"""Tables that devices of one kind share: the second is asked as the first, and whatever differs is found out at once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from config.profile import Step
from config.secret import Secret
from config.site import Device, SnmpCredentials
from kit.hostile_snmp import SITE, HostileAgent, asking, device, hostile, table_step
from probes.net import Net
from probes.reason import Reason
from probes.snmp import ber
from probes.snmp.message import Message
from probes.snmp.table import TableQuestion, compile_table
from probes.walkfile import Cell, Recording

IF, IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"


def step() -> Step:
    """A step of its own for each test: what is shared is shared by step."""
    return table_step(
        {"oid": f"{IF}.8", "type": "integer", "metric": "up", "ones": [1], "zeros": [2], "none": [4]},
        {"oid": f"{IF}.14", "type": "counter", "metric": "errors_total"},
        label="interface",
        names=[f"{IFX}.1", f"{IF}.2"],
    )


def ports(names: Sequence[str], *, errors: bool = True, up: int = 1) -> Recording:
    objects: dict[str, Cell] = {"1.3.6.1.2.1.99.1.0": (ber.INTEGER, b"\x01")}
    for index, name in enumerate(names, 1):
        objects[f"{IFX}.1.{index}"] = (ber.OCTET_STRING, name.encode())
        objects[f"{IF}.2.{index}"] = (ber.OCTET_STRING, b"descr")
        objects[f"{IF}.8.{index}"] = (ber.INTEGER, ber.integer(up))
        if errors:
            objects[f"{IF}.14.{index}"] = (ber.COUNTER32, ber.integer(100 + index))
    return Recording(objects)


CREDENTIALS = SnmpCredentials("2c", Secret("public", "file:/test"))


def named(name: str, port: int) -> Device:
    return replace(device(port, CREDENTIALS), name=name)


class Changing:
    """A recording that a test replaces."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    def __call__(self, request: Message, data: bytes, count: int) -> list[bytes]:
        answer = self.recording.answer(data)
        return [answer] if answer else []


class Fleet:
    """Devices, each with an agent of its own, all asked by one step."""

    def __init__(self, net: Net, stack: contextlib.AsyncExitStack) -> None:
        self._net, self._stack, self._step = net, stack, step()

    async def add(self, name: str, recording: Recording | Changing) -> tuple[TableQuestion, HostileAgent]:
        behave = recording if isinstance(recording, Changing) else Changing(recording)
        agent = await self._stack.enter_async_context(hostile(behave))
        question = compile_table(SITE, named(name, agent.port), self._step)
        assert isinstance(question, TableQuestion)
        return question, agent

    async def ask(self, question: TableQuestion) -> dict[str, float]:
        outcome = await question.ask(self._net, 2)
        assert outcome.reason is Reason.OK
        keys = outcome.keys.decode().split("\n")
        assert all(f'device="{name}"' in key for key in keys for name in [question.recorder._labels["device"]])
        rows = ["{} {}".format(key.partition("{")[0], key.split('interface="')[1].split('"')[0]) for key in keys]
        return dict(zip(rows, outcome.values, strict=True))


@pytest.fixture
async def fleet() -> AsyncIterator[Fleet]:
    async with asking() as net, contextlib.AsyncExitStack() as stack:
        yield Fleet(net, stack)


def values(names: Sequence[str], up: float = 1.0, errors: bool = True) -> dict[str, float]:
    found = {f"up {name}": up for name in names}
    return found | ({f"errors_total {name}": 100.0 + n for n, name in enumerate(names, 1)} if errors else {})


NAMES = [f"Gi1/0/{number}" for number in range(1, 11)]


async def test_the_second_of_a_kind_is_asked_once_and_never_walked(fleet: Fleet) -> None:
    first, _ = await fleet.add("a", ports(NAMES))
    for _ in range(3):
        assert await fleet.ask(first) == values(NAMES)
    second, agent = await fleet.add("b", ports(NAMES, up=2))
    assert await fleet.ask(second) == values(NAMES, up=0.0)
    assert len(agent.requests) == 1
    assert second._learned is first._learned
    assert second.recorder.layout.identity is first.recorder.layout.identity


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        (ports(NAMES[:4]), values(NAMES[:4])),
        (ports([*NAMES, "Gi1/0/11"]), values([*NAMES, "Gi1/0/11"])),
        (ports(["Te1/1/1", *NAMES[1:]]), values(["Te1/1/1", *NAMES[1:]])),
        (ports(NAMES, up=4), {name: value for name, value in values(NAMES).items() if name.startswith("errors")}),
        (ports(NAMES, errors=False), values(NAMES, errors=False)),
    ],
    ids=["fewer rows", "more rows", "another name", "values without a meaning", "a column less"],
)
async def test_what_differs_is_found_out(fleet: Fleet, recording: Recording, expected: dict[str, float]) -> None:
    first, _ = await fleet.add("a", ports(NAMES))
    for _ in range(3):
        await fleet.ask(first)
    other, _ = await fleet.add("b", recording)
    for _ in range(3):
        assert await fleet.ask(other) == expected
    assert await fleet.ask(first) == values(NAMES)


async def test_a_device_that_lacks_a_column_teaches_nobody(fleet: Fleet) -> None:
    poor, _ = await fleet.add("a", ports(NAMES, errors=False))
    for _ in range(4):
        assert await fleet.ask(poor) == values(NAMES, errors=False)
    rich, _ = await fleet.add("b", ports(NAMES))
    assert await fleet.ask(rich) == values(NAMES)


async def test_a_change_on_one_device_is_its_own(fleet: Fleet) -> None:
    recording = Changing(ports(NAMES))
    first, _ = await fleet.add("a", ports(NAMES))
    second, _ = await fleet.add("b", recording)
    for question in (first, first, second):
        assert await fleet.ask(question) == values(NAMES)
    recording.recording = ports(["renamed", *NAMES[1:]])
    for _ in range(3):
        assert await fleet.ask(second) == values(["renamed", *NAMES[1:]])
        assert await fleet.ask(first) == values(NAMES)


async def test_shapes_are_kept_only_while_they_are_used(fleet: Fleet) -> None:
    recording = Changing(ports(NAMES))
    question, _ = await fleet.add("a", recording)
    for number in range(5):
        recording.recording = ports([f"name {number}", *NAMES[1:]])
        for _ in range(3):
            await fleet.ask(question)
    assert len(question._shapes._used) == 1


async def test_what_cannot_be_asked_by_shape_costs_no_answer(fleet: Fleet) -> None:
    first, _ = await fleet.add("a", ports(NAMES))
    for _ in range(3):
        await fleet.ask(first)
    seen: list[Any] = []
    recording = ports(NAMES)

    def behave(request: Message, data: bytes, count: int) -> list[bytes]:
        seen.append(request.pdu.error_index)
        answer = recording.answer(data) if request.pdu.error_index <= 6 else None
        return [answer] if answer else []

    async with hostile(behave) as agent:
        weak = compile_table(SITE, named("weak", agent.port), fleet._step)
        assert isinstance(weak, TableQuestion)
        assert await fleet.ask(weak) == values(NAMES)
