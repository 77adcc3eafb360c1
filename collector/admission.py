"""Who may say what: opens an agent's frames and lets through only what is well formed, its own and within bounds.

Changes no state of series, rules or faults; the counts of series (`Quota`) are the only thing it keeps. Bad times are set
right and counted, samples that are no numbers and series beyond a cap are left out and counted; the rest refuses the batch.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from collector.keys import KeyRefusedError, check_keys
from collector.limits import Limits
from collector.ownership import Ownership, Standing
from collector.quota import Quota
from collector.spans import Span
from config.profile import LANES
from probes import wire
from probes.sample import Batch, Run, Transition

T = TypeVar("T")

LARGEST = 1 << 53  # numbers and times beyond this are nonsense, and SQLite's end is at 63 bits
FRAME_PAYLOAD_BYTES = 20 << 20

_REASONS = {400: "rejected", 413: "rejected", 401: "unauthorised", 403: "unauthorised", 409: "epoch-conflict"}
OWN_LANE = "agent"  # an agent's word about itself, as a device of its own name


class IngestRefused(Exception):
    """Nothing of the request was taken.

    `status` is the HTTP status; `reason` the word an agent acts on: ``rejected`` (never send it again), ``unauthorised``,
    ``epoch-conflict``, ``busy`` (send it again later); `detail` is for people.
    """

    def __init__(self, status: int, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = _REASONS.get(status, "busy")
        self.detail = detail
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Admitted:
    """What of a batch is to be applied. `altered`: it is not what the frame says any more. `notes` counts what was changed."""

    batch: Batch
    altered: bool
    notes: Counter[str] = field(default_factory=Counter)


_Passed = tuple[bytes, list[str], list[bool] | None]  # digest of the keys, metrics left out, what is kept (None: all)


class Admission:
    """The gate of all agents of one site."""

    def __init__(self, site: str, ownership: Ownership, limits: Limits, exists: Callable[[bytes], bool]) -> None:
        """Admit what belongs to `site` and whom `ownership` allows. `exists` says whether there is a series of a key."""
        self._site = site
        self._ownership = ownership
        self._limits = limits
        self.quota = Quota(limits, exists)
        self._passed: dict[tuple[str, str], _Passed] = {}
        self._passing: dict[tuple[str, str], _Passed] = {}  # in the request at hand

    def settle(self) -> None:
        """Remember what the request at hand brought: it is being applied."""
        self.quota.settle()
        self._passed |= self._passing
        self._passing = {}

    def forget(self) -> None:
        """Look at every series anew: some were forgotten."""
        self._passed.clear()

    def open(self, agent: str, frames: bytes) -> list[tuple[Batch, bytes]]:
        """Return the batches of a request's body, each with its frame.

        Raises:
            IngestRefused: not frames, too many, too large, or not this agent's.
        """
        self.quota.begin()
        self._passing = {}
        found: list[tuple[Batch, bytes]] = []
        inflated = records = 0
        try:
            for payload in wire.frames(frames):
                if len(found) >= self._limits.frames:
                    raise IngestRefused(413, f"more than {self._limits.frames} frames in one request")
                batch = wire.decode(payload, FRAME_PAYLOAD_BYTES)
                inflated += sum(len(run.keys) + 8 * len(run.values) + len(run.detail) for run in batch.runs)
                records += batch.count
                if inflated > self._limits.inflated_bytes or records > self._limits.records:
                    raise IngestRefused(413, "too much in one request")
                self._check_head(agent, batch)
                found.append((batch, wire.HEADER.pack(len(payload), zlib.crc32(payload)) + payload))
        except wire.WireError as error:
            raise IngestRefused(400, f"not frames of this version: {error}") from None
        return found

    def _check_head(self, agent: str, batch: Batch) -> None:
        if batch.agent != agent:
            raise IngestRefused(403, f"agent {agent!a} sends a batch of agent {batch.agent[:80]!a}")
        numbers = [batch.epoch, batch.seq, batch.seq + batch.count, batch.created_at, *(batch.previous or ())]
        if any(not 0 <= number < LARGEST for number in numbers):
            raise IngestRefused(400, "a number of the batch is out of range")
        if batch.previous is not None and batch.previous[0] >= batch.epoch:
            raise IngestRefused(400, "the epoch before is not before")

    def admit(self, batch: Batch, fresh: Sequence[Span], now: int) -> Admitted:
        """Return what is to be applied of the records with these numbers.

        Raises:
            IngestRefused: 403 for another agent's device, 400 for what no agent of ours sends.
        """
        notes: Counter[str] = Counter()
        runs = [self._run(batch.agent, run, now, notes) for run in _pick(batch.runs, fresh, batch.seq)]
        changes = [
            self._transition(batch.agent, change, now, notes)
            for change in _pick(batch.transitions, fresh, batch.seq + len(batch.runs))
        ]
        kept = replace(
            batch, runs=tuple(r for r in runs if r is not None), transitions=tuple(c for c in changes if c is not None)
        )
        altered = bool(notes) or kept.count != batch.count
        return Admitted(kept, altered, notes)

    def _allowed(self, agent: str, device: str, notes: Counter[str]) -> bool:
        standing = self._ownership.standing(agent, device)
        if standing is Standing.FOREIGN:
            raise IngestRefused(403, f"agent {agent!a} may not write for device {device[:80]!a}")
        if standing is Standing.OWN:
            return True
        notes[f"device-{standing}"] += 1
        return False

    def _time(self, at: int, now: int, notes: Counter[str]) -> int:
        if not 0 <= at < LARGEST:
            raise IngestRefused(400, "a time is out of range")
        if at <= now + self._limits.future_ms:
            return at
        notes["clamped"] += 1
        return now

    def _run(self, agent: str, run: Run, now: int, notes: Counter[str]) -> Run | None:
        limits = self._limits
        if run.lane not in LANES and run.lane != OWN_LANE:
            raise IngestRefused(400, f"no lane is called {run.lane[:40]!a}")
        if not math.isfinite(run.duration_s) or len(run.detail) > limits.detail_chars or len(run.facts) > limits.facts:
            raise IngestRefused(400, f"a run of {run.device[:80]!a} is out of bounds")
        if any(len(name) > 64 or len(value) > limits.label_bytes for name, value in run.facts):
            raise IngestRefused(400, f"a fact of {run.device[:80]!a} is too long")
        if not self._allowed(agent, run.device, notes):
            return None
        at = self._time(run.at, now, notes)
        if at != run.at:
            run = replace(run, at=at)
        return self._numbers(self._series(agent, run, notes), notes)

    def _series(self, agent: str, run: Run, notes: Counter[str]) -> Run:
        """Return the run with the series it may have. A poll like the last one costs one digest."""
        name, digest = (run.device, run.lane), hashlib.blake2b(run.keys, digest_size=16).digest()
        passed = self._passing.get(name) or self._passed.get(name)
        if passed is None or passed[0] != digest:
            try:
                keys = check_keys(run.keys, run.device, self._site, self._limits)
            except KeyRefusedError as error:
                raise IngestRefused(403 if error.foreign else 400, str(error)) from None
            kept = self.quota.take(agent, run.device, keys)
            metrics = [key.metric for key, keep in zip(keys, kept, strict=True) if not keep]
            passed = self._passing[name] = (digest, metrics, kept if metrics else None)
        _, metrics, mask = passed
        if mask is None:
            return run
        for metric, count in Counter(metrics).items():
            self.quota.left_out(metric, count)
        notes["over-cap"] += len(metrics)
        return _masked(run, mask)

    def _numbers(self, run: Run, notes: Counter[str]) -> Run:
        if not len(run.values) or math.isfinite(math.fsum(run.values) if _small(run.values) else math.nan):
            return run
        mask = [math.isfinite(value) for value in run.values]
        if all(mask):
            return run
        notes["not-finite"] += len(mask) - sum(mask)
        return _masked(run, mask)

    def _transition(self, agent: str, change: Transition, now: int, notes: Counter[str]) -> Transition | None:
        if max(map(len, (change.reason, change.via, change.detail))) > self._limits.detail_chars:
            raise IngestRefused(400, "a transition is out of bounds")
        if change.device != agent and not self._allowed(agent, change.device, notes):
            return None
        at, since = self._time(change.at, now, notes), self._time(change.since, now, Counter())
        return change if (at, since) == (change.at, change.since) else replace(change, at=at, since=since)


def _small(values: Sequence[float]) -> bool:
    return max(values) < 1e300 and min(values) > -1e300


def _masked(run: Run, mask: Sequence[bool]) -> Run:
    kept = [(key, value) for key, value, keep in zip(run.keys.split(b"\n"), run.values, mask, strict=True) if keep]
    return replace(run, keys=b"\n".join(key for key, _ in kept), values=array("d", [value for _, value in kept]))


def _pick(records: Sequence[T], fresh: Sequence[Span], first: int) -> Sequence[T]:
    """Return the records whose sequence numbers, counted from `first`, are in the spans."""
    if len(fresh) == 1 and fresh[0][0] <= first and fresh[0][1] >= first + len(records):
        return records
    return [records[n - first] for start, end in fresh for n in range(max(start, first), min(end, first + len(records)))]
