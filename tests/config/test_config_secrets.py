"""Secrets come by reference only, from files that are not open to others, and no output ever holds one."""

from __future__ import annotations

import os
import pickle
import traceback
from pathlib import Path

import pytest

from config.errors import ConfigErrors
from config.load import load_site
from config.secret_source import NoSecret, read_secret
from kit.site_files import CANARY, HEAD, mistakes, site_folder


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440, 0o700])
def test_modes_that_are_tight_enough(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("value")
    path.chmod(mode)
    assert read_secret("file:secret", tmp_path, {}).reveal() == "value"


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o604, 0o641, 0o666, 0o777])
def test_modes_that_are_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(CANARY)
    path.chmod(mode)
    with pytest.raises(NoSecret, match=f"has mode {mode:04o}, open to others; run: chmod 640"):
        read_secret(f"file:{path}", tmp_path, {})


@pytest.mark.parametrize(("written", "value"), [("v\n", "v"), ("v\r\n", "v"), ("v", "v"), (" v ", " v "), ("口令\n", "口令")])
def test_one_line_end_is_not_part_of_the_secret(written: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(written.encode())
    (tmp_path / "s").chmod(0o600)
    assert read_secret("file:s", tmp_path, {}).reveal() == value
    assert read_secret("env:S", tmp_path, {"S": written}).reveal() == value


@pytest.mark.parametrize("written", ["v\n\n", "a\nb", "a\tb", "a\x7f", "a\x85", "\n", "", "\r\n", "x" * 70_000, "\udc80"])
def test_what_is_no_fit_secret(written: str, tmp_path: Path) -> None:
    with pytest.raises(NoSecret):
        read_secret("env:S", tmp_path, {"S": written})


def test_a_pipe_does_not_hold_the_load_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(NoSecret, match="is not an ordinary file"):
        read_secret("file:pipe", tmp_path, {})


PLACES = {
    "community": "credentials: {x: {snmp: {version: 2c, community: @}}}",
    "auth": "credentials: {x: {snmp: {version: 3, user: u, auth: {sha: @}}}}",
    "priv": "credentials: {x: {snmp: {version: 3, user: u, auth: {sha: env:T}, priv: {aes128: @}}}}",
    "ssh": "credentials: {x: {ssh: {username: u, password: @}}}",
    "http": "credentials: {x: {http: {username: u, password: @}}}",
    "bearer": "credentials: {x: {http: {bearer: @}}}",
    "pjlink": "credentials: {x: {pjlink: {password: @}}}",
    "token": "agent: {collector: 'https://c.example', token: @}",
    "metrics": "collector: {metrics_token: @}",
    "agents": "collector: {agents: {x: {tokens: [@]}}}",
}
WAYS = [
    CANARY,
    f"'{CANARY}'",
    f"[{CANARY}]",
    f"{{a: {CANARY}}}",
    f"'{CANARY}\\x'",
    f'"{CANARY}\\n"',
    f"*{CANARY}",
    f"!{CANARY} x",
    f"&{CANARY}",
    f"env:{CANARY} x",
    f"!!int {CANARY}",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS)
def test_a_literal_secret_is_refused_and_not_shown(place: str, way: str, tmp_path: Path) -> None:
    path = site_folder(tmp_path) / "site.yaml"
    path.write_text(HEAD + PLACES[place].replace("@", way) + "\n")
    with pytest.raises(ConfigErrors) as caught:
        load_site(path, {"T": "0123456789abcdef"})
    shown = "".join(traceback.format_exception(caught.value)) + str([error.to_dict() for error in caught.value.errors])
    assert CANARY not in shown + repr(caught.value)


def test_a_missing_space_shows_only_the_key(tmp_path: Path) -> None:
    text = HEAD + f"credentials:\n  x:\n    ssh:\n      username: u\n      password:{CANARY}\n"
    found = mistakes(site_folder(tmp_path), text)
    assert found and CANARY not in str(found)
    twice = HEAD + f"credentials: {{x: {{pjlink: {{'password:{CANARY}': 1, 'password:{CANARY}': 2}}}}}}\n"
    assert CANARY not in str(mistakes(tmp_path, twice))


@pytest.mark.parametrize(
    "inner",
    [
        f"password:{CANARY}",
        f"password：{CANARY}",
        f"password={CANARY}",
        f"password {CANARY}",
        CANARY,
        f"'{CANARY}':",
        f"'p@{CANARY}': 1",
    ],
)
def test_what_yaml_takes_for_a_key_may_be_a_secret(inner: str, tmp_path: Path) -> None:
    found = mistakes(site_folder(tmp_path), HEAD + f"credentials: {{x: {{ssh: {{username: u, {inner}}}}}}}\n")
    assert found and CANARY not in str(found)


def test_a_loaded_site_prints_no_secret(tmp_path: Path) -> None:
    path = site_folder(tmp_path) / "site.yaml"
    path.write_text(
        HEAD + "credentials: {x: {snmp: {version: 2c, community: file:good}}}\ncollector: {metrics_token: env:T}\n"
        "devices: [{name: a, address: 10.0.0.1, class: switch, credentials: x}]\n"
    )
    site = load_site(path, {"T": f"{CANARY}-0123456789"})
    assert CANARY not in f"{site} {site!r} {site.devices['a'].credentials}"
    with pytest.raises(TypeError, match="a secret is not pickled"):
        pickle.dumps(site)
