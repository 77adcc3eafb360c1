"""The ICMP engine on real sockets: loopback, namespaces behind one NAT, a packet filter, forged answers."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from config.clock import SystemClock
from config.profile import Step
from kit.namespace import namespaces, need_namespaces, run, wire
from probes.icmp import IcmpEngine
from probes.icmp import engine as engine_module
from probes.icmp.channel import NOISE, Channel
from probes.icmp.probe import IcmpQuestion, compile_icmp
from probes.icmp.target import Target, parse_target
from probes.net import Net
from probes.reason import Reason

ROOT = Path(__file__).resolve().parents[2]


def may_ping() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    except OSError:
        return False
    return True


needs_raw = pytest.mark.skipif(not may_ping(), reason="raw sockets need root or CAP_NET_RAW")


class Wire:
    """A socket pair in the place of the network: what the channel sends is read here, what is written here it receives."""

    def __init__(self) -> None:
        self.here, self.there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.here.setblocking(False)
        self.there.setblocking(False)
        self.family, self.type = socket.AF_INET, socket.SOCK_RAW
        self.fails: list[int] = []

    def fileno(self) -> int:
        return self.here.fileno()

    def sendto(self, data: bytes, _address: object) -> int:
        if self.fails:
            number = self.fails.pop(0)
            raise OSError(number, os.strerror(number))
        return self.here.send(data)

    def recv(self, size: int) -> bytes:
        return self.here.recv(size)

    def close(self) -> None:
        self.here.close()
        self.there.close()

    def answer(self, message: bytes, source: bytes) -> None:
        self.there.send(b"\x45" + bytes(11) + source + bytes(4) + message)


class Sent:
    """One channel on a wire, one probe in flight, and what came of it."""

    def __init__(self, timeout_s: float = 5.0) -> None:
        self.wire = Wire()
        self.channel = Channel(cast(socket.socket, self.wire), b"TAG!", SystemClock())
        self.results: list[tuple[int, Reason, float]] = []
        self.target = cast(Target, parse_target("10.0.0.1"))
        self.timeout_s = timeout_s

    def send(self) -> bool:
        return self.channel.send(self.target, os.urandom(NOISE), self.timeout_s, lambda *result: self.results.append(result), 7)

    def reply(self) -> bytes:
        return b"\x00\x00\x00\x00" + self.wire.there.recv(2048)[4:]


@pytest.fixture
async def sent():
    held = Sent()
    yield held
    held.channel.close()
    held.wire.close()


async def test_the_right_answer_from_the_right_address(sent: Sent) -> None:
    assert sent.send()
    sent.wire.answer(sent.reply(), sent.target.packed)
    sent.channel.drain()
    assert [(index, reason) for index, reason, _ in sent.results] == [(7, Reason.OK)]
    assert 0 < sent.results[0][2] < 5 and sent.channel.in_flight == 0


async def test_forged_answers_are_ignored_and_counted(sent: Sent) -> None:
    assert sent.send()
    reply = sent.reply()
    flipped = [reply[:at] + bytes([reply[at] ^ 1]) + reply[at + 1 :] for at in range(4, len(reply)) if at not in (6, 7)]
    for forged in [*flipped, reply + b"\x00", reply[:-1], reply[:8]]:
        sent.wire.answer(forged, sent.target.packed)
    sent.channel.drain()
    assert sent.channel.rejected["payload"] == len(flipped) + 3
    sent.wire.answer(reply, b"\x0a\x00\x00\x02")
    sent.wire.answer(reply, b"\x0a\x00\x00\xff")
    sent.wire.answer(reply[:6] + b"\x80\x80" + reply[8:], sent.target.packed)
    sent.channel.drain()
    assert sent.channel.rejected["source"] == 2 and sent.channel.rejected["unasked"] == 1
    assert not sent.results and sent.channel.in_flight == 1
    sent.wire.answer(reply, sent.target.packed)
    sent.wire.answer(reply, sent.target.packed)
    sent.channel.drain()
    assert len(sent.results) == 1 and sent.channel.rejected["unasked"] == 2


async def test_garbage_raises_nothing(sent: Sent) -> None:
    assert sent.send()
    sent.reply()
    for length in range(60):
        sent.wire.there.send(os.urandom(length) or b"\x45")
        sent.wire.there.send((b"\x45" + bytes(19) + b"\x03" + os.urandom(60))[: length + 1])
    sent.channel.drain()
    assert not sent.results


async def test_an_unreachable_that_quotes_the_probe_ends_it(sent: Sent) -> None:
    assert sent.send()
    request = sent.wire.there.recv(2048)
    for destination, hit in ((b"\x0a\x00\x00\x09", False), (sent.target.packed, True)):
        quote = b"\x45" + bytes(8) + b"\x01" + bytes(6) + destination + request[:8]
        sent.wire.answer(b"\x03\x01" + bytes(6) + quote, b"\x0a\x00\x00\xfe")
        sent.channel.drain()
        assert bool(sent.results) is hit
    assert sent.results[0][1] is Reason.UNREACHABLE


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENETUNREACH, Reason.UNREACHABLE),
        (errno.EHOSTUNREACH, Reason.UNREACHABLE),
        (errno.EACCES, Reason.UNREACHABLE),
        (errno.EINVAL, Reason.UNREACHABLE),
        (errno.EPERM, Reason.TIMEOUT),
    ],
)
async def test_what_a_failed_send_means(number: int, reason: Reason) -> None:
    sent = Sent(timeout_s=0.05)
    sent.wire.fails = [number]
    assert sent.send()
    await asyncio.sleep(0.15)
    assert [result[1] for result in sent.results] == [reason] and sent.channel.in_flight == 0
    sent.channel.close()
    sent.wire.close()


async def test_full_buffers_mean_later_and_are_no_miss(sent: Sent) -> None:
    sent.wire.fails = [errno.ENOBUFS, errno.EAGAIN]
    assert not sent.send() and not sent.send() and sent.send()
    assert sent.channel.rejected["no_buffers"] == 1 and sent.channel.in_flight == 1


async def test_what_arrived_while_the_loop_was_busy_is_an_answer(sent: Sent) -> None:
    sent.timeout_s = 0.05
    assert sent.send()
    sent.wire.answer(sent.reply(), sent.target.packed)
    import time

    time.sleep(0.2)
    await asyncio.sleep(0.05)
    assert [result[1] for result in sent.results] == [Reason.OK]


async def test_a_receiver_that_fails_harms_nobody_else(sent: Sent, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object) -> None:
        raise ValueError("broken receiver")

    sent.channel.send(sent.target, os.urandom(NOISE), 1, broken, 0)
    first = sent.reply()
    assert sent.send()
    for reply in (first, sent.reply()):
        sent.wire.answer(reply, sent.target.packed)
    sent.channel.drain()
    assert len(sent.results) == 1 and "broken receiver" in caplog.text


async def test_identifiers_are_random_and_sequences_increase(sent: Sent) -> None:
    requests = []
    for _ in range(300):
        assert sent.send()
        requests.append(sent.wire.there.recv(2048))
    sequences = [int.from_bytes(request[6:8], "big") for request in requests]
    assert sequences == list(range(sequences[0], sequences[0] + 300))
    assert len({request[4:6] for request in requests}) > 250
    assert len({request[12:20] for request in requests}) == 300


async def test_sequences_in_flight_are_stepped_over(sent: Sent) -> None:
    assert sent.send()
    first = sent.wire.there.recv(2048)
    sent.channel._sequence = int.from_bytes(first[6:8], "big") - 1
    assert sent.send()
    assert int.from_bytes(sent.wire.there.recv(2048)[6:8], "big") == int.from_bytes(first[6:8], "big") + 1


# ------------------------------------------------------------------------------------------- on real sockets


@needs_raw
async def test_loopback_answers_over_both_families() -> None:
    async with IcmpEngine(SystemClock()) as engine:
        for address in ("127.0.0.1", "127.9.8.7", "localhost", *(["::1"] if socket.has_ipv6 else [])):
            echo = await engine.ping(address, 2)
            assert echo.reason is Reason.OK and 0 < echo.rtt_s < 2, address
        assert (await engine.ping("no-such-host.invalid", 2)).reason is Reason.RESOLVE
        odd = await engine.ping("127.0.0.1", 2, payload=b"odd")
        assert odd.reason is Reason.OK


@needs_raw
async def test_none_of_twenty_thousand_is_lost_on_loopback() -> None:
    hosts = [f"127.{i >> 14 & 255}.{i >> 6 & 255}.{1 + (i & 63)}" for i in range(20_000)]
    reasons: dict[int, Reason] = {}
    async with IcmpEngine(SystemClock()) as engine:
        await engine.sweep(hosts, 2, lambda index, reason, rtt_s: reasons.__setitem__(index, reason))
    assert len(reasons) == len(hosts) and set(reasons.values()) == {Reason.OK}


@needs_raw
async def test_answers_to_other_programs_do_not_wake_us(monkeypatch: pytest.MonkeyPatch) -> None:
    async with IcmpEngine(SystemClock()) as quiet, IcmpEngine(SystemClock()) as busy:
        woken: list[int] = []
        for channel in quiet._channels.values():
            if channel.family == socket.AF_INET:
                asyncio.get_running_loop().add_reader(channel._sock, lambda: woken.append(1))
        told: list[Reason] = []
        await busy.sweep([f"127.0.3.{i}" for i in range(1, 200)], 2, lambda index, reason, rtt_s: told.append(reason))
        assert told.count(Reason.OK) == 199 and not woken and not quiet.rejected


@needs_raw
async def test_a_mixed_sweep_tells_each_once() -> None:
    hosts = ["127.0.0.1", "localhost", "::1", "no-such-host.invalid", *(f"127.0.1.{i}" for i in range(1, 200))]
    told: list[tuple[int, Reason]] = []
    async with IcmpEngine(SystemClock()) as engine:
        await engine.sweep(hosts, 2, lambda index, reason, rtt_s: told.append((index, reason)))
        await engine.sweep([], 1, lambda *result: None)
    assert sorted(index for index, _ in told) == list(range(len(hosts)))
    assert dict(told)[3] is Reason.RESOLVE and [reason for _, reason in told].count(Reason.OK) == len(hosts) - 1


@needs_raw
async def test_cancelling_one_of_a_hundred_leaves_ninety_nine() -> None:
    async with IcmpEngine(SystemClock()) as engine:
        tasks = [asyncio.create_task(engine.ping(f"127.0.2.{i + 1}", 2)) for i in range(100)]
        await asyncio.sleep(0)
        tasks[41].cancel()
        echoes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert isinstance(echoes[41], asyncio.CancelledError)
    assert all(not isinstance(echo, BaseException) and echo.reason is Reason.OK for i, echo in enumerate(echoes) if i != 41)


@needs_raw
async def test_a_cancelled_sweep_tells_nothing_more() -> None:
    told: list[int] = []
    hosts = [f"127.3.{i >> 8}.{i & 255}" for i in range(1, 3000)]
    async with IcmpEngine(SystemClock(), rate_per_s=5000) as engine:
        task = asyncio.create_task(engine.sweep(hosts, 1, lambda index, reason, rtt_s: told.append(index)))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        count = len(told)
        await asyncio.sleep(0.2)
        assert count == len(told) < len(hosts)


async def test_no_permission_is_said_once_and_is_no_miss(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def denied(*_: object) -> socket.socket:
        raise PermissionError(errno.EPERM, "denied")

    monkeypatch.setattr(engine_module, "open_raw", denied)
    monkeypatch.setattr(engine_module, "open_ping", denied)
    caplog.set_level(logging.WARNING)
    reasons: list[Reason] = []
    async with IcmpEngine(SystemClock()) as engine:
        await engine.sweep(["127.0.0.1"] * 300, 1, lambda index, reason, rtt_s: reasons.append(reason))
        assert (await engine.ping("::1", 1)).reason is Reason.NO_PERMISSION
        assert engine.ways == {"ipv4": "no_permission", "ipv6": "no_permission"}
        outcome = await IcmpQuestion("127.0.0.1", 2, 0.01, b"loss", b"rtt").ask(
            cast(Net, SimpleNamespace(icmp=engine, clock=SystemClock())), 1
        )
    assert reasons == [Reason.NO_PERMISSION] * 300 and len(caplog.records) == 1
    assert outcome.reason is Reason.NO_PERMISSION and outcome.keys == b""


@needs_raw
async def test_ping3_stands_in_where_there_is_no_shared_socket() -> None:
    async with IcmpEngine(SystemClock(), ways=("ping3",)) as engine:
        assert engine.ways["ipv4"] == "ping3"
        assert (await engine.ping("127.0.0.1", 2)).reason is Reason.OK
        told: list[Reason] = []
        await engine.sweep(["127.0.0.1"] * 20, 2, lambda index, reason, rtt_s: told.append(reason))
        assert told.count(Reason.OK) == 20


def test_every_exception_of_ping3_has_a_reason() -> None:
    import ping3.errors

    from probes.icmp.fallback import reason_of

    tree = [ping3.errors.PingError]
    for kind in tree:
        tree += kind.__subclasses__()
        assert reason_of(kind.__new__(kind)) is not Reason.PROTOCOL
    assert reason_of(ping3.errors.HostUnknown()) is Reason.RESOLVE and reason_of(ping3.errors.Timeout()) is Reason.TIMEOUT
    assert reason_of(PermissionError()) is Reason.NO_PERMISSION


INSIDE = textwrap.dedent("""
    import asyncio, json, sys
    sys.path.insert(0, {root!r})
    from config.clock import SystemClock
    from probes.icmp import IcmpEngine

    async def main(addresses, timeout_s, ways):
        reasons = {{}}
        async with IcmpEngine(SystemClock(), ways=ways) as engine:
            def done(index, reason, rtt_s):
                reasons[reason.value] = reasons.get(reason.value, 0) + 1
            await engine.sweep(addresses, timeout_s, done)
            print(json.dumps({{"reasons": reasons, "rejected": dict(engine.rejected), "way": engine.ways["ipv4"]}}))

    addresses, timeout_s, ways = json.load(sys.stdin)
    asyncio.run(main(addresses, timeout_s, ways))
