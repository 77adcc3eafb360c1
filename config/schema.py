"""The JSON Schema of the site file, for editors, and the tables of the reference page: both from the loader's own keys.

``python -m config.schema`` writes both files of the repository anew.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from config.kind import Kind, OneOf
from config.shape import Key, ListOf, MapOf, OneOrMore, Table
from config.site_keys import SITE_FILE

FILE = Path(__file__).with_name("site.schema.json")
REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "site-file.md"
_BLOCK = re.compile(r"(<!-- keys: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a site file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Watchkeeper site file",
        **SITE_FILE.schema(),
    }


def schema_text() -> str:
    """Return the schema as the text that the repository holds."""
    return json.dumps(schema(), ensure_ascii=False, indent=2) + "\n"


def tables(kind: Kind = SITE_FILE) -> Iterator[Table]:
    """Yield every table of keys, outer ones first; one that occurs several times (a lane) is yielded as often."""
    if isinstance(kind, Table):
        yield kind
        for key in kind.keys:
            yield from tables(key.kind)
    elif isinstance(kind, MapOf):
        yield from tables(kind.value)
    elif isinstance(kind, ListOf | OneOrMore):
        yield from tables(kind.item)


def reference(text: str) -> str:
    """Return the reference page with each block ``<!-- keys: NAME --> ... <!-- end -->`` filled from the table of that name."""
    by_name = {table.name: table for table in reversed(list(tables()))}  # of several of one name the first
    return _BLOCK.sub(lambda match: f"{match[1]}{markdown(by_name[match[2]])}{match[3]}", text)


def markdown(table: Table) -> str:
    """Return a table of keys as Markdown."""
    rows = ["| key | type | default | meaning | example |", "|---|---|---|---|---|"]
    return "\n".join(rows + [_row(key) for key in table.keys]) + "\n"


def _row(key: Key) -> str:
    default = "**required**" if key.required else key.default or "-"
    kind = ", ".join(f"`{word}`" for word in key.kind.choices) if isinstance(key.kind, OneOf) else key.kind.label
    cells = (f"`{key.name}`", kind, default, key.meaning, f"`{key.name}: {key.example}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Write the schema and the reference page's tables anew."""
    FILE.write_text(schema_text())
    REFERENCE.write_text(reference(REFERENCE.read_text()))


if __name__ == "__main__":
    main()
