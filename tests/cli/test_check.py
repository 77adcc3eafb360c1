"""`watchkeeper check` as an operator and as a program read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.main import main
from config.schema import schema_text
from kit.site_files import HEAD, site_folder

GOOD = HEAD + "devices:\n  - {name: a, address: a.example, class: switch}\n"
BAD = HEAD + "devices:\n  - {name: a, address: a.example, clas: switch}\n"


def check(*words: str) -> int:
    return main(["--language", "en", "check", *words])


def test_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = site_folder(tmp_path) / "site.yaml"
    path.write_text(GOOD + "notify: {}\n")
    assert check(str(path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"warning: {path}:4: notify: accepted, but this version does not act on it yet.",
        f"{path}: good. Site s, 1 devices, contract campus-network",
    ]


def test_a_wrong_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = site_folder(tmp_path) / "site.yaml"
    path.write_text(BAD)
    assert check(str(path)) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{path}:3: devices[a]: 'class' is missing.",
        f"{path}:3: devices[a].clas: unknown key. Did you mean 'class'?",
        f"{path}: 2 errors",
    ]


def test_several_files_for_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = site_folder(tmp_path)
    (folder / "good.yaml").write_text(GOOD)
    (folder / "bad.yaml").write_text(BAD)
    assert check("--json", str(folder / "good.yaml"), str(folder / "bad.yaml"), str(folder / "gone.yaml")) == 1
    good, bad, gone = json.loads(capsys.readouterr().out)
    assert good == {"file": str(folder / "good.yaml"), "ok": True, "devices": 1, "errors": [], "warnings": []}
    assert bad["errors"][1] == {
        "file": str(folder / "bad.yaml"),
        "line": 3,
        "column": 35,
        "key_path": "devices[a].clas",
        "message": "unknown key",
        "suggestion": "class",
    }
    assert (gone["ok"], gone["errors"][0]["line"]) == (False, None)


def test_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("--schema") == 0
    assert capsys.readouterr().out == schema_text()


def test_no_file_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert check() == 2
    assert "name a site file" in capsys.readouterr().err


def test_rule_files_and_profiles_that_the_site_names_are_checked_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = site_folder(tmp_path)
    path, rules, profile = folder / "site.yaml", folder / "own.yml", folder / "profiles" / "thing.yaml"
    path.write_text(HEAD + "devices:\n  - {name: a, address: a.example, class: thing}\nrules: [own.yml]\n")
    rules.write_text("groups:\n  - name: mine\n    rules:\n      - {alert: Hot, expr: temperature_celsius >> 40}\n")
    profile.parent.mkdir(exist_ok=True)
    profile.write_text("profile: thing\nclass: thing\nsteps:\n  - {probe: tcp, lane: state, name: door, prot: 3}\n")
    assert check(str(path)) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{rules}:4: group mine, rule Hot: expr: invalid promql query.",
        f"{path}: profile thing, step door, prot: is not an option of this probe; did you mean port.",
        f"{path}: 2 errors",
    ]
