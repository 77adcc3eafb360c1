"""A recorded walk as a device: read `.snmprec` files or net-snmp's walk output, answer requests from it. Opens no socket.

So profiles can be tried with no device: `WalkSnmp` stands where `SnmpEngine` does, and takes and gives real messages.
"""

from __future__ import annotations

import asyncio
import bisect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from config.clock import Clock, SystemClock
from config.language import _
from config.site import SnmpCredentials
from probes.reason import Reason
from probes.snmp import ber, message
from probes.snmp.belief import Belief
from probes.snmp.exchange import Address, Exchange, Reader, Rejected, Session
from probes.snmp.message import Pdu, Varbind
from probes.snmp.usm import KeyRing

MAX_BYTES = 64 << 20
MAX_ANSWER_BYTES = 60_000

Cell = tuple[int, bytes]  # tag and content

_line = re.compile(r"\.?(\d+(?:\.\d+)+) = ?(.*)", re.DOTALL)
_typed = re.compile(
    r"(INTEGER|STRING|Hex-STRING|OID|IpAddress|Counter32|Gauge32|Timeticks|Counter64|Opaque|BITS|Network Address): ?(.*)",
    re.DOTALL,
)
_ticks = re.compile(r"(\d+):(\d+):(\d+):(\d+)\.(\d\d)")
_named_number = re.compile(r"[\w.-]+\((-?\d+)\)")
_escape = re.compile(rb"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_SHORT = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0"}
_TAGS = {"INTEGER": ber.INTEGER, "Counter32": ber.COUNTER32, "Gauge32": ber.GAUGE32, "Counter64": ber.COUNTER64}
_UNTYPED = (  # what a walk without types (-OQ) leaves out, for the objects whose type matters
    (ber.COUNTER32, re.compile(r"1\.3\.6\.1\.2\.1\.2\.2\.1\.(1[0-9]|20)\.")),
    (ber.COUNTER64, re.compile(r"1\.3\.6\.1\.2\.1\.31\.1\.1\.1\.([6-9]|1[0-3])\.")),
    (ber.COUNTER32, re.compile(r"1\.3\.6\.1\.2\.1\.43\.10\.2\.1\.4\.")),
)


class WalkError(ValueError):
    """A file that is no recorded walk: which file, which line, what is wrong with it."""


class Recording:
    """The objects of one device, in order."""

    def __init__(self, objects: dict[str, Cell]) -> None:
        """Keep objects by dotted OID. Raises ValueError for what is no OID."""
        self.objects = objects
        ordered = sorted((tuple(map(int, oid.split("."))), oid) for oid in objects)
        self._order = [arcs for arcs, __ in ordered]
        self._cells: list[Varbind] = [(ber.encode_oid(oid), *objects[oid]) for __, oid in ordered]
        self._by_name = {name: (name, tag, raw) for name, tag, raw in self._cells}

    def answer(self, request: bytes) -> bytes | None:
        """Return the answer to a v1 or v2c message with GET, GETNEXT or GETBULK; None to anything else."""
        try:
            asked = message.decode_message(request)
        except ber.Malformed:
            return None
        if asked.pdu.tag not in (message.GET, message.GET_NEXT, message.GET_BULK):
            return None
        found = list(self._found(asked.pdu))
        exceptions = [place for place, varbind in enumerate(found, 1) if varbind[1] in ber.EXCEPTIONS]
        status, index = 0, 0
        if asked.version == 0 and exceptions:
            status, index, found = message.NO_SUCH_NAME, exceptions[0], asked.pdu.varbinds
        pdu = message.encode_pdu(message.RESPONSE, asked.pdu.request_id, status, index, found)
        return message.encode_message(asked.version, asked.community, pdu)

    def _found(self, pdu: Pdu) -> Iterator[Varbind]:
        names = [varbind[0] for varbind in pdu.varbinds]
        if pdu.tag == message.GET:
            yield from (self._by_name.get(name, (name, ber.NO_SUCH_INSTANCE, b"")) for name in names)
            return
        once = max(0, pdu.error_status) if pdu.tag == message.GET_BULK else 0
        rows = max(0, pdu.error_index) if pdu.tag == message.GET_BULK else 1
        size = 0
        at = [self._after(name) for name in names]
        for row in range(rows):
            for place, name in enumerate(names):
                if row and place < once:
                    continue
                varbind = (
                    self._cells[at[place] + row] if at[place] + row < len(self._cells) else (name, ber.END_OF_MIB_VIEW, b"")
                )
                size += len(varbind[0]) + len(varbind[2]) + 10
                if size > MAX_ANSWER_BYTES:
                    return
                yield varbind

    def _after(self, name: bytes) -> int:
        return bisect.bisect_right(self._order, tuple(map(int, ber.decode_oid(name).split("."))))


