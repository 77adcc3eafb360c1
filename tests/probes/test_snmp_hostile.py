"""What may come back from a GET: nothing but our own reasons comes of it, and a good answer that follows is still taken."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from kit.hostile_snmp import SITE, SYS_NAME, SYS_UPTIME, asking, device, get_step, hostile, response
from probes.reason import Reason
from probes.snmp import ber, message
from probes.snmp.get import compile_get

NAME = ber.encode_oid(SYS_NAME)
WAIT_S = 0.2


def _one(tag: int, raw: bytes) -> Any:
    return lambda request, data, count: [response(request, [(NAME, tag, raw)])]


def _raw(raw: bytes) -> Any:
    return lambda request, data, count: [raw]


def _bad_value_bytes(request: Any, inner: bytes) -> bytes:
    """An answer whose one varbind holds these bytes as they are."""
    numbers = ber.tlv(2, ber.integer(request.pdu.request_id)) + b"\x02\x01\x00\x02\x01\x00"
    pdu = ber.tlv(message.RESPONSE, numbers + ber.tlv(0x30, ber.tlv(0x30, inner)))
    return message.encode_message(1, b"public", pdu)


def _nested(depth: int) -> bytes:
    data = b"\x05\x00"
    for _ in range(depth):
        data = ber.tlv(0x30, data)
    return data


UNDECODABLE: dict[str, Any] = {
    "truncated length": _raw(bytes.fromhex("308400")),
    "long-form tag": _raw(bytes.fromhex("1fff")),
    "garbage": _raw(bytes.fromhex("deadbeef")),
    "one byte": _raw(b"\x30"),
    "indefinite length": _raw(b"\x30\x80\x02\x01\x01\x00\x00"),
    "nested": _raw(_nested(2000)),
    "zero-length OID": lambda request, data, count: [_bad_value_bytes(request, b"\x06\x00\x04\x02ok")],
    "unterminated sub-id": lambda request, data, count: [_bad_value_bytes(request, b"\x06\x03\x2b\x06\x81\x04\x02ok")],
    "overlong sub-id": lambda request, data, count: [
        _bad_value_bytes(request, b"\x06\x08\x2b\x80\x80\x80\x80\x80\x80\x01\x04\x02ok")
    ],
    "no varbinds": lambda request, data, count: [response(request, [])],
    "a value with two ends": lambda request, data, count: [_bad_value_bytes(request, ber.tlv(6, NAME) + b"\x04\x02ok\x05\x00")],
}
MISMATCHED: dict[str, Any] = {
    "other OID": lambda request, data, count: [response(request, [(ber.encode_oid(SYS_UPTIME), 4, b"ok")])],
    "other community": lambda request, data, count: [response(request, community=b"private")],
    "v1 to v2c": lambda request, data, count: [response(request, version=0)],
    "a request sent back": lambda request, data, count: [data],
    "two objects for one": lambda request, data, count: [response(request, [(NAME, 4, b"a"), (NAME, 4, b"b")])],
}
WRONG_TYPE: dict[str, tuple[str, int, bytes]] = {
    "Counter64 of 20 bytes": ("counter", ber.COUNTER64, bytes(19) + b"\x01"),
    "Counter32 of 0 bytes": ("counter", ber.COUNTER32, b""),
    "INTEGER of 0 bytes": ("integer", ber.INTEGER, b""),
    "INTEGER of 100 bytes": ("integer", ber.INTEGER, b"\x01" * 100),
    "IpAddress of 3 bytes": ("address", ber.IP_ADDRESS, b"\x7f\x00\x00"),
    "text for ticks": ("timeticks", ber.OCTET_STRING, b"12345"),
    "negative gauge": ("gauge", ber.INTEGER, b"\xff"),
    "gauge above 32 bits": ("gauge", ber.GAUGE32, b"\x01\x00\x00\x00\x00"),
    "counter for ticks": ("timeticks", ber.COUNTER32, b"\x01"),
    "number for text": ("string", ber.COUNTER32, b"\x01"),
    "unknown type": ("integer", 0x4F, b"\x01"),
}


async def _ask(behave: Any, step: Any = None, wait_s: float = WAIT_S) -> Any:
    async with asking() as net, hostile(behave) as agent:
        question = compile_get(SITE, device(agent.port), step or get_step())
        began = time.monotonic()
        outcome = await question.ask(net, wait_s)
        assert time.monotonic() - began < wait_s + 0.1
        return outcome, net.snmp, agent


@pytest.mark.parametrize("name", UNDECODABLE)
async def test_the_undecodable_is_dropped_and_counted(name: str) -> None:
    outcome, engine, __ = await _ask(UNDECODABLE[name])
    assert outcome.reason is Reason.MALFORMED
    assert not outcome.facts and not outcome.values
    assert outcome.rejected["malformed"] >= 1 == bool(engine.dropped["malformed"])


@pytest.mark.parametrize("name", MISMATCHED)
async def test_answers_to_other_questions_are_dropped(name: str) -> None:
    outcome, __, __ = await _ask(MISMATCHED[name])
    assert outcome.reason is Reason.MISMATCH
    assert not outcome.facts and outcome.rejected["mismatch"] >= 1


@pytest.mark.parametrize("name", [*UNDECODABLE, *MISMATCHED])
async def test_a_good_answer_behind_a_bad_one_is_taken(name: str) -> None:
    bad = {**UNDECODABLE, **MISMATCHED}[name]
    outcome, __, agent = await _ask(lambda r, d, c: [*bad(r, d, c), (0.02, response(r, [(NAME, 4, b"good")]))], wait_s=1.0)
    assert outcome.reason is Reason.OK
    assert outcome.facts == (("sys_name", "good"),)
    assert sum(outcome.rejected.values()) == 1 == len(agent.requests)


@pytest.mark.parametrize("name", WRONG_TYPE)
async def test_a_value_of_a_wrong_type_is_never_zero(name: str) -> None:
    kind, tag, raw = WRONG_TYPE[name]
    use = {"fact": "x"} if kind in ("address", "string") else {"metric": "x"}
    step = get_step({"oid": SYS_NAME, "type": kind, **use}, {"oid": SYS_UPTIME, "type": "timeticks", "metric": "good"})
    ticks = (ber.encode_oid(SYS_UPTIME), ber.TIMETICKS, b"\x64")
    outcome, __, __ = await _ask(lambda r, d, c: [response(r, [(NAME, tag, raw), ticks])], step)
    assert (outcome.reason, list(outcome.values), outcome.facts) == (Reason.OK, [1.0], ())
    assert outcome.keys.startswith(b"good{") and b"\n" not in outcome.keys
    assert outcome.detail == f"wrong_type: {SYS_NAME}"
    alone, __, __ = await _ask(_one(tag, raw), get_step({"oid": SYS_NAME, "type": kind, **use}))
    assert (alone.reason, alone.keys) == (Reason.WRONG_TYPE, b"")


async def test_an_error_beats_the_value_that_comes_with_it() -> None:
    outcome, __, __ = await _ask(lambda r, d, c: [response(r, [(NAME, 4, b"stale")], status=5, index=0)])
    assert (outcome.reason, outcome.detail, outcome.facts) == (Reason.ERROR_STATUS, "genErr", ())


async def test_silence_is_no_data() -> None:
    outcome, __, agent = await _ask(lambda r, d, c: [])
    assert (outcome.reason, outcome.keys, list(outcome.values)) == (Reason.TIMEOUT, b"", [])
    assert len(agent.requests) == 3
    assert len(set(agent.requests)) == 1


async def test_a_late_answer_to_an_earlier_try_is_taken() -> None:
    outcome, __, __ = await _ask(lambda r, d, c: [(0.15, response(r))] if c == 1 else [])
    assert outcome.reason is Reason.OK


async def test_duplicates_and_strays_are_late() -> None:
    async with asking() as net, hostile(lambda r, d, c: [response(r)] * 3) as agent:
        question = compile_get(SITE, device(agent.port), get_step())
        for _ in range(5):
            assert (await question.ask(net, 1)).reason is Reason.OK
        await asyncio.sleep(0.05)
        assert net.snmp.dropped["late"] >= 4


async def test_another_address_may_not_answer() -> None:
    outcome, __, __ = await _ask(lambda r, d, c: [(0.0, response(r), True)])
    assert outcome.reason is Reason.TIMEOUT
    assert outcome.rejected == {"wrong_source": 3}


async def test_a_closed_port_is_refused_at_once() -> None:
    async with asking() as net:
        async with hostile(lambda r, d, c: []) as agent:
            port = agent.port
        questions = [compile_get(SITE, device(port), get_step()) for _ in range(20)]
        began = time.monotonic()
        outcomes = await asyncio.gather(*[question.ask(net, 3) for question in questions])
        assert {outcome.reason for outcome in outcomes} == {Reason.REFUSED}
        assert time.monotonic() - began < 0.5


async def test_refusals_do_not_touch_the_neighbours() -> None:
    async with asking() as net, hostile(lambda r, d, c: [response(r)]) as agent:
        async with hostile(lambda r, d, c: []) as gone:
            dead = gone.port
        good = [compile_get(SITE, device(agent.port), get_step()) for _ in range(50)]
        bad = [compile_get(SITE, device(dead), get_step()) for _ in range(50)]
        mixed = [question for pair in zip(bad, good, strict=True) for question in pair]
        outcomes = await asyncio.gather(*[question.ask(net, 2) for question in mixed])
        assert {outcome.reason for outcome in outcomes[::2]} == {Reason.REFUSED}
        assert {outcome.reason for outcome in outcomes[1::2]} == {Reason.OK}


async def test_v1_objects_that_are_not_there_do_not_take_the_others_along() -> None:
    names = [f"1.3.6.1.2.1.1.{number}.0" for number in (1, 4, 5, 6)]
    missing = {ber.encode_oid(names[1]), ber.encode_oid(names[3])}

    def behave(request: Any, data: bytes, count: int) -> list[bytes]:
        for place, (name, __, __) in enumerate(request.pdu.varbinds, 1):
            if name in missing:
                return [response(request, request.pdu.varbinds, status=2, index=place)]
        return [response(request)]

    async with asking() as net, hostile(behave) as agent:
        step = get_step(*[{"oid": name, "type": "string", "fact": f"f{place}"} for place, name in enumerate(names)])
        question = compile_get(SITE, device(agent.port, version="1"), step)
        outcome = await question.ask(net, 1)
        assert outcome.reason is Reason.OK
        assert [name for name, __ in outcome.facts] == ["f0", "f2"]
        assert len(agent.requests) == 3
        await question.ask(net, 1)
        assert len(agent.requests) == 4  # what the device lacks is remembered


async def test_what_is_too_big_is_split() -> None:
    names = [f"1.3.6.1.2.1.1.{number}.0" for number in range(1, 9)]

    def behave(request: Any, data: bytes, count: int) -> list[bytes]:
        return [response(request, [], status=1)] if len(request.pdu.varbinds) > 3 else [response(request)]

    async with asking() as net, hostile(behave) as agent:
        step = get_step(*[{"oid": name, "type": "string", "fact": f"f{place}"} for place, name in enumerate(names)])
        question = compile_get(SITE, device(agent.port), step)
        assert len((await question.ask(net, 1)).facts) == 8
        asked = len(agent.requests)
        assert len((await question.ask(net, 1)).facts) == 8
        assert len(agent.requests) - asked == 4  # remembered: no more asking for too much


async def test_an_object_that_was_there_once_is_always_asked_for() -> None:
    there = True

    def behave(request: Any, data: bytes, count: int) -> list[bytes]:
        tag = ber.OCTET_STRING if there else ber.NO_SUCH_INSTANCE
        return [response(request, [(name, tag, b"x" if there else b"") for name, __, __ in request.pdu.varbinds])]

    async with asking() as net, hostile(behave) as agent:
        question = compile_get(SITE, device(agent.port), get_step())
        assert (await question.ask(net, 1)).reason is Reason.OK
        there = False
        assert (await question.ask(net, 1)).reason is Reason.NO_SUCH_OBJECT
        there = True
        assert (await question.ask(net, 1)).reason is Reason.OK


async def test_cancelling_one_leaves_the_others() -> None:
    async with asking() as net, hostile(lambda r, d, c: [(0.1, response(r))]) as agent:
        tasks = [asyncio.create_task(compile_get(SITE, device(agent.port), get_step()).ask(net, 2)) for _ in range(100)]
        await asyncio.sleep(0.05)
        tasks[50].cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(outcomes[50], asyncio.CancelledError)
        assert all(outcome.reason is Reason.OK for place, outcome in enumerate(outcomes) if place != 50)  # type: ignore[union-attr]
        assert not net.snmp._pending and not net.snmp._by_peer


class Panic(BaseException):
    """What native code raises when it gives up."""


async def test_a_decoder_that_panics_costs_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking() as net, hostile(lambda r, d, c: [response(r)]) as agent:
        question = compile_get(SITE, device(agent.port), get_step())
        with monkeypatch.context() as patch:
            patch.setattr("probes.snmp.plan.GetPlan.read", _panic)
            outcome = await question.ask(net, 0.2)
        assert not outcome.facts and outcome.rejected["internal"] >= 1
        assert net.snmp.dropped["internal"] >= 1
        assert (await question.ask(net, 1)).reason is Reason.OK


def _panic(*_: object) -> None:
    raise Panic


async def test_the_dead_do_not_hold_up_the_living() -> None:
    async with asking() as net, hostile(lambda r, d, c: []) as silent, hostile(lambda r, d, c: [response(r)]) as agent:
        net.snmp._window._limit = 32
        dead = [asyncio.create_task(compile_get(SITE, device(silent.port), get_step()).ask(net, 1.5)) for _ in range(200)]
        await asyncio.sleep(0)
        began = time.monotonic()
        assert (await compile_get(SITE, device(agent.port), get_step()).ask(net, 1.5)).reason is Reason.OK
        assert time.monotonic() - began < 1.0
        await asyncio.gather(*dead)
        assert net.snmp._window._young == 0
