"""Reads profiles: the shipped ones and the operator's own, which replace shipped ones of the same name.

Checks their structure; the options of a step belong to its probe, which checks them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from pathlib import Path

from config.device_keys import REACH_METHODS
from config.document import read_document
from config.errors import ConfigErrors
from config.kind import NAME, OneOf, Schema, Text
from config.language import _, noted
from config.node import Mapping, Node, Scalar, Sequence, found
from config.profile import LANES, Profile, Step
from config.reading import Reading
from config.shape import Key, ListOf, Table, Values
from config.site import Device

SHIPPED = Path(__file__).with_name("profiles")
_STEP_KEYS = ("probe", "lane", "name")


@dataclass(frozen=True, slots=True)
class _Draft:
    """A profile as written, before the profiles that it extends are added."""

    values: Values
    node: Mapping
    file: str


@dataclass(frozen=True)
class _StepKind:
    """One step: three keys of ours, the rest are options of the probe."""

    label: str = noted("a mapping")

    def read(self, node: Node, reading: Reading) -> Step | None:
        """Return the step, or None after reporting what is wrong."""
        if not isinstance(node, Mapping):
            reading.wrong(node, _("expected a mapping, found {found}").format(found=found(node)))
            return None
        ours = Mapping(node.line, node.column)
        ours.entries = {key: value for key, value in node.entries.items() if key in _STEP_KEYS}
        ours.marks = {key: node.marks[key] for key in ours.entries}
        values: Values = _STEP.read(ours, reading)
        options = {key: plain(value) for key, value in node.entries.items() if key not in _STEP_KEYS}
        if any(values.get(key) is None for key in _STEP_KEYS):
            return None
        return Step(values["probe"], values["lane"], values["name"], options)

    def schema(self) -> Schema:
        """Return the JSON Schema."""
        return {**_STEP.schema(), "additionalProperties": True}


def _values(values: Values, node: Mapping, reading: Reading) -> Values:
    return values


def _profile(values: Values, node: Mapping, reading: Reading) -> _Draft:
    return _Draft(values, node, reading.file)


_STEP = Table(
    (
        Key("probe", NAME, "the probe that asks", "snmp", required=True),
        Key("lane", OneOf(LANES), "the lane it is asked in", "state", required=True),
        Key("name", Text(64), "unique in the profile", "ports", required=True),
    ),
    _values,
    "profile step",
)
PROFILE = Table(
    (
        Key("profile", NAME, "name of the profile", "switch", required=True),
        Key("class", NAME, "device class it is for", "switch", "that of the first it extends"),
        Key("title", Text(), "name for people", "Switch"),
        Key("extends", ListOf(NAME), "profiles whose steps it takes over", "[snmp]", "[]"),
        Key("reach", ListOf(OneOf(REACH_METHODS)), "how to tell that such a device is there", "[icmp, snmp]", "[icmp, snmp]"),
        Key("steps", ListOf(_StepKind(), by="name"), "what is asked; a step replaces an extended one of the same name", "[]"),
    ),
    _profile,
    "profile",
)


def load_profiles(extra: Path | None = None, shown_as: Path | None = None) -> dict[str, Profile]:
    """Return all profiles by name: the shipped ones, and those of the folder `extra`, which win.

    `shown_as` is how the folder is called in messages.

    Raises:
        ConfigErrors: a file is wrong; holds every error of every file.
    """
    drafts: dict[str, _Draft] = {}
    reading = Reading(SHIPPED, {})
    for folder, show in ((SHIPPED, SHIPPED), (extra, shown_as or extra)):
        if folder is None or show is None or not folder.is_dir():
            continue
        own: dict[str, _Draft] = {}
        for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
            reading.enter(os.path.join(show, path.name))
            _read(path, own, reading)
        drafts |= own
    profiles = _Extension(drafts, reading).all()
    if reading.errors:
        raise ConfigErrors(reading.sorted_errors())
    return profiles


def _read(path: Path, drafts: dict[str, _Draft], reading: Reading) -> None:
    node = read_document(path, reading)
    draft: _Draft | None = PROFILE.read(node, reading) if node is not None else None
    name = draft.values.get("profile") if draft else None
    if draft is None or name is None:
        return
    if name in drafts:
        reading.path.append("profile")
        reading.wrong(
            draft.node.entries["profile"], _("profile '{name}' is also in {file}").format(name=name, file=drafts[name].file)
        )
        reading.path.pop()
    drafts.setdefault(name, draft)


class _Extension:
    """Adds what profiles extend. A profile's own steps come after those it extends, and replace them by name."""

    def __init__(self, drafts: Dict[str, _Draft], reading: Reading) -> None:
        self._drafts = drafts
        self._reading = reading
        self._done: dict[str, Profile | None] = {}

    def all(self) -> dict[str, Profile]:
        found = {name: self._resolve(name, ()) for name in self._drafts}
        return {name: profile for name, profile in found.items() if profile}

    def _resolve(self, name: str, chain: tuple[str, ...]) -> Profile | None:
        if name not in self._done:
            self._done[name] = self._extended(name, (*chain, name))
        return self._done[name]

    def _extended(self, name: str, chain: tuple[str, ...]) -> Profile | None:
        draft = self._drafts[name]
        bases = [base for base in (self._base(draft, word, chain) for word in draft.values.get("extends") or ()) if base]
        own = draft.values.get("steps") or ()
        self._unique(draft, own)
        steps = {step.name: step for base in bases for step in base.steps} | {step.name: step for step in own}
        device_class = draft.values.get("class") or (bases[0].device_class if bases else "")
        if not device_class:
            self._wrong(draft, "", _("'class' is missing"))
            return None
        reach = draft.values.get("reach") or (bases[0].reach if bases else ("icmp", "snmp"))
        return Profile(name, device_class, tuple(steps.values()), reach)

    def _base(self, draft: _Draft, word: str, chain: tuple[str, ...]) -> Profile | None:
        if word in chain:
            self._wrong(draft, "extends", _("a profile extends itself: {way}").format(way=" -> ".join((*chain, word))))
            return None
        if word not in self._drafts:
            near = self._reading.suggest(word, self._drafts)
            self._wrong(draft, "extends", _("there is no profile '{name}'").format(name=word), near)
            return None
        return self._resolve(word, chain)

    def _unique(self, draft: _Draft, steps: tuple[Step, ...]) -> None:
        names = [step.name for step in steps]
        for name in sorted({name for name in names if names.count(name) > 1}):
            self._wrong(draft, "steps", _("two steps have the name '{name}'").format(name=name))

    def _wrong(self, draft: _Draft, key: str, message: str, suggestion: str = "") -> None:
        self._reading.enter(draft.file)
        self._reading.path += [key] if key else []
        self._reading.wrong(draft.node.entries.get(key, draft.node), message, suggestion)
        self._reading.path.clear()


def default_profile(device_class: str, profiles: Dict[str, Profile]) -> str:
    """Return the name of a class's own profile: the one of the same name, else the first by name that is for the class."""
    own = profiles.get(device_class)
    if own and own.device_class == device_class:
        return device_class
    return min((name for name, profile in profiles.items() if profile.device_class == device_class), default="")


def find_profile(device: Device, profiles: Dict[str, Profile]) -> Profile:
    """Return the profile that a device is asked by: its own, else its class's. A loaded site has one for every device.

    Raises:
        KeyError: there is none, which the loading of a site rules out.
    """
    return profiles[device.profile or default_profile(device.device_class, profiles)]


def plain(node: Node) -> object:
    """Return a node as Python values: plain ``true``, ``false``, ``null`` and decimal numbers are such, all else is text."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return _scalar(node)


def _scalar(node: Scalar) -> object:
    if not node.plain:
        return node.text
    if node.empty:
        return None
    if node.text in ("true", "false"):
        return node.text == "true"
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,17})", node.text):
        return int(node.text)
    if re.fullmatch(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}", node.text):
        return float(node.text)
    return node.text
