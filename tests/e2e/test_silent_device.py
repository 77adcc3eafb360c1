"""From a device that falls silent to a fault record: the whole way, real snmpd, real packet loss, as processes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kit import snmpd
from kit.firewall import firewall
from kit.site import faults, free_tcp_port, running, site_file, until, watchkeeper

NET = "127.77.1"
CORE, ACCESS, CAMERA, PRINTER = (f"{NET}.{last}" for last in (1, 2, 3, 4))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory):
    with snmpd.running(tmp_path_factory.mktemp("snmpd"), [CORE, ACCESS, CAMERA, PRINTER]) as running_daemon:
        yield running_daemon


def devices() -> list[str]:
    return [
        f"{{name: core-1, address: {CORE}, class: switch, role: core, credentials: read-only}}",
        f"{{name: acc-1, address: {ACCESS}, class: switch, credentials: read-only, upstream: core-1}}",
        f"{{name: cam-1, address: {CAMERA}, class: ping-only, upstream: acc-1}}",
        f"{{name: prt-1, address: {PRINTER}, class: ping-only, upstream: core-1}}",
    ]


def settled(site: Path) -> bool:
    done = watchkeeper("faults", "list", "-c", site, "--json")
    return done.returncode == 0 and "answers" not in done.stderr


def test_one_fault_for_one_dead_switch(tmp_path: Path, daemon: snmpd.Snmpd) -> None:
    site = site_file(tmp_path, devices(), port=free_tcp_port(), snmp_port=daemon.port)
    with firewall("wk_e2e_silent") as wall, running(tmp_path / "log", "up", "-c", site):
        until("the collector answers", lambda: settled(site))
        time.sleep(12)
        assert faults(site) == []
        cut_at = time.time()
        wall.cut([ACCESS, CAMERA])
        (fault,) = until("a fault record", lambda: faults(site), 15)
        time.sleep(5)
        (fault,) = faults(site)
        assert fault["device"] == "acc-1"
        assert fault["affected"] == ["acc-1", "cam-1"]
        assert fault["level"] == "C"
        assert fault["reason"] == "icmp"
        opened = time.mktime(time.strptime(fault["opened_at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        assert opened - cut_at < 8
        wall.mend([ACCESS, CAMERA])
        until("the fault is restored", lambda: faults(site)[0]["restored_at"], 20)
        time.sleep(3)
        (fault,) = faults(site)
        assert fault["state"] == "restored"
