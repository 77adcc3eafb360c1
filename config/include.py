"""Reads the site file and what it includes, each file once, and puts the parts together. Resolves no names of devices."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from config.device_keys import DEVICES
from config.device_list import read_device_list
from config.document import read_document
from config.language import _
from config.node import Mapping, Sequence, found
from config.reading import Reading
from config.site_keys import INCLUDED_FILE, SITE_FILE, Found, Parts

_T = TypeVar("_T")
YAML_SUFFIXES = (".yaml", ".yml", ".json")
LIST_SUFFIXES = (".csv", ".tsv", ".txt")


@dataclass(slots=True)
class Written:
    """All files together. The sets of names hold every entry as written, also those that are wrong."""

    parts: Parts = field(default_factory=Parts)
    credentials: dict[str, str] = field(default_factory=dict)  # name -> FILE:LINE
    places: dict[str, str] = field(default_factory=dict)


def read_site_file(path: Path, reading: Reading) -> Written:
    """Return everything that the site file and its includes say; what is wrong has been reported."""
    written = Written()
    _Include(reading, written).read(Found(path, str(path), 0, 0), ())
    return written


class _Include:
    """One walk through the includes. `chain` is the way to the file being read."""

    def __init__(self, reading: Reading, written: Written) -> None:
        self._reading = reading
        self._written = written
        self._done: set[str] = set()

    def read(self, file: Found, chain: tuple[Found, ...]) -> None:
        self._reading.enter(file.shown)
        self._done.add(os.path.realpath(file.path))
        parts = self._parts(file, top=not chain)
        if parts is None:
            self._reading.complete = False
            return
        self._add(parts, file, top=not chain)
        for inner in parts.include:
            self._follow(inner, file, (*chain, file))

    def _follow(self, inner: Found, file: Found, chain: tuple[Found, ...]) -> None:
        resolved = os.path.realpath(inner.path)
        loop = [link.shown for link in chain if os.path.realpath(link.path) == resolved]
        if loop:
            self._reading.enter(file.shown)
            way = " -> ".join([*(link.shown for link in chain), inner.shown])
            self._wrong("include", inner, _("a file includes itself: {way}").format(way=way))
        elif resolved not in self._done:
            self.read(inner, chain)

    def _wrong(self, key: str, at: Found, message: str) -> None:
        self._reading.path.append(key)
        self._reading.wrong_at(at.line, at.column, message)
        self._reading.path.pop()

    def _parts(self, file: Found, *, top: bool) -> Parts | None:
        if not top and file.path.suffix.lower() in LIST_SUFFIXES:
            rows = read_device_list(file.path, self._reading)
            return None if rows is None else self._devices(rows)
        if not top and file.path.suffix.lower() not in YAML_SUFFIXES:
            self._reading.wrong(None, _("not a kind of file that is read here: .yaml, .yml, .json, .csv, .tsv or .txt"))
            return None
        node = read_document(file.path, self._reading)
        if node is None:
            return None
        if type(node) is Mapping:
            parts: Parts | None = (SITE_FILE if top else INCLUDED_FILE).read(node, self._reading)
            return parts
        if not top and type(node) is Sequence:
            return self._devices(node)
        expected = _("a mapping (key: value)") if top else _("a list of devices or a mapping")
        self._reading.wrong(node, _("expected {expected}, found {found}").format(expected=expected, found=found(node)))
        return None

    def _devices(self, node: Sequence) -> Parts:
        self._reading.path.append("devices")
        drafts = DEVICES.read(node, self._reading)
        self._reading.path.pop()
        return Parts(devices=list(drafts or ()))

    def _add(self, parts: Parts, file: Found, *, top: bool) -> None:
        whole = self._written.parts
        if top:
            whole.site, whole.agent, whole.collector, whole.rules = parts.site, parts.agent, parts.collector, parts.rules
            whole.node = parts.node
        whole.places_given |= parts.places_given
        whole.devices += parts.devices
        self._names("credentials", parts, self._written.credentials, file)
        self._names("places", parts, self._written.places, file)
        _add_new(whole.credentials, parts.credentials)
        _add_new(whole.places, parts.places)

    def _names(self, key: str, parts: Parts, known: dict[str, str], file: Found) -> None:
        node = parts.node.entries.get(key)
        if not isinstance(node, Mapping):
            return
        for name, (line, column) in node.marks.items():
            if name in known:
                self._reading.path += [key, name]
                message = _("is already given at {place}").format(place=known[name])
                self._reading.wrong_at(line, column, message)
                del self._reading.path[-2:]
            known.setdefault(name, f"{file.shown}:{line}")


def _add_new(whole: dict[str, _T], part: dict[str, _T]) -> None:
    for name, value in part.items():
        whole.setdefault(name, value)
