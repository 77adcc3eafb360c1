"""The agent as a device of its own: its backlog, its losses, its stalls, as a run that travels like any other.

Its blindness is no sample: it is told as a transition, at once.
"""

from __future__ import annotations

from agent.spool import Spool
from config.clock import Clock
from config.site import Site
from probes.reason import Reason
from probes.sample import Run, series_key

EVERY_S = 15.0
_METRICS = (
    "agent_backlog_records",
    "spool_dropped_total",
    "spool_quarantined_total",
    "agent_loop_stall_seconds",
)


class SelfReport:
    """Makes the run of one agent; `stall_s` is the longest stall of the event loop since the last one."""

    def __init__(self, site: Site, spool: Spool, clock: Clock) -> None:
        self._agent = site.agent.name
        self._spool = spool
        self._clock = clock
        labels = {"site": site.name, "device": site.agent.name, "agent": site.agent.name}
        self._keys = b"\n".join(series_key(metric, labels) for metric in _METRICS)

    def run(self, stall_s: float) -> Run:
        """Return the run as of now."""
        spool = self._spool
        values = [
            float(spool.backlog_records),
            float(sum(spool.dropped.values())),
            float(spool.shelf.quarantined),
            stall_s,
        ]
        return Run(self._agent, "agent", self._clock.now(), 0.0, Reason.OK, self._keys, values)
