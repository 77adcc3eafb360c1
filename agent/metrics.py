"""What the agent counts about itself, in a registry of its own. Names devices nowhere, so the number of series is bounded."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from agent.spool import Spool

_LATENESS_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STALL_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class AgentMetrics:
    """One agent's counters; the parts of the agent increment them, `text` shows them."""

    def __init__(self, agent: str) -> None:
        """Make a registry with everything at zero."""
        self.agent = agent
        self.registry = registry = CollectorRegistry(auto_describe=False)
        self.runs = Counter("agent_runs", "Question rounds ended, by lane and reason.", ["lane", "reason"], registry=registry)
        self.skipped = Counter(
            "agent_runs_skipped", "Question rounds not begun, by lane and why.", ["lane", "why"], registry=registry
        )
        self.lateness = Histogram(
            "agent_run_lateness_seconds",
            "From when a round was due to when it began.",
            ["lane"],
            buckets=_LATENESS_S,
            registry=registry,
        )
        self.in_flight = Gauge("agent_runs_in_flight", "Question rounds under way.", registry=registry)
        self.sick = Gauge("agent_sick", "Pairs of device and lane that are asked rarely.", registry=registry)
        self.suspects = Gauge("agent_suspects", "Devices whose silence is being checked.", registry=registry)
        self.transitions = Counter("agent_transitions", "Reachability transitions, by state.", ["state"], registry=registry)
        self.blind = Gauge("agent_blind", "1 while the agent itself reaches nothing.", registry=registry)
        self.deliveries = Counter(
            "agent_deliveries", "Requests to the collector, by lane and result.", ["lane", "result"], registry=registry
        )
        self.restarts = Counter("agent_worker_restarts", "Workers restarted after a failure.", ["worker"], registry=registry)
        self.stall = Histogram("agent_loop_stall_seconds", "How late the event loop ran.", buckets=_STALL_S, registry=registry)
        self.clock_jumps = Counter("agent_clock_jumps", "Jumps of the wall clock that were seen.", registry=registry)

    def watch(self, spool: Spool) -> None:
        """Show the spool's own counters too."""
        self.registry.register(_SpoolCollector(self.agent, spool))

    def text(self) -> bytes:
        """Return everything in Prometheus text format."""
        return generate_latest(self.registry)


class _SpoolCollector:
    def __init__(self, agent: str, spool: Spool) -> None:
        self._agent = agent
        self._spool = spool

    def collect(self) -> Iterator[Metric]:
        backlog = GaugeMetricFamily("agent_backlog_records", "Records that wait for the collector.", labels=["agent"])
        backlog.add_metric([self._agent], self._spool.backlog_records)
        yield backlog
        yield GaugeMetricFamily("spool_bytes", "Bytes of the spool's segments.", value=self._spool.shelf.size)
        dropped = CounterMetricFamily("spool_dropped", "Records given up before they were delivered.", labels=["reason"])
        for reason in ("size", "age", "disk", "memory", "corrupt", "refused", "unencodable"):
            dropped.add_metric([reason], self._spool.dropped[reason])
        yield dropped
        quarantined = self._spool.shelf.quarantined
        yield CounterMetricFamily("spool_quarantined", "Damaged or refused pieces put into quarantine.", value=quarantined)
        yield CounterMetricFamily("spool_write_errors", "Writes that the disk refused.", value=self._spool.write_errors)
