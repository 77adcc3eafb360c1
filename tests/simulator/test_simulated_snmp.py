"""The fleet's agents against net-snmp's own tools, and against bytes that nobody should send."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.fleet import running_fleet, scenario, step
from probes.snmp import ber, message
from simulator.fleet import Fleet
from simulator.snmp_agent import SnmpAgent

FLEET = """
- {name: sw, class: switch, ports: 8, unused: 2, address: 127.41.0.1, credentials: read-only}
- {name: old, class: switch, ports: 2, address: 127.41.0.2, credentials: old}
- {name: core, class: switch, address: 127.41.0.3, credentials: secure}
- {name: ups, class: ups, runtime: 10m, address: 127.41.0.4, credentials: read-only, powers: [fed]}
- {name: fed, class: camera, address: 127.41.0.5, credentials: read-only}
- {name: prn, class: printer, address: 127.41.0.6, credentials: read-only}
"""
SYS_NAME, SYS_DESCR = "1.3.6.1.2.1.1.5.0", "1.3.6.1.2.1.1.1.0"
READ = ("-v2c", "-c", "test-read")
SECURE = (
    "-v3",
    "-u",
    "noc",
    "-l",
    "authPriv",
    "-a",
    "SHA-256",
    "-A",
    "test-auth-phrase",
    "-x",
    "AES",
    "-X",
    "test-priv-phrase",
)

needs_tools = pytest.mark.skipif(shutil.which("snmpget") is None, reason="net-snmp's tools are not installed")


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with running_fleet(tmp_path, FLEET) as running:
        yield running


async def ask(fleet: Fleet, tool: str, host: str, *oids: str, options: tuple[str, ...] = READ) -> str:
    target = f"{fleet.endpoints[host].model.address}:{fleet.ports['snmp']}"
    process = await asyncio.create_subprocess_exec(
        tool,
        "-t1",
        "-r1",
        "-On",
        "-Oq",
        *options,
        target,
        *oids,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _err = await process.communicate()
    return out.decode()


@needs_tools
async def test_get_answers_from_the_asked_address(fleet: Fleet) -> None:
    for name in ("sw", "ups", "prn"):
        assert await ask(fleet, "snmpget", name, SYS_NAME) == f'.{SYS_NAME} "{name}"\n'


@needs_tools
async def test_absent_objects_are_named_as_such(fleet: Fleet) -> None:
    answer = await ask(fleet, "snmpget", "sw", "1.3.6.1.2.1.99.1.0", "1.3.6.1.2.1.1.1.7")
    assert "No Such Object" in answer
    assert "No Such Instance" in answer


@needs_tools
async def test_walks_agree_in_every_version(fleet: Fleet) -> None:
    bulk = await ask(fleet, "snmpbulkwalk", "sw", "1.3.6.1.2.1.2")
    plain = await ask(fleet, "snmpwalk", "sw", "1.3.6.1.2.1.2")
    assert [line.split()[0] for line in bulk.splitlines()] == [line.split()[0] for line in plain.splitlines()]
    assert len(bulk.splitlines()) == 1 + 17 * 8
    old = await ask(fleet, "snmpwalk", "old", "1.3.6.1.2.1.31", options=("-v1", "-c", "test-read"))
    assert ".1.3.6.1.2.1.31.1.1.1.1.1" in old
    assert ".1.3.6.1.2.1.31.1.1.1.6.1" not in old, "version 1 cannot carry Counter64"
    secured = await ask(fleet, "snmpbulkwalk", "core", "1.3.6.1.2.1.31.1.1.1.1", options=SECURE)
    assert secured.count("GigabitEthernet1/0/") == 24


@needs_tools
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("-v2c", "-c", "wrong"), "Timeout"),
        (SECURE, ""),
        (tuple("wrong-phrase" if part == "test-auth-phrase" else part for part in SECURE), "Authentication failure"),
        (tuple("wrong-phrase" if part == "test-priv-phrase" else part for part in SECURE), "Decryption error"),
        (tuple("nobody" if part == "noc" else part for part in SECURE), "Unknown user name"),
        (("-v3", "-u", "noc", "-l", "noAuthNoPriv"), "Unsupported security level"),
    ],
)
async def test_credentials_are_checked(fleet: Fleet, options: tuple[str, ...], said: str) -> None:
    answer = await ask(fleet, "snmpget", "core", SYS_NAME, options=("-t0.4", *options))
    assert said in answer
    assert ('"core"' in answer) == (said == "")


@needs_tools
async def test_set_is_refused(fleet: Fleet) -> None:
    answer = await ask(fleet, "snmpset", "sw", SYS_NAME, "s", "x")
    assert "notWritable" in answer


@needs_tools
async def test_steps_show_in_the_answers(fleet: Fleet) -> None:
    status = "1.3.6.1.2.1.2.2.1.8"
    assert await ask(fleet, "snmpget", "sw", f"{status}.1", f"{status}.7") == f".{status}.1 1\n.{status}.7 2\n"
    fleet.do(step("port-down", "sw", port="GigabitEthernet1/0/1"))
    fleet.do(step("supply-level", "prn", part="cyan toner", value=0.01))
    fleet.do(step("mains-fails", "ups"))
    assert await ask(fleet, "snmpget", "sw", f"{status}.1") == f".{status}.1 2\n"
    assert await ask(fleet, "snmpget", "prn", "1.3.6.1.2.1.43.11.1.1.9.1.2") == ".1.3.6.1.2.1.43.11.1.1.9.1.2 80\n"
    assert await ask(fleet, "snmpget", "ups", "1.3.6.1.2.1.33.1.4.1.0") == ".1.3.6.1.2.1.33.1.4.1.0 5\n"


@needs_tools
async def test_a_battery_that_ends_takes_its_load_along(fleet: Fleet) -> None:
    fleet.do(step("mains-fails", "ups", faster=2000.0))
    for _turn in range(40):
        await asyncio.sleep(0.05)
        if fleet.endpoints["fed"].silent:
            break
    assert "Timeout" in await ask(fleet, "snmpget", "fed", SYS_NAME)
    assert "Timeout" in await ask(fleet, "snmpget", "ups", SYS_NAME)
    fleet.do(step("mains-returns", "ups"))
    assert await ask(fleet, "snmpget", "fed", "1.3.6.1.2.1.1.3.0") < ".1.3.6.1.2.1.1.3.0 0:0:01:00.00", "it has started again"


async def test_answers_fit_a_frame_and_name_their_request(fleet: Fleet) -> None:
    agent, endpoint = SnmpAgent(), fleet.endpoints["core"]
    request = message.frame(message.GET_BULK, [ber.encode_oid("1.3.6.1.2.1.31")], 0, 200)
    reply = agent.respond(endpoint, 1, request.head + b"\x10\x00\x00\x07" + request.tail, 5.0)
    pdu = message.decode_pdu(reply, 0, len(reply))
    assert pdu.request_id == 0x10000007
    assert 20 < len(pdu.varbinds) < 200
    assert len(reply) < 1472


@given(data=st.binary(max_size=300))
def test_no_bytes_raise(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    agent, endpoint = SnmpAgent(), next(iter(Fleet(scenario(tmp_path_factory.getbasetemp(), FLEET)).endpoints.values()))
    assert agent.answer(endpoint, data, 1.0) is None


@given(flip=st.integers(0, 60), value=st.integers(0, 255), cut=st.integers(0, 60))
def test_no_damaged_request_raises(flip: int, value: int, cut: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    endpoint = Fleet(scenario(tmp_path_factory.getbasetemp(), FLEET)).endpoints["sw"]
    frame = message.frame(message.GET_NEXT, [ber.encode_oid(SYS_DESCR)])
    data = bytearray(message.encode_message(1, b"test-read", frame.head + b"\x10\x00\x00\x01" + frame.tail))
    data[flip % len(data)] = value
    SnmpAgent().answer(endpoint, bytes(data[: len(data) - cut]), 1.0)
