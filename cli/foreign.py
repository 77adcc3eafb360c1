"""Refuses to start beside a foreign distribution that owns one of our import names. Never touches it."""

from __future__ import annotations

from importlib.metadata import packages_distributions

from config.language import _

ROOMS = ("agent", "cli", "collector", "config", "probes", "rules", "simulator")


def owners() -> list[str]:
    """Return one sentence for each of our import names that another installed distribution owns as well."""
    table = packages_distributions()
    return [
        _(
            "The import name '{room}' also belongs to the installed distribution '{other}'. "
            "Install watchkeeper into an environment of its own: python3 -m venv .venv"
        ).format(room=room, other=other)
        for room in ROOMS
        for other in sorted(set(table.get(room, ())) - {"watchkeeper"})
    ]
