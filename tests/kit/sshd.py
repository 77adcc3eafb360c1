"""A real sshd on 127.x without privileges: own host key, login by a key of its own. Skips where there is no sshd."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Sshd:
    """Where it listens, who may log in with which key, and which host key it shows."""

    address: str
    port: int
    user: str
    key_file: Path
    known_hosts: Path


@contextmanager
def real_sshd(folder: Path, address: str = "127.0.0.1", *options: str) -> Iterator[Sshd]:
    """Run OpenSSH's sshd in the foreground on a free port; further `options` are lines of sshd_config."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(program).exists():
        pytest.skip("sshd is not installed")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized_keys").write_text((folder / "user.pub").read_text())
    with socket.socket() as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    config = folder / "sshd_config"
    lines = [
        f"ListenAddress {address}",
        f"Port {port}",
        f"HostKey {folder / 'host'}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        "PidFile none",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "PermitRootLogin yes",
        *options,
    ]
    config.write_text("\n".join(lines) + "\n")
    kind, key = (folder / "host.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[{address}]:{port} {kind} {key}\n")
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", str(config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_until_open(address, port, process)
        yield Sshd(address, port, getpass.getuser(), folder / "user", folder / "known_hosts")
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_open(address: str, port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(100):
        if process.poll() is not None:
            pytest.skip("sshd does not start here")
        with socket.socket() as probe:
            if probe.connect_ex((address, port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("sshd does not listen")
