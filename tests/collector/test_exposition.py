"""/metrics: only what is current, exact and escaped, in both formats, in pieces that let others run."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from collector.exposition import (
    Family,
    alarm_family,
    exposition,
    fault_family,
    gzipped,
    wants_openmetrics,
)
from collector.meaning import MEANING
from collector.series import Rows, SeriesState
from collector.store.overview import AlarmRow
from kit.canaries import CANARIES
from kit.collecting import START, AgentSide, client, collecting, run, up
from probes.sample import series_key


async def text_of(
    series: SeriesState, families: list[Family] | None = None, now: int = START, openmetrics: bool = False
) -> str:
    pieces = exposition(series, families or [], CollectorRegistry(), now, openmetrics)
    return b"".join([piece async for piece in pieces]).decode()


def state(**samples: float) -> SeriesState:
    series = SeriesState()
    for metric, value in samples.items():
        series.append(series.rows(series_key(metric, {"device": "core"})), (value,), START)
    return series


async def test_when_series_have_values_then_each_metric_is_one_group_with_its_type() -> None:
    text = await text_of(state(temperature_celsius=21.5, interface_receive_bytes_total=12345678901.0))
    assert text == (
        "# HELP interface_receive_bytes_total Received.\n"
        "# TYPE interface_receive_bytes_total counter\n"
        'interface_receive_bytes_total{device="core"} 12345678901.0\n'
        "# HELP temperature_celsius Temperature.\n"
        "# TYPE temperature_celsius gauge\n"
        'temperature_celsius{device="core"} 21.5\n'
    )


async def test_when_openmetrics_then_counters_are_named_without_total_and_it_ends() -> None:
    text = await text_of(state(reboots_total=3.0, fan_ok=1.0), openmetrics=True)
    assert "# TYPE reboots counter\n" in text
    assert 'reboots_total{device="core"} 3.0\n' in text
    assert text.endswith("# EOF\n")
    assert {family.name for family in openmetrics_families(text)} == {"reboots", "fan_ok"}


async def test_when_a_series_ended_or_is_old_then_it_is_not_shown() -> None:
    series = state(a=1.0, b=2.0, c=3.0)
    series.mark_stale(Rows([series_key("a", {"device": "core"})]), START + 1)
    series.append(series.rows(series_key("b", {"device": "core"})), (4.0,), START + 200_000)
    assert await text_of(series, now=START + 300_000) == (
        '# HELP b Made by a rule or a profile of this site.\n# TYPE b gauge\nb{device="core"} 4.0\n'
    )


async def test_when_values_are_not_finite_then_they_are_written_as_prometheus_does() -> None:
    text = await text_of(state(a=float("nan"), b=float("inf"), c=float("-inf")))
    assert [line.rsplit(" ", 1)[1] for line in text.splitlines() if not line.startswith("#")] == ["NaN", "+Inf", "-Inf"]


async def test_when_texts_are_hostile_then_they_round_trip_and_promtool_takes_them() -> None:
    series, shown = SeriesState(), {}
    for name, raw in CANARIES.items():
        text = raw.decode("utf-8", "backslashreplace").replace("\x00", "\\0")
        key = series_key("sensor_text", {"device": "core", "name": name, "text": text})
        series.append(series.rows(key), (1.0,), START)
        shown[name] = text
    alarms = [AlarmRow("north", text, text, "R", "p", "major", "raised", "none") for text in shown.values()]
    text = await text_of(series, [alarm_family(alarms)])
    found = {
        sample.labels["name"]: sample.labels.get("text", "")
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "sensor_text"
    }
    assert found == shown
    promtool = shutil.which("promtool")
    if promtool:
        checked = await asyncio.to_thread(
            subprocess.run, [promtool, "check", "metrics"], input=text.encode(), capture_output=True, check=False
        )
        assert checked.returncode in (0, 3), checked.stderr


async def test_when_there_are_many_series_then_others_run_between_the_pieces() -> None:
    series = SeriesState()
    for device in range(200):
        keys = b"\n".join(series_key("interface_up", {"device": f"d{device}", "interface": f"p{n}"}) for n in range(100))
        series.append(series.rows(keys), [1.0] * 100, START)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    text = await text_of(series)
    task.cancel()
    assert text.count("\n") == 20_002
    assert turns >= 5


def test_when_faults_are_counted_then_levels_without_any_are_zero() -> None:
    family = fault_family("north", ["I", "II"], {"II": 2, "old": 1})
    assert [(key.decode(), value) for key, value in family.samples] == [
        ('watchkeeper_faults_open{level="I",site="north"}', 0.0),
        ('watchkeeper_faults_open{level="II",site="north"}', 2.0),
        ('watchkeeper_faults_open{level="old",site="north"}', 1.0),
    ]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("application/openmetrics-text; version=1.0.0", True),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5", True),
        ("application/openmetrics-text;q=0.1, text/plain;q=0.5", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=x", False),
    ],
)
def test_when_a_scraper_says_what_it_takes_then_it_gets_that(accept: str, wanted: bool) -> None:
    assert wants_openmetrics(accept) is wanted


async def test_when_packed_then_it_unpacks_to_the_same() -> None:
    series = state(a=1.0, b=2.0)
    packed = b"".join([piece async for piece in gzipped(exposition(series, [], CollectorRegistry(), START, False))])
    assert gzip.decompress(packed).decode() == await text_of(series)


async def test_when_scraped_over_http_then_both_formats_parse_and_hold_everything(tmp_path: Path) -> None:
    async with collecting(tmp_path, listen=True, timers=False) as collector:
        agent = AgentSide()
        await collector.ingest(agent.name, agent.frame([run("core")], [up("core", START)]))
        async with client(collector) as session:
            for accept, parse in (
                ("text/plain", text_string_to_metric_families),
                ("application/openmetrics-text", openmetrics_families),
            ):
                async with session.get("/metrics", headers={"Accept": accept}) as answer:
                    assert answer.headers["Content-Encoding"] == "gzip"
                    assert accept in answer.headers["Content-Type"]
                    text = await answer.text()
                names = {sample.name for family in parse(text) for sample in family.samples}
                assert {
                    "temperature_celsius",
                    "device_up",
                    "probe_success",
                    "watchkeeper_faults_open",
                    "watchkeeper_gap_records",
                    "watchkeeper_ingest_records_total",
                    "watchkeeper_series",
                } <= names


def test_what_help_says_is_what_the_reference_says() -> None:
    reference = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    lines = [line.replace("`", "").lower() for line in reference.splitlines()]
    for metric, words in MEANING.items():
        assert any(line.startswith(f"| {metric} |") and words.rstrip(".").lower() in line for line in lines), metric
