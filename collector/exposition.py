"""/metrics: the current samples of every device, alarms, open faults and the collector's own metrics, in pieces.

Prometheus text format 0.0.4, or OpenMetrics 1.0.0 where the scraper asks for it. A series key is already written in that
format, so a line costs one join: 200,000 series take about a quarter of a second of CPU, and nothing else waits for longer
than one piece. Never changes anything.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from collector.meaning import meaning
from collector.series import SeriesState
from collector.series_table import Table
from collector.store.overview import AlarmRow
from probes.sample import series_key
from rules.source import LOOKBACK_MS, stale_mask

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PIECE_ROWS = 2_000
_HIDDEN = frozenset({"ALERTS", "ALERTS_FOR_STATE"})  # Prometheus makes its own of these

Sample = tuple[bytes, float]


@dataclass(frozen=True, slots=True)
class Family:
    """A metric that is not in the series state: its name, type (gauge, counter), help and samples."""

    name: str
    kind: str
    about: str
    samples: Sequence[Sample]


def wants_openmetrics(accept: str) -> bool:
    """Say if an Accept header prefers OpenMetrics: it is named, and not with a weight of 0 or below the text format's."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if media in weights:
            weights[media] = max(weights[media], _weight(parameters))
    return weights["application/openmetrics-text"] > 0 and weights["application/openmetrics-text"] >= weights["text/plain"]


def _weight(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


async def exposition(
    series: SeriesState, families: Iterable[Family], registry: CollectorRegistry, now: int, openmetrics: bool
) -> AsyncIterator[bytes]:
    """Yield the whole text in pieces of at most a few thousand lines, giving way after each.

    A series is left out if it ended, or if its newest sample is older than the look-back (five minutes) at `now` (ms).
    """
    for family in families:
        yield _head(family.name, family.kind, openmetrics, family.about) + _lines(
            [key for key, _ in family.samples], np.array([value for _, value in family.samples], np.float64)
        )
    for table in list(series.tables()):
        if table.metric in _HIDDEN:
            continue
        kind = "counter" if table.metric.endswith("_total") else "gauge"
        head = _head(table.metric, kind, openmetrics, meaning(table.metric))
        for piece in _pieces(table, now):
            yield head + piece
            head = b""
            await asyncio.sleep(0)
    yield generate_openmetrics(registry) if openmetrics else generate_latest(registry)  # type: ignore[no-untyped-call]


def _pieces(table: Table, now: int) -> Iterator[bytes]:
    for first in range(0, table.size, PIECE_ROWS):
        times, values = table.newest()
        part = slice(first, first + PIECE_ROWS)
        chosen = np.flatnonzero((times[part] > now - LOOKBACK_MS) & ~stale_mask(values[part]))
        if len(chosen):
            keys = table.keys[part]
            yield _lines([keys[row] or b"" for row in chosen.tolist()], values[part][chosen])


def _head(metric: str, kind: str, openmetrics: bool, about: str = "") -> bytes:
    name = metric.removesuffix("_total") if openmetrics and kind == "counter" else metric
    text = f"# HELP {name} {about}\n" if about else ""
    return f"{text}# TYPE {name} {kind}\n".encode()


def _lines(keys: Sequence[bytes], values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bytes:
    texts = map(repr, values.tolist())
    if not np.isfinite(values).all():
        texts = map(_number, values.tolist())
    return b"".join([b"%b %b\n" % (key, text.encode()) for key, text in zip(keys, texts, strict=True)])


def _number(value: float) -> str:
    if value != value:
        return "NaN"
    return {float("inf"): "+Inf", float("-inf"): "-Inf"}.get(value) or repr(value)


async def gzipped(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces as one gzip stream; compressing runs in a thread."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    async for piece in pieces:
        packed = await asyncio.to_thread(packer.compress, piece)
        if packed:
            yield packed
    yield packer.flush()


def alarm_family(alarms: Iterable[AlarmRow]) -> Family:
    """Return every alarm that is pending or raised, as 1."""
    samples = [
        (
            series_key(
                "watchkeeper_alarm",
                {
                    "site": alarm.site,
                    "device": alarm.device,
                    "component": alarm.component,
                    "rule": alarm.rule,
                    "problem": alarm.problem,
                    "severity": alarm.severity,
                    "state": alarm.condition,
                    "suppression": alarm.suppression,
                },
            ),
            1.0,
        )
        for alarm in alarms
    ]
    return Family("watchkeeper_alarm", "gauge", "1 for each alarm that is pending or raised.", samples)


def fault_family(site: str, levels: Iterable[str], counts: Mapping[str, int]) -> Family:
    """Return how many faults are open on each level, 0 on those without."""
    every = dict.fromkeys([*levels, *counts])
    samples = [
        (series_key("watchkeeper_faults_open", {"site": site, "level": level}), float(counts.get(level, 0))) for level in every
    ]
    return Family("watchkeeper_faults_open", "gauge", "Open faults by level of the contract.", samples)


def per_agent(name: str, about: str, values: Mapping[str, float], kind: str = "gauge") -> Family:
    """Return one sample for each agent."""
    return Family(name, kind, about, [(series_key(name, {"agent": agent}), value) for agent, value in sorted(values.items())])
