"""The gate for device text."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.canaries import CANARIES
from probes.sample import parse_key, series_key
from probes.text import clean

FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def harmless(text: str, limit: int) -> None:
    assert len(text) <= limit
    text.encode()
    assert not {unicodedata.category(char) for char in text} & FORBIDDEN
    assert len(text.splitlines()) <= 1


@pytest.mark.parametrize("name", CANARIES)
@pytest.mark.parametrize("limit", [1, 5, 64, 255, 1024])
def test_every_canary_comes_out_harmless(name: str, limit: int) -> None:
    harmless(clean(CANARIES[name], limit), limit)


@pytest.mark.parametrize("name", CANARIES)
def test_a_canary_survives_as_a_label(name: str) -> None:
    value = clean(CANARIES[name], 128)
    metric, labels = parse_key(series_key("device_info", {"sys_name": value, "device": "d"}))
    assert metric == "device_info"
    assert dict(labels) == ({"device": "d", "sys_name": value} if value else {"device": "d"})


@given(st.one_of(st.binary(max_size=400), st.text(st.characters(exclude_categories=()), max_size=200)), st.integers(0, 300))
def test_anything_comes_out_harmless(raw: bytes | str, limit: int) -> None:
    harmless(clean(raw, limit), limit)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (b"GigabitEthernet1/0/9", "GigabitEthernet1/0/9"),
        ("道口".encode(), "道口"),
        (b"caf\xe9", "café"),
        (b"a\x00b", "a\\x00b"),
        (b"a\r\nb", "a\\x0d\\x0ab"),
        (b"\xc2\x9b2J", "\\x9b2J"),
        ("a\u202eb".encode(), "a\\xe2\\x80\\xaeb"),
        ("e\u0301", "é"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\xed\\xa0\\x80"),
    ],
)
def test_what_is_shown(raw: bytes | str, shown: str) -> None:
    assert clean(raw, 64) == shown


def test_a_cut_never_splits_a_character_or_an_escape() -> None:
    assert clean("道口摄像机".encode(), 3) == "道口…"
    assert clean(b"ab\x00\x00", 8) == "ab\\x00…"


def test_a_flood_costs_what_is_shown_of_it() -> None:
    began = time.process_time()
    for _ in range(50):
        clean(CANARIES["combining"] * 20, 255)
    assert time.process_time() - began < 2.0
