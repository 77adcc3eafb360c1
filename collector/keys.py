"""The gate for series keys that come from agents: well formed, of the device they claim, within bounds. Pure.

A key that is not what `probes.sample.series_key` makes is the work of a broken or hostile agent and refuses its batch.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from collector.limits import Limits
from probes.sample import Labels, parse_key

# Names the collector gives its own series: no agent may speak in their place.
RESERVED = frozenset({"ALERTS", "ALERTS_FOR_STATE", "agent_up", "agent_epoch_conflict", "agent_blind"})
RESERVED_PREFIX = "watchkeeper_"

_LABEL = rb'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])+"'
_KEY = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{" + _LABEL + rb"(?:," + _LABEL + rb")*\})?")


class KeyRefusedError(ValueError):
    """A key that no agent of ours would send. `foreign`: it speaks for a device that is not the run's."""

    def __init__(self, text: str, *, foreign: bool = False) -> None:
        super().__init__(text)
        self.foreign = foreign


@dataclass(frozen=True, slots=True)
class Key:
    """A key that passed the gate."""

    key: bytes
    metric: str


def check_keys(blob: bytes, device: str, site: str, limits: Limits) -> list[Key]:
    """Return the keys of one run, checked. About 6 us a key.

    Raises:
        KeyRefusedError: one of them is malformed, reserved, out of bounds, twice there or not the device's.
    """
    parts = blob.split(b"\n") if blob else []
    if len(set(parts)) != len(parts):
        raise KeyRefusedError("a series is there twice in one run")
    return [Key(part, _checked(part, device, site, limits)) for part in parts]


def _checked(key: bytes, device: str, site: str, limits: Limits) -> str:
    shown = ascii(key[:80])
    if len(key) > limits.key_bytes or not _KEY.fullmatch(key):
        raise KeyRefusedError(f"not a series key: {shown}")
    try:
        metric, labels = parse_key(key)
    except ValueError:
        raise KeyRefusedError(f"not a series key: {shown}") from None
    if metric in RESERVED or metric.startswith(RESERVED_PREFIX):
        raise KeyRefusedError(f"{metric} is the collector's own")
    _check_labels(labels, limits, shown)
    found = dict(labels)
    if found.get("site") != site:
        raise KeyRefusedError(f"not of this site: {shown}")
    if found.get("device") != device:
        raise KeyRefusedError(f"not of device {device[:80]!a}: {shown}", foreign=True)
    return metric


def _check_labels(labels: Labels, limits: Limits, shown: str) -> None:
    names = [name for name, _ in labels]
    if len(names) > limits.labels:
        raise KeyRefusedError(f"more than {limits.labels} labels: {shown}")
    if any(a >= b for a, b in itertools.pairwise(names)):
        raise KeyRefusedError(f"labels not in order: {shown}")
    for name, value in labels:
        if name.startswith("__") or len(value.encode()) > limits.label_bytes:
            raise KeyRefusedError(f"label {name[:40]} is reserved or too long: {shown}")
