"""Loads a site again and keeps the running one when the new one is wrong. Handles no signals and restarts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from config.errors import ConfigError, ConfigErrors
from config.load import load_site
from config.site import Site


@dataclass(frozen=True, slots=True)
class Changes:
    """What a new configuration changes: device names, and the names of other parts of the site that differ."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()  # fields of Site other than devices, such as agent, rules, contract


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """A new site and what it changes, or the errors that keep the old one running."""

    site: Site | None
    errors: tuple[ConfigError, ...] = ()
    changes: Changes = Changes()


class Reloader:
    """Holds the site that is in force."""

    def __init__(self, path: Path, site: Site | None = None, environ: Mapping[str, str] | None = None) -> None:
        """Take the file, and the site already loaded from it; without one it is loaded now.

        Raises:
            ConfigErrors: there is no site yet and the file is wrong.
        """
        self.path = path
        self._environ = environ
        self.site = site or load_site(path, environ)

    def try_reload(self) -> ReloadResult:
        """Load the file again. A wrong file changes nothing; the result holds its errors."""
        try:
            site = load_site(self.path, self._environ)
        except ConfigErrors as errors:
            return ReloadResult(None, errors.errors)
        changes = compare(self.site, site)
        self.site = site
        return ReloadResult(site, (), changes)


def compare(old: Site, new: Site) -> Changes:
    """Return what differs between two sites; devices are compared with their credentials' secrets."""
    both = [name for name in new.devices if name in old.devices]
    return Changes(
        added=tuple(name for name in new.devices if name not in old.devices),
        removed=tuple(name for name in old.devices if name not in new.devices),
        changed=tuple(name for name in both if old.devices[name] != new.devices[name]),
        parts=tuple(
            field.name
            for field in fields(Site)
            if field.name not in ("devices", "warnings") and getattr(old, field.name) != getattr(new, field.name)
        ),
    )
