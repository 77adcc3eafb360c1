"""The collector's own metrics, in a registry of their own. Names begin with ``watchkeeper_``."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class OwnMetrics:
    """Counters and histograms of one collector."""

    def __init__(self) -> None:
        """Make all of them, at zero."""
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("watchkeeper_ingest_requests", "Requests of agents, by result.", ["result"], registry=registry)
        self.records = Counter("watchkeeper_ingest_records", "Records, accepted or known before.", ["kind"], registry=registry)
        self.changed = Counter(
            "watchkeeper_ingest_changed_records", "Records set right or left out, and why.", ["why"], registry=registry
        )
        self.over_cap = Gauge(
            "watchkeeper_series_over_cap", "Samples left out because of a cap on series.", ["metric"], registry=registry
        )
        self.ingest_s = Histogram(
            "watchkeeper_ingest_seconds", "From a request's last byte to its commit.", buckets=_SECONDS, registry=registry
        )
        self.commit_s = Histogram("watchkeeper_commit_seconds", "One transaction.", buckets=_SECONDS, registry=registry)
        self.rules_s = Histogram(
            "watchkeeper_rules_seconds", "One evaluation of what was due.", buckets=_SECONDS, registry=registry
        )
        self.rules_failing = Gauge("watchkeeper_rules_failing", "Rules whose last evaluation failed.", registry=registry)
        self.rules_missed = Gauge(
            "watchkeeper_rules_missed_slots", "Evaluations passed over for lack of time.", registry=registry
        )
        self.stall_s = Histogram(
            "watchkeeper_loop_stall_seconds", "How late the event loop ran.", buckets=_SECONDS, registry=registry
        )
        self.series = Gauge("watchkeeper_series", "Series in memory.", registry=registry)
        self.late = Gauge("watchkeeper_samples_late", "Samples older than the newest of their series.", registry=registry)
        self.rebuilds = Gauge(
            "watchkeeper_rebuilds", "Times the working state was made anew after a failure.", registry=registry
        )
        self.disk_full = Gauge("watchkeeper_disk_full", "1 while the disk is full.", registry=registry)
        self.database_bytes = Gauge("watchkeeper_database_bytes", "Bytes of the database in use.", registry=registry)
        self.integrity = Gauge("watchkeeper_database_sound", "0 if the check at the start found damage.", registry=registry)
        self.reload_ok = Gauge("watchkeeper_reload_success", "1 if the newest site file was taken.", registry=registry)
        self.compacted = Counter("watchkeeper_history_samples", "Samples packed into blocks.", registry=registry)
        self.restarts = Counter("watchkeeper_job_failures", "Failures of periodic jobs.", ["job"], registry=registry)
        self.reload_ok.set(1)
        self.integrity.set(1)
