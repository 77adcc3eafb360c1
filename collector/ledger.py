"""The ledger: which records of which agent were received, so that each counts once, and which are missing.

Decides whether a batch is new, known or of a second process under the same name; finds holes. Never looks at what a record
says, never stores: whoever records takes the changed rows (`take_changes`) into the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from collector import spans
from collector.spans import Span, Spans
from collector.store.agents import AgentRow, EpochRow, GapRow
from probes.sample import Batch

MAX_SPANS = 10_000  # separate received spans of one epoch


@dataclass(frozen=True, slots=True)
class Accept:
    """Take the records with these sequence numbers (half-open, ascending); none in an empty batch."""

    fresh: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Everything in it was received before."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another process under the same name began a later epoch and this one still makes records."""

    epoch: int
    newest: int


@dataclass(frozen=True, slots=True)
class Scattered:
    """It would leave more holes than are kept count of."""


Plan = Accept | Duplicate | Conflict | Scattered


@dataclass(slots=True)
class EpochBook:
    """What is known of one start of an agent."""

    began_at: int | None = None  # created_at of its earliest batch
    ends: int | None = None  # next unused number, once the following start named it
    received: Spans = field(default_factory=list)

    @property
    def end(self) -> int:
        """The number after the last one that must exist."""
        return max(self.ends or 0, self.received[-1][1] if self.received else 0)

    def take(self, span: Span) -> Span:
        """Note numbers as received; returns the merged span that now holds them."""
        self.received, merged = spans.add(self.received, span)
        return merged

    def holes(self) -> Spans:
        """Return what is missing below `end`. Sequence numbers begin at 0."""
        return spans.missing(self.received, 0, self.end)


Books = dict[int, EpochBook]


def plan(batch: Batch, books: Books) -> Plan:
    """Decide on a batch, given what was received of its agent before. Changes nothing."""
    book = books.get(batch.epoch, EpochBook())
    fresh = spans.missing(book.received, batch.seq, batch.seq + batch.count)
    newest = max(books, default=batch.epoch)
    if batch.epoch < newest:
        if not fresh:
            return Duplicate()
        if _after_its_end(batch, book, books):
            return Conflict(batch.epoch, newest)
    if batch.count and not fresh:
        return Duplicate()
    if len(book.received) > MAX_SPANS and fresh[-1][0] > book.received[-1][1]:
        return Scattered()
    return Accept(tuple(fresh))


def _after_its_end(batch: Batch, book: EpochBook, books: Books) -> bool:
    """Say if the batch was made after the agent's next start: by number where the next start named it, else by time."""
    if book.ends is not None:
        return batch.seq + batch.count > max(book.ends, book.end)
    began = [later.began_at for epoch, later in books.items() if epoch > batch.epoch and later.began_at is not None]
    return bool(began) and batch.created_at > min(began)


