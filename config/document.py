"""From the bytes of a YAML file to nodes with line marks. Knows no key; holds hostile files to a size, a depth and a count.

A loop over the events of libyaml's parser: 10,000 devices are 200,000 events, about 3 us each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from config.errors import key_shown
from config.language import _
from config.node import Mapping, Node, Scalar, Sequence, found
from config.reading import Reading

MAX_BYTES = 10_000_000
MAX_NODES = 1_000_000  # 10,000 devices are 200,000; every use of an alias counts
MAX_DEPTH = 32
MAX_ERRORS = 1_000  # of writing; errors of meaning are all reported
CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
CORE_TAG = "tag:yaml.org,2002:"


class _Stop(Exception):
    """The file cannot be read on; what is wrong has been reported."""


def read_bytes(path: Path, reading: Reading) -> bytes | None:
    """Return a file's content, or report why not: missing, unreadable, larger than 10 MB, empty."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reading.wrong(None, _("cannot be read: {error}").format(error=_(error.strerror or str(error))))
        return None
    if len(data) > MAX_BYTES:
        reading.wrong(None, _("is larger than 10 MB; split it and name the parts under include"))
        return None
    if not data.strip():
        reading.wrong(None, _("the file is empty"))
        return None
    return data


def read_document(path: Path, reading: Reading) -> Node | None:
    """Return what a YAML file says, or nothing after reporting what is wrong with it. Duplicate keys keep the first."""
    data = read_bytes(path, reading)
    text = None if data is None else _decode(data, reading)
    if text is None or not clean(text, reading):
        return None
    before = len(reading.errors)
    try:
        root = _Composer(reading).compose(text)
    except _Stop:
        return None
    except yaml.MarkedYAMLError as error:
        _syntax(error, text, reading)
        return None
    if root is None and len(reading.errors) == before:
        reading.wrong(None, _("the file is empty"))
    return root


def clean(text: str, reading: Reading) -> bool:
    """Report the first control character, if there is one."""
    bad = CONTROL.search(text)
    if not bad:
        return True
    line = text.count("\n", 0, bad.start()) + 1
    column = bad.start() - text.rfind("\n", 0, bad.start())
    message = _("control character U+{code:04X}; remove it").format(code=ord(bad.group()))
    reading.wrong_at(line, column, message)
    return False


def _decode(data: bytes, reading: Reading) -> str | None:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        reading.wrong(None, _("the file is UTF-16; save it as UTF-8"))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = _("byte 0x{byte:02x} is not UTF-8; save the file as UTF-8").format(byte=error.object[error.start])
        reading.wrong_at(line, 0, message)
        return None


