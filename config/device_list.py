"""Device lists as CSV: rows become the nodes that YAML devices are, so that both are read and checked alike.

The first row names the columns: keys of a device; any other column goes to `asset`. The delimiter (comma, semicolon, tab) is
told by the header, the encoding by the bytes (UTF-8 with or without BOM, UTF-16 with BOM, else GB18030). 5 us a cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path

from config.device_keys import DEVICE
from config.document import clean, read_bytes
from config.errors import shown
from config.language import _
from config.node import Mapping, Node, Scalar, Sequence
from config.reading import Reading, nearest

DELIMITERS = ",;\t"
REQUIRED = tuple(key.name for key in DEVICE.keys if key.required)
COLUMNS = tuple(key.name for key in DEVICE.keys if key.name != "asset")


def read_device_list(path: Path, reading: Reading) -> Sequence | None:
    """Return the rows as a list of devices, or nothing after reporting what is wrong."""
    data = read_bytes(path, reading)
    text = None if data is None else _decode(data, reading)
    if text is None or not clean(text, reading):
        return None
    rows = _rows(text, reading)
    line, header = next(rows, (0, []))
    names = [cell.strip() for cell in header]
    columns = [name.lower() if name.lower() in COLUMNS else name for name in names]
    if not _check_header(columns, line, reading):
        return None
    devices = Sequence(line, 1)
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) > len(columns) and any(cell.strip() for cell in row[len(columns) :]):
            message = _("{found} cells, but the header names {expected} columns")
            reading.wrong_at(number, len(columns) + 1, message.format(found=len(row), expected=len(columns)))
            continue
        devices.items.append(_device(columns, row, number))
    return devices


def _decode(data: bytes, reading: Reading) -> str | None:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    for name in (encoding, "gb18030"):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    reading.wrong(None, _("neither UTF-8 nor GB18030 text"))
    return None


def _rows(text: str, reading: Reading) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the line it begins on."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if row:
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        reading.wrong_at(line, 0, _("not valid CSV: {error}").format(error=error))


def _check_header(columns: list[str], line: int, reading: Reading) -> bool:
    """Report missing and doubled columns; warn of one that looks like a key with a slip in it."""
    before = len(reading.errors)
    other = [name for name in columns if name not in COLUMNS]
    for name in REQUIRED:
        if name not in columns:
            near = nearest(name, other)
            there = _("; there is a column '{column}'").format(column=shown(near)) if near else ""
            reading.wrong_at(line, 0, _("no column '{name}'").format(name=name) + there, name if near else "")
    for at, name in enumerate(columns):
        if name in columns[:at] and name:
            reading.wrong_at(line, at + 1, _("column '{name}' is given twice").format(name=shown(name)))
    for name in other:
        near = nearest(name.lower(), [column for column in COLUMNS if column not in columns and column not in REQUIRED])
        if near and name:
            message = _("column '{name}' (did you mean '{near}'?) is no key and is kept under asset")
            reading.warn(line, message.format(name=shown(name), near=near))
    return len(reading.errors) == before


def _device(columns: list[str], row: list[str], line: int) -> Mapping:
    device = Mapping(line, 1)
    asset = Mapping(line, 1)
    for at, (name, cell) in enumerate(zip(columns, row, strict=False)):
        value = cell.strip()
        if not value or not name:
            continue
        known = name in COLUMNS
        into = device if known else asset
        into.marks[name] = (line, at + 1)
        shape = SHAPES.get(name, _scalar) if known else _asset
        into.entries[name] = shape(value, line, at + 1)
    if asset.entries:
        device.entries["asset"] = asset
        device.marks["asset"] = (line, 1)
    return device


def _scalar(value: str, line: int, column: int) -> Node:
    return Scalar(value, False, line, column)


def _asset(value: str, line: int, column: int) -> Node:
    return Scalar(" ".join(value.split()), False, line, column)


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(";") if part.strip()]


def _list(value: str, line: int, column: int) -> Node:
    return Sequence(line, column, [Scalar(part, False, line, column) for part in _split(value)])


def _pairs(value: str, line: int, column: int) -> Node:
    """Return ``a=1;b=2`` as a mapping; a part without = becomes a key without a value, which is reported."""
    mapping = Mapping(line, column)
    for part in _split(value):
        name, _equals, text = part.partition("=")
        mapping.entries[name.strip()] = Scalar(text.strip(), True, line, column)
        mapping.marks[name.strip()] = (line, column)
    return mapping


def _upstreams(value: str, line: int, column: int) -> Node:
    """Return ``dev-1:port;dev-2`` as a list of upstreams."""
    ways = Sequence(line, column)
    for part in _split(value):
        device, colon, port = part.partition(":")
        way = Mapping(line, column, {"device": Scalar(device.strip(), False, line, column)}, {"device": (line, column)})
        if colon and port.strip():
            way.entries["port"] = Scalar(port.strip(), False, line, column)
            way.marks["port"] = (line, column)
        ways.items.append(way)
    return ways


SHAPES: dict[str, Callable[[str, int, int], Node]] = {
    "upstream": _upstreams, "powers": _list, "reach": _list, "ports": _pairs, "thresholds": _pairs, "labels": _pairs,
}  # fmt: skip
