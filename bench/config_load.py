"""How long a site of 10,000 devices takes to load, from YAML flow lines and from CSV. Run: python bench/config_load.py"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from config.load import load_site

COUNT = 10_000
HEAD = "site: {name: big, contract: campus-network}\ncredentials:\n  ro: {snmp: {version: 2c, community: env:BENCH}}\n"
PROFILE = "{profile: switch, class: switch, steps: [{probe: icmp, lane: reach, name: ping}]}\n"


def address(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def yaml_site(folder: Path) -> Path:
    lines = [HEAD + "devices:", "  - {name: core-0, address: 10.9.0.1, class: switch, role: core, credentials: ro}"]
    for number in range(1, COUNT):
        upstream = f"{{device: core-0, port: GigabitEthernet1/0/{number % 48}}}" if number % 20 == 1 else f"acc-{number - 1}"
        upstream = upstream if number > 1 else "core-0"
        lines.append(
            f"  - {{name: acc-{number}, address: {address(number)}, class: switch, credentials: ro, role: access,"
            f" place: crossing-{number % 69}, upstream: {upstream}}}"
        )
    path = folder / "yaml.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def csv_site(folder: Path) -> Path:
    rows = ["name,address,class,credentials,role,place,upstream,Serial", "core-0,10.9.0.1,switch,ro,core,,,S0"]
    for number in range(1, COUNT):
        upstream = "core-0" if number == 1 else f"acc-{number - 1}:Gi1/0/{number % 48}"
        rows.append(f"acc-{number},{address(number)},switch,ro,access,crossing-{number % 69},{upstream},S{number}")
    (folder / "assets.csv").write_text("\n".join(rows) + "\n")
    path = folder / "csv.yaml"
    path.write_text(HEAD + "include: [assets.csv]\n")
    return path


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "profiles").mkdir()
        (folder / "profiles" / "switch.yaml").write_text(PROFILE)
        for make in (yaml_site, csv_site):
            path = make(folder)
            wall, cpu = time.perf_counter(), time.process_time()
            site = load_site(path, {"BENCH": "public"})
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{make.__name__:10} {len(site.devices)} devices  {wall:.2f} s  {cpu:.2f} s CPU  peak {peak:.0f} MB")


if __name__ == "__main__":
    main()
