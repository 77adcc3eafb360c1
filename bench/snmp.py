"""SNMP side by side in one run: our engine, snmp_exporter over HTTP, pysnmp. Targets per second and CPU per target.

GET of 4 values asks a real snmpd; 9 columns of a 52-port switch ask `bench/responder.py`, the same for all; SNMPv3 is
authPriv (SHA, AES-128) with snmpd.   python bench/snmp.py [targets]
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import aiohttp
from pysnmp.hlapi.v1arch import asyncio as pysnmp

from config.profile import Step
from config.secret import Secret
from config.site import Credentials, Device, SnmpCredentials
from kit.snmpd import free_port, running
from probes.reason import Reason
from probes.snmp.engine import SnmpEngine
from probes.snmp.get import compile_get
from probes.snmp.table import compile_table

ROOT = Path(__file__).resolve().parents[1]
OIDS = ("1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.25.1.1.0", "1.3.6.1.2.1.2.1.0", "1.3.6.1.2.1.1.7.0")
KINDS = ("timeticks", "timeticks", "integer", "integer")
IF, IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
COLUMNS = (f"{IF}.8", f"{IF}.13", f"{IF}.14", f"{IF}.19", f"{IF}.20", f"{IFX}.6", f"{IFX}.10", f"{IFX}.15")
NAME = f"{IFX}.1"
SITE: Any = SimpleNamespace(name="bench")
TARGETS = 20  # addresses; snmpd listens on no more than a few dozen
PYSNMP_GETS, PYSNMP_TABLES = 300, 6


@dataclass
class Result:
    name: str
    targets: int
    seconds: float
    cpu_s: float

    def show(self, base: Result | None = None) -> None:
        each = self.cpu_s / self.targets * 1e6
        ratio = f"  {each / (base.cpu_s / base.targets * 1e6):6.1f} x ours" if base else ""
        print(
            f"  {self.name:28} {self.targets:6} targets {self.targets / self.seconds:9.0f}/s "
            f"{each:10.1f} us CPU/target, {1e6 / each:6.0f}/s a core{ratio}"
        )


def own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def in_parallel(work: Sequence[Callable[[], Awaitable[None]]], width: int) -> None:
    queue = iter(work)

    async def worker() -> None:
        for one in queue:
            await one()

    await asyncio.gather(*[worker() for _ in range(width)])


def get_step() -> Step:
    objects = [
        {"oid": oid, "type": kind, "metric": f"m{place}"} for place, (oid, kind) in enumerate(zip(OIDS, KINDS, strict=True))
    ]
    return Step("snmp_get", "state", "get", {"objects": objects})


def table_step() -> Step:
    columns: list[dict[str, object]] = [
        {"oid": oid, "type": "counter", "metric": f"c{place}_total"} for place, oid in enumerate(COLUMNS)
    ]
    columns[0] = {"oid": COLUMNS[0], "type": "integer", "metric": "interface_up", "ones": [1], "zeros": [2, 3, 4, 5, 6, 7]}
    columns[-1] = {"oid": COLUMNS[-1], "type": "gauge", "metric": "interface_speed_bytes", "scale": 125000}
    return Step("snmp_table", "table", "table", {"columns": columns, "label": "interface", "names": [NAME]})


async def ours(
    name: str, compiler: Any, step: Step, devices: Sequence[Device], count: int, expected: int, width: int
) -> Result:
    async with SnmpEngine() as engine:
        net: Any = SimpleNamespace(snmp=engine)
        questions = [compiler(SITE, device, step) for device in devices]
        good = 0

        async def ask(question: Any) -> None:
            nonlocal good
            outcome = await question.ask(net, 5)
            right = outcome.reason is Reason.OK and len(outcome.values) == expected
            good += right

        for _ in range(3):  # the first questions learn
            await in_parallel([partial(ask, question) for question in questions], width)
        good, cpu, began = 0, own_cpu(), time.perf_counter()
        await in_parallel([partial(ask, questions[n % len(questions)]) for n in range(count)], width)
        result = Result(name, count, time.perf_counter() - began, own_cpu() - cpu)
        print(f"  ({good} of {count} complete; dropped {dict(engine.dropped)})")
        return result


def exporter_configuration() -> str:
    lines = ["get:", "  version: 2", "  auth: {community: public}", f"  get: [{', '.join(OIDS)}]", "  metrics:"]
    lines += [f"    - {{name: m{place}, oid: {oid.removesuffix('.0')}, type: gauge}}" for place, oid in enumerate(OIDS)]
    lines += ["table:", "  version: 2", "  max_repetitions: 60", "  auth: {community: public}"]
    lines += [f"  walk: [{', '.join((*COLUMNS, NAME))}]", "  metrics:"]
    for place, oid in enumerate(COLUMNS):
        lookup = f"lookups: [{{labels: [ifIndex], labelname: ifName, oid: {NAME}, type: DisplayString}}]"
        index = "indexes: [{labelname: ifIndex, type: gauge}]"
        lines.append(f"    - {{name: c{place}, oid: {oid}, type: counter, {index}, {lookup}}}")
    return "\n".join(lines) + "\n"


@contextmanager
def exporter(folder: Path) -> Iterator[tuple[int, str]]:
    file, port = folder / "snmp.yml", free_port()
    file.write_text(exporter_configuration())
    command = [
        "prometheus-snmp-exporter",
        f"--config.file={file}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    process = subprocess.Popen(command)
    time.sleep(1)
    try:
        yield process.pid, f"http://127.0.0.1:{port}/snmp"
    finally:
        process.kill()
        process.wait()


async def scraped(module: str, folder: Path, targets: Sequence[str], count: int, least: int) -> Result:
    with exporter(folder) as (pid, url):
        async with aiohttp.ClientSession() as session:

            async def scrape(target: str) -> None:
                async with session.get(url, params={"target": target, "module": module}) as response:
                    body = await response.text()
                    assert response.status == 200 and body.count("\n") > least, body[:500]

            await in_parallel([partial(scrape, target) for target in targets], 10)
            cpu, began = cpu_of(pid), time.perf_counter()
            await in_parallel([partial(scrape, targets[n % len(targets)]) for n in range(count)], 10)
            return Result("snmp_exporter", count, time.perf_counter() - began, cpu_of(pid) - cpu)


async def pysnmp_gets(targets: Sequence[str], count: int) -> Result:
    dispatcher = pysnmp.SnmpDispatcher()
    names = [pysnmp.ObjectType(pysnmp.ObjectIdentity(oid)) for oid in OIDS]
    community = pysnmp.CommunityData("public", mpModel=1)

    async def get(target: str) -> None:
        host, port = target.split(":")
        address = await pysnmp.UdpTransportTarget.create((host, int(port)))
        error, status, __, found = await pysnmp.get_cmd(dispatcher, community, address, *names)
        assert not error and not status and len(found) == 4, error

    cpu, began = own_cpu(), time.perf_counter()
    await in_parallel([partial(get, targets[n % len(targets)]) for n in range(count)], 10)
    result = Result("pysnmp (v1arch)", count, time.perf_counter() - began, own_cpu() - cpu)
    dispatcher.transport_dispatcher.close_dispatcher()
    return result


async def pysnmp_tables(targets: Sequence[str], count: int) -> Result:
    dispatcher = pysnmp.SnmpDispatcher()
    community = pysnmp.CommunityData("public", mpModel=1)

    async def table(target: str) -> None:
        host, port = target.split(":")
        address = await pysnmp.UdpTransportTarget.create((host, int(port)))
        for column in (*COLUMNS, NAME):
            cells, after = 0, column
            while after.startswith(column):
                name = pysnmp.ObjectType(pysnmp.ObjectIdentity(after))
                error, __, __, found = await pysnmp.bulk_cmd(dispatcher, community, address, 0, 60, name)
                assert not error, error
                for oid, __ in found:
                    after = str(oid)
                    if not after.startswith(column + "."):
                        after = ""
                        break
                    cells += 1
            assert cells == 52, cells

    cpu, began = own_cpu(), time.perf_counter()
    await in_parallel([partial(table, targets[n % len(targets)]) for n in range(count)], 4)
    result = Result("pysnmp (v1arch)", count, time.perf_counter() - began, own_cpu() - cpu)
    dispatcher.transport_dispatcher.close_dispatcher()
    return result


def devices(addresses: Sequence[str], credentials: SnmpCredentials) -> list[Device]:
    return [Device(f"d{n}", address, "switch", Credentials("c", snmp=credentials)) for n, address in enumerate(addresses)]


@contextmanager
def responder(addresses: Sequence[str]) -> Iterator[int]:
    port = free_port(addresses[0])
    command = [sys.executable, "-m", "bench.responder", str(port), *addresses]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        try:
            yield port
        finally:
            process.kill()


def main(count: int) -> None:
    addresses = [f"127.77.0.{1 + n}" for n in range(TARGETS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running(folder, addresses) as daemon:
            targets = [f"{address}:{daemon.port}" for address in addresses]
            print("GET of 4 values, v2c, snmpd answering")
            base = asyncio.run(ours("ours", compile_get, get_step(), devices(addresses, daemon.credentials()), count, 4, 50))
            base.show()
            asyncio.run(scraped("get", folder, targets, min(count, 2000), 4)).show(base)
            asyncio.run(pysnmp_gets(targets, PYSNMP_GETS)).show(base)
            print("GET of 4 values, v3 authPriv (SHA, AES-128), snmpd answering")
            secure = devices(addresses, daemon.credentials("3", "sha", "aes128"))
            asyncio.run(ours("ours", compile_get, get_step(), secure, count, 4, 50)).show()
        with responder(addresses) as port:
            targets = [f"{address}:{port}" for address in addresses]
            print("9 columns of a 52-port switch, v2c, bench/responder.py answering")
            user = SnmpCredentials("2c", Secret("public", "file:/bench"), port=port)
            base = asyncio.run(ours("ours", compile_table, table_step(), devices(addresses, user), count // 5, 416, 20))
            base.show()
            asyncio.run(scraped("table", folder, targets, min(count // 5, 500), 416)).show(base)
            asyncio.run(pysnmp_tables(targets, PYSNMP_TABLES)).show(base)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
