"""What a TCP protocol of the simulator offers: a greeting, a way to know a message's end, an answer. No sockets here."""

from __future__ import annotations

from typing import Protocol

from simulator.endpoint import Endpoint


class Dialogue(Protocol):
    """One connection to one device. `answer` is pure but for the dialogue's own memory of the connection."""

    terminator: bytes

    def __init__(self, endpoint: Endpoint) -> None:
        """Begin."""
        ...

    def greeting(self) -> bytes:
        """Return what the device says first; nothing for most protocols."""
        ...

    def body_bytes(self, message: bytes) -> int:
        """Return how many bytes of body follow this message."""
        ...

    def answer(self, message: bytes, now: float) -> tuple[bytes, bool]:
        """Return the reply, and whether the device closes the connection after it."""
        ...
