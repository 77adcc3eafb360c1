"""Looks up the names that devices give: upstreams, credentials, places, agents, classes. Makes `Device` records; opens nothing.

About 10 us a device; suggestions are sought for the first 50 unknown words only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from config.device_keys import Draft
from config.errors import shown
from config.language import _, noted
from config.node import Mapping as MappingNode
from config.node import Node, Scalar, Sequence
from config.profile import Profile
from config.reading import Reading
from config.site import Credentials, Device, Place, Upstream
from config.topology import closed_loops


@dataclass(frozen=True, slots=True)
class Known:
    """The names there are. `places` is None where the site lists none, so that devices may name any; so is `agents` in the

    file of an agent whose collector is elsewhere: only that one knows them all.
    """

    credentials: Mapping[str, Credentials | None]
    places: Iterable[str] | None
    agents: frozenset[str] | None
    profiles: Mapping[str, Profile]


def check_references(drafts: list[Draft], known: Known, reading: Reading) -> None:
    """Report every name that names nothing, names given twice, loops without a way out, and (as a warning) shared addresses."""
    check = _Check(drafts, known, reading)
    for draft in drafts:
        check.device(draft)
    for key, message in LOOPS.items():
        check.loops(key, message)
    _shared_addresses(drafts, reading)


LOOPS = {
    "upstream": noted("{names} lead only to each other: leave out the upstream of the one nearest the agent"),
    "powers": noted("{names} feed each other in a circle"),
}


class _Check:
    def __init__(self, drafts: list[Draft], known: Known, reading: Reading) -> None:
        self._known = known
        self._reading = reading
        self._devices: dict[str, Draft] = {}
        self._classes = sorted({profile.device_class for profile in known.profiles.values()})
        for draft in drafts:
            self._first(draft)

    def _first(self, draft: Draft) -> None:
        name = draft.values.get("name")
        if name is None:
            return
        first = self._devices.setdefault(name, draft)
        if first is not draft:
            place = f"{first.file}:{first.node.entries['name'].line}"
            message = _("the device name '{name}' is already used at {place}").format(name=shown(name), place=place)
            self._wrong(draft, "name", name, message)

    def device(self, draft: Draft) -> None:
        """Check all names that one device gives."""
        self._name(draft, "credentials", self._known.credentials, _("there are no credentials '{name}'"))
        if self._known.places is not None:
            self._name(draft, "place", self._known.places, _("there is no place '{name}'"))
        if self._known.agents is not None:
            self._name(draft, "agent", self._known.agents, _("there is no agent '{name}'"))
        self._name(draft, "class", self._classes, _("there is no device class '{name}'"))
        self._profile(draft)
        upstream = [way.device for way in draft.values.get("upstream") or ()]
        self._devices_named(draft, "upstream", upstream, _("a device is not its own upstream"))
        self._devices_named(draft, "powers", draft.values.get("powers") or (), _("a device does not feed itself"))

    def _name(self, draft: Draft, key: str, names: Iterable[str], message: str) -> None:
        name = draft.values.get(key)
        if name is None or name in names or not self._reading.complete:
            return
        self._wrong(draft, key, name, message.format(name=shown(name)), self._reading.suggest(name, names))

    def _profile(self, draft: Draft) -> None:
        self._name(draft, "profile", self._known.profiles, _("there is no profile '{name}'"))
        profile = self._known.profiles.get(draft.values.get("profile") or "")
        if profile and draft.values.get("class") not in (None, profile.device_class):
            message = _("profile '{name}' is for class '{other}'").format(name=profile.name, other=profile.device_class)
            self._wrong(draft, "profile", profile.name, message)

    def _devices_named(self, draft: Draft, key: str, names: Iterable[str], self_message: str) -> None:
        for name in names:
            if name == draft.values.get("name"):
                self._wrong(draft, key, name, self_message)
            elif name not in self._devices and self._reading.complete:
                message = _("there is no device '{name}'").format(name=shown(name))
                self._wrong(draft, key, name, message, self._reading.suggest(name, self._devices))

    def loops(self, key: str, message: str) -> None:
        """Report groups of devices that only name each other."""
        edges = {name: [target for target in _targets(draft, key) if target != name] for name, draft in self._devices.items()}
        for group in closed_loops(edges):
            names = ", ".join(group[:8]) + (_(" and {count} more").format(count=len(group) - 8) if len(group) > 8 else "")
            self._wrong(self._devices[group[0]], key, "", _(message).format(names=names))

    def _wrong(self, draft: Draft, key: str, name: str, message: str, suggestion: str = "") -> None:
        reading = self._reading
        reading.enter(draft.file)
        reading.path += ["devices", f"[{shown(draft.values.get('name') or '?')}]", key]
        node = draft.node.entries[key]
        reading.wrong(_mention(node, name) or node, message, suggestion)
        del reading.path[-3:]


def _targets(draft: Draft, key: str) -> list[str]:
    if key == "powers":
        return list(draft.values.get("powers") or ())
    return [way.device for way in draft.values.get("upstream") or ()]


def _mention(node: Node, name: str) -> Node | None:
    """Return the text in a list or mapping that gives the name, so that an error points to its line."""
    if isinstance(node, Scalar):
        return node if node.text == name else None
    children = node.items if isinstance(node, Sequence) else node.entries.values()
    return next((hit for child in children if (hit := _mention(child, name))), None)


def _shared_addresses(drafts: list[Draft], reading: Reading) -> None:
    """Warn of devices with the same address and ports: one of two such devices is probably not watched at all."""
    first: dict[tuple[str, tuple[tuple[str, int], ...]], Draft] = {}
    for draft in drafts:
        address, name = draft.values.get("address"), draft.values.get("name")
        if address is None or name is None:
            continue
        ports = tuple(sorted((draft.values.get("ports") or {}).items()))
        other = first.setdefault((address, ports), draft)
        if other is not draft and other.values["name"] != name:
            reading.enter(draft.file)
            reading.path += ["devices", f"[{name}]", "address"]
            message = _("{address} is also the address of {other}").format(address=address, other=other.values["name"])
            reading.warn(draft.node.line, message)
            del reading.path[-3:]


def make_device(draft: Draft, known: Known, places: Mapping[str, Place], region: str) -> Device:
    """Return the record of a checked draft."""
    values = draft.values
    place = values.get("place") or ""
    upstream: tuple[Upstream, ...] = tuple(dict.fromkeys(values.get("upstream") or ()))
    return Device(
        name=values["name"],
        address=values["address"],
        device_class=values["class"],
        credentials=known.credentials[values["credentials"]] if "credentials" in values else None,
        role=values.get("role") or "",
        place=place,
        region=values.get("region") or (places[place].region if place else region),
        upstream=upstream,
        powers=tuple(dict.fromkeys(values.get("powers") or ())),
        agent=values.get("agent") or "",
        profile=values.get("profile") or "",
        reach=values.get("reach") or (),
        ports=values.get("ports") or {},
        thresholds=values.get("thresholds") or {},
        labels=values.get("labels") or {},
        asset=values.get("asset") or {},
    )


def names_of(node: Node | None) -> set[str]:
    """Return the keys of a mapping as written, wrong entries included."""
    return set(node.entries) if isinstance(node, MappingNode) else set()
