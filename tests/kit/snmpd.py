"""net-snmp's real snmpd on loopback addresses, with v1/v2c communities and v3 users of every protocol pair.

`running(folder)` starts one and stops it again; the fixture `snmpd` (in a conftest) is one for the whole session.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.secret import Secret
from config.site import SnmpCredentials

PROGRAM = shutil.which("snmpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
AUTH = {
    "md5": "MD5",
    "sha": "SHA",
    "sha224": "SHA-224",
    "sha256": "SHA-256",
    "sha384": "SHA-384",
    "sha512": "SHA-512",
}
PRIV = {"des": "DES", "aes128": "AES", "aes192": "AES-192", "aes256": "AES-256"}
AUTH_PASSPHRASE = "authentication-phrase"
PRIV_PASSPHRASE = "privacy-phrase"
SYS_NAME = "snmpd.example"
# GET sysUpTime.0 of community public, request id 0x11111111
_HELLO = bytes.fromhex("302902010104067075626c6963a01c020411111111020100020100300e300c06082b060102010103000500")


def pairs() -> list[tuple[str, str]]:
    """Every (authentication, privacy) pair that has a user; empty strings for none."""
    return [("", "")] + [(auth, "") for auth in AUTH] + [(auth, priv) for auth in AUTH for priv in PRIV]


def user_name(auth: str, priv: str) -> str:
    return f"u-{auth or 'none'}-{priv or 'none'}"


@dataclass(frozen=True)
class Snmpd:
    """A running snmpd."""

    addresses: tuple[str, ...]
    port: int
    pid: int
    community: str = "public"

    @property
    def address(self) -> str:
        return self.addresses[0]

    def credentials(self, version: str = "2c", auth: str = "", priv: str = "") -> SnmpCredentials:
        """Credentials that this daemon accepts."""
        if version != "3":
            return SnmpCredentials(version, Secret(self.community, "file:/test"), port=self.port)
        return SnmpCredentials(
            "3",
            user=user_name(auth, priv),
            auth_protocol=auth,
            auth_secret=Secret(AUTH_PASSPHRASE, "file:/test") if auth else None,
            priv_protocol=priv,
            priv_secret=Secret(PRIV_PASSPHRASE, "file:/test") if priv else None,
            port=self.port,
        )


def free_port(address: str = "127.0.0.1") -> int:
    """Return a UDP port that nobody uses just now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def configuration(addresses: Sequence[str], port: int, extra: str) -> str:
    lines = [f"agentAddress {','.join(f'udp:{address}:{port}' for address in addresses)}"]
    lines += [
        "rocommunity public",
        f"sysName {SYS_NAME}",
        "sysLocation rack 3",
        "sysContact nobody",
        "sysServices 72",
        "dontLogTCPWrappersConnects yes",
    ]
    for auth, priv in pairs():
        level = "priv" if priv else "auth" if auth else "noauth"
        words = f'{AUTH[auth]} "{AUTH_PASSPHRASE}"' if auth else ""
        words += f' {PRIV[priv]} "{PRIV_PASSPHRASE}"' if priv else ""
        lines += [f"createUser {user_name(auth, priv)} {words}".rstrip(), f"rouser {user_name(auth, priv)} {level}"]
    return "\n".join([*lines, extra, ""])


@contextmanager
def running(
    folder: Path, addresses: Sequence[str] = ("127.0.0.1",), port: int = 0, extra: str = "", persist: str = "state"
) -> Iterator[Snmpd]:
    """Run snmpd on these loopback addresses; `persist` names the folder of engine id and boots, for restarts."""
    if PROGRAM is None:
        pytest.skip("snmpd is not installed")
    port = port or free_port(addresses[0])
    state = folder / persist
    state.mkdir(exist_ok=True)
    file = folder / "snmpd.conf"
    file.write_text(configuration(addresses, port, extra))
    command = [PROGRAM, "-f", "-c", str(file), "-Lf", str(folder / "snmpd.log"), "-p", str(folder / "snmpd.pid")]
    environment = os.environ | {"SNMP_PERSISTENT_DIR": str(state), "SNMPCONFPATH": str(state), "MIBS": ""}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(addresses[-1], port, process, folder / "snmpd.log")
        yield Snmpd(tuple(addresses), port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def snmpd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    """One snmpd on 127.0.0.1 for the whole session: `from kit.snmpd import snmpd` in a conftest gives it to its folder."""
    with running(tmp_path_factory.mktemp("snmpd")) as daemon:
        yield daemon


def _wait_for(address: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.1)
        while time.monotonic() < deadline and process.poll() is None:
            probe.sendto(_HELLO, (address, port))
            try:
                probe.recv(1500)
            except OSError:
                time.sleep(0.05)
            else:
                return
    raise RuntimeError(f"snmpd does not answer on {address}:{port}: {log.read_text()[-800:] if log.exists() else 'no log'}")
