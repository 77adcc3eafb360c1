"""The asking of one table, once: pages and walks over a session within one deadline. Never decides what a cell means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from probes.reason import Reason
from probes.snmp import ber, message
from probes.snmp.engine import SnmpEngine
from probes.snmp.exchange import Address, Exchange
from probes.snmp.message import Frame, Pdu
from probes.snmp.page import Matched, Page
from probes.snmp.target import Asker
from probes.snmp.walk import Ask, Cell, Limits, Walk

PATIENCE_S = 2.0  # for one request of a walk, its repetition included
_ENDS = frozenset((Reason.REFUSED, Reason.UNREACHABLE, Reason.AUTH, Reason.ENGINE_CHANGED, Reason.NOT_IN_TIME_WINDOW))


class Step(NamedTuple):
    """One question of a walk and its answer."""

    ask: Ask
    prepared: Frame
    pdu: Pdu
    size: int

    def values(self) -> list[int | None]:
        """Return the values as a matched page gives them."""
        return [int.from_bytes(raw, "big") if raw else None for _name, _tag, raw in self.pdu.varbinds]


class TableTalk:
    """One asking. `reason` is OK until something ends it; `steps` are the questions of the last walk that were answered."""

    def __init__(self, asker: Asker, engine: SnmpEngine, address: Address, deadline: float, timeout_s: float) -> None:
        self.reason = Reason.OK
        self.detail = ""
        self.steps: list[Step] = []
        self.timeouts = 0
        self.as_expected = False  # the last walk asked for as many rows as there are
        self.rejected: dict[str, int] = {}
        self._asker = asker
        self._engine = engine
        self._address = address
        self._deadline = deadline
        self._patience_s = min(PATIENCE_S, timeout_s / 3)
        self._matched: list[tuple[Page, Matched]] = []
        self._again: list[Step] = []  # answered already, but not walked

    async def pages(self, pages: Sequence[Page]) -> list[list[int | None]] | None:
        """Ask learned pages; return the values of each, or None once an answer is not as expected."""
        for page in pages:
            exchange = await self._exchange(page)
            if exchange.reason is not Reason.OK:
                return None  # the walk that follows meets it again, and deals with it
            if not isinstance(exchange.answer, Matched):
                self._again = [Step(page.ask, page.prepared, *_pdu(exchange))]
                return None
            self._matched.append((page, exchange.answer))
        return [matched.values for __, matched in self._matched]

    def undo_match(self) -> None:
        """Decode what was matched, so that the walk that follows need not ask for it again."""
        decoded = [Step(page.ask, page.prepared, *page.decoded(matched)) for page, matched in self._matched]
        self._again = decoded + self._again

    async def walk(
        self, oids: Sequence[str], limits: Limits, expected_rows: int, max_rows: int
    ) -> dict[str, dict[bytes, Cell]]:
        """Walk columns until their end, the deadline or a cap; return their cells, and set `reason` if it was not the end."""
        walk = Walk([ber.encode_oid(oid) for oid in oids], limits, expected_rows=expected_rows, max_rows=max_rows)
        self.steps, again, self._again = [], self._again, []
        while self.reason is Reason.OK and (ask := walk.next()):
            if again and again[0].ask == ask:
                step: Step | None = again.pop(0)
            else:
                again = []
                step = await self._step(ask, walk)
            if step is not None:
                self.steps.append(step)
                walk.absorb(ask, step.pdu, step.size)
        if self.reason is Reason.OK:
            self.reason, self.detail = walk.reason, walk.detail
        columns = {oid: walk.cells(number) for number, oid in enumerate(oids)}
        self.as_expected = expected_rows == max(map(len, columns.values()), default=0)
        return columns

    async def _step(self, ask: Ask, walk: Walk) -> Step | None:
        """Ask one question of a walk; None if it was not answered, with `reason` set if there is no use in asking for less."""
        tag = message.GET_BULK if ask.repetitions else message.GET_NEXT
        page = Page(ask, self._asker.prepare(message.frame(tag, ask.heads, 0, ask.repetitions)))
        exchange = await self._exchange(page)
        if exchange.reason is Reason.OK:
            return Step(ask, page.prepared, *_pdu(exchange))
        self.timeouts += 1
        over = self._engine.loop.time() >= self._deadline or exchange.reason in _ENDS
        if over or not walk.ask_less():
            self.reason, self.detail = exchange.reason or Reason.TIMEOUT, exchange.detail
        return None

    async def _exchange(self, page: Page) -> Exchange:
        left = min(self._patience_s, self._deadline - self._engine.loop.time())
        exchange = await self._asker.ask(self._engine, self._address, page.prepared, page.read, max(left, 0.001), resends=1)
        for reason, count in (exchange.rejected or {}).items():
            self.rejected[reason] = self.rejected.get(reason, 0) + count
        return exchange


def _pdu(exchange: Exchange) -> tuple[Pdu, int]:
    answer = exchange.answer
    assert isinstance(answer, tuple) and isinstance(answer[0], Pdu)
    return answer[0], answer[1]
