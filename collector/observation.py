"""Reads an alert of the rule engine as an observation of one alarm: which device, which component, what is wrong, how bad.

Words of the rule file decide (annotations `problem` and `effect`, label `severity`); where they are silent, the alert's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from collector.alarm import AlarmKey, Effect, Severity
from rules.alert import AlertChange

_NOT_COMPONENT = frozenset(
    {
        "alertname",
        "severity",
        "site",
        "device",
        "class",
        "place",
        "role",
        "region",
        "agent",
        "instance",
        "job",
        "vendor",
        "model",
    }
)
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[\s_]+")


class Kind(StrEnum):
    """What kind of evidence an alarm is, for finding the root cause."""

    REACH = "reach"  # a device does not answer
    LINK = "link"  # a port is down
    MAINS = "mains"  # a UPS runs on its battery
    AGENT = "agent"  # an agent is blind or silent
    OTHER = "other"


_KINDS = {
    "device-down": Kind.REACH,
    "link-down": Kind.LINK,
    "mains-lost": Kind.MAINS,
    "agent-blind": Kind.AGENT,
    "agent-silent": Kind.AGENT,
}
_SAME = {
    "device-unreachable": "device-down",
    "host-down": "device-down",
    "node-down": "device-down",
    "interface-down": "link-down",
    "port-down": "link-down",
    "uplink-down": "link-down",
    "ups-on-battery": "mains-lost",
    "on-battery": "mains-lost",
    "ups-mains-lost": "mains-lost",
    "site-blind": "agent-silent",
    "agent-down": "agent-silent",
}
_USUAL_EFFECT = {
    Kind.REACH: Effect.OUTAGE,
    Kind.AGENT: Effect.OUTAGE,
    Kind.LINK: Effect.DEGRADED,
    Kind.MAINS: Effect.PROTECTION,
}


@dataclass(frozen=True, slots=True)
class Observation:
    """An alert change in the engine's terms."""

    key: AlarmKey
    problem: str
    severity: Severity
    effect: Effect
    text: str
    texts: Mapping[str, str] = field(default_factory=dict)


def kind_of(problem: str) -> Kind:
    """Return the kind of evidence that a problem word stands for."""
    return _KINDS.get(problem, Kind.OTHER)


def problem_word(text: str) -> str:
    """Return ``device-down`` for ``DeviceDown``, and one word for things with several names."""
    word = _WORD.sub("-", text.strip()).lower().strip("-")
    return _SAME.get(word, word)


def observed(change: AlertChange, site: str, own_labels: Iterable[str] = ()) -> Observation:
    """Return what an alert change is about. `own_labels` are names of labels that the device gives all its series.

    The component is what the labels add to the device: the value of the one label left, ``name=value`` pairs of several.
    Annotations ``summary_zh`` and the like are the summary in further languages.
    """
    labels = dict(change.labels)
    device = labels.get("device") or labels.get("agent") or labels.get("instance") or site
    left = [(name, value) for name, value in change.labels if name not in _NOT_COMPONENT and name not in own_labels and value]
    component = left[0][1] if len(left) == 1 else ",".join(f"{name}={value}" for name, value in left)
    problem = problem_word(change.annotations.get("problem") or change.rule)
    return Observation(
        key=AlarmKey(labels.get("site") or site, device, component, change.rule),
        problem=problem,
        severity=_severity(labels.get("severity", "")),
        effect=_effect(change.annotations.get("effect", ""), problem),
        text=change.annotations.get("summary") or change.annotations.get("description", ""),
        texts={name[8:]: text for name, text in change.annotations.items() if name.startswith("summary_") and text},
    )


def _severity(word: str) -> Severity:
    try:
        return Severity(word.lower())
    except ValueError:
        return {"info": Severity.INDETERMINATE, "none": Severity.INDETERMINATE, "error": Severity.MAJOR}.get(
            word.lower(), Severity.MAJOR
        )


def _effect(word: str, problem: str) -> Effect:
    try:
        return Effect(word.lower())
    except ValueError:
        return _USUAL_EFFECT.get(kind_of(problem), Effect.DEGRADED)
