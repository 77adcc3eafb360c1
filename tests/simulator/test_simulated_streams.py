"""PJLink, HTTP, RTSP, SIP and banners of the fleet, asked by clients that are not ours where there are any."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import aiopjlink
import pytest

from kit.fleet import running_fleet, step
from simulator.fleet import Fleet

FLEET = """
- {name: pj, class: projector, lamp_hours: 1234, address: 127.42.0.1, credentials: rooms}
- {name: open-pj, class: projector, address: 127.42.0.2}
- {name: cam, class: camera, address: 127.42.0.3, credentials: cameras}
- {name: nvr, class: nvr, ports: 4, address: 127.42.0.4, credentials: cameras}
- {name: codec, class: codec, address: 127.42.0.5}
- {name: srv, class: server, address: 127.42.0.6}
"""


LOGIN = {"Authorization": "Basic " + base64.b64encode(b"admin:picture").decode()}


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with running_fleet(tmp_path, FLEET, "certificate_days: 20\n") as running:
        yield running


def target(fleet: Fleet, name: str, protocol: str) -> tuple[str, int]:
    return fleet.endpoints[name].model.address, fleet.ports[protocol]


async def talk(fleet: Fleet, name: str, protocol: str, said: bytes, end: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*target(fleet, name, protocol))
    try:
        writer.write(said)
        async with asyncio.timeout(2):
            return await reader.readuntil(end)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_pjlink_as_a_client_library_sees_it(fleet: Fleet) -> None:
    address, port = target(fleet, "pj", "pjlink")
    fleet.do(step("projector-error", "pj", part="filter", value=1))
    async with aiopjlink.PJLink(address=address, port=port, password="panel") as link:
        assert await link.power.get() == aiopjlink.Power.State.ON
        assert await link.lamps.hours() == 1234
        assert (await link.errors.query())[aiopjlink.Errors.Category.FILTER] == aiopjlink.Errors.Level.WARN
        assert await link.info.projector_name() == "pj"


async def test_pjlink_refuses_a_wrong_password(fleet: Fleet) -> None:
    answer = await talk(fleet, "pj", "pjlink", b"0" * 32 + b"%1POWR ?\r", b"ERRA\r")
    assert answer.startswith(b"PJLINK 1 ")
    assert answer.endswith(b"\rPJLINK ERRA\r")


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        (b"%1POWR ?\r", b"%1POWR=1\r"),
        (b"%1XXXX ?\r", b"%1XXXX=ERR1\r"),
        (b"%1SNUM ?\r", b"%1SNUM=ERR1\r"),
        (b"%1POWR 7\r", b"%1POWR=ERR2\r"),
        (b"%2INNM ?31\r", b"%2INNM=HDMI 1\r"),
        (b"rubbish\r%1CLSS ?\r", b"%1CLSS=2\r"),
    ],
)
async def test_pjlink_lines(fleet: Fleet, said: bytes, answered: bytes) -> None:
    assert await talk(fleet, "open-pj", "pjlink", said, answered) == b"PJLINK 0\r" + answered


async def test_front_pages_and_certificate(fleet: Fleet) -> None:
    address, port = target(fleet, "codec", "https")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with aiohttp.ClientSession() as session:
        async with session.get(f"https://{address}:{port}/", ssl=context) as answer:
            assert answer.status == 200
            assert "codec" in await answer.text()
        address, port = target(fleet, "cam", "http")
        async with session.get(f"http://{address}:{port}/nothing", headers=LOGIN) as answer:
            assert answer.status == 404


async def test_recorder_pages_follow_the_timeline(fleet: Fleet) -> None:
    address, port = target(fleet, "nvr", "http")
    base = f"http://{address}:{port}/ISAPI/ContentMgmt"
    fleet.do(step("disk-fails", "nvr", part="2"))
    fleet.do(step("recording-stops", "nvr", part="3"))
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{base}/Storage") as answer:
            assert answer.status == 401
        async with session.get(f"{base}/Storage", headers=LOGIN) as answer:
            assert (await answer.text()).count("<status>error</status>") == 1
        async with session.get(f"{base}/InputProxy/channels/status", headers=LOGIN) as answer:
            assert (await answer.text()).count("<online>true</online>") == 3


async def test_rtsp_with_digest(fleet: Fleet) -> None:
    uri = "rtsp://127.42.0.3/stream"
    reader, writer = await asyncio.open_connection(*target(fleet, "cam", "rtsp"))

    async def ask(method: str, more: str = "") -> str:
        writer.write(f"{method} {uri} RTSP/1.0\r\nCSeq: 1\r\n{more}\r\n".encode())
        return (await reader.readuntil(b"\r\n\r\n")).decode()

    assert "200 OK" in await ask("OPTIONS")
    challenge = await ask("DESCRIBE")
    realm, nonce = (challenge.split(f'{name}="')[1].split('"')[0] for name in ("realm", "nonce"))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    response = md5(f"{md5(f'admin:{realm}:picture')}:{nonce}:{md5(f'DESCRIBE:{uri}')}")
    login = f'Authorization: Digest username="admin", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}"\r\n'
    assert "401" in await ask("DESCRIBE", login.replace(response, "0" * 32))
    assert "200 OK" in await ask("DESCRIBE", login)
    fleet.do(step("stream-stops", "cam"))
    assert b"m=video" in await reader.readuntil(b"framerate:25\r\n")
    assert "503" in await ask("DESCRIBE", login)
    writer.close()
    await writer.wait_closed()


async def test_sip_options(fleet: Fleet) -> None:
    class Once(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.answer: asyncio.Future[tuple[bytes, tuple[str, int]]] = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.answer.set_result((data, addr))

    fleet.do(step("call-starts", "codec"))
    where = target(fleet, "codec", "sip")
    transport, once = await asyncio.get_running_loop().create_datagram_endpoint(Once, ("0.0.0.0", 0))
    request = (
        "OPTIONS sip:codec SIP/2.0\r\nVia: SIP/2.0/UDP here;branch=z9hG4bK1;rport\r\nFrom: <sip:a>;tag=1\r\n"
        "To: <sip:codec>\r\nCall-ID: 77\r\nCSeq: 5 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    transport.sendto(b"rubbish", where)
    transport.sendto(request.encode(), where)
    async with asyncio.timeout(2):
        answer, peer = await once.answer
    transport.close()
    assert peer == where
    assert answer.startswith(b"SIP/2.0 486 Busy Here\r\n")
    assert b"branch=z9hG4bK1" in answer
    assert b"Call-ID: 77" in answer


async def test_banner(fleet: Fleet) -> None:
    assert await talk(fleet, "srv", "banner", b"", b"\n") == b"220 srv ready\r\n"


async def test_a_dead_device_does_not_even_refuse(fleet: Fleet) -> None:
    where = target(fleet, "open-pj", "pjlink")
    fleet.do(step("device-dies", "open-pj"))
    for _turn in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await asyncio.open_connection(*where)
    fleet.do(step("device-returns", "open-pj"))
    assert await talk(fleet, "open-pj", "pjlink", b"", b"\r") == b"PJLINK 0\r"


async def test_an_endless_message_is_hung_up_on(fleet: Fleet) -> None:
    reader, writer = await asyncio.open_connection(*target(fleet, "cam", "http"))
    writer.write(b"x" * 40_000)
    async with asyncio.timeout(2):
        assert await reader.read() == b""
    writer.close()


async def test_sip_over_tcp_on_the_same_port(fleet: Fleet) -> None:
    request = (
        "OPTIONS sip:codec SIP/2.0\r\nVia: SIP/2.0/TCP here;branch=z9hG4bK2\r\nFrom: <sip:a>;tag=1\r\n"
        "To: <sip:codec>\r\nCall-ID: 78\r\nCSeq: 6 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
    answer = await talk(fleet, "codec", "sip", request.encode(), b"\r\n\r\n")
    assert answer.startswith(b"SIP/2.0 200 OK\r\n")
