"""Which host keys are trusted: OpenSSH's known_hosts files, hashed names included. Never trusts a changed key.

A line marked ``@revoked`` refuses its key for every host; ``@cert-authority`` lines are not used.
"""

from __future__ import annotations

import os
from pathlib import Path

import paramiko
from paramiko.hostkeys import HostKeyEntry, HostKeys, InvalidHostKey

from config.language import _
from probes.reason import Reason
from probes.ssh.failure import SessionEnded


class KnownHosts:
    """One known_hosts file, read anew for each session (an operator may have edited it)."""

    def __init__(self, path: Path) -> None:
        """Read the file; one that is not there yet is empty.

        Raises:
            SessionEnded: HOST_KEY_UNKNOWN, the file cannot be read.
        """
        self._path = path
        self._keys = HostKeys()
        self._revoked: set[str] = set()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        except (OSError, UnicodeError) as error:
            text = _("{path} cannot be read: {error}").format(path=path, error=type(error).__name__)
            raise SessionEnded(Reason.HOST_KEY_UNKNOWN, text) from error
        for number, line in enumerate(lines, 1):
            self._read(line.strip(), number)

    def key_types(self, host: str, port: int) -> tuple[str, ...]:
        """Return the types of the keys known for a host, so that these are asked for first."""
        entry = self._keys.lookup(_name(host, port))
        return tuple(entry.keys()) if entry is not None else ()

    def check(self, host: str, port: int, key: paramiko.PKey, trust_first_use: bool) -> None:
        """Return if the key is trusted; trust and record an unknown one if the operator said so.

        Raises:
            SessionEnded: HOST_KEY_CHANGED or HOST_KEY_UNKNOWN, with the fingerprint that was shown.
        """
        shown = _("{kind} key {fingerprint}").format(kind=key.get_name(), fingerprint=key.fingerprint)
        if key.get_base64() in self._revoked:
            raise SessionEnded(Reason.HOST_KEY_CHANGED, _("{key} is revoked").format(key=shown))
        name = _name(host, port)
        entry = self._keys.lookup(name)
        if entry is None:
            if not trust_first_use:
                text = _("{key} of {name} is not in {path}").format(key=shown, name=name, path=self._path)
                raise SessionEnded(Reason.HOST_KEY_UNKNOWN, text)
            self._record(name, key)
        elif key.get_name() not in entry or entry[key.get_name()] != key:
            text = _("{key} of {name} is not the one in {path}").format(key=shown, name=name, path=self._path)
            raise SessionEnded(Reason.HOST_KEY_CHANGED, text)

    def _read(self, line: str, number: int) -> None:
        if not line or line.startswith("#"):
            return
        if line.startswith("@"):
            fields = line.split()
            if fields[0] == "@revoked" and len(fields) >= 4:
                self._revoked.add(fields[3])
            return
        try:
            entry = HostKeyEntry.from_line(line, number)
        except (InvalidHostKey, paramiko.SSHException, ValueError):
            return
        if entry is not None and entry.key is not None and entry.hostnames:
            for hostname in entry.hostnames:
                self._keys.add(hostname, entry.key.get_name(), entry.key)

    def _record(self, name: str, key: paramiko.PKey) -> None:
        line = f"{name} {key.get_name()} {key.get_base64()}\n".encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, line)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            text = _("{path} cannot be written: {error}").format(path=self._path, error=_(str(error.strerror)))
            raise SessionEnded(Reason.HOST_KEY_UNKNOWN, text) from error


def _name(host: str, port: int) -> str:
    return host if port == 22 else f"[{host}]:{port}"
