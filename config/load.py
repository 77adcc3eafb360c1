"""Loads a site: file, includes, profiles, references. The one door of this room; every error of every file at once.

10,000 devices take about 2 s of CPU; a service loads in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from config.agent_keys import agent_settings
from config.collector_keys import collector_settings
from config.errors import ConfigErrors
from config.include import Written, read_site_file
from config.language import _
from config.node import Mapping as MappingNode
from config.profile import Profile
from config.profile_load import find_profile, load_profiles
from config.reading import Reading
from config.references import Known, check_references, make_device, names_of
from config.site import Place, Site

__all__ = ["find_profile", "load_profiles", "load_site"]


def load_site(path: Path, environ: Mapping[str, str] | None = None) -> Site:
    """Return the site that a file describes, includes and defaults resolved.

    Relative paths count from the site file's folder; `environ` is what ``env:`` looks in (default: the process's own).

    Raises:
        ConfigErrors: something is wrong; holds every error found, in the order of files and lines.
    """
    path = Path(path)
    reading = Reading(path.parent, os.environ if environ is None else environ)
    written = read_site_file(path, reading)
    profiles = _profiles(reading)
    known = _known(written, profiles)
    check_references(written.parts.devices, known, reading)
    if reading.errors:
        raise ConfigErrors(reading.sorted_errors())
    _unassigned(written, known, reading, str(path))
    return _site(path.absolute(), written, known, reading)


def _profiles(reading: Reading) -> dict[str, Profile]:
    """Return the profiles; after errors in them, none is called unknown."""
    try:
        return load_profiles(reading.folder / "profiles", reading.given / "profiles")
    except ConfigErrors as errors:
        reading.errors += errors.errors
        reading.complete = False
        return {}


def _known(written: Written, profiles: Mapping[str, Profile]) -> Known:
    parts = written.parts
    credentials = {name: parts.credentials.get(name) for name in written.credentials}
    collector = parts.node.entries.get("collector")
    agents = names_of(collector.entries.get("agents")) if isinstance(collector, MappingNode) else set()
    own = parts.agent.get("name") or parts.site.get("name")
    return Known(
        credentials={name: replace(entry, name=name) if entry else None for name, entry in credentials.items()},
        places=written.places if parts.places_given else None,
        agents=None if parts.agent.get("collector") and not agents else frozenset(agents | ({own} if own else set())),
        profiles=profiles,
    )


def _unassigned(written: Written, known: Known, reading: Reading, file: str) -> None:
    """Warn of devices that any of several agents might watch, and of a site without devices."""
    reading.enter(file)
    drafts = written.parts.devices
    free = [draft.values["name"] for draft in drafts if not draft.values.get("agent")]
    if len(known.agents or ()) > 1 and not written.parts.agent and free:
        message = _("{count} devices (such as {name}) name no agent, but there are several")
        reading.warn(0, message.format(count=len(free), name=free[0]))
    if not drafts:
        reading.warn(0, _("there are no devices"))


def _site(path: Path, written: Written, known: Known, reading: Reading) -> Site:
    parts = written.parts
    region = parts.site.get("region") or "urban"
    names = dict.fromkeys([*parts.places, *(draft.values["place"] for draft in parts.devices if draft.values.get("place"))])
    places = {name: _place(name, parts.places.get(name), region) for name in names}
    collector = collector_settings(parts.collector, path.parent)
    return Site(
        name=parts.site["name"],
        contract=parts.site["contract"],
        path=path,
        devices={draft.values["name"]: make_device(draft, known, places, region) for draft in parts.devices},
        agent=agent_settings(parts.agent, parts.site["name"], collector.data),
        collector=collector,
        region=region,
        timezone=parts.site.get("timezone") or "UTC",
        locale=parts.site.get("locale") or "en",
        title=parts.site.get("title") or "",
        places=places,
        rules=tuple(dict.fromkeys(file.path for file in parts.rules)),
        profiles=known.profiles,
        warnings=tuple(reading.warnings),
    )


def _place(name: str, given: Place | None, region: str) -> Place:
    return Place(name, (given.region if given else "") or region, given.title if given else "")