def _syntax(error: yaml.MarkedYAMLError, text: str, reading: Reading) -> None:
    """Report a YAML syntax error in the parser's words, which never quote the file; tabs get their own."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    lines = text[:MAX_BYTES].splitlines()
    here = lines[line] if line < len(lines) else ""
    if "\t" in here[: len(here) - len(here.lstrip())]:
        reading.wrong_at(line + 1, here.index("\t") + 1, _("indented with a tab; YAML takes only spaces"))
        return
    problem = _(str(error.problem))
    if error.context:
        problem = _("{problem} {context}").format(problem=problem, context=_(error.context))
    message = _("not valid YAML: {problem}").format(problem=problem)
    reading.wrong_at(line + 1, column + 1, message)


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    node: Mapping | Sequence
    anchor: str | None
    start: int  # nodes counted before it
    key: str | None = None
    skip: bool = False  # the value belongs to a key that is not kept
    height: int = 0  # of what it holds, aliases followed
    merged: dict[str, tuple[Node, tuple[int, int]]] = field(default_factory=dict)


class _Composer:
    """Builds nodes from events. Anchors are known once their node is complete, so nothing can contain itself."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._count = 0
        self._documents = 0
        self._root: Node | None = None

    def compose(self, text: str) -> Node | None:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            if type(event) is ScalarEvent:
                self._scalar(event)
            elif type(event) is MappingEndEvent or type(event) is SequenceEndEvent:
                self._close(event)
            elif type(event) is MappingStartEvent or type(event) is SequenceStartEvent:
                self._start(event)
            elif type(event) is AliasEvent:
                self._alias(event)
            elif type(event) is DocumentStartEvent:
                self._document(event)
            if len(self._reading.errors) > MAX_ERRORS:
                self._stop(event, _("more than {count} errors; not read any further").format(count=MAX_ERRORS))
        return self._root

    def _stop(self, event: yaml.Event, message: str) -> None:
        self._reading.wrong_at(*_place(event), message)
        raise _Stop

    def _counted(self, event: yaml.Event, nodes: int = 1) -> None:
        self._count += nodes
        if self._count > MAX_NODES:
            self._stop(event, _("more than {count} entries, every use of an alias counted").format(count=MAX_NODES))

    def _document(self, event: yaml.Event) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(event, _("a second document; a file holds one"))

    def _tagged(self, event: yaml.NodeEvent) -> None:
        tag = getattr(event, "tag", None)
        if tag and tag != "!" and not tag.startswith(CORE_TAG):
            message = _("tags (words that begin with !) are not used here; put the text in quotation marks")
            self._reading.wrong_at(*_place(event), message)

    def _scalar(self, event: ScalarEvent) -> None:
        self._counted(event)
        if event.tag:
            self._tagged(event)
        node = Scalar(event.value, not event.style and not event.tag, *_place(event))
        if event.anchor:
            self._anchors[event.anchor] = (node, 1, 0)
        self._put(node)

    def _start(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        self._counted(event)
        self._tagged(event)
        self._deepened(1, event)
        kind = Mapping if type(event) is MappingStartEvent else Sequence
        self._open.append(_Open(kind(*_place(event)), event.anchor, self._count - 1))

    def _deepened(self, height: int, event: yaml.Event) -> None:
        """Note that a list or mapping of this height goes into what is open."""
        if len(self._open) + height > MAX_DEPTH:
            self._stop(event, _("nested more than {depth} deep").format(depth=MAX_DEPTH))
        if self._open:
            self._open[-1].height = max(self._open[-1].height, height)

    def _close(self, event: yaml.Event) -> None:
        done = self._open.pop()
        for key, (value, mark) in done.merged.items():
            if key not in done.node.entries:  # type: ignore[union-attr]  # only mappings merge
                done.node.entries[key] = value  # type: ignore[union-attr]
                done.node.marks[key] = mark  # type: ignore[union-attr]
        if done.anchor:
            self._anchors[done.anchor] = (done.node, self._count - done.start, done.height + 1)
        self._deepened(done.height + 1, event)
        self._put(done.node)

    def _alias(self, event: AliasEvent) -> None:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            self._stop(event, _("an alias (a word that begins with *) without an anchor before it; text needs quotation marks"))
            return
        self._counted(event, known[1])
        self._deepened(known[2], event)
        self._put(known[0])

    def _put(self, node: Node) -> None:
        """Place a finished node into what is open: an item of a list, a key, or the value of the key before."""
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        if type(top.node) is Sequence:
            top.node.items.append(node)
        elif top.key is None:
            self._key(top, node)
        else:
            self._value(top, node)

    def _key(self, top: _Open, node: Node) -> None:
        mapping = top.node
        assert isinstance(mapping, Mapping)
        top.key, top.skip = "", True
        if type(node) is not Scalar:
            self._reading.wrong(node, _("a key must be text, found {found}").format(found=found(node)))
            return
        first = mapping.marks.get(node.text)
        if first is not None:
            message = _("key '{key}' is given twice, first on line {line}").format(key=key_shown(node.text), line=first[0])
            self._reading.path = self._path()
            self._reading.wrong(node, message)
            self._reading.path = []
            return
        top.key, top.skip = node.text, False
        if not (node.plain and node.text == "<<"):
            mapping.marks[node.text] = (node.line, node.column)

    def _path(self) -> list[str]:
        """Return the key path of the innermost open list or mapping."""
        above = [(part.node, part.key or "") for part in self._open[:-1]]
        return [f"[{len(node.items)}]" if isinstance(node, Sequence) else key_shown(key) for node, key in above]

    def _value(self, top: _Open, node: Node) -> None:
        key, top.key = top.key, None
        mapping = top.node
        assert isinstance(mapping, Mapping) and key is not None
        if top.skip:
            return
        if key == "<<" and key not in mapping.marks:
            self._merge(top, node)
        else:
            mapping.entries[key] = node

    def _merge(self, top: _Open, node: Node) -> None:
        """Remember the keys of ``<<: *base``; the mapping's own keys win when it closes."""
        sources = node.items if isinstance(node, Sequence) else [node]
        for source in sources:
            if not isinstance(source, Mapping):
                self._reading.wrong(
                    node, _("<< takes a mapping or a list of mappings, found {found}").format(found=found(source))
                )
                return
            for key, value in source.entries.items():
                top.merged.setdefault(key, (value, source.marks[key]))


def _place(event: yaml.Event) -> tuple[int, int]:
    """Return line and column of an event, from 1."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)
