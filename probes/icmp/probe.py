"""The question `icmp`: a few echo probes to one device, their loss and their round trip."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from config.language import _
from config.profile import Step
from config.site import Device, Site
from probes.icmp.echo import Echo
from probes.labels import base_labels
from probes.outcome import Outcome
from probes.reason import Reason
from probes.sample import series_key
from probes.step import Options

if TYPE_CHECKING:
    from probes.net import Net


def compile_icmp(site: Site, device: Device, step: Step) -> IcmpQuestion:
    """Compile a step. Options: `count` (1 to 20 probes, default 3), `interval_s` (0.01 to 10 s between them, default 0.2).

    Raises:
        OptionError: an option is wrong or unknown.
    """
    options = Options(step)
    count = options.integer("count", 3, 1, 20)
    interval_s = options.number("interval_s", 0.2, 0.01, 10.0)
    options.done()
    labels = base_labels(site, device)
    return IcmpQuestion(
        device.address, count, interval_s, series_key("icmp_loss_ratio", labels), series_key("icmp_rtt_seconds", labels)
    )


class IcmpQuestion:
    """A few echo probes. Samples: icmp_loss_ratio (0 to 1), and icmp_rtt_seconds (mean) where anything answered."""

    __slots__ = ("_address", "_count", "_interval_s", "_loss_key", "_rtt_key")

    def __init__(self, address: str, count: int, interval_s: float, loss_key: bytes, rtt_key: bytes) -> None:
        self._address = address
        self._count = count
        self._interval_s = interval_s
        self._loss_key = loss_key
        self._rtt_key = rtt_key

    async def ask(self, net: Net, timeout_s: float) -> Outcome:
        """Send the probes `interval_s` apart (closer if the deadline is near) and wait for all, `timeout_s` in all."""
        gap = min(self._interval_s, timeout_s / (2 * self._count))
        probes = (self._probe(net, index * gap, timeout_s) for index in range(self._count))
        return self._outcome(await asyncio.gather(*probes), net.clock.now())

    async def _probe(self, net: Net, delay_s: float, timeout_s: float) -> Echo:
        await asyncio.sleep(delay_s)
        return await net.icmp.ping(self._address, timeout_s - delay_s)

    def _outcome(self, echoes: list[Echo], at: int) -> Outcome:
        answered = [echo.rtt_s for echo in echoes if echo.reason is Reason.OK]
        detail = _("{answered} of {count} answered").format(answered=len(answered), count=len(echoes))
        if answered:
            keys = self._loss_key + b"\n" + self._rtt_key
            values = (1 - len(answered) / len(echoes), sum(answered) / len(answered))
            return Outcome(Reason.OK, at, keys, values, detail)
        reason = echoes[-1].reason
        if reason in (Reason.TIMEOUT, Reason.UNREACHABLE):
            return Outcome(reason, at, self._loss_key, (1.0,), detail)
        return Outcome(reason, at, detail=detail)  # not sent, so nothing was lost
