"""The folder of what the spool could not read or the collector would not take: kept for people, bounded, counted."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

MAX_FILES = 100
MAX_BYTES = 16 << 20


class Quarantine:
    """A bounded folder of damaged or refused bytes. `count` counts since the start, whether or not they could be kept."""

    def __init__(self, path: Path) -> None:
        """Name the folder; it is made when it is first needed."""
        self._path = path
        self.count = 0

    def keep(self, name: str, data: bytes) -> None:
        """Put the bytes aside. A full disk or a full quarantine loses them, never the count."""
        self.count += 1
        log.error("spool: %d bytes put into quarantine as %s", len(data), name)
        try:
            self._path.mkdir(exist_ok=True)
            files = list(self._path.iterdir())
            if len(files) < MAX_FILES and sum(file.stat().st_size for file in files) + len(data) <= MAX_BYTES:
                (self._path / name).write_bytes(data)
        except OSError as error:
            log.warning("quarantine cannot be written: %s", error)
