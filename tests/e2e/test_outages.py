"""Outages of a campus of real daemons: one record for each real fault, with its true root, extent, level and times."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kit.campus import Campus, Desk, campus, seconds, steady
from kit.firewall import Firewall, firewall
from kit.site import free_tcp_port, running, site_file, until

NET = f"127.{20 + os.getpid() % 50}"  # of this run alone: two may run side by side


@dataclass
class Watched:
    """A running site, and what was done to it."""

    campus: Campus
    wall: Firewall
    desk: Desk

    def cut(self, *names: str) -> float:
        """Cut these devices off; returns when."""
        at = time.time()
        self.wall.cut(self.campus.at(names))
        return at

    def mend(self, *names: str) -> None:
        """Bring them back."""
        self.wall.mend(self.campus.at(names))

    def fault(self, device: str) -> dict[str, Any]:
        """Wait for an open fault with this root and return it."""
        return until(f"a fault of {device}", lambda: next((f for f in self.open() if f["device"] == device), None), 20)

    def open(self) -> list[dict[str, Any]]:
        """Return the faults that are not restored."""
        return [fault for fault in self.desk.faults() if not fault["restored_at"]]

    def quiet(self) -> None:
        """Wait until nothing is wrong and everything is up."""
        until("nothing is wrong", lambda: not self.desk.roots(), 30, 0.3)
        self.desk.settled(len(self.campus.address))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("campus")
    port = free_tcp_port()
    with campus(folder, NET, 6, 16) as made, firewall(f"wk_e2e_outages_{os.getpid()}") as wall:
        path = site_file(folder, made.lines(), port=port, snmp_port=made.port)
        desk = Desk(port, folder / "watchkeeper-data")
        with running(folder / "log", "up", "-c", path):
            desk.settled(len(made.address))
            time.sleep(4)
            assert desk.faults() == []
            yield Watched(made, wall, desk)
        assert "Traceback" not in (folder / "log").read_text()


def assert_times(fault: dict[str, Any], cut_at: float, within_s: float = 5.0) -> None:
    """The fault began with the first ask after the cut, and was opened soon after."""
    began, opened = seconds(fault["began_at"]), seconds(fault["opened_at"])
    assert -0.5 <= began - cut_at <= 2.5
    assert opened - began <= within_s


def test_an_access_switch_with_all_behind_it(site: Watched) -> None:
    dark = site.campus.below("acc-1")
    cut_at = site.cut(*dark)
    assert_times(site.fault("acc-1"), cut_at)
    steady(site.desk)
    (fault,) = site.open()
    assert (fault["affected"], fault["level"], fault["reason"]) == (dark, "B", "icmp")
    mended_at = time.time()
    site.mend(*dark)
    site.quiet()
    (fault,) = [fault for fault in site.desk.faults() if fault["device"] == "acc-1"]
    assert 0 <= seconds(fault["restored_at"]) - mended_at <= 5


def test_a_leaf_first_and_its_switch_a_second_later_while_another_leaf_fails(site: Watched) -> None:
    before = {fault["id"] for fault in site.desk.faults()}
    behind = site.campus.below("acc-2")
    site.cut("host-2-1")
    site.cut("host-3-2")
    time.sleep(1)
    site.cut(*(name for name in behind if name != "host-2-1"))
    site.fault("acc-2")
    site.fault("host-3-2")
    steady(site.desk)
    real = [f for f in site.desk.faults() if f["id"] not in before and not f["merged_into"]]
    assert sorted((f["device"], len(f["affected"])) for f in real) == [("acc-2", len(behind)), ("host-3-2", 1)]
    site.mend("acc-2", "host-3-2")
    time.sleep(2)
    site.mend(*(name for name in behind if name != "acc-2"))
    site.quiet()


@pytest.mark.slow
def test_all_is_lost_with_the_core(site: Watched) -> None:
    everything = site.campus.below("core-1")
    cut_at = site.cut(*everything)
    assert_times(site.fault("core-1"), cut_at)
    steady(site.desk)
    (fault,) = site.open()
    assert (fault["affected"], fault["level"]) == (everything, "A")
    site.mend(*everything)
    site.quiet()


@pytest.mark.slow
def test_what_comes_back_within_the_window_is_the_same_fault(site: Watched) -> None:
    dark = site.campus.below("acc-4")
    for _again in range(2):
        site.cut(*dark)
        site.fault("acc-4")
        steady(site.desk)
        site.mend(*dark)
        site.quiet()
    (fault,) = [fault for fault in site.desk.faults() if fault["device"] == "acc-4"]
    assert fault["reopened"] == 1


@pytest.mark.slow
def test_a_leaf_still_dark_when_its_switch_is_back_has_a_record_of_its_own(site: Watched) -> None:
    dark = site.campus.below("acc-5")
    cut_at = site.cut(*dark)
    site.fault("acc-5")
    time.sleep(4)
    site.mend(*(name for name in dark if name != "host-5-1"))
    fault = until("a fault of the leaf", lambda: next((f for f in site.open() if f["device"] == "host-5-1"), None), 90, 1)
    assert -0.5 <= seconds(fault["began_at"]) - cut_at <= 5
    assert site.desk.roots() == ["host-5-1"]
    site.mend("host-5-1")
    site.quiet()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ten_percent_of_all_packets_lost_is_no_device_down(site: Watched) -> None:
    before = {fault["id"] for fault in site.desk.faults()}
    site.wall.lose(10, f"{NET}.0.0/16")
    time.sleep(100)
    assert [f for f in site.desk.faults() if f["id"] not in before and f["problem"] == "device-down"] == []
