"""Device lists as CSV: every encoding and delimiter that office programs write, and what is wrong with a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.site import Upstream
from kit.site_files import HEAD, load, mistakes, site_folder

TABLE = [
    ["name", "address", "class", "upstream", "powers", "ports", "thresholds", "labels", "reach", "序列号"],
    [
        "核心-1",
        "10.0.0.1",
        "switch",
        "",
        "",
        "snmp=1161;ssh=22",
        "temperature_celsius=55.5",
        "owner=图书馆",
        "icmp;tcp",
        "SN 1",
    ],
    ["ups-1", "10.0.0.2", "ups", "核心-1:Gi1/0/1;sw-2", "核心-1;sw-2", "", "", "", "", ""],
    ["sw-2", "10.0.0.3", "switch", "核心-1", "", "", "", "", "", "=1+1"],
]


def csv_text(delimiter: str, end: str = "\r\n") -> str:
    return (
        end.join(delimiter.join(f'"{cell}"' if delimiter == ";" and ";" in cell else cell for cell in row) for row in TABLE)
        + end
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_list_as_office_programs_write_it(delimiter: str, encoding: str, tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "assets.csv").write_bytes(csv_text(delimiter).encode(encoding))
    devices = load(folder, HEAD + "include: [assets.csv]\n").devices
    assert list(devices) == ["核心-1", "ups-1", "sw-2"]
    core = devices["核心-1"]
    assert (core.ports, core.thresholds, core.labels) == (
        {"snmp": 1161, "ssh": 22},
        {"temperature_celsius": 55.5},
        {"owner": "图书馆"},
    )
    assert (core.reach, core.asset) == (("icmp", "tcp"), {"序列号": "SN 1"})
    assert devices["ups-1"].upstream == (Upstream("核心-1", "Gi1/0/1"), Upstream("sw-2"))
    assert devices["ups-1"].powers == ("核心-1", "sw-2")


WRONG = {
    "no address column": (
        "name,adress,class\na,10.0.0.1,switch\n",
        "a.csv:1: no column 'address'; there is a column 'adress'. Did you mean 'address'?",
    ),
    "no column at all": ("1,2,3\n", "a.csv:1: no column 'name'."),
    "column twice": ("name,address,class,role,Role\na,10.0.0.1,switch,core,core\n", "a.csv:1: column 'role' is given twice."),
    "too many cells": ("name,address,class\na,10.0.0.1,switch,core\n", "a.csv:2: 4 cells, but the header names 3 columns."),
    "missing cell": ("name,address,class\na,,switch\n", "a.csv:2: devices[a]: 'address' is missing."),
    "bad address": ("name,address,class\n\n\na,10.0.0.x,1.2\n", "a.csv:4: devices[a].class: there is no device class '1.2'."),
    "unknown upstream": (
        "name,address,class,upstream\ncore,10.0.0.1,switch,\nb,10.0.0.2,switch,croe:Gi1\n",
        "a.csv:3: devices[b].upstream: there is no device 'croe'. Did you mean 'core'?",
    ),
    "line of a row behind one of two lines": (
        'name,address,class,note\na,10.0.0.1,switch,"two\nlines"\nb,10.0.0.2,swich,\n',
        "a.csv:4: devices[b].class: there is no device class 'swich'. Did you mean 'switch'?",
    ),
    "quote left open": ('name,address,class\na,"10.0.0.1,switch\n', "a.csv:2: not valid CSV: unexpected end of data."),
    "control character": ("name,address,class\na,10.0.0.1\x00,switch\n", "a.csv:2: control character U+0000; remove it."),
    "pair without a value": (
        "name,address,class,ports\na,10.0.0.1,switch,1161\n",
        "a.csv:2: devices[a].ports.1161: has no value; expected a port number.",
    ),
    "empty": ("", "a.csv: the file is empty."),
    "huge cell": (
        "name,address,class,note\na,10.0.0.1,switch," + "x" * 200_000 + "\n",
        "a.csv:2: not valid CSV: field larger than field limit (131072).",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_mistake_in_a_list_has_its_text(name: str, tmp_path: Path) -> None:
    text, expected = WRONG[name]
    folder = site_folder(tmp_path)
    (folder / "a.csv").write_text(text)
    assert expected in mistakes(folder, HEAD + "include: [a.csv]\n")


def test_bytes_of_no_encoding(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "a.csv").write_bytes(b"name,address,class\n\xff\xff,10.0.0.1,switch\n")
    assert mistakes(folder, HEAD + "include: [a.csv]\n") == ["a.csv: neither UTF-8 nor GB18030 text."]


def test_a_column_with_a_slip_is_kept_and_warned_of(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "a.csv").write_text("NAME,Address,class,upsteam,Floor\na,10.0.0.1,switch,b,3\n")
    site = load(folder, HEAD + "include: [a.csv]\n")
    assert site.devices["a"].asset == {"upsteam": "b", "Floor": "3"}
    (warning,) = site.warnings
    assert warning.endswith("a.csv:1: column 'upsteam' (did you mean 'upstream'?) is no key and is kept under asset.")
