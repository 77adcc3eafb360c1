"""What a terminal shows, from bytes alone; the exceptions of the libraries below all have a reason."""

from __future__ import annotations

import netmiko.exceptions
import paramiko
import paramiko.ssh_exception
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.reference import reference
from probes.reason import Reason
from probes.ssh import failure, screen
from probes.ssh.commands import PLATFORMS


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        ("abc\rX", "Xbc"),
        ("abc\b\bX", "aXc"),
        (" \x1b[1Dabc", "abc"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("abc\r\x1b[K", ""),
        ("--More--\r        \rnext", "next    "),
        ("a\x1b[99999999999Cb", "a b"),
        ("a\x1b[5000Gb", "a" + " " * 4094 + "b"),
        ("\x1b", ""),
        ("\x1b[", "["),
        ("nul\x00s", "nuls"),
    ],
)
def test_a_line_as_a_terminal_leaves_it(shown: str, line: str) -> None:
    assert screen.render_line(shown) == line


@pytest.mark.parametrize("line", ["--More--", "---- More ----", " --More-- ", "<--- More --->", "--More-- (12%)", "-- more --"])
def test_pagers(line: str) -> None:
    assert screen.is_pager(line) and not screen.is_question(line)


@pytest.mark.parametrize("line", ["<core-1>", "core-1#", "no more", "more", "Tomorrow", "", "--", "- more text follows here"])
def test_no_pagers(line: str) -> None:
    assert not screen.is_pager(line)


@pytest.mark.parametrize(
    ("platform", "line", "is_one"),
    [
        ("huawei_vrp", "<core-1>", True),
        ("huawei_vrp", "[core-1]", True),
        ("huawei_vrp", "HRP_M<fw-1>", True),
        ("huawei_vrp", "[~core-1]", True),
        ("huawei_vrp", "authorised only>", False),
        ("cisco_ios", "sw1#", True),
        ("cisco_ios", "sw1(config)#", True),
        ("cisco_ios", "welcome to sw1>", False),
        ("linux", "monitor@web:~$", True),
        ("linux", "$", True),
        ("linux", "100$", True),
        ("linux", "root@web:/#", True),
        ("linux", "no prompt", False),
    ],
)
def test_prompts(platform: str, line: str, is_one: bool) -> None:
    assert screen.is_prompt(line, PLATFORMS[platform].prompt) is is_one


@given(st.binary(max_size=400))
def test_any_bytes_are_shown_without_an_exception(data: bytes) -> None:
    text = screen.command_output(data, "display version", "<core-1>")
    assert "\x1b" not in text
    line = screen.last_line(data.decode("utf-8", "replace"))
    screen.is_question(line), screen.is_pager(line), [screen.is_prompt(line, p.prompt) for p in PLATFORMS.values()]


def test_hostile_lines_cost_no_time() -> None:
    for text in (
        "-" * 100_000,
        "(" * 100_000,
        "more " * 20_000,
        "[y/" * 30_000,
        "a@" * 50_000,
        "\x1b[" * 50_000,
        "please choose" * 9999,
    ):
        line = screen.last_line(text)
        screen.is_question(line), screen.is_pager(line), [screen.is_prompt(line, p.prompt) for p in PLATFORMS.values()]
        screen.command_output(text.encode(), "x", "y")


def test_recorded_outputs_come_through_whole() -> None:
    folder = reference("cli-output")
    for platform, prompt in (
        ("huawei_vrp", "<core-1>"),
        ("hp_comware", "<core-1>"),
        ("cisco_ios", "sw1#"),
        ("zte_zxros", "sw1#"),
    ):
        for file in sorted((folder / platform).rglob("*.raw")):
            text = file.read_text(encoding="utf-8", errors="replace").replace("\r", "")
            raw = f"a command\r\n{text}\r\n{prompt}".replace("\n", "\r\n").encode()
            shown = screen.command_output(raw, "a command", prompt)
            kept = [line.rstrip() for line in text.split("\n")]
            assert shown.split() == " ".join(kept).split(), file.name


def test_every_exception_of_the_libraries_has_a_reason() -> None:
    trees = [paramiko.SSHException, netmiko.exceptions.NetmikoBaseException]
    for module in (paramiko.ssh_exception, netmiko.exceptions):
        trees += [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    for kind in trees:
        trees += [sub for sub in kind.__subclasses__() if sub not in trees]
        if issubclass(kind, (OSError, paramiko.SSHException, netmiko.exceptions.NetmikoBaseException)):
            assert failure.reason_of(kind.__new__(kind)) not in (None, Reason.INTERNAL, Reason.OK), kind
    assert failure.reason_of(paramiko.AuthenticationException()) is Reason.AUTH
    assert failure.reason_of(KeyError()) is None
