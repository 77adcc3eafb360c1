"""Names and refused logins are remembered, each for as long as it helps."""

from __future__ import annotations

import asyncio
import socket

import pytest

from probes.backoff import FIRST_S, LONGEST_S, LoginBackoff
from probes.resolver import KEEP_S, Resolver


class HandClock:
    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> int:
        return int(self.at * 1000)

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict:
    state: dict = {"calls": 0, "answer": ["10.0.0.1"], "delay": 0.0}

    async def getaddrinfo(host, port, **_):
        state["calls"] += 1
        await asyncio.sleep(state["delay"])
        if not state["answer"]:
            raise socket.gaierror(socket.EAI_AGAIN, "no")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in state["answer"]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", lambda self, *a, **k: getaddrinfo(*a, **k))
    return state


async def test_a_name_is_asked_for_once_and_kept(names: dict) -> None:
    clock = HandClock()
    resolver = Resolver(clock)
    found = await asyncio.gather(*(resolver.addresses("core-1.example", 1) for _ in range(50)))
    assert set(found) == {("10.0.0.1",)} and names["calls"] == 1
    names["answer"] = ["10.0.0.2", "10.0.0.2"]
    assert await resolver.addresses("core-1.example", 1) == ("10.0.0.1",)
    clock.at += KEEP_S + 1
    assert await resolver.addresses("core-1.example", 1) == ("10.0.0.2",)
    assert await resolver.addresses("10.9.9.9", 1) == ("10.9.9.9",) and names["calls"] == 2


async def test_while_the_name_service_is_away_the_last_address_stays(names: dict) -> None:
    clock = HandClock()
    resolver = Resolver(clock)
    await resolver.addresses("core-1.example", 1)
    clock.at += KEEP_S + 1
    names["answer"] = []
    assert await resolver.addresses("core-1.example", 1) == ("10.0.0.1",)
    names["delay"] = 5.0
    assert await asyncio.wait_for(resolver.addresses("core-1.example", 0.05), 1) == ("10.0.0.1",)
    assert await asyncio.wait_for(resolver.addresses("other.example", 0.05), 1) == ()


def test_a_refused_login_is_waited_out_longer_each_time() -> None:
    clock = HandClock()
    backoff = LoginBackoff(clock)
    account = ("10.0.0.1", 22, "monitor")
    assert backoff.waits_s(account) == 0
    waits = []
    for _ in range(9):
        backoff.refused(account)
        waits.append(backoff.waits_s(account))
        clock.at += waits[-1]
        assert backoff.waits_s(account) == 0
    assert waits[0] == FIRST_S and waits[1] == 2 * FIRST_S and waits[-1] == LONGEST_S
    assert backoff.waits_s(("10.0.0.1", 22, "other")) == 0
    backoff.refused(account)
    backoff.accepted(account)
    assert backoff.waits_s(account) == 0
