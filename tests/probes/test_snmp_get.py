"""GET against a real snmpd, and what objects become: facts, flags, states, sums, ratios, uptime."""

from __future__ import annotations

import asyncio
import socket
from types import SimpleNamespace
from typing import Any

import pytest

from config.profile import Step
from config.secret import Secret
from config.site import Credentials, Device, SnmpCredentials
from kit.canaries import CANARIES
from kit.hostile_snmp import SITE, SYS_NAME, asking, device, get_step, hostile, response
from kit.snmpd import SYS_NAME as NAME
from kit.snmpd import Snmpd
from probes.reason import Reason
from probes.sample import parse_key
from probes.snmp import ber
from probes.snmp.get import compile_get
from probes.snmp.table import compile_table
from probes.step import OptionError


def _device(snmpd: Snmpd, version: str) -> Device:
    return Device("d", snmpd.address, "server", Credentials("c", snmp=snmpd.credentials(version)), place="hall", role="core")


@pytest.mark.parametrize("version", ["1", "2c", "3"])
async def test_a_real_agent(snmpd: Snmpd, version: str) -> None:
    step = get_step(
        {"oid": "1.3.6.1.2.1.1.3.0", "type": "timeticks", "uptime": "sys"},
        {"oid": "1.3.6.1.2.1.25.1.1.0", "type": "timeticks", "uptime": "host"},
        {"oid": SYS_NAME, "type": "string", "fact": "sys_name"},
        {"oid": "1.3.6.1.2.1.1.2.0", "type": "oid", "fact": "sys_object_id"},
        {"oid": "1.3.6.1.2.1.33.1.2.1.0", "type": "integer", "metric": "ups_battery_low", "ones": [3], "zeros": [2]},
    )
    async with asking() as net:
        question = compile_get(SITE, _device(snmpd, version), step)
        for _ in range(3):
            outcome = await question.ask(net, 3)
            assert outcome.reason is Reason.OK
            assert dict(outcome.facts) == {"sys_name": NAME, "sys_object_id": "1.3.6.1.4.1.8072.3.2.10"}
            uptime, reboots = (parse_key(key) for key in outcome.keys.split(b"\n"))
            assert uptime[0] == "device_uptime_seconds" and reboots[0] == "device_reboots_total"
            assert dict(uptime[1]) == {"class": "server", "device": "d", "place": "hall", "role": "core", "site": "north"}
            assert outcome.values[1] == 0.0 and outcome.values[0] > 0
            assert outcome.detail == "no_such_object: 1.3.6.1.2.1.33.1.2.1.0"


@pytest.mark.parametrize("version", ["1", "2c", "3"])
async def test_a_real_table(snmpd: Snmpd, version: str) -> None:
    step = Step(
        "snmp_table",
        "state",
        "ports",
        {
            "label": "interface",
            "names": ["1.3.6.1.2.1.31.1.1.1.1", "1.3.6.1.2.1.2.2.1.2"],
            "columns": [
                {"oid": "1.3.6.1.2.1.2.2.1.7", "type": "integer", "metric": "interface_admin_up", "ones": [1], "zeros": [2, 3]}
            ],
        },
    )
    async with asking() as net:
        question = compile_table(SITE, _device(snmpd, version), step)
        for _ in range(4):
            outcome = await question.ask(net, 5)
            assert outcome.reason is Reason.OK
            labels = [dict(parse_key(key)[1])["interface"] for key in outcome.keys.split(b"\n")]
            assert sorted(labels) == sorted(name for __, name in socket.if_nameindex())


async def test_a_question_by_name_and_ipv6() -> None:
    async with asking() as net:
        net.resolver = SimpleNamespace(addresses=_addresses)
        async with hostile(lambda r, d, c: [response(r)]) as agent:
            assert (
                await compile_get(SITE, device(agent.port, address="printer.example"), get_step()).ask(net, 1)
            ).reason is Reason.OK
        nowhere = compile_get(SITE, device(161, address="nowhere.example"), get_step())
        assert (await nowhere.ask(net, 1)).reason is Reason.RESOLVE
        if socket.has_ipv6:
            async with hostile(lambda r, d, c: [response(r)], "::1") as agent:
                assert (await compile_get(SITE, device(agent.port, address="::1"), get_step()).ask(net, 1)).reason is Reason.OK


