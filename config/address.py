"""Addresses of devices, listening sockets and collectors: what is one, and what is wrong with what is not. Resolves nothing."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from config.language import _

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_DOTTED = re.compile(r"[0-9.]+")


class BadAddress(ValueError):
    """The text is no usable address; the message says why, `suggestion` what was probably meant."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.suggestion = suggestion


def host(text: str) -> str:
    """Return an IPv4 or IPv6 address in its usual spelling, or a host name (RFC 1123) as it is.

    Raises:
        BadAddress: it is none of these, or one that no single device has.
    """
    if not text.isascii():
        raise BadAddress(_("not an address: only ASCII letters, digits, dots, colons and hyphens"))
    if "://" in text:
        raise BadAddress(_("not an address: write the host alone, without {scheme}").format(scheme="http://"))
    if text.startswith("[") and text.endswith("]"):
        raise BadAddress(_("not an address: write IPv6 without brackets"))
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return _host_name(text)
    if parsed.is_unspecified or parsed.is_multicast or str(parsed) == "255.255.255.255":
        raise BadAddress(_("not the address of one device"))
    return str(parsed)


def _host_name(text: str) -> str:
    if _DOTTED.fullmatch(text):
        raise BadAddress(_("not an IPv4 address: four numbers from 0 to 255, without leading zeros"))
    name, colon, port = text.partition(":")
    if colon and port.isdecimal() and name:
        raise BadAddress(_("not an address: write a port under ports, such as ports: {{snmp: {port}}}").format(port=port))
    if "/" in text:
        raise BadAddress(_("not an address: one device, not a network"))
    labels = text.removesuffix(".").split(".")
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdecimal():
        raise BadAddress(_("not an IPv4 address, IPv6 address or host name"))
    return text


def listen(text: str) -> str:
    """Return ``HOST:PORT`` as it is where a socket can listen there; port 0 lets the system choose.

    Raises:
        BadAddress: host or port is wrong.
    """
    name, colon, port = text.rpartition(":")
    if not colon or not name:
        raise BadAddress(_("expected host:port, such as 127.0.0.1:8470"))
    if not re.fullmatch(r"0|[1-9][0-9]{0,4}", port) or int(port) > 65535:
        raise BadAddress(_("the port must be a number from 0 to 65535"))
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if ":" in name and bare == name:
        raise BadAddress(_("write an IPv6 address in brackets, such as [::1]:8470"))
    if bare not in ("0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        host(bare)
    return text


def listens_beyond_loopback(text: str) -> bool:
    """Return whether ``HOST:PORT`` can be reached from other machines (a host name counts as reachable)."""
    return _beyond_loopback(text.rpartition(":")[0].strip("[]"))


def leads_beyond_loopback(text: str) -> bool:
    """Return whether a good URL leads, or may lead, to another machine."""
    return _beyond_loopback(urlsplit(text).hostname or "")


def _beyond_loopback(bare: str) -> bool:
    try:
        return not ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return bare != "localhost"


def url(text: str) -> str:
    """Return an http or https URL without its last slash.

    Raises:
        BadAddress: no such URL, or one that holds a user name, a password, a query or a fragment.
    """
    try:
        parts = urlsplit(text)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadAddress(_("not a URL such as https://collector.example:8470")) from None
    if parts.scheme not in ("http", "https") or not name or port == 0 or not text.isprintable() or " " in text:
        raise BadAddress(_("not a URL such as https://collector.example:8470"))
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise BadAddress(_("the URL must hold no user, password, query or fragment"))
    host(name)
    return text.rstrip("/")
