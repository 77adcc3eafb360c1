"""The documents say what is so: links resolve, named files exist, commands parse, site files load."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from cli.main import parser
from config.load import load_site

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), ROOT / "bench" / "README.md"])
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED_FILE = re.compile(r"`((?:config|probes|agent|rules|collector|simulator|cli|tests|bench|deploy|examples)/[\w./-]+)`")


def blocks(path: Path, language: str) -> list[str]:
    return [body for tag, body in FENCE.findall(path.read_text()) if tag == language]


def identify(path: object) -> str:
    return str(path.relative_to(ROOT)) if isinstance(path, Path) else str(path)


@pytest.mark.parametrize("document", DOCUMENTS, ids=identify)
def test_links_resolve(document: Path) -> None:
    for target in LINK.findall(document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=identify)
def test_named_files_exist(document: Path) -> None:
    for name in NAMED_FILE.findall(document.read_text()):
        assert (ROOT / name).exists(), f"{document.name} names {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=identify)
def test_commands_parse(document: Path) -> None:
    for block in blocks(document, "console"):
        for line in block.splitlines():
            if line.startswith("$ watchkeeper ") and not line.startswith("$ watchkeeper --"):
                parser().parse_args(shlex.split(line.split(" | ")[0].split(" > ")[0], comments=True)[2:])


@pytest.mark.parametrize("document", DOCUMENTS, ids=identify)
def test_site_files_load(document: Path, tmp_path: Path) -> None:
    for number, block in enumerate(blocks(document, "yaml")):
        if not block.startswith("site:"):
            continue
        for reference in set(re.findall(r"file:([\w./-]+)", block)):
            secret = tmp_path / Path(reference).name
            secret.write_text("0123456789abcdef")
            secret.chmod(0o600)
            block = block.replace(f"file:{reference}", f"file:{secret}")
        site = tmp_path / f"site-{number}.yaml"
        site.write_text(block)
        environ = dict.fromkeys(re.findall(r"env:(\w+)", block), "0123456789abcdef")
        assert load_site(site, environ).devices