async def _addresses(host: str, timeout_s: float) -> tuple[str, ...]:
    return ("127.0.0.1",) if host.startswith("printer") else ()


async def _sample(tag: int, raw: bytes, *more: tuple[str, int, bytes], **options: Any) -> Any:
    values = {ber.encode_oid(SYS_NAME): (tag, raw), **{ber.encode_oid(oid): (kind, content) for oid, kind, content in more}}

    def behave(request: Any, data: bytes, count: int) -> list[bytes]:
        return [
            response(request, [(name, *values.get(name, (ber.NO_SUCH_INSTANCE, b""))) for name, __, __ in request.pdu.varbinds])
        ]

    async with asking() as net, hostile(behave) as agent:
        return await compile_get(SITE, device(agent.port), get_step({"oid": SYS_NAME, **options})).ask(net, 1)


@pytest.mark.parametrize(
    ("tag", "raw", "options", "values"),
    [
        (ber.INTEGER, b"\x02", {"type": "integer", "metric": "m", "scale": 60}, [120.0]),
        (ber.INTEGER, b"\x0a", {"type": "integer", "metric": "m", "scale": -0.01, "offset": 1}, [0.9]),
        (ber.INTEGER, b"\xff", {"type": "integer", "metric": "m", "none": [-1]}, []),
        (ber.INTEGER, b"\x05", {"type": "integer", "metric": "m", "ones": [5], "zeros": [1, 2]}, [1.0]),
        (ber.INTEGER, b"\x05", {"metric": "m", "states": {"mains": 3, "battery": [5, 6]}, "label": "source"}, [0.0, 1.0]),
        (ber.OCTET_STRING, b"15 PERCENT", {"type": "text_number", "metric": "m"}, [15.0]),
        (ber.OCTET_STRING, b"\x0c", {"type": "bits", "metric": "m", "bit": 5}, [1.0]),
        (ber.OCTET_STRING, b"", {"type": "bits", "metric": "m", "bit": 5}, [0.0]),
        (ber.OPAQUE, b"\x9f\x78\x04\x41\x20\x00\x00", {"type": "float", "metric": "m"}, [10.0]),
        (ber.TIMETICKS, b"\x64", {"type": "timeticks", "metric": "m"}, [1.0]),
        (ber.COUNTER64, b"\x00" + b"\xff" * 8, {"type": "counter", "metric": "m"}, [float(2**64 - 1)]),
        (ber.INTEGER, b"\xff\xff\xff\xff", {"type": "unsigned", "metric": "m"}, [float(2**32 - 1)]),
    ],
)
async def test_what_a_value_becomes(tag: int, raw: bytes, options: dict[str, Any], values: list[float]) -> None:
    outcome = await _sample(tag, raw, **options)
    assert (outcome.reason, list(outcome.values)) == (Reason.OK, pytest.approx(values))


async def test_sums_ratios_and_what_is_left() -> None:
    parts = [("1.3.6.1.9.1.0", ber.INTEGER, b"\x14"), ("1.3.6.1.9.2.0", ber.INTEGER, b"\x32")]
    options = {"type": "integer", "metric": "m", "plus": ["1.3.6.1.9.1.0"], "over": "1.3.6.1.9.2.0", "invert": True}
    assert list((await _sample(ber.INTEGER, b"\x05", *parts, **options)).values) == [0.5]
    assert (await _sample(ber.INTEGER, b"\x05", *parts[:1], **options)).reason is Reason.NO_SUCH_OBJECT
    negative = [parts[0], ("1.3.6.1.9.2.0", ber.INTEGER, b"\xfe")]
    assert list((await _sample(ber.INTEGER, b"\x05", *negative, **options)).values) == []


@pytest.mark.parametrize("name", CANARIES)
async def test_text_passes_the_gate(name: str) -> None:
    outcome = await _sample(ber.OCTET_STRING, CANARIES[name][:2000], type="string", fact="sys_name")
    for __, text in outcome.facts:
        assert text.isprintable() and len(text) <= 1024
        text.encode()


