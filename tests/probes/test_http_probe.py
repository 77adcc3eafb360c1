"""HTTP and TCP questions against good servers and bad: one deadline, bounded memory, certificates in any state."""

from __future__ import annotations

import asyncio
import gzip
import logging
import resource
import socket
import ssl
import struct
from pathlib import Path

import aiohttp
import pytest

from config.profile import Profile, Step
from config.site import Credentials, HttpCredentials
from kit.asking import bare_net, one_device, question, secret, timed
from kit.certificates import self_signed, server_context
from kit.tcp_server import tcp_server
from probes import http
from probes.reason import Reason
from probes.registry import StepError, compile_plan
from probes.sample import parse_key

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def replying(answer: bytes, seen: list[bytes] | None = None):
    async def handler(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(request)
        writer.write(answer)
        await writer.drain()

    return handler


def samples(outcome) -> dict[str, float]:
    found = {}
    for key, value in zip(outcome.keys.split(b"\n") if outcome.keys else (), outcome.values, strict=True):
        metric, labels = parse_key(key)
        found[metric + "".join(f" {v}" for n, v in labels if n in ("phase", "port"))] = value
    return found


def asked(
    path: Path, port: int, probe: str = "http", credentials: Credentials | None = None, address: str = "127.0.0.1", **options
):
    site, device = one_device(path, address=address, credentials=credentials)
    return question(site, device, probe, port=port, **options)


async def test_status_and_phases(tmp_path: Path) -> None:
    async with tcp_server(replying(GOOD)) as port, bare_net() as net:
        outcome = await asked(tmp_path, port, address="localhost").ask(net, 2)
    assert outcome.reason is Reason.OK
    found = samples(outcome)
    assert found["http_status_code"] == 200
    assert {"http_duration_seconds connect", "http_duration_seconds answer", "http_duration_seconds read"} <= found.keys()
    assert all(0 <= value < 2 for name, value in found.items() if "seconds" in name)


@pytest.mark.parametrize(
    ("status", "options", "reason"),
    [
        (204, {}, Reason.OK),
        (302, {}, Reason.OK),
        (401, {}, Reason.AUTH),
        (404, {}, Reason.ERROR_STATUS),
        (500, {}, Reason.ERROR_STATUS),
        (401, {"status": [401]}, Reason.OK),
        (200, {"status": 204}, Reason.ERROR_STATUS),
    ],
)
async def test_what_a_status_means(status: int, options: dict, reason: Reason, tmp_path: Path) -> None:
    answer = f"HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n".encode()
    async with tcp_server(replying(answer)) as port, bare_net() as net:
        outcome = await asked(tmp_path, port, **options).ask(net, 2)
    assert outcome.reason is reason and samples(outcome)["http_status_code"] == status


async def silent(_reader, _writer):
    await asyncio.sleep(3600)


async def trickled_header(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.05)


async def trickled_body(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b"x")
        await asyncio.sleep(0.05)


async def endless_headers(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: and more\r\n" * 500)
        await writer.drain()
        await asyncio.sleep(0)


async def endless_header(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()
        await asyncio.sleep(0)


async def endless_body(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


async def endless_chunks(_reader, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n" * 1000)
        await writer.drain()


async def endless_interim(_reader, writer):
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
        await writer.drain()
        await asyncio.sleep(0)


async def reset(_reader, writer):
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


BOMB = gzip.compress(bytes(50_000_000))
BAD = {
    "silent": (silent, {Reason.TIMEOUT}),
    "trickled_header": (trickled_header, {Reason.TIMEOUT}),
    "trickled_body": (trickled_body, {Reason.TIMEOUT}),
    "endless_headers": (endless_headers, {Reason.TIMEOUT, Reason.PROTOCOL}),
    "endless_header": (endless_header, {Reason.TIMEOUT, Reason.PROTOCOL}),
    "endless_body": (endless_body, {Reason.OK}),
    "endless_chunks": (endless_chunks, {Reason.OK}),
    "endless_interim": (endless_interim, {Reason.TIMEOUT, Reason.PROTOCOL}),
    "reset": (reset, {Reason.PROTOCOL}),
    "bomb": (
        replying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB),
        {Reason.OK},
    ),
    "garbage": (replying(b"\x00\xff\xfe garbage\r\n\r\n"), {Reason.PROTOCOL}),
    "ssh": (replying(b"SSH-2.0-OpenSSH\r\n\r\n"), {Reason.PROTOCOL}),
    "empty": (replying(b""), {Reason.PROTOCOL}),
    "status": (replying(b"HTTP/1.1 99999 X\r\n\r\n"), {Reason.PROTOCOL}),
    "negative": (replying(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"), {Reason.PROTOCOL}),
    "short": (replying(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nshort"), {Reason.PROTOCOL}),
    "elsewhere": (replying(b"HTTP/1.1 301 X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"), {Reason.OK}),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_server_costs_neither_time_nor_memory(name: str, tmp_path: Path) -> None:
    handler, reasons = BAD[name]
    async with tcp_server(handler) as port, bare_net() as net:
        ask = asked(tmp_path, port)
        await ask.ask(net, 0.2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome, seconds = await timed(ask, net, 0.6)
        assert outcome.reason in reasons, outcome
        assert seconds <= 0.8
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


async def test_nothing_listens(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with bare_net() as net:
        for probe in ("http", "tcp"):
            assert (await asked(tmp_path, port, probe).ask(net, 1)).reason is Reason.REFUSED
            assert (await asked(tmp_path, port, probe, address="no-such-host.invalid").ask(net, 3)).reason is Reason.RESOLVE


async def test_a_port_that_accepts(tmp_path: Path) -> None:
    async with tcp_server(silent) as port, bare_net() as net:
        outcome = await asked(tmp_path, port, "tcp").ask(net, 1)
    assert outcome.reason is Reason.OK and 0 < samples(outcome)[f"tcp_connect_seconds {port}"] < 1
    assert {"resolve", "connect"} <= outcome.phases.keys()


@pytest.mark.parametrize("days", [30.0, -3.0])
async def test_the_certificate_is_reported_in_any_state(days: float, tmp_path: Path) -> None:
    file = self_signed(tmp_path, days, "camera-7")
    async with tcp_server(replying(GOOD), server_context(file)) as port, bare_net() as net:
        outcome = await asked(tmp_path, port, scheme="https").ask(net, 3)
        assert outcome.reason is Reason.OK
        assert abs(samples(outcome)["tls_certificate_expiry_seconds"] - days * 86400) < 60
        assert outcome.facts == (("tls_names", "camera-7, 127.0.0.1"),)
        refused = await asked(tmp_path, port, scheme="https", verify=True).ask(net, 3)
        assert refused.reason is Reason.TLS
        assert abs(samples(refused)["tls_certificate_expiry_seconds"] - days * 86400) < 60
        trusted = Credentials("web", http=HttpCredentials(ca=file))
        own = await asked(tmp_path, port, scheme="https", verify=True, credentials=trusted).ask(net, 3)
        assert own.reason is (Reason.OK if days > 0 else Reason.TLS)


async def test_no_credentials_go_to_a_server_that_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[bytes] = []
    given = Credentials("web", http=HttpCredentials(username="u", password=secret("canary-S3cret")))
    async with tcp_server(replying(GOOD, seen), server_context(self_signed(tmp_path))) as port, bare_net() as net:
        outcome = await asked(tmp_path, port, scheme="https", verify=True, credentials=given).ask(net, 3)
        assert outcome.reason is Reason.TLS and seen == []
        ask = asked(tmp_path, port, scheme="https", credentials=given)
        outcome = await ask.ask(net, 3)
        assert outcome.reason is Reason.OK and b"Authorization: Basic" in seen[0] and b"Accept-Encoding: identity" in seen[0]
    assert "canary" not in caplog.text + repr(outcome) + repr(ask)


async def test_plain_text_where_tls_was_expected(tmp_path: Path) -> None:
    async with tcp_server(replying(GOOD)) as port, bare_net() as net:
        outcome, seconds = await timed(asked(tmp_path, port, scheme="https"), net, 1)
    assert outcome.reason in (Reason.TLS, Reason.TIMEOUT) and seconds < 1.2


def test_every_exception_of_aiohttp_has_a_reason() -> None:
    tree: list[type[BaseException]] = [aiohttp.ClientError, ssl.SSLError, TimeoutError]
    for kind in tree:
        tree += [sub for sub in kind.__subclasses__() if sub not in tree]
        error = kind.__new__(kind)
        if isinstance(error, aiohttp.ClientConnectorError):
            error._os_error = ConnectionRefusedError(111, "refused")
        assert http.reason_of(error) not in (Reason.OK, Reason.INTERNAL)
    assert http.reason_of(aiohttp.ServerTimeoutError()) is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"scheme": "ftp"}, "scheme"),
        ({"port": 0}, "port"),
        ({"port": "80"}, "port"),
        ({"path": "no-slash"}, "path"),
        ({"path": "/a b\r\nX: y"}, "path"),
        ({"verify": "yes"}, "verify"),
        ({"status": ["ok"]}, "status"),
        ({"pth": "/"}, "pth"),
    ],
)
def test_wrong_options_are_refused(options: dict, key: str, tmp_path: Path) -> None:
    site, device = one_device(tmp_path)
    with pytest.raises(StepError) as caught:
        compile_plan(site, device, Profile("campus", "switch", (Step("http", "state", "web", options),)))
    assert caught.value.key == key and caught.value.step == "web"
