"""The encrypted connection: paramiko's transport with our choice of algorithms, a cap on bytes, and a log without secrets.

By default only what is sound today. ``legacy: true`` (for one set of credentials, so for the devices that name it) adds what
old switches still need: group 1 and 14 with SHA-1, ssh-rsa host keys, CBC ciphers, HMAC-SHA1 and MD5; paramiko 5 has dropped
the first two, so they are defined here.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha1
from typing import Any, ClassVar

import paramiko
from cryptography.hazmat.primitives import hashes
from paramiko.auth_handler import AuthHandler
from paramiko.kex_group14 import KexGroup14SHA256

log = logging.getLogger(__name__)

MOST_BEFORE_LOGIN_BYTES = 128 << 10
MOST_RECEIVED_BYTES = 3 << 20
WINDOW_BYTES = 256 << 10
CIPHERS = ("aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
DIGESTS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512")
LEGACY_CIPHERS = ("aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc")
LEGACY_DIGESTS = ("hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96")


class CappedSocket:
    """A socket that ends (as if the peer had closed it) after so many received bytes."""

    def __init__(self, sock: socket.socket, most: int = MOST_BEFORE_LOGIN_BYTES) -> None:
        self._sock = sock
        self._left = most
        self._closed = False  # read by paramiko

    @property
    def exhausted(self) -> bool:
        """Whether the cap was met."""
        return self._left <= 0

    def allow(self, further: int) -> None:
        """Let so many further bytes in."""
        self._left += further

    def recv(self, size: int) -> bytes:
        """Return received bytes, none once the cap is met."""
        if self._left <= 0:
            return b""
        data = self._sock.recv(min(size, self._left))
        self._left -= len(data)
        return data

    def send(self, data: bytes) -> int:
        """Send what fits and return how much that was."""
        return self._sock.send(data)

    def settimeout(self, seconds: float | None) -> None:
        """Set the time one call may take."""
        self._sock.settimeout(seconds)

    def getpeername(self) -> Any:
        """Return the address of the other side."""
        return self._sock.getpeername()

    def close(self) -> None:
        """Shut down and close; a thread that waits in `recv` returns."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


class StrictTransport(paramiko.Transport):  # type: ignore[misc]
    """paramiko's transport with today's algorithms only."""

    _preferred_ciphers: Sequence[str] = CIPHERS
    _preferred_macs: Sequence[str] = DIGESTS
    _preferred_keys: Sequence[str] = paramiko.Transport._preferred_keys
    secret: str = ""

    def prefer_keys(self, known: Sequence[str]) -> None:
        """Ask first for host keys of the types that are known for the host."""
        first = [name for name in self._preferred_keys if name in known or (name.startswith("rsa-sha2") and "ssh-rsa" in known)]
        self._preferred_keys = (*first, *(name for name in self._preferred_keys if name not in first))

    def answer_questions(self, username: str, answers: Callable[[str, str, list[tuple[str, bool]]], list[str]]) -> None:
        """Log in by keyboard-interactive after another method was not on offer, without asking for the service twice.

        paramiko's own `auth_interactive` repeats the service request, on which some servers hang up.
        """
        event = threading.Event()
        self.auth_handler = _FurtherAuth(self)
        self.auth_handler.auth_interactive(username, answers, event, "")
        self.auth_handler.wait_for_response(event)

    def _log(self, level: int, msg: Any, *args: Any) -> None:
        """Write paramiko's words at debug level only (what matters is in the outcome), without the secret."""
        if log.isEnabledFor(logging.DEBUG):
            text = "; ".join(map(str, msg)) if isinstance(msg, list) else str(msg) % args if args else str(msg)
            log.debug("%s", text.replace(self.secret, "<secret>") if self.secret else text)


class _FurtherAuth(AuthHandler):  # type: ignore[misc]
    """A login on a connection whose authentication service has been accepted already."""

    def _request_auth(self) -> None:
        accepted = paramiko.Message()
        accepted.add_string("ssh-userauth")
        accepted.rewind()
        self._parse_service_accept(accepted)


class _KexGroup14Sha1(KexGroup14SHA256):  # type: ignore[misc]
    """RFC 4253 section 8.2."""

    name = "diffie-hellman-group14-sha1"
    hash_algo = sha1


class _KexGroup1Sha1(_KexGroup14Sha1):
    """RFC 4253 section 8.1: the 1024-bit group of RFC 2409 section 6.2."""

    P = int(
        "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B"
        "302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6"
        "49286651ECE65381FFFFFFFFFFFFFFFF",
        16,
    )
    name = "diffie-hellman-group1-sha1"


class _LegacyRsaKey(paramiko.RSAKey):  # type: ignore[misc]
    """An RSA host key that may sign with SHA-1."""

    HASHES: ClassVar[Mapping[str, Any]] = {**paramiko.RSAKey.HASHES, "ssh-rsa": hashes.SHA1}


class LegacyTransport(StrictTransport):
    """The same with what old devices need, weakest last."""

    _preferred_ciphers = CIPHERS + LEGACY_CIPHERS
    _preferred_macs = DIGESTS + LEGACY_DIGESTS
    _preferred_keys = (*paramiko.Transport._preferred_keys, "ssh-rsa")
    _preferred_kex = (*paramiko.Transport._preferred_kex, _KexGroup14Sha1.name, _KexGroup1Sha1.name)
    _kex_info: ClassVar[Mapping[str, Any]] = {
        **paramiko.Transport._kex_info,
        _KexGroup14Sha1.name: _KexGroup14Sha1,
        _KexGroup1Sha1.name: _KexGroup1Sha1,
    }
    _key_info: ClassVar[Mapping[str, Any]] = {**paramiko.Transport._key_info, "ssh-rsa": _LegacyRsaKey}
