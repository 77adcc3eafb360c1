"""The shared socket's bookkeeping: ids, the wheel of deadlines, refusals over IPv6, closing with questions in flight."""

from __future__ import annotations

import asyncio
import socket

import pytest

from kit.hostile_snmp import SITE, asking, device, get_step, hostile
from probes.reason import Reason
from probes.snmp.engine import MIN_ID, SnmpEngine
from probes.snmp.get import compile_get
from probes.snmp.wheel import TICK_S, Wheel


async def test_ids_are_four_bytes_and_never_twice_in_flight() -> None:
    async with SnmpEngine() as engine:
        ids = [engine.next_id() for _ in range(20_000)]
        assert all(MIN_ID <= number < 1 << 31 for number in ids)
        assert len(set(ids)) > 19_900
        taken = engine.next_id()
        engine._ids = iter([taken, taken | 1 << 31, taken ^ 1])
        engine._pending[taken] = None  # type: ignore[assignment]
        assert engine.next_id() == taken ^ 1
        engine._pending.clear()


async def test_the_wheel_is_punctual() -> None:
    loop = asyncio.get_running_loop()
    seen: list[tuple[float, float]] = []
    wheel: Wheel[float] = Wheel(loop, lambda when, now: seen.append((when, now)))
    began = loop.time()
    for when in (0.2, 0.05, 0.11, 0.05, 0.0):
        wheel.add(began + when, began + when)
    await asyncio.sleep(0.3)
    assert [round(when - began, 3) for when, __ in seen] == [0.0, 0.05, 0.05, 0.11, 0.2]
    assert all(-1e-9 <= now - when < TICK_S + 0.1 for when, now in seen)
    wheel.add(0.0, loop.time() + 9)
    wheel.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_a_closed_port_is_refused_over_ipv6() -> None:
    async with asking() as net:
        async with hostile(lambda r, d, c: [], "::1") as agent:
            port = agent.port
        outcome = await compile_get(SITE, device(port, address="::1"), get_step()).ask(net, 2)
        assert outcome.reason is Reason.REFUSED


async def test_no_route_is_said_at_once() -> None:
    async with asking() as net:
        outcome = await compile_get(SITE, device(161, address="255.255.255.255"), get_step()).ask(net, 2)
        assert outcome.reason is Reason.UNREACHABLE


async def test_closing_ends_what_is_in_flight() -> None:
    async with asking() as net, hostile(lambda r, d, c: []) as agent:
        task = asyncio.create_task(compile_get(SITE, device(agent.port), get_step()).ask(net, 30))
        await asyncio.sleep(0.05)
        await net.snmp.__aexit__()
        assert (await asyncio.wait_for(task, 1)).reason is Reason.TIMEOUT
