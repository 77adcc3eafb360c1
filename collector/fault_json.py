"""Faults as JSON objects: what the API answers and what the command line prints for programs. Decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from collector.alarm import Alarm
from collector.fault import ClockRecord, FaultView, HistoryEntry
from collector.sentence import fault_sentence, root_alarm
from config.language import current, normalise


def rfc3339(at: int | None) -> str | None:
    """Return ms since the epoch as ``2026-11-22T02:00:00.000Z`` (RFC 3339, UTC), None for None."""
    if at is None:
        return None
    whole, ms = divmod(at, 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def fault_json(view: FaultView, language: str | None = None) -> dict[str, object]:
    """Return a fault with its alarms, clocks and history. Times are RFC 3339 or null; `affected` is sorted.

    `summary`, `level_name`, the alarms' `text` and a `reason` that is such a text are in the language given (the current one
    if none is); all other words are the same in every language.
    """
    fault = view.fault
    tag = normalise(language or current())
    names = fault.level_name
    return {
        "id": fault.id,
        "site": fault.site,
        "device": fault.device,
        "component": fault.component,
        "place": fault.place,
        "problem": fault.problem,
        "summary": fault_sentence(fault, tag, view.alarms),
        "effect": fault.effect.value,
        "severity": fault.severity.value,
        "level": fault.level,
        "level_name": names.get(tag[:2]) or names.get("en") or fault.level,
        "level_reason": fault.level_reason,
        "state": fault.state.value,
        "reason": _reason(view, tag),
        "began_at": rfc3339(fault.began_at),
        "opened_at": rfc3339(fault.opened_at),
        "restored_at": rfc3339(fault.restored_at),
        "confirmed_at": rfc3339(fault.confirmed_at),
        "closed_at": rfc3339(fault.closed_at),
        "affected": sorted(fault.affected),
        "recovered": sorted(fault.recovered),
        "behind": fault.behind,
        "person": fault.person,
        "reopened": fault.reopened,
        "flapping": fault.flapping,
        "merged_into": fault.merged_into or None,
        "contributing": list(fault.contributing),
        "region": fault.region,
        "complexity": fault.complexity,
        "clocks": {name: _clock(clock) for name, clock in fault.clocks.items()},
        "alarms": [_alarm(alarm, tag) for alarm in view.alarms],
        "history": [_entry(entry) for entry in view.history],
    }


def _reason(view: FaultView, language: str) -> str:
    """Return why this is the root; where that is its rule's summary, in the language."""
    root = root_alarm(view.fault, view.alarms)
    return root.text_in(language) if root is not None and root.text == view.fault.reason else view.fault.reason


def _clock(clock: ClockRecord) -> dict[str, object]:
    return {
        "due_at": rfc3339(clock.due_at),
        "state": clock.state.value,
        "started_at": rfc3339(clock.started_at),
        "first_due_at": rfc3339(clock.first_due_at),
        "ended_at": rfc3339(clock.ended_at),
        "reason": clock.reason,
    }


def _alarm(alarm: Alarm, language: str) -> dict[str, object]:
    return {
        "device": alarm.key.device,
        "component": alarm.key.component,
        "rule": alarm.key.rule,
        "problem": alarm.problem,
        "severity": alarm.severity.value,
        "effect": alarm.effect.value,
        "condition": alarm.condition.value,
        "operator": alarm.operator.value,
        "suppression": alarm.suppression.value,
        "began_at": rfc3339(alarm.began_at),
        "raised_at": rfc3339(alarm.raised_at),
        "cleared_at": rfc3339(alarm.cleared_at),
        "text": alarm.text_in(language),
    }


def _entry(entry: HistoryEntry) -> dict[str, object]:
    return {
        "number": entry.number,
        "at": rfc3339(entry.at),
        "received_at": rfc3339(entry.received_at),
        "step": entry.step,
        "person": entry.person,
        "note": entry.note,
        "fields": dict(entry.fields),
    }
