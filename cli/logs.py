"""Log lines: text for people, JSON for machines; one record is one line, whatever a device put into it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x0A}
_CONTROLS |= {0x0A: "\\n", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_CONTROLS |= {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)}


def _extras(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class TextFormatter(logging.Formatter):
    """``TIME LEVEL logger: message key=value``, control characters escaped, tracebacks folded into the line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line."""
        extras = "".join(f" {name}={value}" for name, value in _extras(record).items())
        text = f"{_time(record)} {record.levelname.lower():<7} {record.name}: {record.getMessage()}{extras}"
        if record.exc_info:
            text += " | " + self.formatException(record.exc_info)
        return text.translate(_CONTROLS).encode("utf-8", "backslashreplace").decode()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the record's own fields, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one JSON object."""
        fields: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extras(record),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def configure(form: str, level: str, stream: IO[str] | None = None) -> None:
    """Send log records of this level and above to standard error in the given form (text or json)."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("apscheduler", "paramiko", "netmiko", "uvicorn.access", "uvicorn.error", "asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
