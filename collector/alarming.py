"""How one alarm moves on its condition axis. Pure: an alarm and an observation in, an alarm out."""

from __future__ import annotations

from dataclasses import replace

from collector.alarm import Alarm, Condition, Operator, Severity, Suppression
from collector.flap import Damper
from collector.observation import Observation

_EXPLAINED = (Suppression.BEHIND_UPSTREAM, Suppression.AGENT_BLIND)


def pended(old: Alarm | None, seen: Observation, began_at: int, value: float) -> Alarm:
    """Return the alarm whose rule holds, but not yet for long enough. One that is raised stays so."""
    if old is not None and old.condition is Condition.RAISED:
        return old
    base = old or Alarm(seen.key, seen.problem, seen.severity, seen.effect)
    return replace(base, condition=Condition.PENDING, began_at=began_at, value=value, text=seen.text, texts=seen.texts)


def raised(old: Alarm | None, seen: Observation, began_at: int, at: int, value: float, damper: Damper) -> Alarm:
    """Return the alarm raised at event time `at`. Raised again under another severity, it keeps its beginning."""
    base = old or Alarm(seen.key, seen.problem, seen.severity, seen.effect)
    firing = tuple(sorted({*base.firing, seen.severity.value}, key=lambda word: Severity(word).rank))
    base = replace(
        base,
        problem=seen.problem,
        severity=Severity(firing[0]),
        effect=seen.effect,
        firing=firing,
        value=value,
        text=seen.text,
        texts=seen.texts,
        unheard_at=None,
    )
    if base.condition is Condition.RAISED:
        return freed(base, damper) if base.hold == "unheard" else base
    exponent = damper.struck(base.flap_exponent, base.flap_at, at)
    flapping = damper.flaps(exponent, base.flapping)
    return freed(
        replace(
            base,
            flap_exponent=exponent,
            flap_at=at,
            flapping=flapping,
            condition=Condition.RAISED,
            operator=Operator.NONE,
            suppression=Suppression.FLAPPING if flapping else Suppression.NONE,
            began_at=began_at,
            raised_at=at,
            cleared_at=None,
        ),
        damper,
    )


def resolved(old: Alarm, severity: Severity) -> Alarm:
    """Return the alarm after its rule stopped firing under one severity; `firing` is empty when it was the last."""
    firing = tuple(word for word in old.firing if word != severity.value)
    return replace(old, firing=firing, severity=Severity(firing[0]) if firing else old.severity)


def cleared(old: Alarm, at: int, damper: Damper) -> Alarm:
    """Return the alarm cleared at event time `at`; one that flaps is held until it has been calm.

    What came and went with its upstream, or while its agent was blind, is no flapping of its own: it takes its strike back.
    """
    if old.suppression in _EXPLAINED:
        exponent = max(0.0, damper.faded(old.flap_exponent, old.flap_at, at) - 1.0)
    else:
        exponent = damper.struck(old.flap_exponent, old.flap_at, at)
    ended = replace(
        old,
        flap_exponent=exponent,
        flap_at=at,
        flapping=damper.flaps(exponent, old.flapping),
        condition=Condition.CLEARED,
        cleared_at=at,
        firing=(),
        unheard_at=None,
    )
    return freed(ended, damper)


def freed(alarm: Alarm, damper: Damper) -> Alarm:
    """Return the alarm held back by nothing but, where it flaps, the wait for calm."""
    if alarm.flapping:
        return replace(alarm, due_at=damper.calm_at(alarm.flap_exponent, alarm.flap_at), hold="flapping")
    return replace(alarm, due_at=None, hold="") if alarm.hold or alarm.due_at is not None else alarm


def calmed(old: Alarm, now: int, damper: Damper) -> Alarm:
    """Return the alarm once its penalty has faded: no longer flapping, nothing held."""
    if now < damper.calm_at(old.flap_exponent, old.flap_at):
        return freed(old, damper)
    suppression = Suppression.NONE if old.suppression is Suppression.FLAPPING else old.suppression
    return replace(old, flapping=False, suppression=suppression, due_at=None, hold="")