def read_walk(path: Path) -> Recording:
    """Return the device that a file recorded; of an object that it holds twice, the first value.

    Raises:
        WalkError: the file cannot be read, or not one line of it is an object.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WalkError(_("{file} is larger than {limit} bytes").format(file=path, limit=MAX_BYTES))
        text = path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise WalkError(_("{file} cannot be read: {error}").format(file=path, error=_(str(error.strerror)))) from None
    objects: dict[str, Cell] = {}
    for oid, cell in _snmprec(text) if _is_snmprec(text) else _walk_output(text):
        objects.setdefault(oid, cell)
    if not objects:
        raise WalkError(_("{file} holds no recorded object (OID|TAG|VALUE or OID = VALUE lines)").format(file=path))
    return Recording(objects)


def _is_snmprec(text: str) -> bool:
    return any(line.split("|", 1)[0].strip(".").replace(".", "").isdigit() for line in text.splitlines()[:50] if "|" in line)


def _snmprec(text: str) -> Iterator[tuple[str, Cell]]:
    for line in text.split("\n"):
        oid, __, rest = line.rstrip("\r").partition("|")
        tag, __, value = rest.partition("|")
        cell = _recorded(tag.split(":")[0], value)
        if cell is not None and _is_name(oid.strip(".")):
            yield oid.strip("."), cell


def _recorded(tag: str, value: str) -> Cell | None:
    """Return the cell of a TAG and VALUE (4x: hexadecimal, 4e: escaped); None if they are none."""
    digits = tag.rstrip("xe")
    try:
        number = int(digits)
        if tag.endswith("x"):
            return number, bytes.fromhex(value)
        if tag.endswith("e"):
            return number, _escape.sub(_unescaped, value.encode("utf-8", "surrogateescape"))
        return _plain(number, value)
    except (ValueError, UnicodeError):
        return None


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found.group(1)
    return bytes((int(code[1:], 16),)) if code[:1] == b"x" else _SHORT.get(code, code)


def _plain(tag: int, value: str) -> Cell | None:
    if tag in (ber.INTEGER, ber.COUNTER32, ber.GAUGE32, ber.TIMETICKS, ber.COUNTER64):
        return tag, ber.integer(int(value))
    if tag == ber.OID:
        return tag, ber.encode_oid(value)
    if tag == ber.IP_ADDRESS:
        return tag, bytes(map(int, value.split(".")))
    if tag in (ber.OCTET_STRING, ber.OPAQUE):
        return tag, value.encode("utf-8", "surrogateescape")
    return (tag, b"") if tag == ber.NULL else None


def _walk_output(text: str) -> Iterator[tuple[str, Cell]]:
    """Read `OID = TYPE: VALUE` or `OID = VALUE` lines; a line that begins no object continues the value before."""
    held: list[str] = []
    for line in [*text.split("\n"), ".0.0 = "]:
        if _line.match(line) and held:
            yield from _object("\n".join(held))
            held = []
        if held or _line.match(line):
            held.append(line.rstrip("\r"))


def _object(text: str) -> Iterator[tuple[str, Cell]]:
    found = _line.match(text)
    if found is None or not _is_name(found.group(1)):
        return
    oid, value = found.group(1), found.group(2).strip("\n")
    typed = _typed.match(value)
    try:
        cell = _with_type(typed.group(1), typed.group(2)) if typed else _without_type(oid, value)
    except ValueError:
        return
    if cell is not None:
        yield oid, cell


def _with_type(name: str, value: str) -> Cell | None:
    if name in _TAGS:
        named = _named_number.match(value)
        return _TAGS[name], ber.integer(int(named.group(1) if named else value.split()[0]))
    if name == "Timeticks":
        return ber.TIMETICKS, ber.integer(_centiseconds(value))
    if name == "OID":
        return ber.OID, ber.encode_oid(value)
    if name == "IpAddress":
        return _plain(ber.IP_ADDRESS, value)
    if name in ("Hex-STRING", "BITS", "Network Address"):
        octets = re.match(r"(?:[0-9A-Fa-f]{2}[ \n:]?)*", value)
        return ber.OCTET_STRING, bytes.fromhex((octets.group() if octets else "").replace(":", " "))
    return ber.OCTET_STRING, _unquoted(value) if name == "STRING" else value.encode("utf-8", "surrogateescape")


def _without_type(oid: str, value: str) -> Cell | None:
    """Guess what `-OQ` does not tell: ticks, OIDs and numbers by their looks, counters by the standard objects they are."""
    if value.startswith(("No Such ", "No more ")):
        return None
    if _ticks.fullmatch(value):
        return ber.TIMETICKS, ber.integer(_centiseconds(value))
    if re.fullmatch(r"-?\d{1,20}", value):
        tag = next((tag for tag, names in _UNTYPED if names.match(oid)), ber.INTEGER)
        number = int(value)
        return (tag if tag != ber.INTEGER or -(1 << 31) <= number < 1 << 31 else ber.GAUGE32), ber.integer(number)
    if re.fullmatch(r"\.\d+(\.\d+)+", value):
        return ber.OID, ber.encode_oid(value)
    return ber.OCTET_STRING, _unquoted(value)


def _unquoted(value: str) -> bytes:
    whole = len(value) > 1 and value.startswith('"') and value.endswith('"')
    text = value[1:-1].replace('\\"', '"').replace("\\\\", "\\") if whole else value
    return text.encode("utf-8", "surrogateescape")


def _centiseconds(value: str) -> int:
    counted = re.match(r"\((\d+)\)", value)
    if counted:
        return int(counted.group(1))
    days, hours, minutes, seconds, hundredths = map(int, _ticks.findall(value)[0])
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 100 + hundredths


def _is_name(oid: str) -> bool:
    try:
        ber.encode_oid(oid)
    except ValueError:
        return False
    return True


class WalkSnmp:
    """An engine that asks a recording: same calls and same messages as `SnmpEngine`, v1 and v2c only."""

    def __init__(self, recording: Recording, clock: Clock | None = None) -> None:
        self.clock = clock or SystemClock()
        self.dropped: Counter[str] = Counter()
        self.keys = KeyRing()
        self.beliefs: dict[tuple[Address, SnmpCredentials], Belief] = {}
        self.strangers: dict[tuple[Address, SnmpCredentials], tuple[bytes, float]] = {}
        self._recording = recording
        self._last = 0x10000000

    async def __aenter__(self) -> Self:
        self.loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def next_id(self) -> int:
        """Return the next request id."""
        self._last += 1
        return self._last

    async def exchange(
        self, address: Address, request: bytes, request_id: int, session: Session, read: Reader, timeout_s: float,
        *, resends: int = 2, context: object = None,
    ) -> Exchange:  # fmt: skip
        """Answer from the recording, at once."""
        exchange = Exchange(address, request, request_id.to_bytes(4, "big"), session, read)
        exchange.context = context
        data = self._recording.answer(request)
        try:
            if data is not None:
                seen = message.peek(data)
                exchange.finish(Reason.OK, session.accept(exchange, data, seen.at, seen.stop))
        except (ber.Malformed, Rejected) as error:
            exchange.reject(error.reason.value if isinstance(error, Rejected) else Reason.MALFORMED.value)
        if exchange.reason is None:
            exchange.give_up()
        return exchange
