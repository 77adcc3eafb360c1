"""Who is asking: tokens of agents, of operators, of Prometheus. Compares hashes in constant time; never keeps a token as text.

Nothing a client says of its own address (X-Forwarded-For and the like) is ever read.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import os
import secrets
from pathlib import Path

from config.site import CollectorSettings

log = logging.getLogger(__name__)

OPERATOR_FILE = "operator.token"
_SHORTEST = 32  # characters of an operator token that is kept over a restart


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class Access:
    """The tokens in force. Comparing costs 1 us for each one known, whichever fits."""

    def __init__(self, settings: CollectorSettings, operator_token: str) -> None:
        """Take the site file's tokens and the operator's."""
        self._agents = [(name, _digest(t.reveal())) for name, agent in settings.agents.items() for t in agent.tokens]
        self._operator = _digest(operator_token)
        self._metrics = None if settings.metrics_token is None else _digest(settings.metrics_token.reveal())
        self._open_metrics = self._metrics is None and is_loopback(settings.listen)

    def agent(self, header: str) -> str | None:
        """Return the agent whose token an Authorization header holds, None if it is nobody's."""
        given = _bearer(header)
        found: str | None = None
        for name, digest in self._agents:
            if hmac.compare_digest(digest, given):
                found = name
        return found

    def operator(self, header: str) -> bool:
        """Say if a header holds the operator's token."""
        return hmac.compare_digest(self._operator, _bearer(header))

    def metrics(self, header: str) -> bool:
        """Say if /metrics may be read: with its own token, with the operator's, or by anyone on a loopback address."""
        given = _bearer(header)
        own = self._metrics is not None and hmac.compare_digest(self._metrics, given)
        return self._open_metrics or own or hmac.compare_digest(self._operator, given)


def _bearer(header: str) -> bytes:
    """Return the digest of a bearer token; of nothing that any token has, if there is none."""
    kind, _, token = header.partition(" ")
    return _digest(token.strip()) if kind.lower() == "bearer" and token.strip() else b""


def is_loopback(listen: str) -> bool:
    """Say if host:port is an address that only this machine reaches."""
    host = listen.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def operator_token(folder: Path) -> str:
    """Return the operator's token of a data folder, writing a new one (256 bit, mode 0600) if there is none that is safe.

    Raises:
        OSError: the file cannot be written.
    """
    path = folder / OPERATOR_FILE
    try:
        if path.stat().st_mode & 0o077 == 0 and len(token := path.read_text("ascii").strip()) >= _SHORTEST:
            return token
        log.warning("%s was readable by others or too short, a new token is written", path)
    except (OSError, UnicodeDecodeError):
        pass
    token = secrets.token_urlsafe(32)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, f"{token}\n".encode())
        os.fsync(handle)
    finally:
        os.close(handle)
    draft.replace(path)
    return token
