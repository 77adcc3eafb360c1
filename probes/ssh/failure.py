"""How an SSH session can end badly, and the one place where exceptions of paramiko, netmiko and sockets become reasons."""

from __future__ import annotations

import netmiko.exceptions as nm
import paramiko.ssh_exception as pk

from probes.connect import reason_of_os_error
from probes.reason import Reason


class SessionEnded(Exception):
    """The session cannot go on: why, and a text for people that holds no secret and has passed the gate."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.detail = detail


_REASONS: tuple[tuple[type[BaseException], Reason], ...] = (
    (pk.IncompatiblePeer, Reason.NO_COMMON_ALGORITHM),
    (pk.BadHostKeyException, Reason.HOST_KEY_CHANGED),
    (pk.AuthenticationException, Reason.AUTH),
    (nm.NetmikoTimeoutException, Reason.TIMEOUT),
    (pk.SSHException, Reason.PROTOCOL),
    (nm.ReadTimeout, Reason.TIMEOUT),
    (nm.NetmikoBaseException, Reason.PROTOCOL),
    (EOFError, Reason.PROTOCOL),
    (ValueError, Reason.PROTOCOL),  # netmiko: no prompt found
)


def reason_of(error: BaseException) -> Reason | None:
    """Return the reason of an exception of the libraries below; None if it is none of theirs, that is, a bug."""
    if isinstance(error, SessionEnded):
        return error.reason
    if isinstance(error, OSError):
        return reason_of_os_error(error)
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), None)