class Ledger:
    """The books of all agents, the gaps that were recorded, and what of both has yet to be stored."""

    def __init__(self) -> None:
        """Start with nothing received."""
        self.agents: dict[str, AgentRow] = {}
        self.books: dict[str, Books] = {}
        self.gaps: dict[tuple[str, int, int, int], GapRow] = {}  # open ones
        self._seen: dict[tuple[str, int], list[tuple[int, int, int]]] = {}  # holes and when each was first seen
        self._changed = LedgerChanges()

    @classmethod
    def load(
        cls,
        agents: Iterable[AgentRow],
        epochs: Iterable[EpochRow],
        received: Iterable[tuple[str, int, int, int]],
        gaps: Iterable[GapRow],
    ) -> Ledger:
        """Return the ledger as it was stored."""
        ledger = cls()
        ledger.agents = {row.agent: row for row in agents}
        for row in epochs:
            ledger._book(row.agent, row.epoch).began_at, ledger._book(row.agent, row.epoch).ends = row.began_at, row.ends
        for agent, epoch, first, after in received:
            ledger._book(agent, epoch).received.append((first, after))
        ledger.gaps = {(g.agent, g.epoch, g.first, g.next): g for g in gaps if g.filled_at is None}
        return ledger

    def _book(self, agent: str, epoch: int) -> EpochBook:
        return self.books.setdefault(agent, {}).setdefault(epoch, EpochBook())

    def plan(self, batch: Batch) -> Plan:
        """Decide on a batch; see `plan`."""
        return plan(batch, self.books.get(batch.agent, {}))

    def record(self, batch: Batch, accepted: Accept) -> None:
        """Note an accepted batch as received, and what it says of the epoch before."""
        book = self._book(batch.agent, batch.epoch)
        if book.began_at is None or batch.created_at < book.began_at:
            book.began_at = batch.created_at
            self._changed.epochs.add((batch.agent, batch.epoch))
        for span in accepted.fresh:
            self._changed.received.setdefault((batch.agent, batch.epoch), []).append(book.take(span))
        if batch.previous is not None:
            before = self._book(batch.agent, batch.previous[0])
            if before.ends is None:
                before.ends = batch.previous[1]
                self._changed.epochs.add((batch.agent, batch.previous[0]))

    def seen(self, agent: str, now: int, **fields: int | None) -> AgentRow:
        """Note that an agent was heard; `fields` are those of `AgentRow` that changed."""
        row = self.agents.get(agent) or AgentRow(agent, now)
        self.agents[agent] = row = replace(row, seen_at=max(now, row.seen_at), **fields)  # type: ignore[arg-type]
        self._changed.agents.add(agent)
        return row

    # holes

    def check_gaps(self, now: int, grace_ms: int) -> list[GapRow]:
        """Open a record for each hole older than the grace, update and close those that fill. Returns what changed."""
        changed = [*self._update_gaps(now)]
        for agent, books in self.books.items():
            for epoch, book in books.items():
                changed += self._open_gaps(agent, epoch, book.holes(), now, grace_ms)
        self._changed.gaps += changed
        return changed

    def _update_gaps(self, now: int) -> Iterator[GapRow]:
        for key, gap in list(self.gaps.items()):
            book = self._book(gap.agent, gap.epoch)
            out = spans.size(spans.missing(book.received, gap.first, gap.next))
            if out != gap.missing:
                row = replace(gap, missing=out, filled_at=None if out else now)
                if out:
                    self.gaps[key] = row
                else:
                    del self.gaps[key]
                yield row

    def _open_gaps(self, agent: str, epoch: int, holes: Spans, now: int, grace_ms: int) -> Iterator[GapRow]:
        before = self._seen.pop((agent, epoch), [])
        if not holes:
            return
        recorded = spans_of((g.first, g.next) for g in self.gaps.values() if (g.agent, g.epoch) == (agent, epoch))
        waiting: list[tuple[int, int, int]] = []
        for hole in holes:
            for first, after in spans.missing(recorded, *hole):
                since = min((at for f, a, at in before if f < after and first < a), default=now)
                waiting.append((first, after, since))
                if now - since >= grace_ms:
                    row = GapRow(agent, epoch, first, after, after - first, now)
                    self.gaps[agent, epoch, first, after] = row
                    yield row
        self._seen[agent, epoch] = waiting

    def missing_of(self, agent: str) -> int:
        """Return how many records of an agent are missing in open gap records."""
        return sum(gap.missing for gap in self.gaps.values() if gap.agent == agent)

    def take_changes(self) -> LedgerChanges:
        """Return what was changed since the last time, to be stored."""
        changed, self._changed = self._changed, LedgerChanges()
        return changed

    def epoch_row(self, agent: str, epoch: int) -> EpochRow:
        """Return one epoch as it is stored."""
        book = self._book(agent, epoch)
        return EpochRow(agent, epoch, book.began_at, book.ends)


@dataclass(slots=True)
class LedgerChanges:
    """Names of what changed in a ledger: agents, epochs; merged spans; gap records."""

    agents: set[str] = field(default_factory=set)
    epochs: set[tuple[str, int]] = field(default_factory=set)
    received: dict[tuple[str, int], Spans] = field(default_factory=dict)
    gaps: list[GapRow] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.agents or self.epochs or self.received or self.gaps)


def spans_of(pairs: Iterable[Span]) -> Spans:
    """Return spans in any order as a merged, ascending list."""
    merged: Spans = []
    for pair in pairs:
        merged, _ = spans.add(merged, pair)
    return merged
