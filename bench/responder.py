"""A small SNMP agent for benches: one process that answers as a 52-port switch on many loopback addresses.

Answers are remembered by question, so that what is measured is whoever asks.
"""

from __future__ import annotations

import selectors
import socket
import sys

from probes.snmp import ber, message
from probes.walkfile import Cell, Recording

PORTS = 52
IF_TABLE, IFX_TABLE = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"


def switch(ports: int = PORTS) -> Recording:
    """A switch's system group, ifTable and ifXTable."""
    objects: dict[str, Cell] = {
        "1.3.6.1.2.1.1.1.0": (ber.OCTET_STRING, b"bench switch"),
        "1.3.6.1.2.1.1.2.0": (ber.OID, ber.encode_oid("1.3.6.1.4.1.8072.3.2.10")),
        "1.3.6.1.2.1.1.3.0": (ber.TIMETICKS, ber.integer(123456789)),
        "1.3.6.1.2.1.1.5.0": (ber.OCTET_STRING, b"switch-1"),
        "1.3.6.1.2.1.2.1.0": (ber.INTEGER, ber.integer(ports)),
        "1.3.6.1.2.1.25.1.1.0": (ber.TIMETICKS, ber.integer(123456999)),
    }
    for port in range(1, ports + 1):
        name = f"GigabitEthernet1/0/{port}".encode()
        objects[f"{IF_TABLE}.1.{port}"] = (ber.INTEGER, ber.integer(port))
        objects[f"{IF_TABLE}.2.{port}"] = (ber.OCTET_STRING, name)
        for column in (7, 8):
            objects[f"{IF_TABLE}.{column}.{port}"] = (ber.INTEGER, ber.integer(1 + (port % 7 == 0)))
        for column in (10, 13, 14, 16, 19, 20):
            objects[f"{IF_TABLE}.{column}.{port}"] = (ber.COUNTER32, ber.integer(port * 1_000_003 + column))
        objects[f"{IFX_TABLE}.1.{port}"] = (ber.OCTET_STRING, name)
        for column in (6, 10):
            objects[f"{IFX_TABLE}.{column}.{port}"] = (ber.COUNTER64, ber.integer(port * 7_000_000_000_003 + column))
        objects[f"{IFX_TABLE}.15.{port}"] = (ber.GAUGE32, ber.integer(1000))
        objects[f"{IFX_TABLE}.18.{port}"] = (ber.OCTET_STRING, b"room")
    return Recording(objects)


class Answers:
    """A recording's answers, remembered by question; only the request id is put in."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._known: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}

    def answer(self, request: bytes) -> bytes | None:
        seen = message.peek(request)
        marked = seen.message_id.to_bytes(4, "big")
        at = request.find(b"\x02\x04" + marked) + 2
        if at < 2:
            return self._recording.answer(request)
        question = request[:at], request[at + 4 :]
        found = self._known.get(question)
        if found is None:
            whole = self._recording.answer(request)
            if whole is None:
                return None
            head, mark, tail = whole.partition(b"\x02\x04" + marked)
            if not mark:  # the asker wrote its number longer than need be; ours is not
                return whole
            found = self._known[question] = (head + b"\x02\x04", tail)
        return found[0] + marked + found[1]


def serve(addresses: list[str], port: int) -> None:
    answers = Answers(switch())
    selector = selectors.DefaultSelector()
    for address in addresses:
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        end.bind((address, port))
        selector.register(end, selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, __ in selector.select():
            end = key.fileobj
            assert isinstance(end, socket.socket)
            request, asker = end.recvfrom(65535)
            answer = answers.answer(request)
            if answer is not None:
                end.sendto(answer, asker)


if __name__ == "__main__":
    serve(sys.argv[2:], int(sys.argv[1]))
