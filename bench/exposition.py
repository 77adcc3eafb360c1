"""CPU of one /metrics answer with many series. Run: python -m bench.exposition [devices] [series of each]."""

from __future__ import annotations

import asyncio
import resource
import sys
import time

from prometheus_client import CollectorRegistry

from collector.exposition import exposition, gzipped
from collector.series import SeriesState
from probes.sample import series_key

NOW = 1_800_000_000_000


def fill(devices: int, each: int) -> SeriesState:
    series = SeriesState()
    metrics = [f"interface_{name}_total" for name in ("receive_bytes", "transmit_bytes", "receive_errors", "transmit_errors")]
    for number in range(devices):
        base = {"site": "north-campus", "device": f"access-{number}", "class": "switch", "place": f"building-{number % 40}"}
        keys = b"\n".join(
            series_key(metrics[n % 4], {**base, "interface": f"GigabitEthernet1/0/{n // 4}"}) for n in range(each)
        )
        series.append(series.rows(keys), [number * 1e6 + n * 0.5 for n in range(each)], NOW)
    return series


async def main(devices: int = 10_000, each: int = 20) -> None:
    series = fill(devices, each)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(series)} series, {memory:.0f} MiB resident")
    for name, pack in (("plain", False), ("gzip", True)):
        longest = size = 0.0
        last = time.perf_counter()
        cpu = time.process_time()
        pieces = exposition(series, [], CollectorRegistry(), NOW, False)
        async for piece in gzipped(pieces) if pack else pieces:
            size += len(piece)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
            await asyncio.sleep(0)
        print(f"{name}: {size / 1e6:.1f} MB, CPU {time.process_time() - cpu:.2f} s, longest piece {longest * 1e3:.1f} ms")


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
