"""The records of the alert state machine: what changed, and what is kept over a restart. Decides nothing.

Times are integer milliseconds since the epoch. Labels are sorted by name and include ``alertname`` and ``severity``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rules.source import Labels


class Kind(StrEnum):
    """What happened to an alert instance."""

    PENDING = "pending"  # the condition holds, `for` has not passed
    FIRING = "firing"
    RESOLVED = "resolved"  # was firing, is over
    DROPPED = "dropped"  # was pending, never fired
    UPDATED = "updated"  # still firing, its annotations read differently now


class Gone(StrEnum):
    """Why an alert ended although nobody saw its condition end."""

    COMPONENT = "no longer there"  # a good answer without it
    RULE = "its rule was removed"
    DEVICE = "its device was removed from the site"


class Phase(StrEnum):
    """Where an active alert stands."""

    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class AlertChange:
    """One alert instance changed state. `labels` are its identity; `annotations` are expanded.

    `active_at` is when the condition was first seen, `at` the time of this change: of the evaluation, or of the answer that
    ended it, where that is known. `reason` says why an alert ended if not by its condition (see `Gone`).
    """

    kind: Kind
    rule: str
    labels: Labels
    annotations: Mapping[str, str]
    active_at: int
    at: int
    value: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AlertState:
    """One active alert instance as it is kept over a restart, exactly.

    `rule_key` names the rule (see `rules.load.AlertRule.key`), `seen_at` is the evaluation it was last part of: what lies
    between that and the first evaluation after a restart does not count towards `for`.
    """

    rule_key: str
    rule: str
    labels: Labels
    annotations: Mapping[str, str]
    phase: Phase
    active_at: int
    fired_at: int | None
    keep_firing_since: int | None
    seen_at: int
    value: float
