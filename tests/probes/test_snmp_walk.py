"""Tables of devices that turn back, never end, trickle, choke or change while read: rows kept, time and packets bounded."""

from __future__ import annotations

import asyncio
import itertools
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kit.hostile_snmp import SITE, asking, device, hostile, response, table_step
from probes.reason import Reason
from probes.snmp import ber, message
from probes.snmp.message import Message
from probes.snmp.table import compile_table
from probes.snmp.walk import Limits, Walk
from probes.walkfile import Cell, Recording

BASE = "1.3.6.1.2.1.2.2.1"
COLUMN = f"{BASE}.14"
ONE = {"oid": COLUMN, "type": "counter", "metric": "x_total"}


def _cell(arcs: tuple[int, ...], value: int = 7) -> tuple[bytes, int, bytes]:
    return ber.encode_oid(COLUMN) + ber.encode_index(arcs), ber.COUNTER32, ber.integer(value)


def _indices(kind: str) -> Callable[[int], int]:
    """Row numbers by how often was asked: what a broken agent gives next."""
    return {
        "same": lambda place: 5,
        "decreasing": lambda place: 1000 - place,
        "ping-pong": lambda place: (3, 4)[place % 2],
        "endless": lambda place: place + 1,
        "overtaking": lambda place: (16384, 16383)[place % 2],  # the other way round as bytes
        "back to the start": lambda place: place % 7 + 1,
    }[kind]


