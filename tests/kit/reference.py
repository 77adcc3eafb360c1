"""The reference material beside the repository: data of other projects that tests are run against, never copied here."""

from __future__ import annotations

from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2].parent / "shared"


def reference(*parts: str) -> Path:
    """Return the path of a reference file or folder; skip the test where there is none."""
    path = _ROOT.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no reference material {'/'.join(parts)} beside the repository")
    return path
