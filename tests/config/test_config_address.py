"""Addresses, sockets and URLs: what is one, in its usual spelling, and what is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from config import address, quantity

GOOD_HOSTS = {
    "10.0.0.1": "10.0.0.1",
    "2001:DB8:0:0::1": "2001:db8::1",
    "fe80::1%eth0": "fe80::1%eth0",
    "::ffff:10.0.0.1": "::ffff:a00:1",
    "core-1": "core-1",
    "core_1.example.": "core_1.example.",
    "127.3.2.1": "127.3.2.1",
}


@pytest.mark.parametrize("text", GOOD_HOSTS)
def test_hosts(text: str) -> None:
    assert address.host(text) == GOOD_HOSTS[text]


@pytest.mark.parametrize(
    "text",
    ["", ".", "10.0.0", "10.0.0.0.1", "core.1",
     "1", "0x7f.1", "0.0.0.0", "::", "255.255.255.255", "ff02::1", "a..b", "-a", "a-", "a b", "[::1]",
     "x" * 64, ".".join(["x" * 60] * 5), "核心", "10.0.0.1/32", "a/b", "a:b", "::1:::", "http://a"],
)  # fmt: skip
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(address.BadAddress):
        address.host(text)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "0.0.0.0:8470", "[::]:65535", "[::1]:1", "localhost:80"])
def test_sockets(text: str) -> None:
    assert address.listen(text) == text


@pytest.mark.parametrize(
    "text", ["", ":80", "8470", "a:", "a:65536", "a:-1", "a:080", "::1:80", "a b:80", "[::1]", "224.0.0.1:1"]
)
def test_what_is_no_socket(text: str) -> None:
    with pytest.raises(address.BadAddress):
        address.listen(text)


@pytest.mark.parametrize("text", ["http://a", "https://10.0.0.1:8470/base", "https://[::1]:1/"])
def test_urls(text: str) -> None:
    assert address.url(text) == text.rstrip("/")


@pytest.mark.parametrize(
    "text", ["", "a", "//a", "ftp://a", "http://", "http://u@a", "http://u:p@a", "http://a?b", "http://a#b", "http://a:0",
             "http://a:99999", "http://[::1", "http://a b", "http://a\\x00"],
)  # fmt: skip
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(address.BadAddress):
        address.url(text)


@pytest.mark.parametrize(
    ("call", "text", "beyond"),
    [
        (address.listens_beyond_loopback, "127.0.0.1:8470", False),
        (address.listens_beyond_loopback, "[::1]:8470", False),
        (address.listens_beyond_loopback, "0.0.0.0:8470", True),
        (address.listens_beyond_loopback, "centre:8470", True),
        (address.leads_beyond_loopback, "http://127.0.0.1:8470", False),
        (address.leads_beyond_loopback, "http://[::1]:8470/x", False),
        (address.leads_beyond_loopback, "http://localhost", False),
        (address.leads_beyond_loopback, "http://10.0.0.1", True),
    ],
)
def test_what_other_machines_reach(call: Callable[[str], bool], text: str, beyond: bool) -> None:
    assert call(text) is beyond


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("5s", 5), ("1m", 60), ("24h", 86400), ("3d", 259200), ("2w", 1209600), ("1h30m", 5400), ("0.5s", 0.5)],
)
def test_durations(text: str, seconds: float) -> None:
    assert quantity.duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5S", "5sec", "1e3s", "５s", "1h 30m", "." + "5s", "inf"])
def test_what_is_no_duration(text: str) -> None:
    assert quantity.duration_s(text) is None


@pytest.mark.parametrize(
    ("text", "size"), [("512MB", 512 << 20), ("2GB", 2 << 30), ("2 gb", 2 << 30), ("1.5KiB", 1536), ("7B", 7)]
)
def test_sizes(text: str, size: int) -> None:
    assert quantity.size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "5", "5M", "MB", "-5MB", "5PB", "5  MB", "1e3MB", "５MB"])
def test_what_is_no_size(text: str) -> None:
    assert quantity.size_bytes(text) is None
