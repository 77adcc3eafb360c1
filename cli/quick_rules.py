"""The shipped alarm rules at a demo's pace: intervals, waits and ranges divided by one number, conditions as they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from config.quantity import duration_s

LEAST_INTERVAL_S = 1.0
LEAST_RANGE_S = 4.0  # two answers of the quickest lane that rules look back on
LONG_S = 60.0  # a wait of a minute or more is there for what takes its time, such as a silent device's next question
LEAST_LONG_S = 20.0
_RANGE = re.compile(r"\[((?:\d+(?:ms|[smhdwy]))+)\]")


def write_quick_rules(library: Path, folder: Path, pace: float) -> list[Path]:
    """Write a copy of every rule file of `library` into `folder`, `pace` times as quick, and return their paths.

    Raises:
        OSError: a file cannot be read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for source in sorted(library.glob("*.yml")):
        copy = folder / source.name
        copy.write_text(quickened(source.read_text(encoding="utf-8"), pace), encoding="utf-8")
        written.append(copy)
    return written


def quickened(text: str, pace: float) -> str:
    """Return a rule file's text with all its durations divided by `pace`, down to what can still be evaluated."""
    content: dict[str, Any] = yaml.safe_load(text)
    for group in content["groups"]:
        group["interval"] = _divided(group.get("interval", "1m"), pace, LEAST_INTERVAL_S)
        for rule in group["rules"]:
            rule["expr"] = _RANGE.sub(lambda found: f"[{_divided(found[1], pace, LEAST_RANGE_S)}]", rule["expr"])
            for key in ("for", "keep_firing_for"):
                if key in rule:
                    rule[key] = _divided(rule[key], pace, LEAST_LONG_S if (duration_s(rule[key]) or 0.0) >= LONG_S else 0.0)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _divided(duration: str, pace: float, least_s: float) -> str:
    seconds = duration_s(duration)
    if seconds is None:
        raise ValueError(f"not a duration: {duration!r}")
    return f"{round(max(seconds / pace, least_s) * 1000)}ms"
