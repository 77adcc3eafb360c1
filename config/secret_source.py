"""Where a secret comes from: ``env:NAME`` or ``file:/path``. Opens the file; never shows a value, not even of a wrong one."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from config.language import _
from config.secret import Secret

MAX_BYTES = 64 << 10
LOOSER_THAN_0640 = 0o037  # group may not write or execute, others may do nothing
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class NoSecret(ValueError):
    """The secret cannot be had; the message says why without the value."""


def read_secret(text: str, folder: Path, environ: Mapping[str, str]) -> Secret:
    """Return the secret that ``env:NAME`` or ``file:PATH`` names; a relative path counts from `folder`.

    Raises:
        NoSecret: neither form, nothing there, or not a fit secret.
    """
    kind, _colon, rest = text.partition(":")
    if kind == "env":
        return Secret(_fit(_from_environment(rest, environ)), text)
    if kind == "file":
        return Secret(_fit(_from_file(rest, folder)), text)
    raise NoSecret(_("a secret must not stand in the file; write env:NAME or file:/path"))


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if not _NAME.fullmatch(name):
        raise NoSecret(_("env: takes the name of an environment variable (letters, digits and _)"))
    value = environ.get(name)
    if value is None:
        raise NoSecret(_("environment variable {name} is not set").format(name=name))
    return value


def _from_file(name: str, folder: Path) -> str:
    if not name:
        raise NoSecret(_("file: takes a path"))
    path = folder / name
    try:
        return _read(path).decode()
    except UnicodeDecodeError:
        raise NoSecret(_("{path} is not UTF-8 text").format(path=path)) from None
    except (OSError, ValueError) as error:
        if isinstance(error, NoSecret):
            raise
        reason = _(str(error.strerror)) if isinstance(error, OSError) else error
        raise NoSecret(_("cannot read {path}: {reason}").format(path=path, reason=reason)) from None


def _read(path: Path) -> bytes:
    """Return the content; the rights are looked at on the open file, so it cannot be exchanged in between."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:
        check_rights(path, os.fstat(descriptor))
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise NoSecret(_("{path} is larger than 64 KB; that is no secret").format(path=path))
    return data


def check_rights(path: Path, status: os.stat_result) -> None:
    """Refuse what is no ordinary file, or what others than owner and group may read.

    Raises:
        NoSecret: the file is refused.
    """
    if not stat.S_ISREG(status.st_mode):
        raise NoSecret(_("{path} is not an ordinary file").format(path=path))
    if status.st_mode & LOOSER_THAN_0640:
        mode = f"{stat.S_IMODE(status.st_mode):04o}"
        raise NoSecret(_("{path} has mode {mode}, open to others; run: chmod 640 {path}").format(path=path, mode=mode))


def _fit(value: str) -> str:
    """Return the value without one trailing line end, or refuse it."""
    text = value[:-2] if value.endswith("\r\n") else value.removesuffix("\n")
    if not text:
        raise NoSecret(_("the secret is empty"))
    if len(text) > MAX_BYTES:
        raise NoSecret(_("the secret is larger than 64 KB"))
    if _CONTROL.search(text) or any("\ud800" <= char <= "\udfff" for char in text):
        raise NoSecret(_("the secret holds a control character; a file may end with one line end, no more"))
    return text
