"""The last line of defence around a question: whatever it raises becomes an outcome, logged and counted, never a dead worker.

A library under a probe may raise a BaseException of its own (a panic of native code does); only the ways to end a task or
the process pass through.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from probes.outcome import Outcome, Question
from probes.reason import Reason

if TYPE_CHECKING:
    from probes.net import Net

log = logging.getLogger(__name__)


class Guarded:
    """A question that cannot raise: what it wraps may."""

    __slots__ = ("_device", "_question", "_step")

    def __init__(self, question: Question, device: str, step: str) -> None:
        self._question = question
        self._device = device
        self._step = step

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        """Ask; an exception of the question is an outcome of reason INTERNAL. Costs one coroutine call."""
        try:
            return await self._question.ask(net, timeout_s)
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # a panic of native code is no Exception
            net.internal_errors[self._step] += 1
            log.error("question %s of %s failed", self._step, self._device, exc_info=error)
            return Outcome(Reason.INTERNAL, net.clock.now(), detail=type(error).__name__)
