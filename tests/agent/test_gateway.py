"""The default gateways are read as the kernel shows them, and a missing route is told from a silent device."""

from __future__ import annotations

from pathlib import Path

from agent.gateway import default_gateways, has_route

V4 = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\tFE01A8C0\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
"""
ZERO = "0" * 32
V6 = f"""{ZERO} 00 {ZERO} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00450003     eth0
{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200       lo
"""


def test_gateways_come_by_family_and_metric(tmp_path: Path) -> None:
    (tmp_path / "v4").write_text(V4)
    (tmp_path / "v6").write_text(V6)
    assert default_gateways(tmp_path / "v4", tmp_path / "v6") == ["10.0.0.1", "192.168.1.254", "fe80::1%eth0"]


def test_no_files_or_odd_ones_are_no_gateways(tmp_path: Path) -> None:
    (tmp_path / "v4").write_bytes(b"Iface\n\xff\xfe\n\nonly three words\n")
    assert default_gateways(tmp_path / "v4", tmp_path / "none") == []


def test_routes() -> None:
    assert has_route("127.3.2.1")
    assert has_route("a-name"), "a name says nothing"
