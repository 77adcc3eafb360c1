"""Network namespaces of our own for tests, as root only: made, wired and removed. Touches nothing of the machine's own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


def run(*argv: str, inside: str = "", text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command, in a namespace where one is named; fail with its words."""
    prefix = ("ip", "netns", "exec", inside) if inside else ()
    done = subprocess.run([*prefix, *argv], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done


def need_namespaces() -> None:
    """Skip the test where namespaces or nftables cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    for tool in ("ip", "nft"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    probe = f"wk-try-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True).returncode != 0:
        pytest.skip("network namespaces cannot be made here")
    subprocess.run(["ip", "netns", "del", probe], check=False)


@contextmanager
def namespaces(*names: str) -> Iterator[tuple[str, ...]]:
    """Yield namespaces with loopback up, named after this process; remove them afterwards."""
    real = tuple(f"wk-{name}-{os.getpid()}" for name in names)
    try:
        for name in real:
            run("ip", "netns", "add", name)
            run("ip", "link", "set", "lo", "up", inside=name)
        yield real
    finally:
        for name in real:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def wire(one: str, one_address: str, other: str, other_address: str, link: str) -> None:
    """Join two namespaces by a cable, each end with an address (``10.1.0.1/24``)."""
    ends = (f"{link}a{os.getpid() % 10000}", f"{link}b{os.getpid() % 10000}")
    run("ip", "link", "add", ends[0], "netns", one, "type", "veth", "peer", "name", ends[1], "netns", other)
    for end, inside, address in ((ends[0], one, one_address), (ends[1], other, other_address)):
        run("ip", "addr", "add", address, "dev", end, inside=inside)
        run("ip", "link", "set", end, "up", inside=inside)
