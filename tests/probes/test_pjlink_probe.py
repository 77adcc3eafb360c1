"""PJLink against scripted projectors: both classes, passwords, quirks, and some that do not keep to the protocol."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import aiopjlink
import pytest

from config.site import Credentials, PjlinkCredentials
from kit.asking import bare_net, one_device, question, secret, timed
from kit.tcp_server import tcp_server
from probes import pjlink
from probes.reason import Reason
from probes.sample import parse_key

CLASS_1 = {
    "%1POWR ?": "%1POWR=1",
    "%1ERST ?": "%1ERST=000210",
    "%1LAMP ?": "%1LAMP=1234 1 980 0",
    "%1CLSS ?": "%1CLSS=1",
    "%1NAME ?": "%1NAME=Room 301",
    "%1INF1 ?": "%1INF1=Maker",
    "%1INF2 ?": "%1INF2=P-1000",
    "%1INPT ?": "%1INPT=31",
}
CLASS_2 = CLASS_1 | {
    "%1CLSS ?": "%1CLSS=2",
    "%1LAMP ?": "%1LAMP=ERR1",
    "%2FILT ?": "%2FILT=812",
    "%2SNUM ?": "%2SNUM=DA123",
    "%2SVER ?": "%2SVER=1.04",
}


def projector(answers: dict[str, str], password: str = "", noise: bytes = b"", greeting: bytes | None = None):
    async def handler(reader, writer):
        digest = ""
        if greeting is not None:
            writer.write(greeting)
        elif password:
            writer.write(b"PJLINK 1 498e4a67\r")
            digest = hashlib.md5(f"498e4a67{password}".encode()).hexdigest()
        else:
            writer.write(b"PJLINK 0\r")
        while True:
            command = (await reader.readuntil(b"\r")).decode().rstrip("\r")
            if digest:
                if not command.startswith(digest):
                    writer.write(b"PJLINK ERRA\r")
                    return
                command, digest = command[len(digest) :], ""
            writer.write(noise + answers.get(command, command[:6] + "=ERR1").encode() + b"\r")

    return handler


def asked(path: Path, port: int, password: str = "", **options):
    given = Credentials("room", pjlink=PjlinkCredentials(secret(password) if password else None, port))
    site, device = one_device(path, credentials=given, device_class="projector")
    return question(site, device, "pjlink", **options)


def samples(outcome) -> dict[str, float]:
    found = {}
    for key, value in zip(outcome.keys.split(b"\n") if outcome.keys else (), outcome.values, strict=True):
        metric, labels = parse_key(key)
        found[" ".join([metric, *(v for n, v in labels if n in ("state", "part", "lamp"))])] = value
    return found


async def test_class_1(tmp_path: Path) -> None:
    async with tcp_server(projector(CLASS_1)) as port, bare_net() as net:
        outcome = await asked(tmp_path, port).ask(net, 3)
    assert outcome.reason is Reason.OK
    found = samples(outcome)
    assert found["projector_power on"] == 1 and found["projector_power standby"] == 0
    assert found["projector_error cover"] == 2 and found["projector_error filter"] == 1 and found["projector_error fan"] == 0
    assert found["projector_lamp_seconds_total 1"] == 1234 * 3600 and found["projector_lamp_seconds_total 2"] == 980 * 3600
    assert outcome.facts == (("name", "Room 301"), ("manufacturer", "Maker"), ("product", "P-1000"), ("input", "31"))


async def test_class_2_with_a_password_and_no_lamp(tmp_path: Path) -> None:
    async with tcp_server(projector(CLASS_2, "right")) as port, bare_net() as net:
        outcome = await asked(tmp_path, port, "right").ask(net, 3)
        assert (await asked(tmp_path, port, "wrong").ask(net, 3)).reason is Reason.AUTH
        assert (await asked(tmp_path, port).ask(net, 3)).reason is Reason.NO_CREDENTIALS
    found = samples(outcome)
    assert outcome.reason is Reason.OK and found["projector_filter_seconds_total"] == 812 * 3600
    assert not any("lamp_seconds" in name for name in found)
    assert ("serial", "DA123") in outcome.facts and ("firmware", "1.04") in outcome.facts


async def test_padding_notices_and_lower_case(tmp_path: Path) -> None:
    answers = {command: answer.replace("POWR", "powr") for command, answer in CLASS_1.items()}
    async with tcp_server(projector(answers, noise=b"\x00\x00%2LKUP=00:11:22:33:44:55\r")) as port, bare_net() as net:
        outcome = await asked(tmp_path, port, identity=False).ask(net, 3)
    assert outcome.reason is Reason.OK and samples(outcome)["projector_power on"] == 1 and outcome.facts == ()


async def test_what_is_declined_is_left_out(tmp_path: Path) -> None:
    answers = CLASS_1 | {"%1ERST ?": "%1ERST=ERR3", "%1INPT ?": "%1INPT=ERR3", "%1LAMP ?": "%1LAMP=many 1"}
    async with tcp_server(projector(answers)) as port, bare_net() as net:
        outcome = await asked(tmp_path, port).ask(net, 3)
        assert outcome.reason is Reason.OK and set(samples(outcome)) == {f"projector_power {state}" for state in pjlink.POWER}
        nothing = await asked(tmp_path, port, identity=False).ask(net, 3)
        assert nothing.reason is Reason.OK
    async with tcp_server(projector({})) as port, bare_net() as net:
        assert (await asked(tmp_path, port).ask(net, 3)).reason is Reason.ERROR_STATUS


@pytest.mark.parametrize(
    "value",
    ["", "0", "9", "00021", "3333333", "-1 1", "1 2 3", "٣ 1", "99999999999 1", "1 1 " * 9, "x" * 200, "\x1b[2J", "\ud7ff"],
)
async def test_odd_values_give_no_samples(value: str, tmp_path: Path) -> None:
    answers = CLASS_1 | {"%1ERST ?": f"%1ERST={value}", "%1LAMP ?": f"%1LAMP={value}", "%1NAME ?": f"%1NAME={value}"}
    async with tcp_server(projector(answers)) as port, bare_net() as net:
        outcome = await asked(tmp_path, port).ask(net, 3)
    assert outcome.reason is Reason.OK and set(samples(outcome)) == {f"projector_power {state}" for state in pjlink.POWER}
    assert all("\x1b" not in text for _fact, text in outcome.facts)


async def flood(_reader, writer):
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


async def notices(reader, writer):
    writer.write(b"PJLINK 0\r")
    await reader.readuntil(b"\r")
    while True:
        writer.write(b"%2LKUP=00:11:22:33:44:55\r" * 100)
        await writer.drain()
        await asyncio.sleep(0)


async def trickle(_reader, writer):
    for byte in b"PJLINK 0" * 1000:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "handler",
    [
        flood,
        notices,
        trickle,
        projector({}, greeting=b"\r"),
        projector({}, greeting=b"PJLINK 9\r"),
        projector({}, greeting=b"HTTP/1.1 400 Bad Request\r"),
        projector({"%1POWR ?": "%"}),
        projector({"%1POWR ?": "%2POWR=1"}),
        projector({"%1POWR ?": ""}),
        projector({"%1POWR ?": "\x00"}),
    ],
)
async def test_bad_projectors_end_in_time_with_a_reason(handler, tmp_path: Path) -> None:
    async with tcp_server(handler) as port, bare_net() as net:
        outcome, seconds = await timed(asked(tmp_path, port, "pw"), net, 0.5)
    assert outcome.reason in (Reason.TIMEOUT, Reason.PROTOCOL, Reason.TOO_BIG) and seconds <= 0.7
    assert net.internal_errors.total() == 0


async def test_nothing_listens(tmp_path: Path) -> None:
    async with bare_net() as net:
        assert (await asked(tmp_path, 1).ask(net, 1)).reason is Reason.REFUSED


def test_every_exception_of_aiopjlink_has_a_reason() -> None:
    tree: list[type[BaseException]] = [aiopjlink.PJLinkException, asyncio.LimitOverrunError, asyncio.IncompleteReadError]
    for kind in tree:
        tree += [sub for sub in kind.__subclasses__() if sub not in tree]
        assert pjlink.reason_of(kind.__new__(kind)) not in (None, Reason.OK, Reason.INTERNAL)
