"""The documents say what is so: links resolve, named files exist, commands parse, site files load."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

from cli.main import parser
from config.load import load_site
from rules.load import load_text

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / name / "README.md" for name in ("bench", "examples"))]
)
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)")
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED_THING = re.compile(r"`((?:config|probes|agent|rules|collector|simulator|cli)(?:\.\w+)+)")
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


def test_what_the_architecture_names_is_there() -> None:
    for name in NAMED_THING.findall((ROOT / "docs" / "architecture.md").read_text()):
        parts, found = name.split("."), importlib.import_module(name.split(".")[0])
        for at, part in enumerate(parts[1:], 2):
            if not hasattr(found, part):
                importlib.import_module(".".join(parts[:at]))
            found = getattr(found, part)


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
        if "rules: [" in block:
            (tmp_path / "rules").mkdir(exist_ok=True)
            (tmp_path / "rules" / "own.yml").write_text("groups: []\n")
        assert load_site(site, environ).devices


@pytest.mark.parametrize("document", DOCUMENTS, ids=identify)
def test_rule_files_load(document: Path) -> None:
    for block in blocks(document, "yaml"):
        if block.startswith("groups:"):
            assert load_text(block).groups


@pytest.mark.parametrize("folder", ["how-to", "decisions"])
def test_the_index_is_whole(folder: str) -> None:
    index = ROOT / "docs" / folder / "README.md"
    assert {name for name in LINK.findall(index.read_text()) if "/" not in name} == {
        path.name for path in index.parent.glob("*.md") if path != index
    }


def test_the_first_page_shows_the_example_in_every_language() -> None:
    ten = (ROOT / "examples" / "ten-lines.yaml").read_text()
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    assert blocks(ROOT / "README.md", "yaml") == [ten]
    assert re.findall(r"^```.*?^```", english, re.MULTILINE | re.DOTALL) == re.findall(
        r"^```.*?^```", chinese, re.MULTILINE | re.DOTALL
    )
    other = {"README.md": "README.zh-CN.md"}
    assert [other.get(link, link) for link in LINK.findall(english)][1:] == LINK.findall(chinese)[1:]
