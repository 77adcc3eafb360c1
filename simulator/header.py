"""Requests that look like HTTP (HTTP, RTSP, SIP): first line and headers, tolerant of what a prober may leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """A parsed head. Header names are lower case; a header that stands twice keeps its first value."""

    method: str
    target: str
    version: str
    headers: Mapping[str, str]


def body_bytes(message: bytes) -> int:
    """Return the Content-Length of a message; 0 where it is not said or is no number."""
    request = parse(message)
    text = request.headers.get("content-length", "0") if request is not None else "0"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def parse(message: bytes) -> Request | None:
    """Return the request of a message up to its empty line, or None where the first line is not one."""
    first, *lines = message.decode("utf-8", "replace").split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        return None
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return Request(words[0], words[1], words[2], headers)


def reply(status_line: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """Return a response with its Content-Length."""
    lines = [status_line, *(f"{name}: {value}" for name, value in headers.items()), f"Content-Length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode() + body
