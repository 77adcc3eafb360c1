"""One wrong site file for each mistake, with the exact text that the operator reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.errors import ConfigErrors
from config.load import load_site
from kit.site_files import CANARY, HEAD, mistakes, site_folder

DEVICES = HEAD + "devices:\n"
BLOCK = re.compile(r"^==== (.+)\n((?:(?!----\n).*\n)*)----\n((?:.+\n)+)", re.MULTILINE)
MISTAKES = {
    name: (text, errors.splitlines())
    for name, text, errors in BLOCK.findall(Path(__file__).with_name("mistakes.txt").read_text())
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_has_its_text(name: str, tmp_path: Path) -> None:
    text, expected = MISTAKES[name]
    found = mistakes(site_folder(tmp_path), text)
    assert found == expected
    assert CANARY not in "".join(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "site.yaml: the file is empty."),
        (HEAD + "x: a\x07b\n", "site.yaml:2: control character U+0007; remove it."),
        (HEAD + "x: " + "[" * 40 + "]" * 40 + "\n", "site.yaml:2: nested more than 32 deep."),
        (HEAD + "x: " + "[" * 1_000_000, "site.yaml:2: nested more than 32 deep."),
        (DEVICES + f"  - {{address: 10.0.0.1, class: switch, name: {'n' * 129}}}\n", "has 129 characters; at most 128."),
    ],
)
def test_mistakes_that_are_hard_to_print(text: str, expected: str, tmp_path: Path) -> None:
    (found,) = mistakes(site_folder(tmp_path), text)
    assert found.endswith(expected)


def test_the_table_of_mistakes_is_read_whole() -> None:
    assert len(MISTAKES) > 100


def test_all_mistakes_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    text = (
        "site: {name: s, contract: nowhere, locale: fr}\n"
        "devices:\n"
        "  - {name: a, address: 1.2.3, class: switch, upstream: b}\n"
        "  - {name: c, address: 10.0.0.1, class: swich, colour: red}\n"
        "agnet: {}\n"
    )
    assert mistakes(site_folder(tmp_path), text) == [
        "site.yaml:1: site.contract: there is no contract 'nowhere'.",
        "site.yaml:1: site.locale: 'fr' is none of: en, zh-CN.",
        "site.yaml:3: devices[a].address: '1.2.3': not an IPv4 address: four numbers from 0 to 255, without leading zeros.",
        "site.yaml:3: devices[a].upstream: there is no device 'b'.",
        "site.yaml:4: devices[c].class: there is no device class 'swich'. Did you mean 'switch'?",
        "site.yaml:4: devices[c].colour: unknown key.",
        "site.yaml:5: agnet: unknown key. Did you mean 'agent'?",
    ]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    site_folder(tmp_path)

    with pytest.raises(ConfigErrors) as caught:
        load_site(tmp_path / "gone.yaml", {})
    assert str(caught.value) == f"{tmp_path}/gone.yaml: cannot be read: No such file or directory."
    with pytest.raises(ConfigErrors) as caught:
        load_site(tmp_path, {})
    assert str(caught.value) == f"{tmp_path}: cannot be read: Is a directory."


def test_more_than_10_megabytes_is_refused_unread(tmp_path: Path) -> None:
    assert mistakes(site_folder(tmp_path), b"#" * 10_000_001) == [
        "site.yaml: is larger than 10 MB; split it and name the parts under include."
    ]


def test_other_encodings_are_named(tmp_path: Path) -> None:
    folder = site_folder(tmp_path)
    text = HEAD + "devices:\n  - {name: 核心, address: 10.0.0.1, class: switch}\n"
    assert mistakes(folder, text.encode("utf-16")) == ["site.yaml: the file is UTF-16; save it as UTF-8."]
    assert mistakes(folder, text.encode("gb18030")) == ["site.yaml:3: byte 0xba is not UTF-8; save the file as UTF-8."]
