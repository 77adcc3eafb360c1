"""How a level looks in a terminal: one shape and one colour each, the same everywhere, readable without colour."""

from __future__ import annotations

from rich.text import Text

SHAPES = ("◆", "▲", "■", "●")  # from the highest level down
STYLES = ("bold white on red", "bold red", "bold yellow", "cyan")


def badge(rank: int, name: str) -> Text:
    """Return shape and name of the level at `rank`, 0 for the contract's highest."""
    at = min(max(rank, 0), len(SHAPES) - 1)
    return Text(f"{SHAPES[at]} {name}", style=STYLES[at])
