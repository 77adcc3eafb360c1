"""Recorded walks as devices: both formats are read, and the shipped profiles work on them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from config.profile_load import load_profiles
from kit.hostile_snmp import SITE, device
from kit.snmpd import Snmpd
from probes.reason import Reason
from probes.snmp import ber
from probes.snmp.get import compile_get
from probes.snmp.table import compile_table
from probes.walkfile import Recording, WalkError, WalkSnmp, read_walk

SNMPREC = """\
1.3.6.1.2.1.1.1.0|4|A UPS
1.3.6.1.2.1.1.3.0|67|123456
1.3.6.1.2.1.1.5.0|4x|7570732d31
1.3.6.1.2.1.1.6.0|4e|hall\\x0a2
1.3.6.1.2.1.33.1.1.1.0|4|Maker
1.3.6.1.2.1.33.1.2.1.0|2:numeric|2
1.3.6.1.2.1.33.1.2.3.0|2|42
1.3.6.1.2.1.33.1.2.4.0|2|97
1.3.6.1.2.1.33.1.3.3.1.3.1|2|231
1.3.6.1.2.1.33.1.4.1.0|2|5
1.3.6.1.2.1.33.1.4.4.1.2.1|2|230
1.3.6.1.2.1.33.1.4.4.1.5.1|2|18
1.3.6.1.2.1.33.1.4.4.1.5.1|2|99
nonsense
1.3.6.1.2.1.99.9.0|70|18446744073709551615
"""
TYPED = """\
.1.3.6.1.2.1.1.1.0 = STRING: "two
lines"
.1.3.6.1.2.1.1.2.0 = OID: .1.3.6.1.4.1.8072.3.2.10
.1.3.6.1.2.1.1.3.0 = Timeticks: (314) 0:00:03.14
.1.3.6.1.2.1.2.2.1.7.1 = INTEGER: up(1)
.1.3.6.1.2.1.2.2.1.6.1 = Hex-STRING: 00 11 22 33 44 55
.1.3.6.1.2.1.4.20.1.1.127.0.0.1 = IpAddress: 127.0.0.1
.1.3.6.1.2.1.31.1.1.1.6.1 = Counter64: 18446744073709551615
.1.3.6.1.2.1.99.1.0 = No Such Object available on this agent at this OID
"""
UNTYPED = """\
.1.3.6.1.2.1.1.1.0 = "a text"
.1.3.6.1.2.1.1.3.0 = 497:2:27:52.95
.1.3.6.1.2.1.2.2.1.10.1 = 4294967295
.1.3.6.1.2.1.2.2.1.7.1 = 1
.1.3.6.1.2.1.31.1.1.1.6.1 = 5
.1.3.6.1.2.1.1.2.0 = .1.3.6.1.4.1.8072.3.2.10
"""


def _read(folder: Path, text: str) -> Recording:
    file = folder / "walk"
    file.write_text(text)
    return read_walk(file)


def test_snmprec(tmp_path: Path) -> None:
    found = _read(tmp_path, SNMPREC).objects
    assert len(found) == 13
    assert found["1.3.6.1.2.1.1.5.0"] == (ber.OCTET_STRING, b"ups-1")
    assert found["1.3.6.1.2.1.1.6.0"] == (ber.OCTET_STRING, b"hall\n2")
    assert found["1.3.6.1.2.1.33.1.4.4.1.5.1"] == (ber.INTEGER, b"\x12")  # the first of two
    assert ber.decode_value(*found["1.3.6.1.2.1.99.9.0"]) == 2**64 - 1


def test_walk_output_with_types(tmp_path: Path) -> None:
    values = {oid: ber.decode_value(*cell) for oid, cell in _read(tmp_path, TYPED).objects.items()}
    assert values["1.3.6.1.2.1.1.1.0"] == b"two\nlines"
    assert values["1.3.6.1.2.1.1.3.0"] == 314
    assert values["1.3.6.1.2.1.2.2.1.7.1"] == 1
    assert values["1.3.6.1.2.1.2.2.1.6.1"] == bytes.fromhex("001122334455")
    assert values["1.3.6.1.2.1.4.20.1.1.127.0.0.1"] == "127.0.0.1"
    assert len(values) == 7


def test_walk_output_without_types(tmp_path: Path) -> None:
    found = _read(tmp_path, UNTYPED).objects
    assert found["1.3.6.1.2.1.1.3.0"] == (ber.TIMETICKS, ber.integer(2**32 - 1))
    assert found["1.3.6.1.2.1.2.2.1.10.1"][0] == ber.COUNTER32
    assert found["1.3.6.1.2.1.31.1.1.1.6.1"][0] == ber.COUNTER64
    assert found["1.3.6.1.2.1.1.2.0"] == (ber.OID, ber.encode_oid("1.3.6.1.4.1.8072.3.2.10"))
    assert found["1.3.6.1.2.1.1.1.0"] == (ber.OCTET_STRING, b"a text")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\xff\xfe\x00" * 50, b"1|2|3\n"])
def test_what_is_no_walk(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "walk"
    file.write_bytes(content)
    with pytest.raises(WalkError, match="walk"):
        read_walk(file)
    with pytest.raises(WalkError):
        read_walk(tmp_path / "absent")


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_a_profile_on_a_recording(tmp_path: Path, version: str) -> None:
    samples: dict[bytes, float] = {}
    facts: dict[str, str] = {}
    async with WalkSnmp(_read(tmp_path, SNMPREC)) as engine:
        net = SimpleNamespace(snmp=engine)
        for step in load_profiles()["ups"].steps:
            compiler = compile_get if step.probe == "snmp_get" else compile_table
            for _ in range(3):
                outcome = await compiler(SITE, device(161, version=version), step).ask(net, 1)  # type: ignore[arg-type]
                assert outcome.reason is Reason.OK, (step.name, outcome)
            samples |= zip(outcome.keys.split(b"\n"), outcome.values, strict=False)
            facts |= dict(outcome.facts)
    labels = b'{class="switch",device="d",'
    assert samples[b"ups_on_battery" + labels + b'site="north"}'] == 1.0
    assert samples[b"ups_output_source" + labels + b'site="north",source="battery"}'] == 1.0
    assert samples[b"ups_battery_runtime_seconds" + labels + b'site="north"}'] == 42 * 60
    assert samples[b"ups_output_load_ratio" + labels + b'line="1",site="north"}'] == pytest.approx(0.18)
    assert facts["vendor"] == "Maker" and facts["sys_name"] == "ups-1"


@pytest.mark.parametrize("options", ["-On", "-OnQ", "-OnU"])
async def test_net_snmp_s_own_output(snmpd: Snmpd, tmp_path: Path, options: str) -> None:
    command = ["snmpbulkwalk", "-v2c", "-c", "public", options, f"{snmpd.address}:{snmpd.port}", "1.3.6.1.2.1"]
    try:
        text = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
    except FileNotFoundError:
        pytest.skip("snmpbulkwalk is not installed")
    file = tmp_path / "walk"
    file.write_bytes(text)
    async with WalkSnmp(read_walk(file)) as engine:
        for step in load_profiles()["server"].steps:
            if step.name in ("identity", "uptime", "ports"):
                compiler = compile_get if step.probe == "snmp_get" else compile_table
                outcome = await compiler(SITE, device(161), step).ask(SimpleNamespace(snmp=engine), 1)  # type: ignore[arg-type]
                assert outcome.reason is Reason.OK, (step.name, outcome)
