"""Hostile files: whatever the bytes, a load ends soon, in a site or in `ConfigErrors`, and never in anything else."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from config.errors import ConfigErrors
from config.load import load_site
from kit.site_files import ENVIRON, HEAD, mistakes, site_folder

SEED = (
    HEAD + "credentials: &c {ro: {snmp: &s {version: 3, user: u, auth: {sha: env:TOKEN}, priv: {des: env:TOKEN}}}}\n"
    "places: {p: {region: county}, q: }\n"
    "agent: {name: x, lanes: {reach: 1s, state: {interval: 5s, timeout: 2s}}, spool: {max_size: 5MB}, references: [10.0.0.1]}\n"
    "collector: {listen: '[::]:1', agents: {x: {token: env:TOKEN}}, retention: {age: 3d}}\n"
    "include: [a.csv]\nrules: [r*]\n"
    "devices:\n"
    "  - {name: a, address: 10.0.0.1, class: switch, upstream: [b, {device: c, port: Gi1}], ports: {snmp: 1}, reach: [icmp]}\n"
    "  - <<: {address: x.example, class: ups}\n    name: b\n    powers: [a]\n    labels: {k: v}\n"
    "  - {name: c, address: '::1', class: switch, credentials: ro, place: p, thresholds: {t: 1.5}}\n"
)
PIECES = [
    *(
        "\t",
        "\n",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "!x ",
        "'",
        '"',
        "\\",
        "<<: ",
        "- ",
        "?",
        "|",
        ">",
        "%",
        "@",
        "`",
        "#",
        ";",
        ",",
    ),
    *("\x00", "\ud7ff", "\u202e", "\ufeff", "null", "~", "no", "9" * 40, "-1", "1e999", "../", "**"),
    *("env:", "file:", "file:/dev/zero", "/dev/zero"),
]


def mangled(text: str, rng: random.Random) -> str:
    for _round in range(rng.randint(1, 4)):
        at, length = rng.randrange(len(text)), rng.choice((0, 1, 1, 3, 20))
        text = text[:at] + rng.choice(PIECES) * rng.choice((1, 1, 2, 50)) + text[at + length :]
    return text


@pytest.mark.parametrize("number", range(10))
def test_mangled_site_files(number: int, tmp_path: Path) -> None:
    folder, rng = site_folder(tmp_path), random.Random(number)
    (folder / "r.yml").write_text("groups: []\n")
    row = "name,address,class,upstream,ports\nx,10.1.1.1,ups,a:1;b,snmp=5\n"
    wrong = 0
    for _round in range(40):
        (folder / "a.csv").write_text(mangled(row, rng) if rng.random() < 0.3 else row)
        try:
            path = folder / "site.yaml"
            path.write_text(mangled(SEED, rng))
            load_site(path, ENVIRON)
        except ConfigErrors as errors:
            wrong += bool(errors.errors)
    assert wrong


def test_the_seed_is_good(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    (folder / "r.yml").write_text("groups: []\n")
    (folder / "a.csv").write_text("name,address,class\nx,10.1.1.1,ups\n")
    assert mistakes(folder, SEED) == []


@pytest.mark.parametrize("number", range(5))
def test_random_bytes(number: int, tmp_path: Path) -> None:
    folder, rng = site_folder(tmp_path), random.Random(number)
    for _round in range(50):
        assert mistakes(folder, rng.randbytes(rng.randint(1, 400)))


def test_aliases_cannot_build_a_tower(tmp_path: Path) -> None:
    """Each anchor holds the one before: shallow on paper, 5000 deep when followed."""
    steps = "".join(f"k{n}: &k{n} [*k{n - 1}]\n" for n in range(1, 5000))
    assert mistakes(site_folder(tmp_path), "k0: &k0 [x]\n" + steps) == ["site.yaml:32: nested more than 32 deep."]


@pytest.mark.parametrize(
    "piece", ["[a,", "- ", "{a: ", "? ", "&a ", "!x ", "a: *b\n", "'", "a\n", "[[a],", "%A\n", "# \n", "a: |\n"]
)
def test_megabytes_of_one_piece_end_soon(piece: str, tmp_path: Path) -> None:
    assert mistakes(site_folder(tmp_path), piece * (4_000_000 // len(piece)))