""").format(root=str(ROOT))


def swept(inside: str, addresses: list[str], timeout_s: float = 1.0, ways: tuple[str, ...] = ("raw", "ping")) -> dict:
    done = run(sys.executable, "-c", INSIDE, inside=inside, text=json.dumps([addresses, timeout_s, ways]))
    return json.loads(done.stdout)


@needs_raw
def test_the_ways_a_network_refuses() -> None:
    need_namespaces()
    with namespaces("lone", "mute") as (lone, mute):
        assert swept(lone, ["10.9.9.9"] * 5)["reasons"] == {"unreachable": 5}  # no route
        wire(lone, "10.9.0.1/24", mute, "10.77.0.1/24", "wkm")
        assert swept(lone, ["10.9.0.77"] * 5, 0.3)["reasons"] == {"timeout": 5}
        run("nft", "add table ip t; add chain ip t o { type filter hook output priority 0; }", inside=lone)
        run("nft", "add rule ip t o ip daddr 127.0.0.9 drop", inside=lone)
        result = swept(lone, ["127.0.0.9", "127.0.0.8"], 0.3)
        assert result["reasons"] == {"timeout": 1, "ok": 1}  # EPERM from the packet filter is a miss, not a lack of rights


@needs_raw
def test_unprivileged_ping_sockets_and_their_errors() -> None:
    need_namespaces()
    with namespaces("agent", "gate") as (agent, gate):
        wire(agent, "10.7.0.1/24", gate, "10.7.0.254/24", "wkp")
        run("ip", "route", "add", "default", "via", "10.7.0.254", inside=agent)
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", inside=gate)
        run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0", inside=gate)
        run("nft", "add table ip g; add chain ip g f { type filter hook forward priority 0; }", inside=gate)
        run("nft", "add rule ip g f ip daddr 10.8.0.0/24 reject with icmp host-unreachable", inside=gate)
        run("ip", "route", "add", "10.8.0.0/24", "via", "10.7.0.1", inside=gate)
        run("sysctl", "-qw", "net.ipv4.ping_group_range=0 0", inside=agent)
        hosts = ["10.7.0.254", "10.8.0.3", "10.7.0.254", "10.8.0.4", "127.0.0.1", "10.8.0.5", "10.7.0.1"] * 3
        for way in ("ping", "raw"):
            result = swept(agent, hosts, 1.0, (way,))
            assert result["way"] == way
            assert result["reasons"] == {"ok": 12, "unreachable": 9}, way


@needs_raw
def test_two_agents_behind_one_nat_never_take_each_others_answers() -> None:
    need_namespaces()
    with namespaces("left", "right", "nat", "far") as (left, right, nat, far):
        wire(left, "10.1.0.2/24", nat, "10.1.0.1/24", "wkl")
        wire(right, "10.2.0.2/24", nat, "10.2.0.1/24", "wkr")
        wire(nat, "10.3.0.1/24", far, "10.3.0.2/24", "wkf")
        run("ip", "route", "add", "default", "via", "10.1.0.1", inside=left)
        run("ip", "route", "add", "default", "via", "10.2.0.1", inside=right)
        run("ip", "route", "add", "local", "10.3.1.0/24", "dev", "lo", inside=far)
        run("ip", "route", "add", "10.3.1.0/24", "via", "10.3.0.2", inside=nat)
        run("sysctl", "-qw", "net.ipv4.ip_forward=1", inside=nat)
        run("nft", "add table ip n; add chain ip n p { type nat hook postrouting priority 100; }", inside=nat)
        run("nft", "add rule ip n p ip daddr 10.3.0.0/16 masquerade", inside=nat)
        hosts = [f"10.3.1.{1 + i % 250}" for i in range(10_000)]

        async def both() -> list[dict]:
            return await asyncio.gather(*(asyncio.to_thread(swept, side, hosts, 2.0) for side in (left, right)))

        for result in asyncio.run(both()):
            assert result["reasons"].get("ok", 0) > 9_900
            assert not result["rejected"].get("payload") and not result["rejected"].get("source")


# ------------------------------------------------------------------------------------------- the question


class Site:
    name = "north"


def device(address: str = "127.0.0.1") -> SimpleNamespace:
    return SimpleNamespace(name="core-1", address=address, device_class="switch", place="", role="", labels={})


@needs_raw
async def test_the_question_gives_loss_and_round_trip() -> None:
    question = compile_icmp(Site(), device(), Step("icmp", "reach", "ping", {"count": 4, "interval_s": 0.01}))  # type: ignore[arg-type]
    async with IcmpEngine(SystemClock()) as engine:
        outcome = await question.ask(cast(Net, SimpleNamespace(icmp=engine, clock=SystemClock())), 1)
    assert outcome.reason is Reason.OK
    loss, rtt = outcome.keys.split(b"\n")
    assert loss == b'icmp_loss_ratio{class="switch",device="core-1",site="north"}' and rtt.startswith(b"icmp_rtt_seconds{")
    assert outcome.values[0] == 0 and 0 < outcome.values[1] < 1
