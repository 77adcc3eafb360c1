"""One table of keys: the committed JSON Schema and the reference page are what it gives."""

from __future__ import annotations

import json

import pytest

from config.schema import FILE, REFERENCE, reference, schema, schema_text, tables
from config.shape import Table

TABLES = list(tables())


def test_the_committed_schema_is_current() -> None:
    assert FILE.read_text() == schema_text(), "run: python -m config.schema"


def test_the_reference_page_is_current() -> None:
    text = REFERENCE.read_text()
    assert text == reference(text), "run: python -m config.schema"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_key_has_its_row_on_the_reference_page(table: Table) -> None:
    section = REFERENCE.read_text().partition(f"<!-- keys: {table.name} -->")[2].partition("<!-- end -->")[0]
    for key in table.keys:
        assert f"| `{key.name}` |" in section
        assert key.meaning and key.example


def test_the_schema_forbids_unknown_keys_everywhere() -> None:
    def walk(part: object) -> None:
        if isinstance(part, dict):
            if "properties" in part:
                assert part["additionalProperties"] is False
            for child in part.values():
                walk(child)
        elif isinstance(part, list):
            for child in part:
                walk(child)

    walk(schema())
    assert json.loads(schema_text())["required"] == ["site"]


def test_every_table_is_in_the_schema() -> None:
    text = schema_text()
    for table in TABLES:
        for key in table.keys:
            assert f'"{key.name}": {{' in text