@pytest.mark.parametrize("version", ["1", "2c", "getnext"])
@pytest.mark.parametrize("kind", ["same", "decreasing", "ping-pong", "endless", "overtaking", "back to the start"])
async def test_a_walk_ends(kind: str, version: str) -> None:
    give, counter = _indices(kind), itertools.count()

    def behave(request: Message, data: bytes, count: int) -> list[bytes]:
        rows = max(1, request.pdu.error_index)
        return [response(request, [_cell((give(next(counter)),)) for _ in range(rows)])]

    async with asking() as net, hostile(behave) as agent:
        most = 200
        step = table_step(ONE, max_rows=most)
        question = compile_table(SITE, device(agent.port, version="1" if version == "1" else "2c"), step)
        question.limits = Limits(0) if version == "getnext" else question.limits
        outcome = await question.ask(net, 3)
        assert outcome.reason is (Reason.TOO_BIG if kind == "endless" else Reason.NOT_INCREASING)
        assert outcome.values and set(outcome.values) == {7.0}
        assert len(outcome.values) <= most + 25
        assert len(agent.requests) <= 2 + (most if version != "2c" else most // 25)


def _table(rows: int, columns: tuple[int, ...] = (14, 15, 16)) -> Recording:
    objects: dict[str, Cell] = {
        f"{BASE}.{c}.{r}": (ber.COUNTER32, ber.integer(c * r)) for c in columns for r in range(1, rows + 1)
    }
    return Recording({**objects, "1.3.6.1.2.1.3.1.0": (ber.INTEGER, b"\x01")})


def _columns(*numbers: int) -> list[dict[str, Any]]:
    return [{"oid": f"{BASE}.{number}", "type": "counter", "metric": f"c{number}_total"} for number in numbers]


def _choking(limit: int, recording: Recording, how: str) -> Any:
    """An agent that does something odd when asked for more rows than it can take."""

    def behave(request: Message, data: bytes, count: int) -> list[bytes]:
        if request.pdu.tag == message.GET_BULK and request.pdu.error_index > limit:
            return {
                "tooBig": [response(request, [], status=message.TOO_BIG)],
                "genErr": [response(request, [], status=message.GEN_ERR)],
                "empty": [response(request, [])],
                "silent": [],
            }[how]
        answer = recording.answer(data)
        return [answer] if answer else []

    return behave


@pytest.mark.parametrize("how", ["tooBig", "genErr", "empty"])
@pytest.mark.parametrize("limit", [24, 10, 1, 0])
async def test_less_is_asked_for_and_remembered(how: str, limit: int) -> None:
    recording = _table(30)
    async with asking() as net, hostile(_choking(limit, recording, how)) as agent:
        question = compile_table(SITE, device(agent.port), table_step(*_columns(14, 15, 16)))
        outcome = await question.ask(net, 5)
        assert outcome.reason is Reason.OK
        assert len(outcome.values) == 90
        assert len(set(agent.requests)) == len(agent.requests)
        taken = {24: 12, 10: 6, 1: 1, 0: 0}[limit]
        assert question.limits.repetitions == taken
        agent.requests.clear()
        assert len((await question.ask(net, 5)).values) == 90
        assert all(message.decode_message(data).pdu.error_index <= max(1, taken) for data in agent.requests)


async def test_an_agent_that_hangs_on_large_questions_is_asked_small_ones() -> None:
    recording = _table(40)
    async with asking() as net, hostile(_choking(10, recording, "silent")) as agent:
        question = compile_table(SITE, device(agent.port), table_step(*_columns(14)))
        for _ in range(3):
            assert (await question.ask(net, 1.5)).reason is Reason.OK
        agent.requests.clear()
        began = time.monotonic()
        assert (await question.ask(net, 1.5)).reason is Reason.OK
        assert time.monotonic() - began < 0.3
        assert all(message.decode_message(data).pdu.error_index <= 6 for data in agent.requests)


async def test_small_questions_stay_the_rule_for_a_table_that_changes() -> None:
    async with asking() as net, hostile(lambda r, d, c: []) as agent:
        question = compile_table(SITE, device(agent.port), table_step(*_columns(14)))
        for rows in (30, 31, 32, 33):
            agent.behave = _choking(10, _table(rows), "silent")
            assert len((await question.ask(net, 1.5)).values) == rows
        assert question.limits.repetitions == 6


async def test_one_lost_answer_changes_nothing() -> None:
    recording = _table(30)
    async with asking() as net, hostile(lambda r, d, c: [] if c == 2 else [recording.answer(d)]) as agent:
        question = compile_table(SITE, device(agent.port), table_step(*_columns(14)))
        assert len((await question.ask(net, 1)).values) == 30
        assert question.limits.repetitions == 25


@pytest.mark.parametrize("kept", [1, 2, 4, 7])
async def test_fewer_than_asked(kept: int) -> None:
    recording = _table(6)

    def behave(request: Message, data: bytes, count: int) -> list[bytes]:
        whole = message.decode_message(recording.answer(data) or b"")
        return [response(request, whole.pdu.varbinds[:kept])]

    async with asking() as net, hostile(behave) as agent:
        question = compile_table(SITE, device(agent.port), table_step(*_columns(14, 15, 16)))
        for _ in range(4):
            outcome = await question.ask(net, 3)
            assert (outcome.reason, len(outcome.values)) == (Reason.OK, 18)
        assert len(agent.requests) < 150


async def test_more_than_asked() -> None:
    recording = _table(60)

    def behave(request: Message, data: bytes, count: int) -> list[bytes]:
        pdu = message.encode_pdu(message.GET_BULK, request.pdu.request_id, 0, 60, request.pdu.varbinds)
        answer = recording.answer(message.encode_message(1, b"public", pdu))
        return [answer] if answer else []

    async with asking() as net, hostile(behave) as agent:
        question = compile_table(SITE, device(agent.port), table_step(*_columns(14, 15)))
        for _ in range(3):
            outcome = await question.ask(net, 3)
            assert (outcome.reason, len(outcome.values)) == (Reason.OK, 120)


async def test_an_empty_list_of_varbinds_ends() -> None:
    async with asking() as net, hostile(lambda r, d, c: [response(r, [])]) as agent:
        outcome = await compile_table(SITE, device(agent.port), table_step(*_columns(14, 15))).ask(net, 3)
        assert outcome.reason is Reason.MALFORMED
        assert len(agent.requests) < 12


async def test_a_trickle_ends_at_the_deadline() -> None:
    recording = _table(1000)
    async with asking() as net, hostile(lambda r, d, c: [(0.1, recording.answer(d))]) as agent:
        question = compile_table(SITE, device(agent.port), table_step(*_columns(14)))
        question.limits.repetitions = 1
        began = time.monotonic()
        outcome = await question.ask(net, 0.65)
        assert outcome.reason is Reason.TIMEOUT
        assert 4 <= len(outcome.values) <= 7
        assert abs(time.monotonic() - began - 0.65) < 0.05


async def test_a_huge_table_is_capped_and_harms_nobody() -> None:
    place = itertools.count(1)

    def behave(request: Message, data: bytes, count: int) -> list[bytes]:
        return [response(request, [_cell((1, next(place))) for _ in range(request.pdu.error_index)])]

    async with asking() as net, hostile(behave) as agent:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = await compile_table(SITE, device(agent.port), table_step(ONE, max_rows=5000)).ask(net, 20)
        assert outcome.reason is Reason.TOO_BIG
        assert 5000 <= len(outcome.values) <= 5025
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.slow
async def test_a_hundred_thousand_routes() -> None:
    place = itertools.count(1)

    def behave(request: Message, data: bytes, count: int) -> list[bytes]:
        return [response(request, [_cell((1, next(place))) for _ in range(request.pdu.error_index)])]

    async with asking() as net, hostile(behave) as agent:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = await compile_table(SITE, device(agent.port), table_step(ONE)).ask(net, 60)
        assert outcome.reason is Reason.TOO_BIG
        assert 50_000 <= len(outcome.values) <= 50_025
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


# ------------------------------------------------------------------------------------------------ rows and names


def _ports(names: dict[int, str], up: dict[int, int] | None = None) -> Recording:
    objects: dict[str, Cell] = {"1.3.6.1.2.1.99.1.0": (ber.INTEGER, b"\x01")}
    for index, name in names.items():
        objects[f"1.3.6.1.2.1.31.1.1.1.1.{index}"] = (ber.OCTET_STRING, name.encode())
        objects[f"{BASE}.2.{index}"] = (ber.OCTET_STRING, f"descr {index}".encode())
        objects[f"{BASE}.8.{index}"] = (ber.INTEGER, ber.integer((up or {}).get(index, 1)))
    return Recording(objects)


PORTS = table_step(
    {"oid": f"{BASE}.8", "type": "integer", "metric": "interface_up", "ones": [1], "zeros": [2, 3, 5, 6, 7], "none": [4]},
    label="interface",
    names=["1.3.6.1.2.1.31.1.1.1.1", f"{BASE}.2"],
)


class Changing:
    """An agent whose recording a test replaces."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    def __call__(self, request: Message, data: bytes, count: int) -> list[bytes]:
        answer = self.recording.answer(data)
        return [answer] if answer else []


def _states(outcome: Any) -> dict[str, float]:
    keys = outcome.keys.decode().split("\n") if outcome.keys else []
    return {key.split('interface="')[1].split('"')[0]: value for key, value in zip(keys, outcome.values, strict=True)}


async def test_renumbered_indices_move_no_fault() -> None:
    names = {number: f"Gi1/0/{number}" for number in range(1, 40)}
    agent_data = Changing(_ports(names, {7: 2}))
    async with asking() as net, hostile(agent_data) as agent:
        question = compile_table(SITE, device(agent.port), PORTS)
        for _ in range(3):
            first = _states(await question.ask(net, 2))
        assert first["Gi1/0/7"] == 0.0 and sum(first.values()) == 38
        agent_data.recording = _ports({40 - number: name for number, name in names.items()}, {33: 2})
        for _ in range(3):
            assert _states(await question.ask(net, 2)) == first


async def test_an_unchanged_table_costs_no_formatting() -> None:
    agent_data = Changing(_ports({number: f"p{number}" for number in range(1, 60)}))
    async with asking() as net, hostile(agent_data) as agent:
        question = compile_table(SITE, device(agent.port), PORTS)
        first = await question.ask(net, 2)
        for _ in range(4):
            assert (await question.ask(net, 2)).keys is first.keys
        learned = question._learned
        assert learned is not None
        agent_data.recording = _ports({number: f"p{number}" for number in range(1, 60)}, {9: 2})
        changed = await question.ask(net, 2)
        assert question._learned is learned  # values change, the way of asking does not
        assert changed.keys is first.keys and _states(changed)["p9"] == 0.0


@pytest.mark.parametrize("value", [4, 9, 200])
async def test_a_learned_table_still_looks_at_values(value: int) -> None:
    names = {number: f"p{number}" for number in range(1, 60)}
    agent_data = Changing(_ports(names))
    async with asking() as net, hostile(agent_data) as agent:
        question = compile_table(SITE, device(agent.port), PORTS)
        for _ in range(4):
            await question.ask(net, 2)
        assert question._learned
        agent_data.recording = _ports(names, {9: value})
        outcome = await question.ask(net, 2)
        assert outcome.reason is Reason.OK
        assert set(names.values()) - set(_states(outcome)) == {"p9"}
        assert ("wrong type" in outcome.detail) == (value != 4)


async def test_rows_that_come_and_go() -> None:
    agent_data = Changing(_ports({1: "a", 2: "b", 3: "c"}))
    async with asking() as net, hostile(agent_data) as agent:
        question = compile_table(SITE, device(agent.port), PORTS)
        for _ in range(3):
            assert set(_states(await question.ask(net, 2))) == {"a", "b", "c"}
        agent_data.recording = _ports({1: "a", 3: "c"})
        outcome = await question.ask(net, 2)
        assert set(_states(outcome)) == {"a", "c"} and outcome.detail == "rows gone: b"
        assert (await question.ask(net, 2)).detail == ""
        for _ in range(2):
            await question.ask(net, 2)
        agent_data.recording = _ports({1: "a", 3: "c", 9: "z"})
        assert set(_states(await question.ask(net, 2))) == {"a", "c", "z"}


async def test_twins_and_nameless_rows_have_names_of_their_own() -> None:
    async with asking() as net, hostile(Changing(_ports({1: "Eth", 2: "Eth", 3: ""}))) as agent:
        question = compile_table(SITE, device(agent.port), PORTS)
        for _ in range(4):
            assert set(_states(await question.ask(net, 2))) == {"Eth#1", "Eth#2", "descr 3"}


async def test_a_row_that_vanishes_between_columns_is_flagged() -> None:
    recording = _table(5)
    del recording.objects[f"{BASE}.16.3"]
    async with asking() as net, hostile(Changing(Recording(recording.objects))) as agent:
        question = compile_table(SITE, device(agent.port), table_step(*_columns(14, 15, 16)))
        outcome = await question.ask(net, 2)
        assert (outcome.reason, len(outcome.values), outcome.detail) == (Reason.OK, 14, "incomplete rows: 3")
        assert b'c16_total{class="switch",device="d",row="3"' not in outcome.keys


async def test_another_column_where_a_device_lacks_the_first() -> None:
    objects: dict[str, Cell] = {f"{BASE}.10.{row}": (ber.COUNTER32, ber.integer(row)) for row in range(1, 9)}
    objects |= {f"{BASE}.8.{row}": (ber.INTEGER, b"\x01") for row in range(1, 9)}
    fallback = {"oid": f"{BASE}.10", "type": "counter", "metric": "bytes_total"}
    wide = {"oid": "1.3.6.1.2.1.31.1.1.1.6", "type": "counter", "metric": "bytes_total", "else": fallback}
    up = {"oid": f"{BASE}.8", "type": "integer", "metric": "up"}
    async with asking() as net, hostile(Changing(Recording(objects))) as agent:
        question = compile_table(SITE, device(agent.port), table_step(up, wide))
        for _ in range(4):
            outcome = await question.ask(net, 2)
            assert (outcome.reason, outcome.values[8:]) == (Reason.OK, [float(row) for row in range(1, 9)])
        assert question._learned is not None  # found out once, then asked straight away


async def test_an_absent_table_is_said_to_be_absent() -> None:
    async with asking() as net, hostile(Changing(_ports({}))) as agent:
        assert (await compile_table(SITE, device(agent.port), PORTS).ask(net, 1)).reason is Reason.NO_SUCH_OBJECT
        optional = table_step(ONE, optional=True)
        assert (await compile_table(SITE, device(agent.port), optional).ask(net, 1)).reason is Reason.OK


async def test_a_silent_device_ends_at_the_deadline() -> None:
    async with asking() as net, hostile(lambda r, d, c: []) as agent:
        began = time.monotonic()
        outcome = await compile_table(SITE, device(agent.port), PORTS).ask(net, 0.6)
        assert (outcome.reason, outcome.keys) == (Reason.TIMEOUT, b"")
        assert time.monotonic() - began < 0.7


def _drive(walk: Walk, answers: Iterator[list[tuple[bytes, int, bytes]]]) -> int:
    count = 0
    while ask := walk.next():
        count += 1
        walk.absorb(ask, message.Pdu(message.RESPONSE, 1, 0, 0, next(answers)), 100)
    return count


def test_a_walk_by_itself() -> None:
    walk = Walk([ber.encode_oid(COLUMN)], Limits())
    pages = iter([[_cell((1,)), _cell((2,))], [_cell((16383,)), _cell((16384,))], [(b"\x2b\x06", ber.END_OF_MIB_VIEW, b"")]])
    assert _drive(walk, pages) == 3
    assert [ber.decode_index(index) for index in walk.cells(0)] == [(1,), (2,), (16383,), (16384,)]
    assert walk.reason is Reason.OK


async def test_many_tables_at_once() -> None:
    recording = _table(52, (13, 14, 15, 16, 19, 20))
    async with asking() as net, hostile(Changing(recording)) as agent:
        questions = [compile_table(SITE, device(agent.port), table_step(*_columns(13, 14, 19))) for _ in range(60)]
        outcomes = await asyncio.gather(*[question.ask(net, 8) for question in questions])
        assert {len(outcome.values) for outcome in outcomes} == {156}
