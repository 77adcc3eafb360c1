"""The house stays easy to see: imports point one way, and nothing below tests/ is a package."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("config", "probes", "agent", "rules", "collector", "simulator", "cli")
MAY_IMPORT = {
    "config": {"config"},
    "probes": {"config", "probes"},
    "agent": {"config", "probes", "agent"},
    "rules": {"config", "rules"},
    "collector": {"config", "rules", "collector", "probes.sample", "probes.reason", "probes.wire"},
    "simulator": {"config", "probes", "simulator"},
    "cli": set(ROOMS),
}


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            found |= {f"{module}.{alias.name}" for alias in node.names} if module in ROOMS else {module}
    return {name for name in found if name.split(".")[0] in ROOMS}


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_one_way(room: str) -> None:
    allowed = MAY_IMPORT[room]
    for path in sorted((ROOT / room).rglob("*.py")):
        for name in imports_of(path):
            parts = name.split(".")
            assert parts[0] in allowed or ".".join(parts[:2]) in allowed, f"{path.relative_to(ROOT)} imports {name}"


def test_no_package_below_tests() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
