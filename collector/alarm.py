"""Alarm: one rule on one component of one device, as RFC 8632 models it. Three axes move apart from each other.

The records only; `collector.faults` decides. Times are integer milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Condition(StrEnum):
    """Whether what the rule watches for is so."""

    PENDING = "pending"
    RAISED = "raised"
    CLEARED = "cleared"


class Operator(StrEnum):
    """What a person did about the alarm."""

    NONE = "none"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


class Suppression(StrEnum):
    """Why a raised alarm opens no fault of its own. Suppression stops only the opening, never watching, never recovery."""

    NONE = "none"
    BEHIND_UPSTREAM = "behind-upstream"
    FLAPPING = "flapping"
    MAINTENANCE = "maintenance"
    SHELVED = "shelved"
    AGENT_BLIND = "agent-blind"


class Severity(StrEnum):
    """Severity of an alarm in the words of ITU-T X.733."""

    CRITICAL = "critical"
    MAJOR = "major"
    MINOR = "minor"
    WARNING = "warning"
    INDETERMINATE = "indeterminate"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _SEVERITY_ORDER.index(self)


_SEVERITY_ORDER = tuple(Severity)


class Effect(StrEnum):
    """What an alarm takes away: the service, its redundancy, or nothing yet."""

    OUTAGE = "outage"
    PROTECTION = "protection"
    DEGRADED = "degraded"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _EFFECT_ORDER.index(self)


_EFFECT_ORDER = tuple(Effect)


@dataclass(frozen=True, slots=True, order=True)
class AlarmKey:
    """Identity of an alarm. `component` is empty where the alarm is about the device as a whole."""

    site: str
    device: str
    component: str
    rule: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm as it stands now; how it came there is in its `AlarmChange` rows."""

    key: AlarmKey
    problem: str  # kebab-case word for what is wrong: device-down, link-down, mains-lost ...
    severity: Severity
    effect: Effect
    condition: Condition = Condition.PENDING
    operator: Operator = Operator.NONE
    suppression: Suppression = Suppression.NONE
    began_at: int = 0  # event time of the first failed answer
    raised_at: int | None = None  # event time of the verdict
    cleared_at: int | None = None  # event time of the first good answer
    value: float = 0.0
    text: str = ""  # the rule's own summary, for people
    texts: Mapping[str, str] = field(default_factory=dict)  # the same in further languages (zh), where the rule has it
    fault: str = ""  # id of the fault it belongs to
    also: tuple[str, ...] = ()  # further faults that it belongs to: a device whose two upstreams are both lost
    firing: tuple[str, ...] = ()  # severities at which the rule fires now, where one alert name has several
    due_at: int | None = None  # when what holds the alarm back ends: a wait for its upstream, a resolution not heard
    hold: str = ""  # why it is held: upstream, settle, recovery, unheard, flapping
    unheard_at: int | None = None  # resolved at that time, but only because its device stopped answering
    flap_exponent: float = 0.0  # flap damper: penalty is 2 to this power at `flap_at`
    flap_at: int = 0
    flapping: bool = False

    def text_in(self, language: str) -> str:
        """Return the summary in a language (a BCP 47 tag), in the rule's first one where it has no other."""
        return self.texts.get(language[:2]) or self.text


@dataclass(frozen=True, slots=True)
class AlarmChange:
    """One change on one axis of an alarm, appended and never altered. `at` is event time, `received_at` ours."""

    key: AlarmKey
    axis: str  # condition, operator, suppression
    value: str
    at: int
    received_at: int
    reason: str = ""
