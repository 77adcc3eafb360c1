"""What one question returns, and the one signature that all questions share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from probes.reason import Reason

if TYPE_CHECKING:
    from probes.net import Net


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one question: a reason always, and what samples and facts there were.

    `keys` are series keys joined by line feeds, `values` one float for each. `phases` are seconds by phase name
    (resolve, connect, tls, first answer ...), `rejected` counts datagrams dropped while waiting, by reason.
    """

    reason: Reason
    at: int  # ms since the epoch
    keys: bytes = b""
    values: Sequence[float] = ()
    detail: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    phases: Mapping[str, float] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)


class Question(Protocol):
    """One thing to ask of one device, compiled once from profile and credentials, cheap to ask again and again."""

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        """Ask, and return within `timeout_s` seconds in all, whatever the device does. Raises only CancelledError."""
        ...
