"""One request that waits for its answer. Holds what came of it; never sends and never decodes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from probes.reason import Reason

Address = tuple[Any, ...]  # what sendto takes and recvfrom gives: (host, port) or (host, port, flow, scope)
Reader = Callable[[bytes, bytes, int, int], object]  # (request id, data, begin, end of the PDU) -> what was read


class Rejected(Exception):
    """An answer that is not ours to take: dropped and counted while waiting goes on."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Session(Protocol):
    """Who answers and how it proves to be the one: community (v1, v2c) or user (v3)."""

    def accept(self, exchange: Exchange, data: bytes, at: int, stop: int) -> object:
        """Return what the question reads out of this message.

        Raises:
            Malformed, Rejected: not an answer to this exchange.
        """
        ...


class Exchange:
    """A request in flight, and after it what came back: `reason` OK and `answer`, or why there is none."""

    __slots__ = (
        *(
            "address",
            "answer",
            "began",
            "context",
            "deadline",
            "detail",
            "future",
            "hint",
            "id",
            "read",
            "reason",
        ),
        *("rejected", "request", "resend", "resends_left", "session", "young"),
    )

    def __init__(self, address: Address, request: bytes, request_id: bytes, session: Session, read: Reader) -> None:
        """Prepare; the engine sets the times. `request_id` is four bytes, as it stands in the request."""
        self.address = address
        self.request = request
        self.id = request_id
        self.session = session
        self.read = read
        self.context: object = None  # whatever the session needs again when the answer comes
        self.answer: object = None
        self.reason: Reason | None = None
        self.detail = ""
        self.hint: Reason | None = None  # what the network said while waiting, if nothing better comes
        self.rejected: dict[str, int] | None = None
        self.future: asyncio.Future[None] | None = None
        self.young = False
        self.began = self.deadline = self.resend = 0.0
        self.resends_left = 0

    def reject(self, reason: str) -> None:
        """Count a datagram that was dropped while waiting."""
        if self.rejected is None:
            self.rejected = {}
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def finish(self, reason: Reason, answer: object = None) -> None:
        """End the wait. Only the first end counts."""
        if self.reason is None:
            self.reason = reason
            self.answer = answer
            if self.future is not None and not self.future.done():
                self.future.set_result(None)

    def give_up(self) -> None:
        """End the wait without an answer, with the best that is known of why."""
        rejected = self.rejected or {}
        for reason in (Reason.MALFORMED, Reason.MISMATCH, Reason.AUTH, Reason.NOT_IN_TIME_WINDOW):
            if reason.value in rejected:
                return self.finish(reason)
        return self.finish(self.hint or Reason.TIMEOUT)