async def test_a_reboot_is_counted_once() -> None:
    ticks = iter([500_000, 506_000, 100, 6_100])

    def behave(request: Any, data: bytes, count: int) -> list[bytes]:
        return [response(request, [(name, ber.TIMETICKS, ber.integer(next(ticks))) for name, __, __ in request.pdu.varbinds])]

    async with asking() as net, hostile(behave) as agent:
        step = get_step({"oid": "1.3.6.1.2.1.1.3.0", "type": "timeticks", "uptime": "sys"})
        question = compile_get(SITE, device(agent.port), step)
        seen = [list((await question.ask(net, 1)).values) for _ in range(4)]
        assert [reboots for __, reboots in seen] == [0.0, 0.0, 1.0, 1.0]


TYPES = {
    ber.INTEGER: b"\x7f", ber.OCTET_STRING: b"text", ber.NULL: b"", ber.OID: b"\x2b\x06\x01", ber.IP_ADDRESS: b"\x7f\0\0\x01",
    ber.COUNTER32: b"\x7f", ber.GAUGE32: b"\x7f", ber.TIMETICKS: b"\x7f", ber.OPAQUE: b"x", ber.COUNTER64: b"\x7f",
    0x47: b"\x01", ber.NO_SUCH_OBJECT: b"", ber.NO_SUCH_INSTANCE: b"", ber.END_OF_MIB_VIEW: b"",
}  # fmt: skip
KINDS = ("integer", "gauge", "unsigned", "counter", "timeticks", "float", "text_number", "string", "oid", "address")


@pytest.mark.parametrize("kind", KINDS)
async def test_no_type_of_value_becomes_a_zero(kind: str) -> None:
    """Every type on the wire for every type expected: a value, or none with its reason."""
    use = {"fact": "f"} if kind in ("string", "oid", "address") else {"metric": "m"}
    for tag, raw in TYPES.items():
        outcome = await _sample(tag, raw, type=kind, **use)
        if outcome.values or outcome.facts:
            assert outcome.reason is Reason.OK and 0.0 not in outcome.values
        else:
            assert outcome.reason in (Reason.WRONG_TYPE, Reason.NO_SUCH_OBJECT)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({}, "objects"),
        ({"objects": []}, "objects"),
        ({"objects": [{"oid": "1.3.6.1.x", "metric": "m"}]}, "objects[0]"),
        ({"objects": [{"oid": "1.3.6.1", "metrc": "m"}]}, "objects[0]"),
        ({"objects": [{"oid": "1.3.6.1", "metric": "m", "type": "guage"}]}, "objects[0].type"),
        ({"objects": [{"oid": "1.3.6.1"}]}, "objects[0]"),
        ({"objects": [{"oid": "1.3.6.1", "metric": "m", "type": "string"}]}, "objects[0].type"),
        ({"objects": [{"oid": "1.3.6.1", "metric": "m", "else": {"oid": "x", "metric": "m"}}]}, "objects[0].else"),
        ({"objects": [{"oid": "1.3.6.1", "uptime": "moon"}]}, "objects[0].uptime"),
        ({"objects": [{"oid": "1.3.6.1", "metric": "m"}], "timeout": 3}, ""),
    ],
)
def test_wrong_options_are_told_where(options: dict[str, Any], key: str) -> None:
    with pytest.raises(OptionError) as caught:
        compile_get(SITE, device(161), Step("snmp_get", "state", "x", options))
    assert caught.value.key.startswith(key) or key in str(caught.value)


def test_a_device_without_credentials_is_refused() -> None:
    with pytest.raises(OptionError):
        compile_get(SITE, Device("d", "127.0.0.1", "switch"), get_step())


async def test_many_at_once_lose_nothing(snmpd: Snmpd) -> None:
    user = Credentials("c", snmp=SnmpCredentials("2c", Secret("public", "file:/test"), port=snmpd.port))
    async with asking() as net:
        questions = [compile_get(SITE, Device(f"d{n}", snmpd.address, "server", user), get_step()) for n in range(600)]
        outcomes = await asyncio.gather(*[question.ask(net, 5) for question in questions])
        assert {outcome.reason for outcome in outcomes} == {Reason.OK}
