"""Bytes on disk for each sample of history, on realistic polls. Run: python -m bench.history [devices] [minutes]."""

from __future__ import annotations

import sys
import tempfile
import time
from array import array
from pathlib import Path

import numpy as np

from collector import history
from collector.store import samples
from collector.store.database import Store
from probes import wire
from probes.reason import Reason
from probes.sample import Batch, Run, series_key

PORTS = 24
START = 1_760_000_000_000


class Fleet:
    """Switches (24 ports each), cameras and UPSes with values as their agents report them."""

    def __init__(self, devices: int) -> None:
        self.random = np.random.default_rng(7)
        self.names = [f"dev-{n}" for n in range(devices)]
        self.kinds = ["switch" if n % 4 == 0 else "ups" if n % 4 == 1 else "camera" for n in range(devices)]
        self.counters = {name: self.random.integers(0, 1 << 40, (PORTS, 4)).astype(float) for name in self.names}
        busy = self.random.random((len(self.names), PORTS)) < 0.3
        self.rates = {name: np.where(busy[i], self.random.uniform(1e4, 1e7, PORTS), 0.0) for i, name in enumerate(self.names)}
        self.keys = {name: self._keys(name, kind) for name, kind in zip(self.names, self.kinds, strict=True)}
        self.base = self.random.uniform(20, 45, len(self.names))
        self.offsets = self.random.integers(0, 60_000, len(self.names))

    def _keys(self, name: str, kind: str) -> dict[str, bytes]:
        base = {"site": "north", "device": name, "class": kind}
        made = {
            "reach": ["icmp_rtt_seconds", "icmp_loss_ratio", "probe_success", "probe_duration_seconds"],
            "state": [
                "temperature_celsius",
                "cpu_used_ratio",
                "device_uptime_seconds",
                "probe_success",
                "probe_duration_seconds",
            ],
        }
        lanes = {
            lane: b"\n".join(series_key(m, {**base, "lane": lane} if m.startswith("probe_") else base) for m in metrics)
            for lane, metrics in made.items()
        }
        if kind == "switch":
            names = ("up", "receive_bytes_total", "transmit_bytes_total", "receive_errors_total", "transmit_errors_total")
            lanes["table"] = b"\n".join(
                series_key(f"interface_{m}", {**base, "interface": f"GigabitEthernet1/0/{p}"})
                for p in range(PORTS)
                for m in names
            )
        return lanes

    def run(self, index: int, lane: str, at: int) -> Run:
        name, random = self.names[index], self.random
        took = round(float(random.gamma(4, 0.002)), 6)
        if lane == "reach":
            values = [round(float(random.gamma(9, 4e-5)), 9), 0.0, 1.0, took]
        elif lane == "state":
            warm = round(float(self.base[index] + random.normal(0, 0.4)))
            values = [warm, round(float(random.beta(2, 9)), 2), (at - START) // 10 / 100 + 1e6, 1.0, took]
        else:
            counters = self.counters[name]
            counters[:, :2] += np.rint(self.rates[name][:, None] * 60 * random.lognormal(0, 0.3, (PORTS, 2)))
            counters[:, 2] += random.random(PORTS) < 0.01
            values = np.column_stack([np.ones(PORTS), counters]).ravel().tolist()
        return Run(name, lane, at, took, Reason.OK, self.keys[name][lane], array("d", values))


def main(devices: int = 400, minutes: int = 10) -> None:
    fleet = Fleet(devices)
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        count = seq = 0
        for second in range(0, minutes * 60, 5):
            runs = []
            for index in range(devices):
                at = START + second * 1000 + int(fleet.offsets[index] % 5000) + int(fleet.random.integers(0, 4))
                lanes = ["reach"]
                if second % 30 == int(fleet.offsets[index]) % 30 // 5 * 5:
                    lanes.append("state")
                if second % 60 == int(fleet.offsets[index]) % 60 // 5 * 5 and fleet.kinds[index] == "switch":
                    lanes.append("table")
                runs += [fleet.run(index, lane, at) for lane in lanes]
            count += sum(len(run.values) for run in runs)
            frame = wire.encode(Batch("bench", 1, seq, START, tuple(runs)))
            seq += len(runs)
            with store.transaction() as connection:
                samples.add_raw(connection, [samples.RawRow("bench", START + second * 1000, frame)])
        raw = samples.totals(store.connection)[3]
        began, cpu = time.perf_counter(), time.process_time()
        done = history.compact(store)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        store.shrink()
        print(f"{devices} devices, {minutes} min: {count} samples, raw {raw / count:.2f} bytes each")
        print(f"blocks: {done.bytes / done.samples:.2f} bytes each; {took:.1f} s, {cpu / count * 1e6:.2f} us a sample")
        by_metric = next(iter(samples.load_blocks(store.connection, 0, 1 << 60)))
        for metric, data in sorted(by_metric.columns.items(), key=lambda item: -len(item[1])):
            print(f"  {metric:34} {len(data):9} bytes")
        print(f"  {'timelines':34} {len(by_metric.timelines):9} bytes")
        store.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
