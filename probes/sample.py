"""The records that flow from a device to the collector: series, runs and reachability transitions.

A series key is the series in Prometheus text format (``device_up{class="switch",device="core-1",site="north"}``) as UTF-8
bytes, labels sorted by name. It is the identity of a series everywhere: on the wire, in the collector's index, in /metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from probes.reason import Reason

Labels = tuple[tuple[str, str], ...]

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


def series_key(metric: str, labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    """Return the key of a series: metric name and labels (empty values dropped, sorted by name) in Prometheus text format.

    Label values must have passed `probes.text`; a key never holds a line feed, so keys may be joined by one.
    """
    pairs = labels.items() if isinstance(labels, Mapping) else labels
    inner = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(pairs) if value)
    return (f"{metric}{{{inner}}}" if inner else metric).encode()


def parse_key(key: bytes) -> tuple[str, Labels]:
    """Return (metric, labels) of a key made by `series_key`.

    Raises:
        ValueError: the bytes are not a series key.
    """
    text = key.decode()
    brace = text.find("{")
    if brace < 0:
        return text, ()
    if not text.endswith("}"):
        raise ValueError(f"not a series key: {text[:80]!r}")
    return text[:brace], tuple(_pairs(text, brace + 1, len(text) - 1))


def _pairs(text: str, start: int, end: int) -> Iterator[tuple[str, str]]:
    at = start
    while at < end:
        equals = text.index('="', at, end)
        name, at = text[at:equals], equals + 2
        value: list[str] = []
        while (char := text[at]) != '"':
            if char == "\\":
                at += 1
                char = "\n" if text[at] == "n" else text[at]
            value.append(char)
            at += 1
            if at >= end:
                raise ValueError(f"not a series key: {text[:80]!r}")
        yield name, "".join(value)
        at += 1
        if at < end:
            if text[at] != ",":
                raise ValueError(f"not a series key: {text[:80]!r}")
            at += 1


@dataclass(frozen=True, slots=True)
class Run:
    """One question round to one device and what came of it.

    `keys` are the series keys joined by line feeds, `values` one float for each. All samples have the event time `at`.
    A failed run (reason not OK) may still carry samples: what was answered before it failed.
    """

    device: str
    lane: str
    at: int  # ms since the epoch: when the answer came, or when the deadline passed
    duration_s: float
    reason: Reason
    keys: bytes = b""
    values: Sequence[float] = ()
    detail: str = ""  # for people; has passed probes.text
    facts: tuple[tuple[str, str], ...] = ()  # identity learned: ("sys_name", "..."), ("serial", "...")


class ReachState(StrEnum):
    """What the agent says about reaching a device."""

    UP = "up"
    SUSPECT = "suspect"  # a miss that is being checked
    DOWN = "down"
    UNKNOWN = "unknown"  # the agent itself reaches nothing, so it cannot say


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of a device's (or the agent's own) reachability, decided at the agent.

    `since` is the event time of the change itself: the first failed answer before a DOWN, the first good answer of an UP.
    `at` is when it was decided. `reason` is one of ``icmp``, ``snmp-silent``, ``tcp-silent``, ``behind``, ``agent-blind``,
    ``recovered``, ``first-answer``; `via` names the dark upstream of a ``behind``.
    """

    device: str
    state: ReachState
    reason: str
    since: int
    at: int
    via: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """What the agent spools and the collector acknowledges, as one: records [seq, seq + count) of one agent's epoch.

    Each run and each transition is one record. `epoch` grows at every start of the agent; `previous` names the epoch before
    and its next unused sequence number, so that a lost tail is seen too.
    """

    agent: str
    epoch: int
    seq: int
    created_at: int
    runs: tuple[Run, ...] = ()
    transitions: tuple[Transition, ...] = ()
    previous: tuple[int, int] | None = None

    @property
    def count(self) -> int:
        """Number of records, that is of sequence numbers used."""
        return len(self.runs) + len(self.transitions)
