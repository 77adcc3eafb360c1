"""A service that greets whoever connects, and says goodbye to whatever it is told."""

from __future__ import annotations

from simulator.endpoint import Endpoint


class BannerDialogue:
    """One connection."""

    terminator = b"\n"

    def __init__(self, endpoint: Endpoint) -> None:
        """Begin."""
        self._name = endpoint.model.name

    def greeting(self) -> bytes:
        """Return the greeting line."""
        return f"220 {self._name} ready\r\n".encode()

    def body_bytes(self, message: bytes) -> int:
        """Return 0: there are no bodies."""
        return 0

    def answer(self, message: bytes, now: float) -> tuple[bytes, bool]:
        """Return goodbye."""
        return b"221 goodbye\r\n", True
